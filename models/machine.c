/* A kernel profile made absolute for a GPU: on the GPU that it was fitted on as it stands, on another by the
 * datasheets' ratio; then, if there is one, a draw of how wrong that may be. */
#include <string.h>

#include "models/step_model.h"

/* What differs between the GPU that was measured and the one asked for: new over old, of the datasheets. */
struct datasheet_ratio {
    double memory, bf16, fp8, sms, link;
};

static struct datasheet_ratio datasheet_ratio(const struct profile_gpu *on, const struct gpu *gpu, double link) {
    double fp8 = gpu->fp8_flops.value > 0 ? gpu->fp8_flops.value : gpu->bf16_flops.value;
    return (struct datasheet_ratio){.memory = gpu->hbm_bandwidth_bytes_per_s.value / on->bandwidth_bytes_per_s,
                                    .bf16 = gpu->bf16_flops.value / on->bf16_flops,
                                    .fp8 = fp8 / on->bf16_flops,
                                    .sms = gpu->sms.value / on->sms,
                                    .link = link / on->nvlink_bytes_per_s};
}

/* The rule that makes another GPU's constants from a profile and two datasheets. The efficiencies are held:
 *   rates of memory (products, attention, small kernels)      x memory bandwidth
 *   what a memory holds in flight (w_half, ramp_half)         x memory bandwidth
 *   a decode CTA's rate, a tile's of grouped products         x memory bandwidth / SMs
 *   rates of products and prefill, FLOPs that tire the clock  x dense FLOPS, of the weights' dtype
 *   an SM's time for a tile of prefill                        x SMs / dense FLOPS
 *   all-reduce's rate                                         x link
 *   SMs, CTAs that run at once, when decode splits            its own SMs
 *   fixed times (t0, tiles, waves, ramp, alpha, small, gaps)  as they are
 * On the profile's own GPU every ratio is 1. */
static void machine_scale(struct machine *m, const struct datasheet_ratio *ratio, double sms) {
    m->gemm.bandwidth *= ratio->memory;
    m->gemm.w_half *= ratio->memory;
    m->gemm.sms = sms;
    m->gemm.flops[DTYPE_FP8] *= ratio->fp8;
    m->gemm.flops[DTYPE_BF16] *= ratio->bf16;
    m->gemm.flops[DTYPE_INT4] *= ratio->bf16; /* 4-bit weights are multiplied in bf16 */
    m->gemm.sustained_half *= ratio->bf16;
    m->experts.flops[DTYPE_FP8] *= ratio->fp8;
    m->experts.flops[DTYPE_BF16] *= ratio->bf16;
    m->experts.flops[DTYPE_INT4] *= ratio->bf16;
    m->experts.tile_rate = m->experts.tile_rate * ratio->memory / ratio->sms;
    m->decode.bandwidth *= ratio->memory;
    m->decode.ramp_half *= ratio->memory;
    m->decode.cta_rate = m->decode.cta_rate * ratio->memory / ratio->sms;
    m->decode.lone_rate = m->decode.lone_rate * ratio->memory / ratio->sms;
    m->decode.cta_token_s = m->decode.cta_token_s * ratio->sms / ratio->bf16;
    m->decode.flops *= ratio->bf16;
    m->decode.split_below_tiles *= sms;
    m->decode.places *= sms;
    m->decode.split_places *= sms;
    m->decode.sms = m->prefill.sms = sms;
    m->prefill.bandwidth *= ratio->memory;
    m->prefill.flops *= ratio->bf16;
    m->prefill.tile_token_s = m->prefill.tile_token_s * ratio->sms / ratio->bf16;
    m->prefill.sustained_half *= ratio->bf16;
    for (int i = 0; i < m->collectives; i++)
        m->collective[i].beta *= ratio->link;
}

static struct fit_noise noise_of(const struct fit_quality *fit, enum error_source source) {
    return (struct fit_noise){
        .source = source, .spread = fit->spread, .sigma = fit->sigma, .spread_outside = fit->spread_outside};
}

