#include "sim/output/metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"
#include "sim/base/int_map.h"
#include "sim/base/option.h"

#define SLO(key, member, what)                                                                                                                        \
    { .name = key, .kind = OPTION_REAL, .offset = offsetof(struct slo_options, member), .unit = UNIT_SECONDS, .fallback = "0", .min = 0, .max = 1e9, .help = what }
const struct option slo_options_table[] = {
    SLO("ttft_p50", ttft_p50_s, "limit of the median time to first token; 0: none"),
    SLO("ttft_p90", ttft_p90_s, "limit of its 90th percentile"),
    SLO("ttft_p99", ttft_p99_s, "limit of its 99th percentile"),
    SLO("tpot_p50", tpot_p50_s, "limit of the median time per output token"),
    SLO("tpot_p90", tpot_p90_s, "limit of its 90th percentile"),
    SLO("tpot_p99", tpot_p99_s, "limit of its 99th percentile"),
    SLO("e2e_p50", e2e_p50_s, "limit of the median end-to-end time"),
    SLO("e2e_p90", e2e_p90_s, "limit of its 90th percentile"),
    SLO("e2e_p99", e2e_p99_s, "limit of its 99th percentile"),
    OPTION_END};

/* The limit that a single request has to keep: that of the highest percentile given; 0: none. */
static double request_limit_s(double p50_s, double p90_s, double p99_s) { return p99_s > 0 ? p99_s : p90_s > 0 ? p90_s : p50_s; }

static bool keeps(double limit_s, int64_t value_ns) { return limit_s <= 0 || (double)value_ns <= limit_s * 1e9; }

static bool is_good(const struct slo_options *slo, int64_t ttft_ns, int64_t tpot_ns, int64_t e2e_ns) {
    return keeps(request_limit_s(slo->ttft_p50_s, slo->ttft_p90_s, slo->ttft_p99_s), ttft_ns) &&
           keeps(request_limit_s(slo->tpot_p50_s, slo->tpot_p90_s, slo->tpot_p99_s), tpot_ns) &&
           keeps(request_limit_s(slo->e2e_p50_s, slo->e2e_p90_s, slo->e2e_p99_s), e2e_ns);
}

static struct metrics_window *window_of(struct metrics *metrics, int64_t arrival_ns) {
    uint32_t index = (uint32_t)((arrival_ns - metrics->first_arrival_ns) / INT64_C(60000000000));
    if (arrival_ns < metrics->first_arrival_ns) index = 0;
    while (index >= metrics->window_room) {
        uint32_t room = metrics->window_room ? 2 * metrics->window_room : 64;
        metrics->windows = realloc(metrics->windows, room * sizeof *metrics->windows);
        MUST(metrics->windows != NULL);
        memset(metrics->windows + metrics->window_room, 0, (room - metrics->window_room) * sizeof *metrics->windows);
        metrics->window_room = room;
    }
    if (index >= metrics->window_count) metrics->window_count = index + 1;
    struct metrics_window *window = &metrics->windows[index];
    if (!window->ttft) window->ttft = histogram_create();
    return window;
}

static void measure(struct metrics *metrics, const struct request_record *record) {
    int64_t ttft_ns = record->first_token_ns - record->arrival_ns, e2e_ns = record->end_ns - record->arrival_ns;
    int64_t tpot_ns = record->output_tokens > 1 ? (record->end_ns - record->first_token_ns) / (record->output_tokens - 1) : 0;
    if (metrics->measured++ == 0 || record->arrival_ns < metrics->first_measured_ns) metrics->first_measured_ns = record->arrival_ns;
    histogram_add(metrics->ttft, ttft_ns);
    histogram_add(metrics->e2e, e2e_ns);
    if (record->output_tokens > 1) histogram_add(metrics->tpot, tpot_ns);
    histogram_add(metrics->context, (int64_t)record->prompt_tokens + record->output_tokens);
    metrics->prompt_tokens += record->prompt_tokens;
    metrics->output_tokens += record->output_tokens;
    metrics->recomputed_tokens += record->recomputed_tokens;
    metrics->computed_tokens += record->computed_tokens;
    uint64_t hits = 0;
    for (int t = 0; t < RECORD_TIERS_MAX; t++) {
        metrics->hit_tokens[t] += record->hit_tokens[t];
        hits += record->hit_tokens[t];
        metrics->load_tier_ns[t] += (double)record->load_tier_ns[t];
    }
    for (int c = 0; c < CAUSE_COUNT; c++) metrics->cause_ns[c] += (double)record->cause_ns[c];
    /* What a hit below HBM cost: the wait for its load, which a hit in HBM would not have had. */
    if (record->slowest_tier > 0) histogram_add(metrics->penalty[record->slowest_tier], record->cause_ns[CAUSE_LOAD]);
    if (metrics->slo && is_good(metrics->slo, ttft_ns, tpot_ns, e2e_ns)) metrics->good++;
    struct metrics_window *window = window_of(metrics, record->arrival_ns);
    window->requests++;
    window->prompt_tokens += record->prompt_tokens;
    window->hit_tokens += hits;
    histogram_add(window->ttft, ttft_ns);
}

/* Of a session's prompt, what its last request had had (prompt and answer) and nobody had kept. */
static uint64_t take_lost(struct metrics *metrics, const struct request_record *record) {
    uint32_t before = int_map_get(metrics->session_tokens, record->session);
    uint64_t hits = 0, known = before == INT_MAP_NONE ? 0 : before;
    for (int t = 0; t < RECORD_TIERS_MAX; t++) hits += record->hit_tokens[t];
    if (known > record->prompt_tokens) known = record->prompt_tokens;
    int_map_put(metrics->session_tokens, record->session, record->prompt_tokens + record->output_tokens);
    return known > hits ? known - hits : 0;
}

