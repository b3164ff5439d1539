#include <math.h>

#include "models/ops.h"
#include "validate/fit.h"

/* A prefix's KV is read at the rate that decode attention reaches. */
enum { T0, FLOPS, S_HALF, TILE_TOKEN, TILE, LOSS, LOSS_HALF, TAIL, PARAMETERS };
static const char *const names[PARAMETERS] = {"t0",   "flops",          "s_half",         "tile_token",
                                              "tile", "sustained_loss", "sustained_half", "tail"};

static double predict(const struct timing *row, const double *p, const void *context) {
    struct machine machine = *(const struct machine *)context;
    machine.prefill.t0_s = p[T0];
    machine.prefill.flops = p[FLOPS];
    machine.prefill.s_half = p[S_HALF];
    machine.prefill.tile_token_s = p[TILE_TOKEN];
    machine.prefill.tile_s = p[TILE];
    machine.prefill.sustained_loss = p[LOSS];
    machine.prefill.sustained_half = p[LOSS_HALF];
    machine.prefill.tail = p[TAIL];
    return timing_seconds(&machine, TIMING_PREFILL, row);
}

/* Left out: the longest sequences, prefix included. */
static bool longest(const struct timing *row, double limit) {
    return row->context + row->prefix >= limit;
}

/* No timings: the base profile's constants, at the ratio of the datasheets. */
static int from_base(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    if (!in->base)
        return error_set(err,
                         "%s has no timings of prefill attention\n  hint: measure the group prefill, or give --base",
                         in->source->directory);
    profile->prefill = in->base->prefill;
    struct prefill_fit *fit = &profile->prefill;
    double bf16 = profile->on.bf16_flops / in->base->on.bf16_flops;
    fit->flops.value *= bf16;
    fit->sustained_half_flop.value *= bf16;
    fit->tile_token_s.value *= profile->on.sms / in->base->on.sms / bf16;
    fit->bandwidth_bytes_per_s.value *= profile->on.bandwidth_bytes_per_s / in->base->on.bandwidth_bytes_per_s;
    struct figure *figures[] = {
        &fit->t0_s,   &fit->flops,          &fit->s_half_tokens,       &fit->tile_token_s,
        &fit->tile_s, &fit->sustained_loss, &fit->sustained_half_flop, &fit->bandwidth_bytes_per_s};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        figures[i]->basis = BASIS_SPEC;
    return 0;
}

int fit_prefill(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    struct timings timings;
    struct prefill_fit *fit = &profile->prefill;
    const char *source = in->source->source;
    double bandwidth = profile->decode_bf16.bandwidth_bytes_per_s.value, outside;
    struct machine machine = {.prefill = {.sms = profile->on.sms, .bandwidth = bandwidth}};
    double p[PARAMETERS] = {10e-6, 700e12, 600, 12e-9, 3e-6, 0.2, 1e13, 0};
    if (timings_read(in->source, TIMING_PREFILL, in->arena, &timings, err) != 0)
        return -1;
    if (timings.count == 0)
        return from_base(in, profile, err);
    struct fit_rows all = fit_rows_where(&timings, NULL, in->arena);
    fit->length_max = 0;
    for (size_t i = 0; i < all.count; i++)
        fit->length_max = fmax(fit->length_max, all.at[i]->context + all.at[i]->prefix);
    struct fit_problem problem = {.op = "prefill attention bf16",
                                  .rows = fit_rows_held_out(all, false, in->arena),
                                  .parameters = p,
                                  .parameter_count = TAIL,
                                  .names = names,
                                  .predict = predict,
                                  .context = &machine};
    /* cuDNN's tiles go to SMs as they lie, and end apart; FlashAttention 3 takes the longest first: no tail. */
    if (fit_leave_out(&problem, longest, fit->length_max / 2, in->arena, &outside, err) != 0 ||
        fit_solve_more(&problem, 0.5, &fit->fit, err) != 0 ||
        (problem.parameter_count == PARAMETERS &&
         fit_leave_out(&problem, longest, fit->length_max / 2, in->arena, &outside, err) != 0))
        return -1;
    fit->fit.spread_outside = fmax(outside, fit->fit.spread);
    fit_set(&fit->t0_s, p[T0], source);
    fit_set(&fit->flops, p[FLOPS], source);
    fit_set(&fit->s_half_tokens, p[S_HALF], source);
    fit_set(&fit->tile_token_s, p[TILE_TOKEN], source);
    fit_set(&fit->tile_s, p[TILE], source);
    fit_set(&fit->sustained_loss, p[LOSS], source);
    fit_set(&fit->sustained_half_flop, p[LOSS_HALF], source);
    fit->tail = p[TAIL];
    fit_set(&fit->bandwidth_bytes_per_s, bandwidth, source);
    fit_report_rows(in->report, problem.op, &problem, all, &fit->fit, in->arena);
    fit_report_parameters(in->report, &problem);
    return 0;
}
