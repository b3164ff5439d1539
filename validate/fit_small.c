/* The time of a small kernel in a replayed graph (norm, rotary, KV write, activation: models/token_ops.c) from whole
 * steps of Qwen2.5-7B's decode at batch 1, the only steps that a fit may see. All else of such a step was fitted kernel
 * by kernel before, and what is left is the small kernels': a step takes a + b x kernel_s, so each row gives one value,
 * and the median stands. */
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>

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

int fit_small(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    if (in->source->format != TIMINGS_CALIBRATE || !in->finder.find)
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
