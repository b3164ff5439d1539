#include "validate/accuracy.h"

#include <string.h>

/* Targets, median and 90th percentile of |predicted / measured - 1|, were set before the kernels were measured. */
const struct accuracy_target accuracy_targets[] = {
    {"decode attention", 0.02, 0.05},  {"copy", 0.02, 0.05}, {"gemm", 0.05, 0.12}, {"experts", 0.05, 0.12},
    {"prefill attention", 0.05, 0.12}, {"step", 0.03, 0.06}, {NULL, 0, 0}};

const struct accuracy_target *accuracy_target(const char *op) {
    for (const struct accuracy_target *t = accuracy_targets; t->op; t++)
        if (strncmp(op, t->op, strlen(t->op)) == 0)
            return t;
    return NULL;
}

static void write_line(FILE *out, const struct points *points, const char *set_name, enum point_set set, bool judged,
                       struct arena *arena) {
    struct point_errors e = point_errors(points, set, arena);
    if (e.count == 0)
        return;
    const struct accuracy_target *target = judged ? accuracy_target(points->op) : NULL;
    fprintf(out, "| %s | %s | %zu | %.1f %% | %.1f %% | %.1f %% | %+.1f %% | ", points->op, set_name, e.count,
            100 * e.median, 100 * e.p90, 100 * e.worst, 100 * e.bias);
    if (e.covered >= 0)
        fprintf(out, "%.0f %% |", 100 * e.covered);
    else
        fprintf(out, "- |");
    if (target)
        fprintf(out, " %.0f %% / %.0f %%: %s |\n", 100 * target->median, 100 * target->p90,
                e.median <= target->median && e.p90 <= target->p90 ? "met" : "missed");
    else
        fprintf(out, " |\n");
}

void accuracy_write(FILE *out, const struct points *points, size_t ops, bool own, struct arena *arena) {
    fprintf(out, "| op | rows | points | median | p90 | worst | bias | in the 90 %% interval | target, median / p90 |\n"
                 "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ops; i++) {
        if (own) {
            write_line(out, &points[i], "fitted", POINTS_FITTED, false, arena);
            write_line(out, &points[i], "held out", POINTS_HELD_OUT, true, arena);
        } else {
            write_line(out, &points[i], "all", POINTS_ALL, false, arena);
        }
    }
    fprintf(out, "\nThe worst of each:\n\n");
    for (size_t i = 0; i < ops; i++) {
        struct point_errors e = point_errors(&points[i], POINTS_ALL, arena);
        if (e.count > 0)
            fprintf(out, "- %s: %s: predicted %.4g us, measured %.4g us\n", points[i].op, e.worst_at->row->params,
                    e.worst_at->predicted_s * 1e6, e.worst_at->row->seconds * 1e6);
    }
}
