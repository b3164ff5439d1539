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

/* What no timing here determines. */
static void set_constants(const struct gpu *gpu, struct kernel_profile *profile) {
    *profile = (struct kernel_profile){
        .name = gpu->name,
        .gpu = gpu->name,
        .description = "fitted by `make fit`; method and accuracy: results/calibration",
        .on = {gpu->hbm_bandwidth_bytes_per_s.value, gpu->bf16_flops.value, gpu->sms.value,
               gpu->nvlink_bytes_per_s.value},
        /* FlashAttention 3 splits when its tiles fill less than 0.8 of the SMs and the context is over 4 blocks of 128.
         * Pages under 16 tokens: 1.8 of 3.1 TB/s were seen at page 8. */
        .rule = {.below_share = 0.8,
                 .min_tokens = 512,
                 .small_page_tokens = 16,
                 .small_page_share = 0.58,
                 .compute_share = {0.59, BASIS_SPEC,
                                   "FlashMLA claims 580 TFLOPS of the H800's 989 where compute-bound"}},
        .small = {.kernel_s = {3.05e-6, BASIS_EXTRAPOLATED,
                               "norm, rotary, KV write, activation between weight reads in one graph: H200 (the same "
                               "SMs and clock), driver "
                               "580.159; aiconfigurator has 3 us an op"},
                  .bandwidth_share = {0.8, BASIS_EXTRAPOLATED, "aiconfigurator: mem_bw_empirical_scaling_factor"},
                  .layer_s = {0, BASIS_EXTRAPOLATED,
                              "gaps between kernels are within the times of the kernels, which were measured in rows"},
                  .step_s = {2.7e-6, BASIS_EXTRAPOLATED, "a graph of one empty kernel, H200, driver 580.159"},
                  .spread = 0.3},
        /* GEMM share of memory bandwidth at m = 1 on A100, B200, L40S, RTX PRO 6000 against the H100's
         * (aiconfigurator): 0.68, 0.45, 0.77, 0.72 against 0.67; the logarithms' root mean square. */
        .spec_spread = 0.21,
    };
}

int fit_profile(const char *directory, const struct gpu *gpu, struct arena *arena, struct kernel_profile *profile,
                struct fit_report *report, struct error *err) {
    static int (*const fits[TIMING_KINDS])(const struct timings *, struct arena *, struct kernel_profile *,
                                           struct fit_report *,
                                           struct error *) = {fit_gemm, fit_decode, fit_prefill, fit_collectives};
    *report = (struct fit_report){0};
    set_constants(gpu, profile);
    for (int kind = 0; kind < TIMING_KINDS; kind++) {
        struct timings timings;
        if (timings_read(directory, (enum timing_kind)kind, arena, &timings, err) != 0)
            return -1;
        if (fits[kind](&timings, arena, profile, report, err) != 0)
            return -1;
    }
    return 0;
}

void fit_report_write(FILE *out, const struct fit_report *report) {
    fprintf(out, "| op | rows | median error | p90 | worst | spread | sigma | spread outside the range |\n");
    fprintf(out, "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct fit_accuracy *op = &report->ops[i];
        fprintf(out, "| %s | %zu | %.1f %% | %.1f %% | %.1f %% | %.3f | %.3f | %.3f |\n", op->op, op->rows,
                100.0 * op->median, 100.0 * op->p90, 100.0 * op->worst, op->quality.spread, op->quality.sigma,
                op->quality.spread_outside);
    }
}
