/* Decode attention, one KV dtype at a time, both kernels together: they read the same memory, so they share its rate
 * and its ramp, and differ by the cost of splitting and by waves.
 *
 * Rows that may have been measured warm (published tables: KV within the L2) would be too fast: a serving engine's
 * weights stream through the L2 between two reads of a layer's KV. Of those, only what one CTA can read at most is
 * taken. Rows of tiersim-calibrate are all cold, and some leave most CTAs idle on purpose: there the CTA's rate is a
 * parameter like the others. */
#include <math.h>
#include <string.h>

#include "validate/fit.h"

enum { T0, RAMP, RAMP_HALF, BANDWIDTH, TILE, WAVE, SPLIT, EACH, WIDE, CTA_RATE, MORE, PARAMETERS };
/* By dtype, the last: what few rows can tell of either alone (contexts of different length; short rows). */
static const char *const names[2][PARAMETERS] = {{"t0", "ramp", "ramp_half", "bandwidth", "tile", "wave", "split",
                                                  "split_each", "split_wide", "cta_rate", "lone_rate"},
                                                 {"t0", "ramp", "ramp_half", "bandwidth", "tile", "wave", "split",
                                                  "split_each", "split_wide", "cta_rate", "cta_token"}};
enum { WARM_T0, WARM_RATE, WARM_PARAMETERS };

static const double bytes_warm = 40e6;
/* Where every SM has one CTA of the single-pass kernel. */
static const double warm_tiles_min = 106, warm_tiles_max = 132;

struct decode_context {
    struct machine machine;
    bool rate_known; /* a CTA's: no parameter */
    bool fp8;
};

static double predict(const struct timing *row, const double *p, const void *context) {
    const struct decode_context *c = context;
    struct machine machine = c->machine;
    struct decode_machine *d = &machine.decode;
    d->t0_s[DECODE_SPLIT] = p[T0] + p[SPLIT];
    d->t0_s[DECODE_SINGLE] = p[T0];
    d->split_each_s = p[EACH];
    d->split_wide_s = p[WIDE];
    d->ramp_s = p[RAMP];
    d->ramp_half = p[RAMP_HALF];
    d->bandwidth = p[BANDWIDTH];
    d->tile_s = p[TILE];
    d->wave_s = p[WAVE];
    if (!c->rate_known)
        d->cta_rate = p[CTA_RATE];
    *(c->fp8 ? &d->cta_token_s : &d->lone_rate) = p[MORE];
    return timing_seconds(&machine, TIMING_DECODE, row);
}

static double predict_warm(const struct timing *row, const double *p, const void *context) {
    (void)context;
    return p[WARM_T0] + timing_kv_bytes(row) / row->batch / row->kv_heads / p[WARM_RATE];
}

static bool counts_bf16(const struct timing *row) {
    return !row->fp8 && !row->warm;
}
static bool counts_fp8(const struct timing *row) {
    return row->fp8 && !row->warm;
}
static bool largest(const struct timing *row, double limit) {
    return timing_kv_bytes(row) >= limit;
}
static bool warm(const struct timing *row) {
    double tiles = row->batch * row->kv_heads;
    return row->warm && timing_kv_bytes(row) <= bytes_warm && tiles >= warm_tiles_min && tiles <= warm_tiles_max;
}
static bool warm_bf16(const struct timing *row) {
    return !row->fp8 && warm(row);
}
static bool warm_fp8(const struct timing *row) {
    return row->fp8 && warm(row);
}

/* What one CTA reads at most, by the warm rows; 0 where there are none. */
static int warm_rate(const struct timings *timings, bool fp8, struct arena *arena, double *rate, struct error *err) {
    double w[WARM_PARAMETERS] = {12e-6, 40e9};
    struct fit_problem problem = {.op = "decode, warm",
                                  .rows = fit_rows_where(timings, fp8 ? warm_fp8 : warm_bf16, arena),
                                  .parameters = w,
                                  .parameter_count = WARM_PARAMETERS,
                                  .predict = predict_warm};
    struct fit_quality quality;
    *rate = 0;
    if (problem.rows.count <= WARM_PARAMETERS)
        return 0;
    if (fit_solve(&problem, &quality, err) != 0)
        return -1;
    *rate = w[WARM_RATE];
    return 0;
}

/* The kernels' own accuracy: over the rows that each ran. */
static int report_kernel(const struct fit_input *in, const struct fit_problem *problem, struct fit_rows all,
                         enum decode_kernel kernel, struct fit_quality *quality, struct error *err) {
    const struct decode_context *c = problem->context;
    const char *op = arena_printf(in->arena, "%s, %s", problem->op, kernel == DECODE_SPLIT ? "split" : "single pass");
    struct fit_rows rows = {arena_alloc(in->arena, all.count * sizeof *rows.at), 0};
    for (size_t i = 0; i < all.count; i++) {
        struct decode_load load = timing_decode_load(all.at[i]);
        if (decode_pick(&c->machine.decode, &load) == kernel)
            rows.at[rows.count++] = all.at[i];
    }
    struct fit_rows fitted = fit_rows_held_out(rows, false, in->arena);
    if (fitted.count == 0)
        return error_set(err, "no timings of %s\n  hint: measure batches on both sides of the rule", op);
    quality->rows = (int64_t)fitted.count;
    quality->spread = fit_spread(problem, fitted);
    quality->spread_outside = fmax(quality->spread_outside, quality->spread);
    fit_report_rows(in->report, op, problem, rows, quality, in->arena);
    return 0;
}

