/* What the kernel models say of measured rows. Nothing is fitted here: the profile may come from another GPU. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/timings.h"

struct predicting {
    const struct gpu *gpu;
    const struct kernel_profile *profile;
    struct arena *arena;
    struct error *err;
};

static const struct {
    const char *name;
    enum timing_kind kind;
    bool fp8;
} ops[KERNEL_OPS] = {{"gemm bf16", TIMING_GEMM, false},
                     {"gemm fp8", TIMING_GEMM, true},
                     {"experts bf16", TIMING_EXPERTS, false},
                     {"experts fp8", TIMING_EXPERTS, true},
                     {"decode attention bf16", TIMING_DECODE, false},
                     {"decode attention fp8", TIMING_DECODE, true},
                     {"prefill attention", TIMING_PREFILL, false},
                     {"all-reduce", TIMING_COMM, false}};

/* What the simulator would say: a decode is split by the rule, however the row was. */
static int predict(const struct predicting *p, enum timing_kind kind, const struct timing *timing,
                   struct point *point) {
    struct timing row = *timing;
    struct machine machine;
    struct step_model_options options = {.gpu = p->gpu,
                                         .profile = p->profile,
                                         .tp = kind == TIMING_COMM ? (int64_t)row.gpus : 1,
                                         .kv_dtype = row.fp8 ? DTYPE_FP8 : DTYPE_BF16,
                                         .page_tokens = row.page > 0 ? (int64_t)row.page : 16};
    if (machine_resolve(&options, &machine, p->err) != 0)
        return -1;
    row.splits = 0;
    struct price price = timing_price(&machine, kind, &row);
    point->predicted_s = price.seconds;
    error_interval(price.seconds, uncertainty_s(&price.error), &point->low_s, &point->high_s);
    return 0;
}

static struct point *point_of(const struct points *points, const struct measured *row) {
    for (size_t i = 0; i < points->count; i++)
        if (measured_same_work(points->items[i].row, row))
            return &points->items[i];
    return NULL;
}

/* Where rows say that they ran by the rule, the others are experiments. */
static bool has_rule(const struct timings *timings) {
    for (size_t i = 0; i < timings->count; i++)
        if (measured_is(timings->rows[i].row, "rule"))
            return true;
    return false;
}

static int predict_kind(const struct predicting *p, const struct timing_source *source, enum timing_kind kind, bool fp8,
                        struct points *out) {
    struct timings timings;
    if (timings_read(source, kind, p->arena, &timings, p->err) != 0)
        return -1;
    bool by_rule = has_rule(&timings);
    out->items = arena_alloc(p->arena, (timings.count + 1) * sizeof *out->items);
    for (size_t i = 0; i < timings.count; i++) {
        const struct timing *timing = &timings.rows[i];
        if (timing->fp8 != fp8 || timing->warm || (by_rule && !measured_is(timing->row, "rule")))
            continue;
        struct point *point = point_of(out, timing->row);
        if (point && point->row->seconds <= timing->seconds)
            continue;
        if (!point)
            point = &out->items[out->count++];
        *point = (struct point){.row = timing->row, .held_out = timing->held_out};
        if (predict(p, kind, timing, point) != 0)
            return -1;
    }
    return 0;
}

int predict_kernels(const struct timing_source *source, const struct gpu *gpu, const struct kernel_profile *profile,
                    struct arena *arena, struct points out[KERNEL_OPS], struct error *err) {
    struct predicting p = {gpu, profile, arena, err};
    for (int op = 0; op < KERNEL_OPS; op++) {
        out[op] = (struct points){.op = ops[op].name};
        if (predict_kind(&p, source, ops[op].kind, ops[op].fp8, &out[op]) != 0)
            return -1;
    }
    return 0;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct point_errors point_errors(const struct points *points, enum point_set set, struct arena *arena) {
    struct point_errors out = {.worst = -1};
    size_t intervals = 0, held = 0;
    double *sizes = arena_alloc(arena, (points->count + 1) * sizeof *sizes),
           *signed_errors = arena_alloc(arena, (points->count + 1) * sizeof *sizes);
    for (size_t i = 0; i < points->count; i++) {
        const struct point *point = &points->items[i];
        if (set != POINTS_ALL && point->held_out != (set == POINTS_HELD_OUT))
            continue;
        intervals += point->high_s > 0;
        held += point->high_s > 0 && point->low_s <= point->row->seconds && point->row->seconds <= point->high_s;
        double off = point->predicted_s / point->row->seconds - 1;
        signed_errors[out.count] = off;
        sizes[out.count++] = fabs(off);
        if (fabs(off) > out.worst) {
            out.worst = fabs(off);
            out.worst_at = point;
        }
    }
    if (out.count == 0)
        return (struct point_errors){.covered = -1};
    out.covered = intervals > 0 ? (double)held / (double)intervals : -1;
    qsort(sizes, out.count, sizeof *sizes, by_size);
    qsort(signed_errors, out.count, sizeof *sizes, by_size);
    out.median = sizes[out.count / 2];
    out.p90 = sizes[(9 * out.count) / 10];
    out.bias = signed_errors[out.count / 2];
    return out;
}
