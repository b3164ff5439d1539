/* Measured latencies against predicted ones. Quantiles by nearest rank on both sides, so that equal requests give equal
 * quantiles to the bit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/requests.h"

struct values {
    double *at;
    size_t count;
};

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* share -1: the mean; sorted before. */
static double quantile(struct values values, double share) {
    if (values.count == 0)
        return (double)NAN;
    if (share < 0) {
        double sum = 0;
        for (size_t i = 0; i < values.count; i++)
            sum += values.at[i];
        return sum / (double)values.count;
    }
    /* A rank that is whole but for rounding (0.9 of 10) is that rank. */
    double rank = ceil(share * (double)values.count * (1 - 1e-12));
    return values.at[rank < 1 ? 0 : (size_t)rank - 1];
}

static struct values values_of(const struct request_times *items, size_t count, int metric, struct arena *arena) {
    struct values out = {arena_alloc(arena, (count + 1) * sizeof *out.at), 0};
    for (size_t i = 0; i < count; i++)
        if (!items[i].left_out && !isnan(items[i].s[metric]))
            out.at[out.count++] = items[i].s[metric];
    qsort(out.at, out.count, sizeof *out.at, ascending);
    return out;
}

static void fill_cdf(struct values values, double out[REQUEST_CDF]) {
    for (int i = 0; i < REQUEST_CDF; i++)
        out[i] = quantile(values, (double)i / (REQUEST_CDF - 1));
}

static const struct request_times *find(const struct request_times *items, size_t count, uint64_t id) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && items[low].id == id ? &items[low] : NULL;
}

/* Which predicted request each measured one is; NULL: they cannot be told. */
static int match(const struct requests *measured, const struct request_times *predicted, size_t count,
                 struct arena *arena, const struct request_times ***out, struct error *err) {
    const struct request_times **of = arena_alloc(arena, (measured->count + 1) * sizeof(void *));
    *out = NULL;
    if (!measured->has_ids)
        return 0;
    for (size_t i = 0; i < measured->count; i++)
        if (!(of[i] = find(predicted, count, measured->items[i].id)))
            return 0;
    for (size_t i = 0; i < measured->count; i++) {
        const struct request_times *row = &measured->items[i];
        if (measured->has_input && !isnan(row->input_tokens) && row->input_tokens != of[i]->input_tokens)
            return error_at(err, row->at,
                            "request %llu has %.0f input tokens here and %.0f in the scenario\n  hint: is the "
                            "scenario's workload the one that was served? without the column `request` only "
                            "distributions are compared",
                            (unsigned long long)row->id, row->input_tokens, of[i]->input_tokens);
    }
    *out = of;
    return 0;
}

static void compare_metric(const struct request_times *measured, size_t measured_count,
                           const struct request_times *predicted, size_t predicted_count, int metric, bool matched,
                           struct arena *arena, struct request_comparison *out) {
    static const struct {
        const char *label;
        double share;
    } shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"mean", -1}};
    struct values x = values_of(measured, measured_count, metric, arena),
                  y = values_of(predicted, predicted_count, metric, arena);
    *out = (struct request_comparison){.measured = x.count,
                                       .predicted = y.count,
                                       .median_error = (double)NAN,
                                       .p90_error = (double)NAN,
                                       .bias = (double)NAN};
    if (x.count == 0)
        return;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct request_pair *pair = &out->pairs[out->pair_count++];
        *pair = (struct request_pair){.measured_s = quantile(x, shares[i].share),
                                      .predicted_s = quantile(y, shares[i].share)};
        snprintf(pair->label, sizeof pair->label, "%s", shares[i].label);
    }
    fill_cdf(x, out->measured_cdf_s);
    fill_cdf(y, out->predicted_cdf_s);
    if (!matched)
        return;
    struct values sizes = {arena_alloc(arena, (measured_count + 1) * sizeof(double)), 0},
                  offs = {arena_alloc(arena, (measured_count + 1) * sizeof(double)), 0};
    for (size_t i = 0; i < measured_count; i++) {
        double off = predicted[i].s[metric] / measured[i].s[metric] - 1;
        if (measured[i].left_out || isnan(off))
            continue;
        sizes.at[sizes.count++] = fabs(off);
        offs.at[offs.count++] = off;
    }
    qsort(sizes.at, sizes.count, sizeof(double), ascending);
    qsort(offs.at, offs.count, sizeof(double), ascending);
    out->median_error = quantile(sizes, 0.5);
    out->p90_error = quantile(sizes, 0.9);
    out->bias = quantile(offs, 0.5);
}

static void compare_quantiles(const struct requests *measured, const struct request_times *predicted, size_t count,
                              struct arena *arena, struct requests_comparison *out) {
    for (int metric = 0; metric < REQUEST_METRICS; metric++) {
        struct request_comparison *to = &out->metrics[metric];
        struct values values = values_of(predicted, count, metric, arena);
        *to = (struct request_comparison){
            .predicted = values.count, .median_error = (double)NAN, .p90_error = (double)NAN, .bias = (double)NAN};
        for (size_t i = 0; i < measured->quantile_count; i++) {
            const struct request_quantile *q = &measured->quantiles[i];
            if ((int)q->metric != metric)
                continue;
            struct request_pair *pair = &to->pairs[to->pair_count++];
            *pair = (struct request_pair){.measured_s = q->value_s, .predicted_s = quantile(values, q->share)};
            memcpy(pair->label, q->label, sizeof pair->label);
        }
    }
}

static void add_tokens(struct requests_comparison *out, const struct request_times *items, size_t count,
                       bool predicted) {
    double *tokens = predicted ? out->predicted_tokens : out->measured_tokens,
           *input = predicted ? &out->predicted_input_tokens : &out->measured_input_tokens;
    for (size_t i = 0; i < count; i++) {
        if (items[i].left_out)
            continue;
        *input += isnan(items[i].input_tokens) ? 0 : items[i].input_tokens;
        for (int t = 0; t < REQUEST_TIERS; t++)
            tokens[t] += items[i].tier_tokens[t];
    }
}

int requests_compare(const struct requests *measured, struct request_times *predicted, size_t count, double warmup_s,
                     struct arena *arena, struct requests_comparison *out, struct error *err) {
    const struct request_times **of = NULL;
    *out = (struct requests_comparison){.measured = measured->count, .predicted = count};
    if (!measured->items) {
        compare_quantiles(measured, predicted, count, arena, out);
        return 0;
    }
    if (match(measured, predicted, count, arena, &of, err) != 0)
        return -1;
    /* Both sides in one order, and alike in what is left out. */
    struct request_times *rows = arena_alloc(arena, (measured->count + 1) * sizeof *rows),
                         *theirs = arena_alloc(arena, (measured->count + 1) * sizeof *theirs);
    for (size_t i = 0; i < measured->count; i++) {
        rows[i] = measured->items[i];
        if (of)
            theirs[i] = *of[i];
        rows[i].left_out = of ? theirs[i].left_out : measured->has_arrivals && rows[i].arrival_s < warmup_s;
        out->compared += !rows[i].left_out;
    }
    out->matched = of != NULL;
    const struct request_times *against = of ? theirs : predicted;
    size_t against_count = of ? measured->count : count;
    for (int metric = 0; metric < REQUEST_METRICS; metric++)
        compare_metric(rows, measured->count, against, against_count, metric, out->matched, arena,
                       &out->metrics[metric]);
    add_tokens(out, rows, measured->count, false);
    add_tokens(out, against, against_count, true);
    return 0;
}
