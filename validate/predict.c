/* What the kernel models say of measured rows. Nothing is fitted here: the profile may come from another GPU. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/ops.h"
#include "validate/measured.h"

struct predicting {
    const struct gpu *gpu;
    const struct kernel_profile *profile;
    struct error *err;
};

static int resolve(const struct predicting *p, enum dtype kv_dtype, int64_t page, struct machine *machine) {
    struct step_model_options options = {
        .gpu = p->gpu, .profile = p->profile, .tp = 1, .kv_dtype = kv_dtype, .page_tokens = page};
    return machine_resolve(&options, machine, p->err);
}

static int predict_gemm(const struct predicting *p, const struct measured *row, double *seconds) {
    struct machine machine;
    double m, n, k;
    if (resolve(p, DTYPE_BF16, 16, &machine) != 0 || measured_number(row, "m", &m, p->err) != 0 ||
        measured_number(row, "n", &n, p->err) != 0 || measured_number(row, "k", &k, p->err) != 0)
        return -1;
    *seconds = gemm_price(&machine, DTYPE_BF16, m, n, k, 1).seconds;
    return 0;
}

static int predict_decode(const struct predicting *p, const struct measured *row, double *seconds) {
    bool fp8 = measured_is(row, "e4m3");
    double batch, tokens, longest, kv_heads, group, head, page;
    struct machine machine;
    if (measured_number(row, "batch", &batch, p->err) != 0 || measured_number(row, "tokens", &tokens, p->err) != 0 ||
        measured_number(row, "longest", &longest, p->err) != 0 ||
        measured_number(row, "kv_heads", &kv_heads, p->err) != 0 ||
        measured_number(row, "group", &group, p->err) != 0 || measured_number(row, "head", &head, p->err) != 0 ||
        measured_number(row, "page", &page, p->err) != 0 ||
        resolve(p, fp8 ? DTYPE_FP8 : DTYPE_BF16, (int64_t)page, &machine) != 0)
        return -1;
    struct decode_load load = {.sequences = batch,
                               .context = tokens,
                               .longest = longest,
                               .tiles_per_sequence = kv_heads,
                               .bytes_per_token = 2 * head * kv_heads * (fp8 ? 1 : 2),
                               .flops_per_token = 4 * head * kv_heads * group};
    *seconds = decode_price(&machine, &load, 1).seconds;
    return 0;
}

/* Words that may differ between two runs of the same work: random lengths within a range, and how it was split. */
static bool may_differ(const char *word) {
    static const char *const keys[] = {"tokens=", "longest=", "splits="};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strncmp(word, keys[i], strlen(keys[i])) == 0)
            return true;
    return false;
}

static bool same_work(const struct measured *a, const struct measured *b) {
    const char *x = a->params, *y = b->params;
    while (*x && *y) {
        size_t length_x = strcspn(x, " "), length_y = strcspn(y, " ");
        if (!(length_x == length_y && strncmp(x, y, length_x) == 0) && !(may_differ(x) && may_differ(y)))
            return false;
        x += length_x + (x[length_x] == ' ');
        y += length_y + (y[length_y] == ' ');
    }
    return *x == *y;
}

static struct point *point_of(struct points *points, const struct measured *row) {
    for (size_t i = 0; i < points->count; i++)
        if (same_work(points->items[i].row, row))
            return &points->items[i];
    return NULL;
}

static int add(const struct predicting *p, const struct measured *row, struct points *points,
               int (*predict)(const struct predicting *, const struct measured *, double *)) {
    struct point *point = point_of(points, row);
    if (point && point->row->seconds <= row->seconds)
        return 0;
    if (!point)
        point = &points->items[points->count++];
    point->row = row;
    return predict(p, row, &point->predicted_s);
}

int predict_kernels(const struct measured_rows *rows, const struct gpu *gpu, const struct kernel_profile *profile,
                    struct arena *arena, struct points out[KERNEL_OPS], struct error *err) {
    static const char *const names[KERNEL_OPS] = {"gemm bf16", "decode attention bf16", "decode attention fp8"};
    struct predicting p = {gpu, profile, err};
    for (int op = 0; op < KERNEL_OPS; op++)
        out[op] = (struct points){.op = names[op], .items = arena_alloc(arena, (rows->count + 1) * sizeof *out->items)};
    for (size_t i = 0; i < rows->count; i++) {
        const struct measured *row = &rows->rows[i];
        int failed = 0;
        if (strcmp(row->group, "gemm") == 0)
            failed = add(&p, row, &out[0], predict_gemm);
        else if (strcmp(row->group, "decode") == 0)
            failed = add(&p, row, &out[measured_is(row, "e4m3") ? 2 : 1], predict_decode);
        if (failed)
            return -1;
    }
    return 0;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct point_errors point_errors(const struct points *points, struct arena *arena) {
    struct point_errors out = {.worst = -1};
    size_t count = points->count;
    if (count == 0)
        return (struct point_errors){0};
    double *sizes = arena_alloc(arena, count * sizeof *sizes),
           *signed_errors = arena_alloc(arena, count * sizeof *sizes);
    for (size_t i = 0; i < count; i++) {
        const struct point *point = &points->items[i];
        signed_errors[i] = point->predicted_s / point->row->seconds - 1;
        sizes[i] = fabs(signed_errors[i]);
        if (sizes[i] > out.worst) {
            out.worst = sizes[i];
            out.worst_at = point;
        }
    }
    qsort(sizes, count, sizeof *sizes, by_size);
    qsort(signed_errors, count, sizeof *sizes, by_size);
    out.median = sizes[count / 2];
    out.p90 = sizes[(9 * count) / 10];
    out.bias = signed_errors[count / 2];
    return out;
}
