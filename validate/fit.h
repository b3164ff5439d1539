/* Fits the constants of models/ to kernel timings and says how well they fit.
 *
 * A directory of timings holds h100_gemm.csv, h100_decode_attn.csv, h100_prefill_attn.csv and h100_comm.csv, as
 * published by aiconfigurator (columns by name; others are ignored). Residuals are logarithms of predicted over
 * measured; the solver is GSL's trust region with geodesic acceleration. */
#ifndef VALIDATE_FIT_H
#define VALIDATE_FIT_H

#include <stdio.h>

#include "models/profile.h"
#include "sim/base/arena.h"

/* One measurement; fields by kind. */
struct timing {
    double seconds;
    double m, n, k;                                     /* gemm */
    double batch, q_heads, kv_heads, head_dim, context; /* attention; context: tokens a sequence */
    bool fp8;
    double gpus, bytes; /* collective */
    bool nccl;
};
struct timings {
    struct timing *rows;
    size_t count;
};
enum timing_kind { TIMING_GEMM, TIMING_DECODE, TIMING_PREFILL, TIMING_COMM, TIMING_KINDS };

/* Reads DIR/h100_KIND.csv. Errors name file and line. */
int timings_read(const char *directory, enum timing_kind kind, struct arena *arena, struct timings *out,
                 struct error *err);

/* How far the fitted form is from its rows: quantiles of |predicted/measured - 1|. */
struct fit_accuracy {
    const char *op;
    size_t rows;
    double median, p90, worst;
    struct fit_quality quality;
};
enum { FIT_OPS_MAX = 16 };
struct fit_report {
    struct fit_accuracy ops[FIT_OPS_MAX];
    size_t count;
};

/* The profile of `gpu`: what the timings determine is fitted, the rest (rule, small kernels) is set with its sources.
 */
int fit_profile(const char *directory, const struct gpu *gpu, struct arena *arena, struct kernel_profile *profile,
                struct fit_report *report, struct error *err);

struct fit_rows {
    const struct timing **at;
    size_t count;
};
/* Those of the timings that `keep` takes; NULL: all. */
struct fit_rows fit_rows_where(const struct timings *timings, bool (*keep)(const struct timing *), struct arena *arena);

/* A form with positive parameters, fitted to rows in logarithms. */
struct fit_problem {
    struct fit_rows rows;
    double *parameters; /* start, then solution */
    size_t parameter_count;
    double (*predict)(const struct timing *row, const double *parameters, const void *context);
    const void *context;
};
/* Solves it; fills rows, spread and sigma of quality (spread_outside is left). */
int fit_solve(struct fit_problem *problem, struct fit_quality *quality, struct error *err);
/* Fits without the rows of a regime, and gives the spread of predictions for those. The parameters are put back. */
int fit_leave_out(struct fit_problem *problem, bool (*regime)(const struct timing *), struct arena *arena,
                  double *spread, struct error *err);
/* Root mean square of log(predicted/measured) over rows. */
double fit_spread(const struct fit_problem *problem, struct fit_rows rows);
/* Appends a line to the report, over `rows`. */
void fit_report_add(struct fit_report *report, const char *op, const struct fit_problem *problem, struct fit_rows rows,
                    const struct fit_quality *quality);
/* A fitted figure: seven significant digits, as the profile keeps it; basis measured. */
void fit_set(struct figure *figure, double value, const char *source);

int fit_gemm(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
             struct fit_report *report, struct error *err);
int fit_decode(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
               struct fit_report *report, struct error *err);
int fit_prefill(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
                struct fit_report *report, struct error *err);
int fit_collectives(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
                    struct fit_report *report, struct error *err);

/* YAML that load_kernel_profile reads back to the same values, and the report as Markdown. */
void profile_write(FILE *out, const struct kernel_profile *profile);
void fit_report_write(FILE *out, const struct fit_report *report);

#endif
