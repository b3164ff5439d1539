/* The whole fit, and its two outputs: the profile and the accuracy table. */
#include <stdlib.h>

#include "sim/base/unit.h"
#include "validate/fit.h"

void fit_set(struct figure *figure, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.6e", value);
    figure->value = strtod(text, NULL);
    figure->basis = BASIS_MEASURED;
}

int fit_profile(const char *directory, struct arena *arena, struct kernel_profile *profile, struct fit_report *report, struct error *err) {
    static int (*const fits[TIMING_KINDS])(const struct timings *, struct arena *, struct kernel_profile *, struct fit_report *,
                                           struct error *) = {fit_gemm, fit_decode, fit_prefill, fit_collectives};
    *report = (struct fit_report){0};
    for (int kind = 0; kind < TIMING_KINDS; kind++) {
        struct timings timings;
        if (timings_read(directory, (enum timing_kind)kind, arena, &timings, err) != 0) return -1;
        if (fits[kind](&timings, arena, profile, report, err) != 0) return -1;
    }
    return 0;
}

void fit_report_write(FILE *out, const struct fit_report *report) {
    fprintf(out, "| op | rows | median error | p90 | worst | spread | sigma | spread outside the range |\n");
    fprintf(out, "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct fit_accuracy *op = &report->ops[i];
        fprintf(out, "| %s | %zu | %.1f %% | %.1f %% | %.1f %% | %.3f | %.3f | %.3f |\n", op->op, op->rows, 100.0 * op->median, 100.0 * op->p90,
                100.0 * op->worst, op->quality.spread, op->quality.sigma, op->quality.spread_outside);
    }
}
