/* Latencies that a serving engine was measured at, held against the simulator's (docs/own-measurements.md): a line a
 * request, or only quantiles. Times in seconds. */
#ifndef VALIDATE_REQUESTS_H
#define VALIDATE_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"

enum request_metric { REQUEST_TTFT, REQUEST_TPOT, REQUEST_E2E, REQUEST_METRICS };
extern const char *const request_metric_names[REQUEST_METRICS + 1];
enum { REQUEST_TIERS = 12 };

/* One request, measured or predicted. What is not known is not a number; a TPOT has only who gave two tokens. */
struct request_times {
    uint64_t id;
    double arrival_s, s[REQUEST_METRICS];
    double input_tokens, output_tokens, tier_tokens[REQUEST_TIERS]; /* read from the tier instead of computed */
    bool left_out;                                                  /* predicted: within warm-up, or rejected */
    struct place at;                                                /* measured: its line */
};
/* A quantile that somebody measured; share -1: the mean. */
struct request_quantile {
    enum request_metric metric;
    double share, value_s;
    char label[16]; /* p50, p99.9, mean */
};
struct requests {
    const char *path;
    struct request_times *items; /* NULL: the file has quantiles */
    size_t count;
    bool has_ids, has_arrivals, has_input, has_tier[REQUEST_TIERS];
    struct request_quantile *quantiles;
    size_t quantile_count;
};
/* Reads either form, told by its header: `metric,quantile,value_s`, or a line a request with ttft_s, tpot_s or e2e_s
 * (or _ms, _us) and, if it likes, request, arrival_s, input_tokens, output_tokens and TIER_tokens for the `tiers`
 * (count of them). Errors name file, line and column. */
int requests_read(const char *path, const char *const *tiers, size_t tier_count, struct arena *arena,
                  struct requests *out, struct error *err);

/* One metric: quantiles of both sides, and the error of each request where they were matched. */
struct request_pair {
    char label[16];
    double measured_s, predicted_s; /* not a number: that side has none */
};
enum { REQUEST_PAIRS_MAX = 64, REQUEST_CDF = 101 };
struct request_comparison {
    struct request_pair pairs[REQUEST_PAIRS_MAX];
    size_t pair_count, measured, predicted; /* how many have the metric */
    /* |predicted/measured - 1| a request, and the median of predicted/measured - 1; not a number: not matched. */
    double median_error, p90_error, bias;
    double measured_cdf_s[REQUEST_CDF], predicted_cdf_s[REQUEST_CDF]; /* at 0, 1 ... 100 % (lines of requests) */
};
struct requests_comparison {
    size_t measured, predicted; /* requests on each side, before anything is left out */
    size_t compared;            /* measured ones that were: not those within warm-up, or rejected by the simulation */
    bool matched;               /* one to one, by id; then over these alone */
    struct request_comparison metrics[REQUEST_METRICS];
    double measured_input_tokens, predicted_input_tokens, measured_tokens[REQUEST_TIERS],
        predicted_tokens[REQUEST_TIERS];
};
/* `predicted` is sorted by id. Requests are matched where every measured id is a predicted one. Error: matched requests
 * that differ in length, for then they are not the same requests. warmup_s: earlier arrivals are left out. */
int requests_compare(const struct requests *measured, struct request_times *predicted, size_t count, double warmup_s,
                     struct arena *arena, struct requests_comparison *out, struct error *err);

#endif
