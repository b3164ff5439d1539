/* Rows that `tiersim-calibrate` measured (docs/calibrate.md has the columns), and what the kernel models say of them.
 */
#ifndef VALIDATE_MEASURED_H
#define VALIDATE_MEASURED_H

#include "models/profile.h"
#include "sim/base/arena.h"

struct measured {
    const char *group, *variant, *params; /* params: key=value and words, separated by blanks */
    double seconds;                       /* median of one call */
    struct place at;
};
struct measured_rows {
    struct measured *rows;
    size_t count, failed; /* failed: rows that say so, left out */
};
/* Reads DIRECTORY/rows.csv; errors name file and line. */
int measured_read(const char *directory, struct arena *arena, struct measured_rows *out, struct error *err);
/* The number behind `key=` of the row's params; an error at the row where there is none. */
int measured_number(const struct measured *row, const char *key, double *value, struct error *err);
/* Whether `word` is one of the row's params. */
bool measured_is(const struct measured *row, const char *word);

/* One point: what was measured (of several kernels or split counts for the same work, the fastest), what is predicted.
 */
struct point {
    const struct measured *row;
    double predicted_s;
};
struct points {
    const char *op;
    struct point *items;
    size_t count;
};
enum { KERNEL_OPS = 3 };
/* Matrix products, and decode attention by KV dtype, on `gpu` by `profile`. */
int predict_kernels(const struct measured_rows *rows, const struct gpu *gpu, const struct kernel_profile *profile,
                    struct arena *arena, struct points out[KERNEL_OPS], struct error *err);

/* Quantiles of |predicted / measured - 1|, and the point that is worst. */
struct point_errors {
    double median, p90, worst, bias; /* bias: median of predicted / measured - 1 */
    const struct point *worst_at;
};
struct point_errors point_errors(const struct points *points, struct arena *arena);

#endif
