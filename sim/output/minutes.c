#include "sim/output/minutes.h"

#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"

static const int64_t minute_ns = INT64_C(60000000000);

struct minutes *minutes_create(const double *regime_s, size_t regime_count, int64_t warmup_ns) {
    struct minutes *minutes = calloc(1, sizeof *minutes);
    MUST(minutes != NULL);
    minutes->warmup_ns = warmup_ns;
    if (regime_count == 0)
        return minutes;
    minutes->regimes = calloc(regime_count, sizeof *minutes->regimes);
    MUST(minutes->regimes != NULL);
    minutes->regime_count = regime_count;
    for (size_t i = 0; i < regime_count; i++) {
        minutes->regimes[i] = (struct regime_sums){
            .duration_ns = (int64_t)(regime_s[i] * 1e9), .ttft = histogram_create(), .tpot = histogram_create()};
        minutes->cycle_ns += minutes->regimes[i].duration_ns;
    }
    return minutes;
}

void minutes_destroy(struct minutes *minutes) {
    if (!minutes)
        return;
    for (size_t i = 0; i < minutes->regime_count; i++) {
        histogram_destroy(minutes->regimes[i].ttft);
        histogram_destroy(minutes->regimes[i].tpot);
    }
    free(minutes->regimes);
    free(minutes->minutes);
    free(minutes);
}

static struct minute *minute_at(struct minutes *minutes, int64_t at_ns) {
    size_t i = (size_t)(at_ns / minute_ns);
    if (i >= minutes->room) {
        size_t room = i + 1 > 2 * minutes->room ? i + 1 : 2 * minutes->room;
        minutes->minutes = realloc(minutes->minutes, room * sizeof *minutes->minutes);
        MUST(minutes->minutes != NULL);
        memset(minutes->minutes + minutes->room, 0, (room - minutes->room) * sizeof *minutes->minutes);
        minutes->room = room;
    }
    if (i >= minutes->count)
        minutes->count = i + 1;
    return &minutes->minutes[i];
}

/* NULL: no regimes, or still warming up. */
static struct regime_sums *regime_at(struct minutes *minutes, int64_t at_ns) {
    if (minutes->cycle_ns <= 0 || at_ns < minutes->warmup_ns)
        return NULL;
    int64_t within = at_ns % minutes->cycle_ns;
    size_t i = 0;
    while (i + 1 < minutes->regime_count && within >= minutes->regimes[i].duration_ns)
        within -= minutes->regimes[i++].duration_ns;
    return &minutes->regimes[i];
}

void minutes_request(struct minutes *minutes, const struct request_record *record) {
    for (int64_t from = record->arrival_ns; from < record->end_ns;) {
        int64_t until = (from / minute_ns + 1) * minute_ns;
        if (until > record->end_ns)
            until = record->end_ns;
        minute_at(minutes, from)->in_flight_ns += (double)(until - from);
        from = until;
    }
    struct regime_sums *regime = regime_at(minutes, record->arrival_ns);
    if (!regime)
        return;
    regime->requests++;
    histogram_add(regime->ttft, record->first_token_ns - record->arrival_ns);
    if (record->output_tokens > 1)
        histogram_add(regime->tpot, (record->end_ns - record->first_token_ns) / (record->output_tokens - 1));
}

static size_t kernel_number(struct minutes *minutes, const char *name) {
    for (size_t k = 0; k < minutes->kernel_count; k++)
        if (strcmp(minutes->kernels[k], name) == 0)
            return k;
    MUST(minutes->kernel_count < MINUTES_KERNELS);
    minutes->kernels[minutes->kernel_count] = name;
    return minutes->kernel_count++;
}

void minutes_run(struct minutes *minutes, const struct run_record *record) {
    struct regime_sums *regime = regime_at(minutes, record->start_ns);
    struct minute_steps *sums[] = {&minute_at(minutes, record->start_ns)->work, regime ? &regime->work : NULL};
    bool decodes = record->kernel && *record->kernel;
    size_t kernel = decodes ? kernel_number(minutes, record->kernel) : 0;
    for (size_t i = 0; i < 2 && sums[i]; i++) {
        sums[i]->steps += record->steps;
        sums[i]->step_ns += (double)(record->end_ns - record->start_ns);
        if (decodes)
            sums[i]->kernel_steps[kernel] += record->steps;
    }
}

double minutes_in_flight(const struct minutes *minutes, int64_t start_s) {
    size_t i = (size_t)(start_s / 60);
    return i < minutes->count ? minutes->minutes[i].in_flight_ns / (double)minute_ns : 0;
}

struct minute_steps minutes_work(const struct minutes *minutes, int64_t start_s) {
    size_t i = (size_t)(start_s / 60);
    return i < minutes->count ? minutes->minutes[i].work : (struct minute_steps){0};
}