static void take_request(void *self, const struct request_record *record) {
    struct metrics *metrics = self;
    if (metrics->finished + metrics->rejected == 0 || record->arrival_ns < metrics->first_arrival_ns) metrics->first_arrival_ns = record->arrival_ns;
    if (record->end_ns > metrics->last_end_ns) metrics->last_end_ns = record->end_ns;
    if (record->end == REQUEST_REJECTED) {
        metrics->rejected++;
    } else {
        metrics->finished++;
        metrics->preempted += record->preemptions > 0;
        uint64_t lost = take_lost(metrics, record);
        if (record->arrival_ns >= metrics->warmup_ns) {
            metrics->lost_tokens += lost;
            measure(metrics, record);
        }
    }
    if (metrics->also && metrics->also->request) metrics->also->request(metrics->also->self, record);
}

static void take_link(void *self, const struct link_record *record) {
    struct metrics *metrics = self;
    metrics->links = realloc(metrics->links, (metrics->link_count + 1) * sizeof *metrics->links);
    MUST(metrics->links != NULL);
    struct metrics_link *link = &metrics->links[metrics->link_count++];
    snprintf(link->name, sizeof link->name, "%s", record->name);
    link->bytes = record->bytes;
    link->peak_bytes_per_s = record->peak_bytes_per_s;
    link->busy_ns = record->busy_ns;
    if (metrics->also && metrics->also->link) metrics->also->link(metrics->also->self, record);
}

static void take_tier(void *self, const struct tier_record *record) {
    struct metrics *metrics = self;
    metrics->tiers = realloc(metrics->tiers, (metrics->tier_count + 1) * sizeof *metrics->tiers);
    MUST(metrics->tiers != NULL);
    struct metrics_tier *tier = &metrics->tiers[metrics->tier_count++];
    snprintf(tier->name, sizeof tier->name, "%s", record->name);
    tier->record = *record;
    tier->record.name = NULL;
    if (metrics->also && metrics->also->tier) metrics->also->tier(metrics->also->self, record);
}

static void take_instance(void *self, const struct instance_record *record) {
    struct metrics *metrics = self;
    metrics->busy_ns += record->busy_ns;
    metrics->steps += record->steps;
    metrics->runs += record->runs;
    if (metrics->also && metrics->also->instance) metrics->also->instance(metrics->also->self, record);
}

static void take_run(void *self, const struct run_record *record) {
    struct metrics *metrics = self;
    if (metrics->also && metrics->also->run) metrics->also->run(metrics->also->self, record);
}
static void take_transfer(void *self, const struct transfer_record *record) {
    struct metrics *metrics = self;
    if (metrics->also && metrics->also->transfer) metrics->also->transfer(metrics->also->self, record);
}

void metrics_create(struct metrics *metrics, const struct slo_options *slo, int64_t warmup_ns, struct sink *also) {
    *metrics = (struct metrics){.slo = slo, .warmup_ns = warmup_ns, .also = also};
    metrics->sink = (struct sink){metrics, take_request, take_run, take_transfer, take_link, take_tier, take_instance};
    metrics->session_tokens = int_map_create();
    metrics->ttft = histogram_create();
    metrics->tpot = histogram_create();
    metrics->e2e = histogram_create();
    metrics->context = histogram_create();
    for (int t = 0; t < RECORD_TIERS_MAX; t++) metrics->penalty[t] = histogram_create();
}

void metrics_destroy(struct metrics *metrics) {
    int_map_destroy(metrics->session_tokens);
    histogram_destroy(metrics->ttft);
    histogram_destroy(metrics->tpot);
    histogram_destroy(metrics->e2e);
    histogram_destroy(metrics->context);
    for (int t = 0; t < RECORD_TIERS_MAX; t++) histogram_destroy(metrics->penalty[t]);
    for (uint32_t w = 0; w < metrics->window_count; w++) histogram_destroy(metrics->windows[w].ttft);
    free(metrics->windows);
    free(metrics->links);
    free(metrics->tiers);
    *metrics = (struct metrics){0};
}

double metrics_span_s(const struct metrics *metrics) {
    int64_t from_ns = metrics->first_arrival_ns > metrics->warmup_ns ? metrics->first_arrival_ns : metrics->warmup_ns;
    return metrics->last_end_ns > from_ns ? (double)(metrics->last_end_ns - from_ns) * 1e-9 : 0;
}

static bool percentiles_keep(const struct histogram *histogram, double p50_s, double p90_s, double p99_s) {
    return keeps(p50_s, histogram_percentile(histogram, 0.5)) && keeps(p90_s, histogram_percentile(histogram, 0.9)) && keeps(p99_s, histogram_percentile(histogram, 0.99));
}

bool metrics_hold_slo(const struct metrics *metrics) {
    const struct slo_options *slo = metrics->slo;
    if (!slo) return true;
    return metrics->measured > 0 && metrics->rejected == 0 && percentiles_keep(metrics->ttft, slo->ttft_p50_s, slo->ttft_p90_s, slo->ttft_p99_s) &&
           percentiles_keep(metrics->tpot, slo->tpot_p50_s, slo->tpot_p90_s, slo->tpot_p99_s) &&
           percentiles_keep(metrics->e2e, slo->e2e_p50_s, slo->e2e_p90_s, slo->e2e_p99_s);
}

double metrics_attainment(const struct metrics *metrics) { return metrics->measured ? (double)metrics->good / (double)metrics->measured : 0; }
