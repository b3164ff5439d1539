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
/* Whether the row is held out of every fit: by a hash (FNV-1a, 64 bits) of its group and the words of its params, but
 * for those that differ from run to run (random lengths, splits); one row in three. */
bool measured_held_out(const struct measured *row);
/* Whether the row is a whole step that a fit may see: of Qwen2.5-7B, decode, batch 1, no copies beside it. All other
 * steps are held out. */
bool measured_step_fitted(const struct measured *row);
/* The same, whatever the variant, the random lengths and the splits: two ways of doing one thing. */
bool measured_same_work(const struct measured *a, const struct measured *b);

/* One point: what was measured (of several kernels for the same work, the fastest), what is predicted. */
struct point {
    const struct measured *row;
    double predicted_s;
    double low_s, high_s; /* 90 % interval of one row like this; 0: the model says none */
    bool held_out;
};
struct points {
    const char *op;
    struct point *items;
    size_t count;
};
enum { KERNEL_OPS = 8 };
/* Products and experts by dtype, decode attention by KV dtype, prefill attention, all-reduce: on `gpu` by `profile`. An
 * op without rows has no points. */
struct timing_source; /* timings.h: where the rows are from */
int predict_kernels(const struct timing_source *source, const struct gpu *gpu, const struct kernel_profile *profile,
                    struct arena *arena, struct points out[KERNEL_OPS], struct error *err);

/* Whole steps of a real decoder (group step): decode, prefill and mixed ones, that ran alone; and those beside which KV
 * was copied, which the step model prices as if they had been alone. `find` loads an architecture by its name. */
enum { STEP_OPS = 4 };
struct step_finder {
    int (*find)(const char *model, struct place at, struct arena *arena, struct arch **out, struct error *err);
};
int predict_steps(const struct measured_rows *rows, const struct gpu *gpu, const struct kernel_profile *profile,
                  struct step_finder finder, struct arena *arena, struct points out[STEP_OPS], struct error *err);

/* Quantiles of |predicted / measured - 1| over some of the points, and the one that is worst. */
enum point_set { POINTS_ALL, POINTS_FITTED, POINTS_HELD_OUT };
struct point_errors {
    size_t count;
    double median, p90, worst, bias; /* bias: median of predicted / measured - 1 */
    double covered;                  /* share of those with an interval that it holds; -1: none has one */
    const struct point *worst_at;    /* NULL: there was none */
};
struct point_errors point_errors(const struct points *points, enum point_set set, struct arena *arena);

#endif