static void set_figures(struct decode_fit *fit, const double *p, double cta_rate, const char *source) {
    fit_set(&fit->t0_s, p[T0], source);
    fit_set(&fit->split_s, p[SPLIT], source);
    fit_set(&fit->split_each_s, p[EACH], source);
    fit_set(&fit->split_wide_s, p[WIDE], source);
    fit_set(&fit->tile_s, p[TILE], source);
    fit_set(&fit->wave_s, p[WAVE], source);
    fit_set(&fit->ramp_s, p[RAMP], source);
    fit_set(&fit->ramp_half_bytes, p[RAMP_HALF], source);
    fit_set(&fit->bandwidth_bytes_per_s, p[BANDWIDTH], source);
    fit_set(&fit->cta_bytes_per_s, cta_rate, source);
}

static int fit_dtype(const struct fit_input *in, const struct timings *timings, bool fp8,
                     struct kernel_profile *profile, struct error *err) {
    struct decode_fit *fit = fp8 ? &profile->decode_fp8 : &profile->decode_bf16;
    const struct decode_rule *rule = &profile->rule;
    double p[PARAMETERS] = {8e-6, 6e-6, 6e6, 0.95 * profile->on.bandwidth_bytes_per_s, 3e-6, 1e-7, 1e-6, 5e-8,
                            1e-7, 50e9, 0};
    double rate, outside;
    const struct decode_fit *like = &profile->decode_bf16;
    struct fit_rows all = fit_rows_where(timings, fp8 ? counts_fp8 : counts_bf16, in->arena);
    /* The kernel's other dtype: its constants are where few rows begin from, and are held near to. */
    bool few = fp8 && all.count < 3 * PARAMETERS;
    if (few)
        memcpy(p,
               (const double[]){like->t0_s.value, like->ramp_s.value, like->ramp_half_bytes.value,
                                like->bandwidth_bytes_per_s.value, like->tile_s.value, like->wave_s.value,
                                like->split_s.value, like->split_each_s.value, like->split_wide_s.value,
                                0.5 * like->cta_bytes_per_s.value, /* as many tokens a second */
                                0},
               sizeof p);
    if (warm_rate(timings, fp8, in->arena, &rate, err) != 0)
        return -1;
    struct decode_context context = {
        .machine.decode = {.split_below_tiles = rule->below_share * profile->on.sms,
                           .split_min_tokens = rule->min_tokens,
                           .split_tokens = rule->split_tokens,
                           .places = rule->ctas_per_sm * profile->on.sms,
                           .split_places = (rule->split_ctas_per_sm > 0 ? rule->split_ctas_per_sm : rule->ctas_per_sm) *
                                           profile->on.sms,
                           .flops = profile->on.bf16_flops,
                           .sms = profile->on.sms,
                           .cta_rate = rate,
                           /* as many tokens a second as of the other dtype: its rows have equal contexts */
                           .lone_rate = fp8 ? 0.5 * like->lone_bytes_per_s : 0},
        .rate_known = rate > 0,
        .fp8 = fp8};
    fit->bytes_max = 0;
    for (size_t i = 0; i < all.count; i++)
        fit->bytes_max = fmax(fit->bytes_max, timing_kv_bytes(all.at[i]));
    struct fit_problem problem = {.op = fp8 ? "decode fp8" : "decode bf16",
                                  .rows = fit_rows_held_out(all, false, in->arena),
                                  .parameters = p,
                                  .parameter_count = rate > 0 ? CTA_RATE : MORE,
                                  .tie = few ? 0.05 : 0,
                                  .names = names[fp8],
                                  .predict = predict,
                                  .context = &context};
    struct fit_quality quality;
    double share = profile->on.bandwidth_bytes_per_s / profile->on.sms;
    double start = fp8 ? 64.0 / share : 2.0 * share;
    if (fit_leave_out(&problem, largest, fit->bytes_max / 4, in->arena, &outside, err) != 0 ||
        (few || rate > 0 ? fit_solve(&problem, &quality, err) : fit_solve_more(&problem, start, &quality, err)) != 0 ||
        (problem.parameter_count == PARAMETERS &&
         fit_leave_out(&problem, largest, fit->bytes_max / 4, in->arena, &outside, err) != 0))
        return -1;
    quality.spread_outside = outside;
    fit->split = fit->single = quality;
    set_figures(fit, p, rate > 0 ? rate : p[CTA_RATE], in->source->source);
    fit->lone_bytes_per_s = fp8 ? context.machine.decode.lone_rate : p[MORE];
    fit->cta_token_s = fp8 ? p[MORE] : 0;
    if (report_kernel(in, &problem, all, DECODE_SPLIT, &fit->split, err) != 0 ||
        report_kernel(in, &problem, all, DECODE_SINGLE, &fit->single, err) != 0)
        return -1;
    fit_report_parameters(in->report, &problem);
    return 0;
}

int fit_decode(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    struct timings timings;
    if (timings_read(in->source, TIMING_DECODE, in->arena, &timings, err) != 0 ||
        fit_dtype(in, &timings, false, profile, err) != 0)
        return -1;
    return fit_dtype(in, &timings, true, profile, err);
}
