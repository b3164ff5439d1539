/* Decode attention, one KV dtype at a time, both kernels together: they read the same memory, so they share its rate
 * and its ramp, and differ by the cost of splitting and by waves.
 *
 * A row whose KV lies in the L2 (under about 40 MB) was measured warm, which a serving engine never is: weights stream
 * through the L2 between two reads of a layer's KV. So the fit takes the cold rows (KV over twice the L2 or close to
 * it), and the rows so small that their bytes do not count. The warm rows between give only what one CTA can read at
 * most. */
#include <math.h>

#include "models/ops.h"
#include "validate/fit.h"

enum { T0, RAMP, RAMP_HALF, BANDWIDTH, TILE, SPLIT, PARAMETERS };
enum { WARM_T0, WARM_RATE, WARM_PARAMETERS };

static const double bytes_nothing = 2.2e6, bytes_cold = 60e6, bytes_warm = 40e6, outside_bytes = 5e8;
/* Where every SM has one CTA of the single-pass kernel. */
static const double warm_tiles_min = 106, warm_tiles_max = 132;

static const char source[] = "aiconfigurator @095f58a5: FlashAttention 3, vLLM 0.24";

static double token_bytes(const struct timing *row) {
    return 2.0 * row->head_dim * (row->fp8 ? 1.0 : 2.0) * row->kv_heads;
}
static double kv_bytes(const struct timing *row) {
    return row->batch * row->context * token_bytes(row);
}

static struct decode_load load_of(const struct timing *row) {
    return (struct decode_load){.sequences = row->batch,
                                .context = row->batch * row->context,
                                .longest = row->context,
                                .tiles_per_sequence = row->kv_heads,
                                .bytes_per_token = token_bytes(row)};
}

static double predict(const struct timing *row, const double *p, const void *context) {
    struct decode_machine d = *(const struct decode_machine *)context;
    d.t0_s[DECODE_SPLIT] = p[T0] + p[SPLIT];
    d.t0_s[DECODE_SINGLE] = p[T0];
    d.ramp_s = p[RAMP];
    d.ramp_half = p[RAMP_HALF];
    d.bandwidth = p[BANDWIDTH];
    d.tile_s = p[TILE];
    struct decode_load load = load_of(row);
    return decode_seconds(&d, &load);
}

static double predict_warm(const struct timing *row, const double *p, const void *context) {
    (void)context;
    return p[WARM_T0] + row->context * token_bytes(row) / row->kv_heads / p[WARM_RATE];
}

static bool counts(const struct timing *row) {
    return kv_bytes(row) <= bytes_nothing || kv_bytes(row) >= bytes_cold;
}
static bool counts_bf16(const struct timing *row) {
    return !row->fp8 && counts(row);
}
static bool counts_fp8(const struct timing *row) {
    return row->fp8 && counts(row);
}
static bool largest(const struct timing *row) {
    return kv_bytes(row) >= outside_bytes;
}
static bool warm(const struct timing *row) {
    double tiles = row->batch * row->kv_heads;
    return kv_bytes(row) > bytes_nothing && kv_bytes(row) <= bytes_warm && tiles >= warm_tiles_min &&
           tiles <= warm_tiles_max;
}
static bool warm_bf16(const struct timing *row) {
    return !row->fp8 && warm(row);
}
static bool warm_fp8(const struct timing *row) {
    return row->fp8 && warm(row);
}

/* The kernels' own accuracy: over the cold rows that each would run. */
static int report_kernel(const struct fit_problem *problem, enum decode_kernel kernel, const char *op,
                         struct arena *arena, struct fit_report *report, struct fit_quality *quality,
                         struct error *err) {
    const struct decode_machine *d = problem->context;
    struct fit_rows rows = {arena_alloc(arena, problem->rows.count * sizeof *rows.at), 0};
    for (size_t i = 0; i < problem->rows.count; i++) {
        struct decode_load load = load_of(problem->rows.at[i]);
        if (decode_pick(d, &load) == kernel)
            rows.at[rows.count++] = problem->rows.at[i];
    }
    if (rows.count == 0)
        return error_set(err, "no timings of the %s kernel\n  hint: measure batches on both sides of the rule", op);
    quality->rows = (int64_t)rows.count;
    quality->spread = fit_spread(problem, rows);
    if (quality->spread_outside < quality->spread)
        quality->spread_outside = quality->spread;
    fit_report_add(report, op, problem, rows, quality);
    return 0;
}

static int fit_dtype(const struct timings *timings, bool fp8, struct arena *arena, struct kernel_profile *profile,
                     struct fit_report *report, struct error *err) {
    struct decode_fit *fit = fp8 ? &profile->decode_fp8 : &profile->decode_bf16;
    double w[WARM_PARAMETERS] = {12e-6, 40e9};
    struct fit_problem warm_problem = {fit_rows_where(timings, fp8 ? warm_fp8 : warm_bf16, arena), w, WARM_PARAMETERS,
                                       predict_warm, NULL};
    struct fit_quality quality;
    if (fit_solve(&warm_problem, &quality, err) != 0)
        return -1;
    struct decode_machine d = {.split_below_tiles = profile->rule.below_share * profile->on.sms,
                               .split_min_tokens = profile->rule.min_tokens,
                               .flops = profile->on.bf16_flops,
                               .sms = profile->on.sms,
                               .cta_rate = w[WARM_RATE]};
    double p[PARAMETERS] = {9e-6, 8e-6, 6e6, 3.1e12, 3e-6, 1e-6}, outside;
    struct fit_problem problem = {fit_rows_where(timings, fp8 ? counts_fp8 : counts_bf16, arena), p, PARAMETERS,
                                  predict, &d};
    if (fit_leave_out(&problem, largest, arena, &outside, err) != 0 || fit_solve(&problem, &quality, err) != 0)
        return -1;
    quality.spread_outside = outside;
    fit->split = fit->single = quality;
    fit->bytes_max = 0;
    for (size_t i = 0; i < problem.rows.count; i++)
        if (kv_bytes(problem.rows.at[i]) > fit->bytes_max)
            fit->bytes_max = kv_bytes(problem.rows.at[i]);
    fit_set(&fit->t0_s, p[T0], source);
    fit_set(&fit->split_s, p[SPLIT], source);
    fit_set(&fit->tile_s, p[TILE], source);
    fit_set(&fit->ramp_s, p[RAMP], source);
    fit_set(&fit->ramp_half_bytes, p[RAMP_HALF], source);
    fit_set(&fit->bandwidth_bytes_per_s, p[BANDWIDTH], source);
    fit_set(&fit->cta_bytes_per_s, w[WARM_RATE], source);
    if (report_kernel(&problem, DECODE_SPLIT, fp8 ? "decode fp8, split" : "decode bf16, split", arena, report,
                      &fit->split, err) != 0)
        return -1;
    return report_kernel(&problem, DECODE_SINGLE, fp8 ? "decode fp8, single pass" : "decode bf16, single pass", arena,
                         report, &fit->single, err);
}

int fit_decode(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
               struct fit_report *report, struct error *err) {
    if (fit_dtype(timings, false, arena, profile, report, err) != 0)
        return -1;
    return fit_dtype(timings, true, arena, profile, report, err);
}
