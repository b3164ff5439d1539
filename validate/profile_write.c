/* A kernel profile as YAML. Numbers carry seven significant digits in SI base units, so that what is read back is what
 * was fitted. */
#include <string.h>

#include "validate/fit.h"

static void figure(FILE *out, const char *indent, const char *key, const struct figure *figure, const char *unit) {
    if (figure->value == 0)
        fprintf(out, "%s%s: {value: 0, ", indent, key);
    else
        fprintf(out, "%s%s: {value: %.6e%s%s, ", indent, key, figure->value, *unit ? " " : "", unit);
    fprintf(out, "basis: %s, source: \"%s\"}\n", basis_name(figure->basis), figure->source);
}

static void quality(FILE *out, const char *indent, const char *key, const struct fit_quality *fit) {
    fprintf(out, "%s%s: {rows: %lld, spread: %.4f, sigma: %.4f, spread_outside: %.4f}\n", indent, key,
            (long long)fit->rows, fit->spread, fit->sigma, fit->spread_outside);
}

static void write_gemm(FILE *out, const struct gemm_fit *fit) {
    fprintf(out, "gemm:\n");
    figure(out, "  ", "t0", &fit->t0_s, "s");
    figure(out, "  ", "bandwidth", &fit->bandwidth_bytes_per_s, "B/s");
    figure(out, "  ", "w_half", &fit->w_half_bytes, "B");
    figure(out, "  ", "flops", &fit->flops, "FLOPS");
    figure(out, "  ", "k_half", &fit->k_half, "");
    figure(out, "  ", "sustained_loss", &fit->sustained_loss, "");
    figure(out, "  ", "sustained_half", &fit->sustained_half_flop, "");
    if (fit->flops_fp8.value > 0)
        figure(out, "  ", "flops_fp8", &fit->flops_fp8, "FLOPS");
    quality(out, "  ", "fit", &fit->fit);
    fprintf(out, "  m_max: %.0f\n  weights_min: %.0f B\n  weights_max: %.0f B\n", fit->m_max, fit->weight_bytes_min,
            fit->weight_bytes_max);
}

static void write_decode(FILE *out, const char *key, const struct decode_fit *fit) {
    fprintf(out, "%s:\n", key);
    figure(out, "  ", "t0", &fit->t0_s, "s");
    figure(out, "  ", "split", &fit->split_s, "s");
    figure(out, "  ", "split_each", &fit->split_each_s, "s");
    figure(out, "  ", "split_wide", &fit->split_wide_s, "s");
    figure(out, "  ", "tile", &fit->tile_s, "s");
    figure(out, "  ", "wave", &fit->wave_s, "s");
    figure(out, "  ", "ramp", &fit->ramp_s, "s");
    figure(out, "  ", "ramp_half", &fit->ramp_half_bytes, "B");
    figure(out, "  ", "bandwidth", &fit->bandwidth_bytes_per_s, "B/s");
    figure(out, "  ", "cta_rate", &fit->cta_bytes_per_s, "B/s");
    if (fit->lone_bytes_per_s > 0)
        fprintf(out, "  lone_rate: %.6e B/s\n", fit->lone_bytes_per_s);
    if (fit->cta_token_s > 0)
        fprintf(out, "  cta_token: %.6e s\n", fit->cta_token_s);
    quality(out, "  ", "fit_split", &fit->split);
    quality(out, "  ", "fit_single", &fit->single);
    fprintf(out, "  bytes_max: %.0f B\n", fit->bytes_max);
}

static void write_prefill(FILE *out, const struct prefill_fit *fit) {
    fprintf(out, "prefill:\n");
    figure(out, "  ", "t0", &fit->t0_s, "s");
    figure(out, "  ", "flops", &fit->flops, "FLOPS");
    figure(out, "  ", "s_half", &fit->s_half_tokens, "");
    figure(out, "  ", "tile_token", &fit->tile_token_s, "s");
    figure(out, "  ", "tile", &fit->tile_s, "s");
    figure(out, "  ", "sustained_loss", &fit->sustained_loss, "");
    figure(out, "  ", "sustained_half", &fit->sustained_half_flop, "");
    figure(out, "  ", "bandwidth", &fit->bandwidth_bytes_per_s, "B/s");
    if (fit->tail > 0)
        fprintf(out, "  tail: %.6f\n", fit->tail);
    quality(out, "  ", "fit", &fit->fit);
    fprintf(out, "  length_max: %.0f\n", fit->length_max);
}