static void resolve_gemm(const struct gemm_fit *fit, const struct profile_gpu *on, struct machine *m) {
    double flops = fit->flops.value, fp8 = flops;
    bool fp8_fitted = fit->flops_fp8.value > 0 && on->fp8_flops > 0;
    if (fp8_fitted) /* machine_scale makes it FP8's again */
        fp8 = fit->flops_fp8.value * on->bf16_flops / on->fp8_flops;
    m->gemm = (struct gemm_machine){.t0_s = fit->t0_s.value,
                                    .bandwidth = fit->bandwidth_bytes_per_s.value,
                                    .w_half = fit->w_half_bytes.value,
                                    .k_half = fit->k_half.value,
                                    .flops = {[DTYPE_BF16] = flops, [DTYPE_FP8] = fp8, [DTYPE_INT4] = flops},
                                    .fp8_fitted = fp8_fitted,
                                    .sustained_loss = fit->sustained_loss.value,
                                    .sustained_half = fit->sustained_half_flop.value,
                                    .sm_share = fit->sm_share > 0 ? fit->sm_share : GEMM_SM_SHARE,
                                    .m_max = fit->m_max,
                                    .weights_min = fit->weight_bytes_min,
                                    .weights_max = fit->weight_bytes_max,
                                    .noise = noise_of(&fit->fit, ERROR_GEMM)};
}

/* No library of the toolkit groups products of other types: their rate has the ratio of single products. */
static void resolve_experts(const struct experts_fit *fit, struct machine *m) {
    double fp8 = fit->flops * m->gemm.flops[DTYPE_FP8] / m->gemm.flops[DTYPE_BF16];
    m->experts =
        (struct experts_machine){.t0_s = fit->t0_s,
                                 .tile_rate = fit->tile_bytes_per_s,
                                 .k_half = fit->k_half,
                                 .flops = {[DTYPE_BF16] = fit->flops, [DTYPE_FP8] = fp8, [DTYPE_INT4] = fit->flops},
                                 .noise = noise_of(&fit->fit, ERROR_GEMM)};
    if (fit->fit.spread_outside < fit->fit.spread)
        m->experts.noise.spread_outside = fit->fit.spread;
}

static void resolve_decode(const struct step_model_options *options, struct machine *m) {
    const struct decode_rule *rule = &options->profile->rule;
    bool fp8 = options->kv_dtype == DTYPE_FP8;
    const struct decode_fit *fit = fp8 ? &options->profile->decode_fp8 : &options->profile->decode_bf16;
    enum error_source source = fp8 ? ERROR_DECODE_FP8 : ERROR_DECODE_BF16;
    bool small_pages = options->page_tokens > 0 && (double)options->page_tokens < rule->small_page_tokens;
    m->decode = (struct decode_machine){.t0_s = {fit->t0_s.value + fit->split_s.value, fit->t0_s.value},
                                        .split_each_s = fit->split_each_s.value,
                                        .split_wide_s = fit->split_wide_s.value,
                                        .tile_s = fit->tile_s.value,
                                        .wave_s = fit->wave_s.value,
                                        .ramp_s = fit->ramp_s.value,
                                        .ramp_half = fit->ramp_half_bytes.value,
                                        .bandwidth = fit->bandwidth_bytes_per_s.value,
                                        .cta_rate = fit->cta_bytes_per_s.value,
                                        .lone_rate = fit->lone_bytes_per_s,
                                        .cta_token_s = fit->cta_token_s,
                                        .bytes_max = fit->bytes_max,
                                        .split_below_tiles = rule->below_share,
                                        .split_min_tokens = rule->min_tokens,
                                        .split_tokens = rule->split_tokens,
                                        .flops = rule->compute_share.value * options->profile->on.bf16_flops,
                                        .places = rule->ctas_per_sm,
                                        .split_places =
                                            rule->split_ctas_per_sm > 0 ? rule->split_ctas_per_sm : rule->ctas_per_sm,
                                        .small_pages = small_pages,
                                        .noise = {noise_of(&fit->split, source), noise_of(&fit->single, source)}};
    if (small_pages)
        m->decode.bandwidth *= rule->small_page_share;
}

