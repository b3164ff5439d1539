/* Grouped products of routed experts, bf16: the faster of the ways that were timed, as an engine would take it. */
#include <math.h>

#include "models/ops.h"
#include "validate/fit.h"

enum { T0, TILE_RATE, K_HALF, FLOPS, PARAMETERS };
static const char *const names[PARAMETERS] = {"t0", "tile_rate", "k_half", "flops"};

static double predict(const struct timing *row, const double *p, const void *context) {
    struct machine machine = *(const struct machine *)context;
    machine.experts.t0_s = p[T0];
    machine.experts.tile_rate = p[TILE_RATE];
    machine.experts.k_half = p[K_HALF];
    machine.experts.flops[DTYPE_BF16] = p[FLOPS];
    return timing_seconds(&machine, TIMING_EXPERTS, row);
}
static double predict_single(const struct timing *row, const double *p, const void *context) {
    (void)p;
    return timing_seconds(context, TIMING_EXPERTS, row);
}

static struct fit_rows fastest(const struct timings *timings, struct arena *arena) {
    struct fit_rows out = {arena_alloc(arena, (timings->count + 1) * sizeof *out.at), 0};
    for (size_t i = 0; i < timings->count; i++) {
        const struct timing *row = &timings->rows[i];
        bool beaten = row->fp8;
        for (size_t j = 0; j < timings->count && !beaten; j++) {
            const struct timing *other = &timings->rows[j];
            bool before = other->seconds < row->seconds || (other->seconds == row->seconds && j < i);
            beaten = before && measured_same_work(other->row, row->row);
        }
        if (!beaten)
            out.at[out.count++] = row;
    }
    return out;
}

int fit_experts(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    struct timings timings;
    struct experts_fit *fit = &profile->experts;
    struct machine machine;
    struct step_model_options options = {.gpu = in->gpu, .profile = profile, .tp = 1, .page_tokens = 16};
    double p[PARAMETERS] = {10e-6, 4.0 * profile->on.bandwidth_bytes_per_s / profile->on.sms / 8.0, 100, 400e12};
    if (timings_read(in->source, TIMING_EXPERTS, in->arena, &timings, err) != 0 ||
        machine_resolve(&options, &machine, err) != 0)
        return -1;
    struct fit_rows all = fastest(&timings, in->arena);
    struct fit_problem problem = {.op = "experts bf16",
                                  .rows = fit_rows_held_out(all, false, in->arena),
                                  .parameters = p,
                                  .parameter_count = PARAMETERS,
                                  .names = names,
                                  .predict = predict_single,
                                  .context = &machine};
    if (problem.rows.count < 3 * PARAMETERS)
        return 0;
    double single = fit_spread(&problem, problem.rows);
    problem.predict = predict;
    if (fit_solve(&problem, &fit->fit, err) != 0)
        return -1;
    if (fit->fit.spread >= single) {
        *fit = (struct experts_fit){0};
        return 0;
    }
    struct figure figure;
    double *const to[PARAMETERS] = {&fit->t0_s, &fit->tile_bytes_per_s, &fit->k_half, &fit->flops};
    for (int i = 0; i < PARAMETERS; i++) {
        fit_set(&figure, p[i], in->source->source);
        *to[i] = figure.value;
    }
    fit->source = in->source->source;
    fit_report_rows(in->report, problem.op, &problem, all, &fit->fit, in->arena);
    fit_report_parameters(in->report, &problem);
    return 0;
}
