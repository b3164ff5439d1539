#include "models/ops.h"
#include "validate/fit.h"

/* w_half is held at 0: these weights (33 to 168 MB) all come at one rate once t0 is free, so it cannot be told apart
 * from t0. */
enum { T0, BANDWIDTH, FLOPS, K_HALF, LOSS, LOSS_HALF, PARAMETERS };

/* The regimes left out in turn: the largest products, and the largest weights. */
static const double outside_m = 8192, outside_weights = 130e6;

static const char source[] = "aiconfigurator @095f58a5: torch linear, vLLM 0.24";

static double predict(const struct timing *row, const double *p, const void *context) {
    struct machine machine = *(const struct machine *)context;
    machine.gemm.t0_s = p[T0];
    machine.gemm.bandwidth = p[BANDWIDTH];
    machine.gemm.flops[DTYPE_BF16] = p[FLOPS];
    machine.gemm.k_half = p[K_HALF];
    machine.gemm.sustained_loss = p[LOSS];
    machine.gemm.sustained_half = p[LOSS_HALF];
    return gemm_price(&machine, DTYPE_BF16, row->m, row->n, row->k, 1.0).seconds;
}

static double weight_bytes(const struct timing *row) {
    return 2.0 * row->n * row->k;
}
static bool large_m(const struct timing *row) {
    return row->m >= outside_m;
}
static bool large_weights(const struct timing *row) {
    return weight_bytes(row) >= outside_weights;
}

static void note_range(const struct timings *timings, struct gemm_fit *fit) {
    fit->m_max = fit->weight_bytes_max = 0;
    fit->weight_bytes_min = weight_bytes(&timings->rows[0]);
    for (size_t i = 0; i < timings->count; i++) {
        const struct timing *row = &timings->rows[i];
        if (row->m > fit->m_max)
            fit->m_max = row->m;
        if (weight_bytes(row) < fit->weight_bytes_min)
            fit->weight_bytes_min = weight_bytes(row);
        if (weight_bytes(row) > fit->weight_bytes_max)
            fit->weight_bytes_max = weight_bytes(row);
    }
}

int fit_gemm(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
             struct fit_report *report, struct error *err) {
    struct gemm_fit *fit = &profile->gemm;
    struct machine machine = {.gemm = {.sms = profile->on.sms}};
    struct fit_rows all = fit_rows_where(timings, NULL, arena);
    double p[PARAMETERS] = {3e-6, 3.1e12, 1e15, 500, 0.3, 3e11};
    struct fit_problem problem = {all, p, PARAMETERS, predict, &machine};
    if (all.count == 0)
        return error_set(err, "no GEMM timings\n  hint: the table has a header only");
    note_range(timings, fit);
    double outside[2];
    if (fit_leave_out(&problem, large_m, arena, &outside[0], err) != 0)
        return -1;
    if (fit_leave_out(&problem, large_weights, arena, &outside[1], err) != 0)
        return -1;
    if (fit_solve(&problem, &fit->fit, err) != 0)
        return -1;
    fit->fit.spread_outside = outside[0] > outside[1] ? outside[0] : outside[1];
    if (fit->fit.spread_outside < fit->fit.spread)
        fit->fit.spread_outside = fit->fit.spread;
    fit_set(&fit->t0_s, p[T0], source);
    fit_set(&fit->bandwidth_bytes_per_s, p[BANDWIDTH], source);
    fit_set(&fit->w_half_bytes, 0.0, "not told apart from t0 by weights of 33 to 168 MB");
    fit_set(&fit->flops, p[FLOPS], source);
    fit_set(&fit->k_half, p[K_HALF], source);
    fit_set(&fit->sustained_loss, p[LOSS], source);
    fit_set(&fit->sustained_half_flop, p[LOSS_HALF], source);
    fit_report_add(report, "gemm bf16", &problem, all, &fit->fit);
    return 0;
}
