/* What a run's records add up to: everything that the table, the JSON and the database show of one variant at one load.
 * A sink (sim/base/record.h) in memory that does not grow with the number of requests: log-linear histograms, a line a
 * minute, and the last contexts of sessions that spoke lately. */
#ifndef SIM_OUTPUT_METRICS_H
#define SIM_OUTPUT_METRICS_H

#include "sim/base/histogram.h"
#include "sim/base/int_map.h"
#include "sim/base/option.h"
#include "sim/base/record.h"
#include "sim/output/itl.h"
#include "sim/output/minutes.h"
#include "sim/output/recovery.h"

/* The `slo:` section. Percentiles that must keep their limits (seconds; 0: none), and the share of requests that must
 * keep the limit of one request, which is that of the highest percentile given. */
struct slo_options {
    double ttft_p50_s, ttft_p90_s, ttft_p99_s, tpot_p50_s, tpot_p90_s, tpot_p99_s, e2e_p50_s, e2e_p90_s, e2e_p99_s;
    double attainment; /* 0: whatever the percentiles leave */
};
extern const struct option slo_options_table[];

/* Requests that ended within one minute of simulated time, warm-up included; minutes without any are left out. */
struct metrics_window {
    int64_t start_s;
    uint64_t requests, prompt_tokens, hit_tokens;
    int64_t ttft_p50_ns, ttft_p99_ns, tpot_p99_ns;
};
enum { METRICS_WINDOW_S = 60 };

enum { METRICS_NAME_MAX = 64 };
struct metrics_link {
    char name[METRICS_NAME_MAX];
    uint64_t bytes;
    double peak_bytes_per_s;
    int64_t busy_ns;
};
struct metrics_tier {
    char name[METRICS_NAME_MAX];
    struct tier_record record; /* name: NULL */
};

/* The measured requests that broke the TTFT limit: where their time to first token went, and how many would have broken
 * it even so: without computing what was known (their own, and that share of the queue), or without loads. */
struct metrics_late {
    uint64_t requests, even_without_lost, even_without_load;
    double queue_ns, prefill_ns, lost_ns, load_ns[RECORD_TIERS_MAX]; /* lost: of prefill, for text that was known */
};

/* The decisions of the reuse policy after warm-up: how many, and sums over those that came to a first token. */
struct metrics_decisions {
    uint64_t count, abandoned, fetched, computed, partial; /* count is the sum of the others */
    uint64_t given_tokens;                                 /* asked for, given up under way and computed */
    double predicted_s, realised_s, alternative_s;         /* from decision to first token */
    double regret_s;                                       /* realised - alternative */
    uint64_t regretted;                                    /* decisions whose alternative would have been earlier */
    double regretted_s;                                    /* what they sum to */
};

struct metrics {
    struct sink sink;
    const struct slo_options *slo; /* NULL: none */
    int64_t warmup_ns;             /* requests that arrive earlier are counted, not measured */
    uint64_t rejected, finished, preempted;
    uint64_t measured, rejected_measured, good; /* of those that arrive after warm-up */
    uint64_t prompt_tokens, output_tokens, hit_tokens[RECORD_TIERS_MAX], recomputed_tokens, computed_tokens;
    uint64_t lost_tokens; /* computed although an earlier request of the same session had had them computed */
    /* prompt + output of each session's last request: `recent`, and `older` from before it was last full. Sessions
     * silent for longer than a million others' requests are forgotten, and nothing counts as lost for them. */
    struct int_map *recent_sessions, *older_sessions;
    struct histogram *ttft, *tpot, *e2e, *context;
    /* The miss penalty of tier t: over requests whose slowest source was t, how long they waited for blocks from below
     * HBM (CAUSE_LOAD: queueing on the links included). Had all their hits been in HBM they would not have waited. */
    struct histogram *penalty[RECORD_TIERS_MAX]; /* NULL: no such request */
    struct metrics_late late;
    struct metrics_decisions decisions;
    double cause_ns[CAUSE_COUNT], load_tier_ns[RECORD_TIERS_MAX]; /* summed over requests: may exceed 64 bits */
    int64_t first_arrival_ns, last_end_ns, first_measured_ns;
    struct metrics_window *windows;
    uint32_t window_count, window_room;
    struct histogram *window_ttft, *window_tpot; /* of the last window */
    struct metrics_link *links;
    uint32_t link_count;
    struct metrics_tier *tiers;
    uint32_t tier_count;
    struct instance_record *instances;
    uint32_t instance_count;
    struct sink *also;         /* every record goes there too; NULL: nowhere */
    bool keeps_runs;           /* runs of steps are not for `also` */
    bool by_minute;            /* `minutes` takes them down */
    struct minutes *minutes;   /* owned */
    struct itl *itl;           /* owned */
    struct recovery *recovery; /* hit ratios over time, owned; NULL: nobody asks */
};
void metrics_create(struct metrics *metrics, const struct slo_options *slo, int64_t warmup_ns, struct sink *also);
/* No more records will come: the last window is closed, and what only records need is freed. */
void metrics_settle(struct metrics *metrics);
void metrics_destroy(struct metrics *metrics);

/* First measured arrival (or end of warm-up) to the last completion, s. */
double metrics_span_s(const struct metrics *metrics);
/* Whether all limits are kept; true without an SLO. Rejected requests keep no limit. Nothing finished: false. */
bool metrics_hold_slo(const struct metrics *metrics);
/* Share of measured requests, rejected ones included, that keep the limits of a request. */
double metrics_attainment(const struct metrics *metrics);
/* The limit that stands nearest or is broken most: value over limit, and which (0 ttft, 1 tpot, 2 e2e). 0 without one.
 */
double metrics_tightest(const struct metrics *metrics, int *which);
/* The share of requests that must keep the TTFT limit: its highest percentile; 0: there is none. */
double metrics_ttft_share(const struct metrics *metrics);
/* A percentile in s; 0 of nothing. */
double metrics_percentile_s(const struct histogram *histogram, double share);
/* The 90 % interval of a percentile by order statistics: the ranks share x n +- 1.645 sqrt(n share (1 - share)). */
void metrics_percentile_interval_s(const struct histogram *histogram, double share, double *low_s, double *high_s);
/* Tokens computed again: those that sessions had had, or those that the engine knows of, whichever is more. */
uint64_t metrics_again_tokens(const struct metrics *metrics);

#endif
