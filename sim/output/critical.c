#include "sim/output/critical.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"

static void take_request(void *self, const struct request_record *record) {
    struct critical *critical = self;
    if (record->end == REQUEST_FINISHED && record->arrival_ns >= critical->warmup_ns) {
        if (critical->count == critical->room) {
            critical->room = critical->room ? 2 * critical->room : 1024;
            critical->entries = realloc(critical->entries, critical->room * sizeof *critical->entries);
            MUST(critical->entries != NULL);
        }
        struct critical_entry *entry = &critical->entries[critical->count++];
        int64_t ttft_ns = record->first_token_ns - record->arrival_ns, e2e_ns = record->end_ns - record->arrival_ns;
        *entry = (struct critical_entry){.latency_ns = {ttft_ns, e2e_ns}, .slowest_tier = record->slowest_tier};
        entry->tpot_ns = record->output_tokens > 1 ? (e2e_ns - ttft_ns) / (record->output_tokens - 1) : -1;
        memcpy(entry->cause_ns[CRITICAL_TTFT], record->first_ns, sizeof record->first_ns);
        memcpy(entry->cause_ns[CRITICAL_E2E], record->cause_ns, sizeof record->cause_ns);
    }
    if (critical->next && critical->next->request)
        critical->next->request(critical->next->self, record);
}

#define PASS_ON(what)                                                                                                  \
    static void take_##what(void *self, const struct what##_record *record) {                                          \
        struct sink *next = ((struct critical *)self)->next;                                                           \
        if (next && next->what)                                                                                        \
            next->what(next->self, record);                                                                            \
    }
PASS_ON(run)
PASS_ON(transfer)
PASS_ON(decision)
PASS_ON(link)
PASS_ON(tier)
PASS_ON(instance)
PASS_ON(rate)

void critical_create(struct critical *critical, int64_t warmup_ns, struct sink *next) {
    *critical = (struct critical){.warmup_ns = warmup_ns, .next = next};
    critical->sink = (struct sink){.self = critical,
                                   .request = take_request,
                                   .run = take_run,
                                   .transfer = take_transfer,
                                   .decision = take_decision,
                                   .link = take_link,
                                   .tier = take_tier,
                                   .instance = take_instance,
                                   .rate = next && next->rate ? take_rate : NULL};
}

void critical_destroy(struct critical *critical) {
    free(critical->entries);
    critical->entries = NULL;
    critical->count = critical->room = 0;
}

static int by_latency(const struct critical_entry *a, const struct critical_entry *b, enum critical_latency latency) {
    int64_t x = a->latency_ns[latency], y = b->latency_ns[latency];
    return (x > y) - (x < y);
}
static int by_ttft(const void *a, const void *b) {
    return by_latency(a, b, CRITICAL_TTFT);
}
static int by_e2e(const void *a, const void *b) {
    return by_latency(a, b, CRITICAL_E2E);
}

static void sort(struct critical *critical, enum critical_latency latency) {
    if (critical->count > 0)
        qsort(critical->entries, critical->count, sizeof *critical->entries,
              latency == CRITICAL_TTFT ? by_ttft : by_e2e);
}

/* Nearest rank, from 0. */
static size_t rank_of(double share, size_t count) {
    double rank = ceil(share * (double)count) - 1;
    return rank < 0 ? 0 : rank >= (double)count ? count - 1 : (size_t)rank;
}

struct critical_path critical_path(struct critical *critical, enum critical_latency latency, double share) {
    enum { SIDE_MIN = 5 };
    struct critical_path path = {0};
    size_t n = critical->count;
    if (n == 0)
        return path;
    sort(critical, latency);
    size_t side = (size_t)(0.005 * (double)n), rank = rank_of(share, n);
    side = side < SIDE_MIN ? SIDE_MIN : side;
    size_t first = rank > side ? rank - side : 0, last = rank + side < n ? rank + side : n - 1;
    path.low_ns = critical->entries[first].latency_ns[latency];
    path.high_ns = critical->entries[last].latency_ns[latency];
    for (size_t i = first; i <= last; i++) {
        const struct critical_entry *entry = &critical->entries[i];
        path.requests++;
        path.total_ns += entry->latency_ns[latency];
        for (int c = 0; c < CAUSE_COUNT; c++)
            path.cause_ns[c] += entry->cause_ns[latency][c];
        int tier = entry->slowest_tier >= 0 ? entry->slowest_tier : RECORD_TIERS_MAX;
        path.load_ns[tier] += entry->cause_ns[latency][CAUSE_LOAD];
    }
    int64_t sum_ns = 0, load_ns = 0;
    for (int c = 0; c < CAUSE_COUNT; c++)
        sum_ns += path.cause_ns[c];
    for (int t = 0; t <= RECORD_TIERS_MAX; t++)
        load_ns += path.load_ns[t];
    MUST(sum_ns == path.total_ns && load_ns == path.cause_ns[CAUSE_LOAD]);
    return path;
}

double critical_percentile_s(struct critical *critical, enum critical_latency latency, double share) {
    if (critical->count == 0)
        return 0;
    sort(critical, latency);
    return (double)critical->entries[rank_of(share, critical->count)].latency_ns[latency] * 1e-9;
}

double critical_mean_s(const struct critical *critical, enum critical_latency latency) {
    double sum_ns = 0;
    for (size_t i = 0; i < critical->count; i++)
        sum_ns += (double)critical->entries[i].latency_ns[latency];
    return critical->count ? sum_ns * 1e-9 / (double)critical->count : 0;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

double critical_tpot_percentile_s(const struct critical *critical, double share) {
    int64_t *values = malloc((critical->count + 1) * sizeof *values);
    MUST(values != NULL);
    size_t n = 0;
    for (size_t i = 0; i < critical->count; i++)
        if (critical->entries[i].tpot_ns >= 0)
            values[n++] = critical->entries[i].tpot_ns;
    qsort(values, n, sizeof *values, ascending);
    double seconds = n ? (double)values[rank_of(share, n)] * 1e-9 : 0;
    free(values);
    return seconds;
}
