/* The whole fit, and its two outputs: the profile and the accuracy table. */
#include <stdlib.h>

#include "sim/base/unit.h"
#include "validate/fit.h"

void fit_set(struct figure *figure, double value, const char *source) {
    char text[32];
    snprintf(text, sizeof text, "%.6e", value);
    figure->value = strtod(text, NULL);
    figure->basis = BASIS_MEASURED;
    figure->source = source;
}

/* Which decode kernel runs: a fact of the kernels that were timed. */
static const struct decode_rule rules[] = {
    /* decode_splits() of validate/kernels/decode.cuh: fewer tiles than half of the SMs are split until every SM has a
     * CTA, no split below 256 tokens; an SM holds two where contexts stay whole. Pages of 8 tokens read as fast as
     * others (results/kernels.md). */
    [TIMINGS_CALIBRATE] = {.below_share = 0.505, /* 66 of 132 SMs are still split */
                           .min_tokens = 511,
                           .ctas_per_sm = 2,
                           .split_ctas_per_sm = 1,
                           .split_tokens = 256,
                           .small_page_tokens = 0,
                           .small_page_share = 1},
    /* FlashAttention 3 splits when its tiles fill less than 0.8 of the SMs and the context is over 4 blocks of 128.
     * Pages under 16 tokens: 1.8 of 3.1 TB/s were seen at page 8. */
    [TIMINGS_OWN] = {.below_share = 0.8,
                     .min_tokens = 512,
                     .ctas_per_sm = 1,
                     .split_tokens = 128,
                     .small_page_tokens = 16,
                     .small_page_share = 0.58},
    [TIMINGS_PUBLISHED] = {.below_share = 0.8,
                           .min_tokens = 512,
                           .ctas_per_sm = 1,
                           .split_tokens = 128,
                           .small_page_tokens = 16,
                           .small_page_share = 0.58},
};

/* What no timing here determines. */
static void set_constants(const struct fit_input *in, struct kernel_profile *profile) {
    const struct gpu *gpu = in->gpu;
    *profile = (struct kernel_profile){
        .name = gpu->name,
        .gpu = gpu->name,
        .description = arena_printf(in->arena, "fitted by `tiersim fit` to %s", in->source->source),
        .on = {gpu->hbm_bandwidth_bytes_per_s.value, gpu->bf16_flops.value, gpu->sms.value,
               gpu->nvlink_bytes_per_s.value, gpu->architecture, gpu->fp8_flops.value},
        .rule = rules[in->source->format],
        .small = {.kernel_s = {3.05e-6, BASIS_EXTRAPOLATED,
                               "norm, rotary, KV write, activation between weight reads in one graph: H200 (the same "
                               "SMs and clock), driver "
                               "580.159; aiconfigurator has 3 us an op"},
                  .bandwidth_share = {0.8, BASIS_EXTRAPOLATED, "aiconfigurator: mem_bw_empirical_scaling_factor"},
                  .layer_s = {0, BASIS_EXTRAPOLATED,
                              "gaps between kernels are within the times of the kernels, which were measured in rows"},
                  .step_s = {2.7e-6, BASIS_EXTRAPOLATED, "a graph of one empty kernel, H200, driver 580.159"},
                  .spread = 0.3},
        /* The H100's profile against the H200's rows and back (`tiersim validate`): median of predicted / measured of
         * products 0.94 and 1.09, e4m3 0.89, decode attention 1.18 and 0.69, of e4m3 KV 1.20 and 0.70, prefill
         * attention 0.93 and 0.84. The logarithms' root mean square; other kernels ran on the two, so it holds those
         * too. */
        .spec_spread = 0.21,
    };
    profile->rule.compute_share =
        (struct figure){0.59, BASIS_SPEC, "FlashMLA claims 580 TFLOPS of the H800's 989 where compute-bound"};
}

int fit_profile(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    static int (*const fits[])(const struct fit_input *, struct kernel_profile *, struct error *) = {
        fit_gemm, fit_experts, fit_decode, fit_prefill, fit_collectives, fit_small};
    *in->report = (struct fit_report){0};
    set_constants(in, profile);
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        if (fits[i](in, profile, err) != 0)
            return -1;
    return 0;
}

void fit_report_write(FILE *out, const struct fit_report *report) {
    fprintf(out, "| op | rows | median error | p90 | worst | spread | sigma | spread outside the range |\n");
    fprintf(out, "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct fit_accuracy *op = &report->ops[i];
        fprintf(out, "| %s%s | %zu | %.1f %% | %.1f %% | %.1f %% | %.3f | %.3f | %.3f |\n", op->op,
                op->held_out ? ", held out" : "", op->rows, 100.0 * op->median, 100.0 * op->p90, 100.0 * op->worst,
                op->quality.spread, op->quality.sigma, op->quality.spread_outside);
    }
    fprintf(out, "\n| constant | of | value | relative standard deviation |\n|---|---|---|---|\n");
    for (size_t i = 0; i < report->parameter_count; i++) {
        const struct fit_parameter *p = &report->parameters[i];
        fprintf(out, "| %s | %s | %.4g | %.3f |\n", p->name, p->op, p->value, p->sigma);
    }
}
