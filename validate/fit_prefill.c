#include "models/ops.h"
#include "validate/fit.h"

/* No row has a prefix; its KV is read at the rate that decode attention reaches. */
enum { T0, FLOPS, S_HALF, TILE_TOKEN, TILE, LOSS, LOSS_HALF, PARAMETERS };

static const double outside_length = 8192;

static const char source[] = "aiconfigurator @095f58a5: FlashAttention 3, vLLM 0.24";

static double predict(const struct timing *row, const double *p, const void *context) {
    struct prefill_machine machine = *(const struct prefill_machine *)context;
    machine.t0_s = p[T0];
    machine.flops = p[FLOPS];
    machine.s_half = p[S_HALF];
    machine.tile_token_s = p[TILE_TOKEN];
    machine.tile_s = p[TILE];
    machine.sustained_loss = p[LOSS];
    machine.sustained_half = p[LOSS_HALF];
    double tokens = row->batch * row->context;
    struct prefill_load load = {.sequences = row->batch,
                                .tokens = tokens,
                                .context = tokens,
                                .pairs = tokens * (row->context + 1.0) / 2.0,
                                .flops_per_pair = 4.0 * row->q_heads * row->head_dim,
                                .bytes_per_token = 4.0 * row->kv_heads * row->head_dim,
                                .io_per_token = 4.0 * (row->q_heads + row->kv_heads) * row->head_dim,
                                .tiles_per_sequence = row->kv_heads,
                                .rows_per_token = row->q_heads / row->kv_heads};
    return prefill_seconds(&machine, &load);
}

static bool longest(const struct timing *row) {
    return row->context >= outside_length;
}

int fit_prefill(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
                struct fit_report *report, struct error *err) {
    struct prefill_fit *fit = &profile->prefill;
    double bandwidth = profile->decode_bf16.bandwidth_bytes_per_s.value, outside;
    struct prefill_machine machine = {.sms = profile->on.sms, .bandwidth = bandwidth};
    double p[PARAMETERS] = {10e-6, 700e12, 600, 12e-9, 3e-6, 0.2, 1e13};
    struct fit_problem problem = {fit_rows_where(timings, NULL, arena), p, PARAMETERS, predict, &machine};
    if (fit_leave_out(&problem, longest, arena, &outside, err) != 0 || fit_solve(&problem, &fit->fit, err) != 0)
        return -1;
    fit->fit.spread_outside = outside > fit->fit.spread ? outside : fit->fit.spread;
    fit->length_max = 0;
    for (size_t i = 0; i < timings->count; i++)
        if (timings->rows[i].context > fit->length_max)
            fit->length_max = timings->rows[i].context;
    fit_set(&fit->t0_s, p[T0], source);
    fit_set(&fit->flops, p[FLOPS], source);
    fit_set(&fit->s_half_tokens, p[S_HALF], source);
    fit_set(&fit->tile_token_s, p[TILE_TOKEN], source);
    fit_set(&fit->tile_s, p[TILE], source);
    fit_set(&fit->sustained_loss, p[LOSS], source);
    fit_set(&fit->sustained_half_flop, p[LOSS_HALF], source);
    fit_set(&fit->bandwidth_bytes_per_s, bandwidth, source);
    fit_report_add(report, "prefill attention bf16", &problem, problem.rows, &fit->fit);
    return 0;
}