static void resolve_prefill(const struct prefill_fit *fit, struct machine *m) {
    m->prefill = (struct prefill_machine){.t0_s = fit->t0_s.value,
                                          .tail = fit->tail,
                                          .flops = fit->flops.value,
                                          .s_half = fit->s_half_tokens.value,
                                          .tile_token_s = fit->tile_token_s.value,
                                          .tile_s = fit->tile_s.value,
                                          .sustained_loss = fit->sustained_loss.value,
                                          .sustained_half = fit->sustained_half_flop.value,
                                          .bandwidth = fit->bandwidth_bytes_per_s.value,
                                          .length_max = fit->length_max,
                                          .noise = noise_of(&fit->fit, ERROR_PREFILL)};
}

/* The group size itself, else the next larger one that was fitted. */
static int resolve_collectives(const struct step_model_options *options, struct machine *m, struct error *err) {
    const struct list *list = &options->profile->collectives;
    const struct collective_fit *fits = list->items;
    int64_t size = 0;
    for (size_t i = 0; i < list->count; i++)
        if (fits[i].gpus >= options->tp && (size == 0 || fits[i].gpus < size))
            size = fits[i].gpus;
    if (size == 0)
        return error_set(err,
                         "profile %s has no all-reduce constants for %lld GPUs\n  hint: use a smaller tp, or add them "
                         "to its collectives",
                         options->profile->name, (long long)options->tp);
    for (size_t i = 0; i < list->count && m->collectives < COLLECTIVES_MAX; i++) {
        if (fits[i].gpus != size)
            continue;
        m->collective[m->collectives++] =
            (struct collective_machine){.alpha_s = fits[i].alpha_s.value,
                                        .alpha2_s = fits[i].alpha2_s.value,
                                        .beta = fits[i].beta_bytes_per_s.value,
                                        .bytes_max = fits[i].bytes_max,
                                        .noise = noise_of(&fits[i].fit, ERROR_COLLECTIVE),
                                        .basis = size == options->tp ? BASIS_MEASURED : BASIS_EXTRAPOLATED};
    }
    return 0;
}

/* ---- draws ---- */

/* Fixed times and rates as the GPU may turn out to have them, where only a datasheet speaks. */
static void draw_hardware(struct machine *m, const struct draw *draw) {
    double slower[SHARES]; /* time over what the shares of the measured GPU give */
    double all = m->hardware[SHARE_ALL] * draw->common[ERROR_HARDWARE + SHARE_ALL];
    for (int i = 0; i < SHARES; i++)
        slower[i] = error_factor(m->hardware[i] * draw->common[ERROR_HARDWARE + i] + all);
    double *const memory[] = {&m->gemm.bandwidth,    &m->decode.bandwidth,  &m->decode.cta_rate, &m->decode.lone_rate,
                              &m->experts.tile_rate, &m->prefill.bandwidth, &m->small_bandwidth, &m->l2_bandwidth};
    double *const compute[] = {&m->gemm.flops[DTYPE_BF16],
                               &m->gemm.flops[DTYPE_FP8],
                               &m->gemm.flops[DTYPE_INT4],
                               &m->experts.flops[DTYPE_BF16],
                               &m->experts.flops[DTYPE_FP8],
                               &m->experts.flops[DTYPE_INT4],
                               &m->decode.flops};
    double *const fixed[] = {&m->gemm.t0_s,
                             &m->experts.t0_s,
                             &m->decode.t0_s[DECODE_SPLIT],
                             &m->decode.t0_s[DECODE_SINGLE],
                             &m->decode.tile_s,
                             &m->decode.wave_s,
                             &m->decode.split_each_s,
                             &m->decode.split_wide_s,
                             &m->decode.ramp_s,
                             &m->prefill.t0_s,
                             &m->prefill.tile_s,
                             &m->small_s,
                             &m->layer_s,
                             &m->step_s};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        *memory[i] /= slower[SHARE_MEMORY];
    for (size_t i = 0; i < sizeof compute / sizeof *compute; i++)
        *compute[i] /= slower[SHARE_COMPUTE];
    m->decode.cta_token_s *= slower[SHARE_COMPUTE];
    m->prefill.flops /= slower[SHARE_PREFILL];
    m->prefill.tile_token_s *= slower[SHARE_PREFILL];
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        *fixed[i] *= slower[SHARE_FIXED];
    for (int i = 0; i < m->collectives; i++) {
        m->collective[i].alpha_s *= slower[SHARE_FIXED];
        m->collective[i].alpha2_s *= slower[SHARE_FIXED];
        m->collective[i].beta /= slower[SHARE_FIXED];
    }
}

