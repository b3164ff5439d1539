/* Small kernels.
 *
 * Their rate on what the L2 keeps, from reads of working sets that fit into it (group memory): the slope of time over
 * bytes up to 44 MB, where the L2 of 50 MB of a Hopper GPU begins to give way.
 *
 * The time of a small kernel in a replayed graph (norm, rotary, KV write, activation: models/token_ops.c) from whole
 * steps of Qwen2.5-7B's decode at batch 1, the only steps that a fit may see. All else of such a step was fitted kernel
 * by kernel before, and what is left is the small kernels': a step takes a + b x kernel_s, so each row gives one value,
 * and the median stands. */
#include <gsl/gsl_fit.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <string.h>

#include "validate/fit.h"
#include "validate/measured.h"

static int step_seconds(const struct fit_input *in, const struct measured_rows *rows, struct kernel_profile *profile,
                        double kernel_s, double *out, struct error *err) {
    struct points points[STEP_OPS];
    double kept = profile->small.kernel_s.value;
    profile->small.kernel_s.value = kernel_s;
    int failed = predict_steps(rows, in->gpu, profile, in->finder, in->arena, points, err);
    profile->small.kernel_s.value = kept;
    if (failed)
        return failed;
    MUST(points[0].count == rows->count);
    for (size_t i = 0; i < rows->count; i++)
        out[i] = points[0].items[i].predicted_s;
    return 0;
}

static struct measured_rows fitted_steps(const struct fit_input *in) {
    const struct measured_rows *all = &in->source->rows;
    struct measured_rows some = {.rows = arena_alloc(in->arena, (all->count + 1) * sizeof *some.rows)};
    for (size_t i = 0; i < all->count; i++)
        if (measured_step_fitted(&all->rows[i]))
            some.rows[some.count++] = all->rows[i];
    return some;
}

static const double l2_bytes = 44e6;

static int fit_l2(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    const struct measured_rows *all = &in->source->rows;
    double *x = arena_alloc(in->arena, (all->count + 1) * sizeof *x),
           *y = arena_alloc(in->arena, (all->count + 1) * sizeof *y);
    double c0, slope, cov00, cov01, cov11, sum, bytes;
    size_t n = 0;
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->rows[i].variant, "l2_ws") == 0) {
            if (measured_number(&all->rows[i], "working_set", &bytes, err) != 0)
                return -1;
            if (bytes <= l2_bytes) {
                x[n] = bytes;
                y[n++] = all->rows[i].seconds;
            }
        }
    if (n < 3)
        return 0;
    gsl_fit_linear(x, 1, y, 1, n, &c0, &slope, &cov00, &cov01, &cov11, &sum);
    struct figure share;
    fit_set(&share, 1.0 / (slope * profile->on.bandwidth_bytes_per_s), in->source->source);
    profile->small.l2_bandwidth_share = share.value;
    profile->small.l2_bytes = l2_bytes;
    return 0;
}

int fit_small(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    if (in->source->format != TIMINGS_CALIBRATE)
        return 0;
    if (fit_l2(in, profile, err) != 0)
        return -1;
    if (!in->finder.find)
        return 0;
    struct measured_rows rows = fitted_steps(in);
    if (rows.count == 0)
        return 0;
    const double unit_s = 1e-6;
    double *without = arena_alloc(in->arena, rows.count * sizeof *without),
           *with = arena_alloc(in->arena, rows.count * sizeof *with),
           *value = arena_alloc(in->arena, rows.count * sizeof *value);
    if (step_seconds(in, &rows, profile, 0.0, without, err) != 0 ||
        step_seconds(in, &rows, profile, unit_s, with, err) != 0)
        return -1;
    for (size_t i = 0; i < rows.count; i++)
        value[i] = (rows.rows[i].seconds - without[i]) / (with[i] - without[i]) * unit_s;
    gsl_sort(value, 1, rows.count);
    double median = gsl_stats_median_from_sorted_data(value, 1, rows.count);
    if (!(median > 0))
        return error_at(
            err, rows.rows[0].at,
            "steps of Qwen2.5-7B at batch 1 take %.3g us a small kernel less than the sum of their kernels\n"
            "  hint: were kernels and steps measured by the same machine and version?",
            -median * 1e6);
    fit_set(&profile->small.kernel_s, median, in->source->source);
    profile->small.spread = fmax(0.05, 0.5 * (value[rows.count - 1] - value[0]) / median);
    return 0;
}
