/* A kernel profile made absolute for a GPU: on the GPU that it was fitted on as it stands; on another, each constant
 * scaled by the datasheets' ratio (rates by bandwidth or FLOPs, fixed times kept), which holds the efficiencies. */
#include <string.h>

#include "models/ops.h"

static struct fit_noise noise_of(const struct fit_quality *fit) {
    double sigma2 = fit->sigma * fit->sigma;
    return (struct fit_noise){.inside = fit->spread * fit->spread + sigma2,
                              .outside = fit->spread_outside * fit->spread_outside + sigma2};
}

static void resolve_gemm(const struct kernel_profile *profile, const struct gpu *gpu, struct machine *m) {
    const struct gemm_fit *fit = &profile->gemm;
    double bandwidth = gpu->hbm_bandwidth_bytes_per_s.value / profile->on.bandwidth_bytes_per_s;
    double bf16 = gpu->bf16_flops.value / profile->on.bf16_flops;
    double fp8 = gpu->fp8_flops.value > 0 ? gpu->fp8_flops.value / profile->on.bf16_flops : bf16;
    m->gemm = (struct gemm_machine){.t0_s = fit->t0_s.value,
                                    .bandwidth = fit->bandwidth_bytes_per_s.value * bandwidth,
                                    .w_half = fit->w_half_bytes.value * bandwidth,
                                    .k_half = fit->k_half.value,
                                    .sms = gpu->sms.value,
                                    .flops = {fit->flops.value * bf16, fit->flops.value * fp8, fit->flops.value * bf16},
                                    .sustained_loss = fit->sustained_loss.value,
                                    .sustained_half = fit->sustained_half_flop.value * bf16,
                                    .m_max = fit->m_max,
                                    .weights_min = fit->weight_bytes_min,
                                    .weights_max = fit->weight_bytes_max,
                                    .noise = noise_of(&fit->fit)};
    m->peak_flops[DTYPE_BF16] = m->peak_flops[DTYPE_INT4] = gpu->bf16_flops.value;
    m->peak_flops[DTYPE_FP8] = gpu->fp8_flops.value > 0 ? gpu->fp8_flops.value : gpu->bf16_flops.value;
}

static void resolve_decode(const struct step_model_options *options, struct machine *m) {
    const struct kernel_profile *profile = options->profile;
    const struct gpu *gpu = options->gpu;
    const struct decode_fit *fit = options->kv_dtype == DTYPE_FP8 ? &profile->decode_fp8 : &profile->decode_bf16;
    double bandwidth = gpu->hbm_bandwidth_bytes_per_s.value / profile->on.bandwidth_bytes_per_s;
    double sms = gpu->sms.value / profile->on.sms;
    bool small_pages = options->page_tokens > 0 && (double)options->page_tokens < profile->rule.small_page_tokens;
    m->decode = (struct decode_machine){.t0_s = {fit->t0_s.value + fit->split_s.value, fit->t0_s.value},
                                        .split_each_s = fit->split_each_s.value,
                                        .tile_s = fit->tile_s.value,
                                        .wave_s = fit->wave_s.value,
                                        .ramp_s = fit->ramp_s.value,
                                        .ramp_half = fit->ramp_half_bytes.value * bandwidth,
                                        .bandwidth = fit->bandwidth_bytes_per_s.value * bandwidth,
                                        .cta_rate = fit->cta_bytes_per_s.value * bandwidth / sms,
                                        .bytes_max = fit->bytes_max,
                                        .split_below_tiles = profile->rule.below_share * gpu->sms.value,
                                        .split_min_tokens = profile->rule.min_tokens,
                                        .split_tokens = profile->rule.split_tokens,
                                        .flops = profile->rule.compute_share.value * gpu->bf16_flops.value,
                                        .sms = gpu->sms.value,
                                        .places = gpu->sms.value * profile->rule.ctas_per_sm,
                                        .small_pages = small_pages,
                                        .noise = {noise_of(&fit->split), noise_of(&fit->single)}};
    if (small_pages)
        m->decode.bandwidth *= profile->rule.small_page_share;
}

static void resolve_prefill(const struct kernel_profile *profile, const struct gpu *gpu, struct machine *m) {
    const struct prefill_fit *fit = &profile->prefill;
    double bf16 = gpu->bf16_flops.value / profile->on.bf16_flops, sms = gpu->sms.value / profile->on.sms;
    double bandwidth = gpu->hbm_bandwidth_bytes_per_s.value / profile->on.bandwidth_bytes_per_s;
    m->prefill =
        (struct prefill_machine){.t0_s = fit->t0_s.value,
                                 .flops = fit->flops.value * bf16,
                                 .s_half = fit->s_half_tokens.value,
                                 .tile_token_s = fit->tile_token_s.value * sms / bf16, /* an SM's share of the FLOPs */
                                 .tile_s = fit->tile_s.value,
                                 .sustained_loss = fit->sustained_loss.value,
                                 .sustained_half = fit->sustained_half_flop.value * bf16,
                                 .bandwidth = fit->bandwidth_bytes_per_s.value * bandwidth,
                                 .sms = gpu->sms.value,
                                 .length_max = fit->length_max,
                                 .noise = noise_of(&fit->fit)};
}

/* The group size itself, else the next larger one that was fitted. */
static int resolve_collectives(const struct step_model_options *options, struct machine *m, struct error *err) {
    const struct list *list = &options->profile->collectives;
    const struct collective_fit *fits = list->items;
    double link = m->link / options->profile->on.nvlink_bytes_per_s;
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
                                        .beta = fits[i].beta_bytes_per_s.value * link,
                                        .bytes_max = fits[i].bytes_max,
                                        .noise = noise_of(&fits[i].fit),
                                        .basis = size == options->tp ? BASIS_MEASURED : BASIS_EXTRAPOLATED};
    }
    return 0;
}

int machine_resolve(const struct step_model_options *options, struct machine *m, struct error *err) {
    const struct kernel_profile *profile = options->profile;
    const struct gpu *gpu = options->gpu;
    *m = (struct machine){.peak_bandwidth = gpu->hbm_bandwidth_bytes_per_s.value};
    bool own = strcmp(profile->gpu, gpu->name) == 0;
    m->floor = own ? BASIS_MEASURED : BASIS_SPEC;
    m->spec_variance = own ? 0.0 : profile->spec_spread * profile->spec_spread;
    m->link = gpu->nvlink_bytes_per_s.value > 0 ? gpu->nvlink_bytes_per_s.value : gpu->pcie_bytes_per_s.value;
    m->small_s = profile->small.kernel_s.value;
    m->small_bandwidth = profile->small.bandwidth_share.value * m->peak_bandwidth;
    m->layer_s = profile->small.layer_s.value;
    m->step_s = profile->small.step_s.value;
    m->small_variance = profile->small.spread * profile->small.spread;
    resolve_gemm(profile, gpu, m);
    resolve_decode(options, m);
    resolve_prefill(profile, gpu, m);
    return options->tp > 1 ? resolve_collectives(options, m, err) : 0;
}