static void write_experts(FILE *out, const struct experts_fit *fit) {
    if (fit->t0_s > 0)
        fprintf(out,
                "experts:\n  t0: %.6e s\n  tile_rate: %.6e B/s\n  k_half: %.6e\n  flops: %.6e FLOPS\n  spread: %.4f\n"
                "  sigma: %.4f\n  source: \"%s\"\n",
                fit->t0_s, fit->tile_bytes_per_s, fit->k_half, fit->flops, fit->fit.spread, fit->fit.sigma,
                fit->source);
}

static void write_collectives(FILE *out, const struct list *collectives) {
    const struct collective_fit *fits = collectives->items;
    fprintf(out, "collectives:\n");
    for (size_t i = 0; i < collectives->count; i++) {
        fprintf(out, "  - gpus: %lld\n", (long long)fits[i].gpus);
        figure(out, "    ", "alpha", &fits[i].alpha_s, "s");
        figure(out, "    ", "alpha2", &fits[i].alpha2_s, "s");
        figure(out, "    ", "beta", &fits[i].beta_bytes_per_s, "B/s");
        quality(out, "    ", "fit", &fits[i].fit);
        fprintf(out, "    bytes_max: %.0f B\n", fits[i].bytes_max);
    }
}

static void write_rest(FILE *out, const struct kernel_profile *profile) {
    const struct decode_rule *rule = &profile->rule;
    fprintf(out, "rule:\n  below_share: %g\n  min_tokens: %g\n  ctas_per_sm: %g\n  split_tokens: %g\n",
            rule->below_share, rule->min_tokens, rule->ctas_per_sm, rule->split_tokens);
    if (rule->split_ctas_per_sm > 0)
        fprintf(out, "  split_ctas_per_sm: %g\n", rule->split_ctas_per_sm);
    fprintf(out, "  small_page_tokens: %g\n  small_page_share: %g\n", rule->small_page_tokens, rule->small_page_share);
    figure(out, "  ", "compute_share", &rule->compute_share, "");
    fprintf(out, "small:\n");
    figure(out, "  ", "kernel", &profile->small.kernel_s, "s");
    figure(out, "  ", "bandwidth_share", &profile->small.bandwidth_share, "");
    if (profile->small.l2_bandwidth_share > 0)
        fprintf(out, "  l2_bandwidth_share: %.6e\n  l2_bytes: %.0f B\n", profile->small.l2_bandwidth_share,
                profile->small.l2_bytes);
    figure(out, "  ", "layer", &profile->small.layer_s, "s");
    figure(out, "  ", "step", &profile->small.step_s, "s");
    fprintf(out, "  spread: %g\nspec_spread: %g\n", profile->small.spread, profile->spec_spread);
}

void profile_write(FILE *out, const struct kernel_profile *profile) {
    fprintf(out, "name: %s\ngpu: %s\n", profile->name, profile->gpu);
    if (profile->description)
        fprintf(out, "description: \"%s\"\n", profile->description);
    const struct profile_gpu *on = &profile->on;
    fprintf(out, "on: {bandwidth: %.6e B/s, bf16: %.6e FLOPS, sms: %g, nvlink: %.6e B/s", on->bandwidth_bytes_per_s,
            on->bf16_flops, on->sms, on->nvlink_bytes_per_s);
    if (on->fp8_flops > 0)
        fprintf(out, ", fp8: %.6e FLOPS", on->fp8_flops);
    fprintf(out, on->architecture ? ", architecture: %s}\n" : "}\n", on->architecture);
    write_gemm(out, &profile->gemm);
    write_decode(out, "decode_bf16", &profile->decode_bf16);
    write_decode(out, "decode_fp8", &profile->decode_fp8);
    write_prefill(out, &profile->prefill);
    write_experts(out, &profile->experts);
    write_collectives(out, &profile->collectives);
    write_rest(out, profile);
}
