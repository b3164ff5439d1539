/* What a run's records add up to: everything that the table and the JSON show of one variant. */
#ifndef SIM_OUTPUT_METRICS_H
#define SIM_OUTPUT_METRICS_H

#include "sim/base/histogram.h"
#include "sim/base/option.h"
#include "sim/base/record.h"

/* Limits a request must keep to count as good, and percentiles that must keep them; 0: none. In seconds. */
struct slo_options {
    double ttft_p50_s, ttft_p90_s, ttft_p99_s, tpot_p50_s, tpot_p90_s, tpot_p99_s, e2e_p50_s, e2e_p90_s, e2e_p99_s;
};
extern const struct option slo_options_table[];

/* Requests that arrived within one minute of simulated time. */
struct metrics_window {
    uint64_t requests, prompt_tokens, hit_tokens;
    struct histogram *ttft;
};

enum { METRICS_LINK_NAME_MAX = 64 };
struct metrics_link {
    char name[METRICS_LINK_NAME_MAX];
    uint64_t bytes;
    double peak_bytes_per_s;
    int64_t busy_ns;
};
struct metrics_tier {
    char name[METRICS_LINK_NAME_MAX];
    struct tier_record record;
};

struct metrics {
    struct sink sink;
    const struct slo_options *slo;    /* NULL: none */
    int64_t warmup_ns;                /* requests that arrive earlier are counted, not measured */
    uint64_t rejected, finished, preempted, measured, good;
    uint64_t prompt_tokens, output_tokens, hit_tokens[RECORD_TIERS_MAX], recomputed_tokens, computed_tokens;
    uint64_t lost_tokens;             /* computed although an earlier request of the same session had had them computed */
    struct int_map *session_tokens;   /* prompt + output of each session's last request */
    struct histogram *ttft, *tpot, *e2e, *context, *penalty[RECORD_TIERS_MAX];
    double cause_ns[CAUSE_COUNT], load_tier_ns[RECORD_TIERS_MAX]; /* summed over requests: may exceed 64 bits */
    int64_t first_arrival_ns, last_end_ns, first_measured_ns;
    struct metrics_window *windows;
    uint32_t window_count, window_room;
    struct metrics_link *links;
    uint32_t link_count;
    struct metrics_tier *tiers;
    uint32_t tier_count;
    int64_t busy_ns;
    uint64_t steps, runs;
    struct sink *also;                /* every record goes there too; NULL: nowhere */
};
void metrics_create(struct metrics *metrics, const struct slo_options *slo, int64_t warmup_ns, struct sink *also);
void metrics_destroy(struct metrics *metrics);

/* First measured arrival (or end of warm-up) to the last completion, s. */
double metrics_span_s(const struct metrics *metrics);
/* Whether all percentiles keep the SLO; true without one. Nothing finished: false. */
bool metrics_hold_slo(const struct metrics *metrics);
/* Share of measured requests that keep all limits. */
double metrics_attainment(const struct metrics *metrics);

#endif
