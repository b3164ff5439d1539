#include <math.h>

#include "models/ops.h"
#include "validate/fit.h"

/* w_half is held at 0: these weights (17 MB and more) all come at one rate once t0 is free, so it cannot be told apart
 * from t0. */
enum { T0, BANDWIDTH, FLOPS, K_HALF, LOSS, LOSS_HALF, PARAMETERS };
static const char *const names[PARAMETERS] = {"t0", "bandwidth", "flops", "k_half", "sustained_loss", "sustained_half"};

static double predict(const struct timing *row, const double *p, const void *context) {
    struct machine machine = *(const struct machine *)context;
    machine.gemm.t0_s = p[T0];
    machine.gemm.bandwidth = p[BANDWIDTH];
    machine.gemm.flops[DTYPE_BF16] = p[FLOPS];
    machine.gemm.k_half = p[K_HALF];
    machine.gemm.sustained_loss = p[LOSS];
    machine.gemm.sustained_half = p[LOSS_HALF];
    return timing_seconds(&machine, TIMING_GEMM, row);
}

static double weight_bytes(const struct timing *row) {
    return (row->fp8 ? 1.0 : 2.0) * row->n * row->k;
}
static double predict_fp8(const struct timing *row, const double *p, const void *context) {
    struct machine machine = *(const struct machine *)context;
    machine.gemm.flops[DTYPE_FP8] = p[0];
    return timing_seconds(&machine, TIMING_GEMM, row);
}

static bool is_fp8(const struct timing *row) {
    return row->fp8;
}
static bool is_bf16(const struct timing *row) {
    return !row->fp8;
}
/* The regimes left out in turn: the largest products, and the largest weights. */
static bool large_m(const struct timing *row, double limit) {
    return row->m >= limit;
}
static bool large_weights(const struct timing *row, double limit) {
    return weight_bytes(row) >= limit;
}

static void note_range(struct fit_rows rows, struct gemm_fit *fit) {
    fit->m_max = fit->weight_bytes_max = 0;
    fit->weight_bytes_min = weight_bytes(rows.at[0]);
    for (size_t i = 0; i < rows.count; i++) {
        fit->m_max = fmax(fit->m_max, rows.at[i]->m);
        fit->weight_bytes_min = fmin(fit->weight_bytes_min, weight_bytes(rows.at[i]));
        fit->weight_bytes_max = fmax(fit->weight_bytes_max, weight_bytes(rows.at[i]));
    }
}

static int fit_bf16(struct fit_problem *problem, struct fit_rows all, const struct fit_input *in, struct gemm_fit *fit,
                    struct error *err) {
    double outside[2];
    note_range(all, fit);
    problem->rows = fit_rows_held_out(all, false, in->arena);
    if (fit_leave_out(problem, large_m, fit->m_max / 4, in->arena, &outside[0], err) != 0 ||
        fit_leave_out(problem, large_weights, 0.75 * fit->weight_bytes_max, in->arena, &outside[1], err) != 0 ||
        fit_solve(problem, &fit->fit, err) != 0)
        return -1;
    fit->fit.spread_outside = fmax(fmax(outside[0], outside[1]), fit->fit.spread);
    return 0;
}

/* FP8 weights: all but the rate of the tensor cores is bf16's, so the other constants are held. */
static int fit_fp8(const struct fit_input *in, const struct timings *timings, struct machine *machine, const double *p,
                   struct gemm_fit *fit, struct error *err) {
    static const char *const fp8_names[] = {"flops_fp8"};
    double flops[] = {2 * p[FLOPS]};
    struct fit_rows all = fit_rows_where(timings, is_fp8, in->arena);
    struct fit_quality quality;
    struct fit_problem problem = {.op = "gemm fp8",
                                  .rows = fit_rows_held_out(all, false, in->arena),
                                  .parameters = flops,
                                  .parameter_count = 1,
                                  .names = fp8_names,
                                  .predict = predict_fp8,
                                  .context = machine};
    fit->flops_fp8 = (struct figure){0, BASIS_SPEC, "not measured"};
    if (problem.rows.count < 4)
        return 0;
    machine->gemm.t0_s = p[T0];
    machine->gemm.bandwidth = p[BANDWIDTH];
    machine->gemm.k_half = p[K_HALF];
    machine->gemm.sustained_loss = p[LOSS];
    machine->gemm.sustained_half = p[LOSS_HALF];
    if (fit_solve(&problem, &quality, err) != 0)
        return -1;
    fit_set(&fit->flops_fp8, flops[0], in->source->source);
    fit_report_rows(in->report, problem.op, &problem, all, &quality, in->arena);
    fit_report_parameters(in->report, &problem);
    return 0;
}

int fit_gemm(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    struct timings timings;
    struct gemm_fit *fit = &profile->gemm;
    struct machine machine = {.gemm = {.sms = profile->on.sms}};
    const char *source = in->source->source;
    double p[PARAMETERS] = {3e-6, 0.9 * profile->on.bandwidth_bytes_per_s, 1e15, 500, 0.3, 3e11};
    if (timings_read(in->source, TIMING_GEMM, in->arena, &timings, err) != 0)
        return -1;
    struct fit_rows all = fit_rows_where(&timings, is_bf16, in->arena);
    if (all.count == 0)
        return error_set(err, "%s has no timings of bf16 products\n  hint: every model needs them",
                         in->source->directory);
    struct fit_problem problem = {.op = "gemm bf16",
                                  .parameters = p,
                                  .parameter_count = PARAMETERS,
                                  .names = names,
                                  .predict = predict,
                                  .context = &machine};
    if (fit_bf16(&problem, all, in, fit, err) != 0)
        return -1;
    fit_set(&fit->t0_s, p[T0], source);
    fit_set(&fit->bandwidth_bytes_per_s, p[BANDWIDTH], source);
    fit_set(&fit->w_half_bytes, 0.0, "not told apart from t0 by weights of 17 MB and more");
    fit_set(&fit->flops, p[FLOPS], source);
    fit_set(&fit->k_half, p[K_HALF], source);
    fit_set(&fit->sustained_loss, p[LOSS], source);
    fit_set(&fit->sustained_half_flop, p[LOSS_HALF], source);
    fit_report_rows(in->report, problem.op, &problem, all, &fit->fit, in->arena);
    fit_report_parameters(in->report, &problem);
    return fit_fp8(in, &timings, &machine, p, fit, err);
}
