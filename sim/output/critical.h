/* Where the time of requests near a percentile went. A sink that keeps the accounts of every measured request: a
 * hundred bytes and a few each, so it is attached only where somebody asks. Sums are of integer ns, and exact: over
 * causes they are the sum of the latencies. */
#ifndef SIM_OUTPUT_CRITICAL_H
#define SIM_OUTPUT_CRITICAL_H

#include <stddef.h>

#include "sim/base/record.h"

enum critical_latency { CRITICAL_TTFT, CRITICAL_E2E, CRITICAL_LATENCIES };

struct critical_entry {
    int64_t latency_ns[CRITICAL_LATENCIES];
    int64_t cause_ns[CRITICAL_LATENCIES][CAUSE_COUNT];
    int64_t tpot_ns;     /* -1: a single token */
    int8_t slowest_tier; /* the lowest that it loaded from; -1: none */
};
struct critical {
    struct sink sink, *next;
    int64_t warmup_ns;
    struct critical_entry *entries;
    size_t count, room;
};
/* Requests that arrive before `warmup_ns` are left out; every record goes on to `next` (NULL: nowhere). */
void critical_create(struct critical *critical, int64_t warmup_ns, struct sink *next);
void critical_destroy(struct critical *critical);

/* The requests about a percentile, summed. */
struct critical_path {
    size_t requests;
    int64_t low_ns, high_ns, total_ns; /* the latencies: least, most, sum */
    int64_t cause_ns[CAUSE_COUNT];     /* sums to total_ns */
    /* Of cause_ns[CAUSE_LOAD], by the slowest tier that a request loaded from; the last: none, a hand-over's. */
    int64_t load_ns[RECORD_TIERS_MAX + 1];
};
/* Of the ranks within half a percent of `share` (0..1) on either side, five at least; sorts the entries. Nothing was
 * measured: all 0. */
struct critical_path critical_path(struct critical *critical, enum critical_latency latency, double share);

/* Exact figures, s: nearest rank, mean; 0 of nothing. */
double critical_percentile_s(struct critical *critical, enum critical_latency latency, double share);
double critical_mean_s(const struct critical *critical, enum critical_latency latency);
/* Of TPOT; 0 where no request has a second token. */
double critical_tpot_percentile_s(const struct critical *critical, double share);

#endif