static void draw_noise(struct fit_noise *noise, const struct draw *draw, double own) {
    double common = noise->sigma * draw->common[noise->source];
    double outside =
        noise->source < ERROR_SMALL ? noise->spread_outside * draw->common[ERROR_OUTSIDE + noise->source] : 0;
    noise->drawn[0] = error_factor(common + noise->spread * own) - 1;
    noise->drawn[1] = error_factor(common + outside) - 1;
}

/* Products have their own errors op by op (token_ops.c); the other kernels one each. */
static void machine_draw(struct machine *m, const struct draw *draw, enum dtype kv_dtype) {
    _Static_assert(OP_COUNT + 2 * DTYPE_INT4 <= DRAW_OWN_MAX, "decode's kernels have errors of their own");
    draw_hardware(m, draw);
    draw_noise(&m->gemm.noise, draw, 0);
    draw_noise(&m->experts.noise, draw, draw->own[OP_EXPERTS]);
    for (int kernel = 0; kernel < 2; kernel++)
        draw_noise(&m->decode.noise[kernel], draw, draw->own[OP_COUNT + 2 * (int)kv_dtype + kernel]);
    draw_noise(&m->prefill.noise, draw, draw->own[OP_ATTENTION_PREFILL]);
    for (int i = 0; i < m->collectives; i++)
        draw_noise(&m->collective[i].noise, draw, draw->own[OP_ALL_REDUCE]);
    draw_noise(&m->small_noise, draw, 0);
}

int machine_resolve(const struct step_model_options *options, struct machine *m, struct error *err) {
    const struct kernel_profile *profile = options->profile;
    const struct gpu *gpu = options->gpu;
    *m = (struct machine){.peak_bandwidth = gpu->hbm_bandwidth_bytes_per_s.value};
    m->floor = strcmp(profile->gpu, gpu->name) == 0 ? BASIS_MEASURED : BASIS_SPEC;
    m->link = gpu->nvlink_bytes_per_s.value > 0 ? gpu->nvlink_bytes_per_s.value : gpu->pcie_bytes_per_s.value;
    m->peak_flops[DTYPE_BF16] = m->peak_flops[DTYPE_INT4] = gpu->bf16_flops.value;
    m->peak_flops[DTYPE_FP8] = gpu->fp8_flops.value > 0 ? gpu->fp8_flops.value : gpu->bf16_flops.value;
    m->small_s = profile->small.kernel_s.value;
    m->small_bandwidth = profile->small.bandwidth_share.value * m->peak_bandwidth;
    m->l2_bandwidth = profile->small.l2_bandwidth_share * m->peak_bandwidth;
    m->l2_bytes = m->l2_bandwidth > 0 ? profile->small.l2_bytes : 0.0;
    m->layer_s = profile->small.layer_s.value;
    m->step_s = profile->small.step_s.value;
    m->small_noise = (struct fit_noise){.source = ERROR_SMALL, .sigma = profile->small.spread};
    resolve_gemm(&profile->gemm, &profile->on, m);
    resolve_experts(&profile->experts, m);
    resolve_decode(options, m);
    resolve_prefill(&profile->prefill, m);
    if (options->tp > 1 && resolve_collectives(options, m, err) != 0)
        return -1;
    struct datasheet_ratio ratio = datasheet_ratio(&profile->on, gpu, m->link);
    machine_scale(m, &ratio, gpu->sms.value);
    hardware_spread(profile, gpu, m->hardware);
    if (options->draw)
        machine_draw(m, options->draw, options->kv_dtype);
    return 0;
}
