/* Fits the constants of models/ to kernel timings (timings.h) and says how well they fit. Residuals are logarithms of
 * predicted over measured; the solver is GSL's trust region with geodesic acceleration. */
#ifndef VALIDATE_FIT_H
#define VALIDATE_FIT_H

#include <stdio.h>

#include "validate/measured.h"
#include "validate/timings.h"

/* How far a fitted form is from some rows: quantiles of |predicted/measured - 1|. */
struct fit_accuracy {
    const char *op;
    bool held_out; /* the rows are those that the fit did not see */
    size_t rows;
    double median, p90, worst;
    struct fit_quality quality;
};
/* A fitted constant: what stands in the profile, and the relative standard deviation that the covariance gives it. */
struct fit_parameter {
    const char *op, *name;
    double value, sigma;
};
enum { FIT_OPS_MAX = 40, FIT_PARAMETERS_MAX = 96, FIT_FORM_MAX = 12 };
struct fit_report {
    struct fit_accuracy ops[FIT_OPS_MAX];
    size_t count;
    struct fit_parameter parameters[FIT_PARAMETERS_MAX];
    size_t parameter_count;
};

struct fit_input {
    const struct timing_source *source;
    const struct gpu *gpu;
    const struct kernel_profile *base; /* for what the source has no rows of; NULL: that is an error */
    struct step_finder finder;         /* loads the architectures of whole steps; none: they inform no fit */
    struct arena *arena;
    struct fit_report *report;
};

/* The profile of in->gpu: what the timings determine is fitted, the rest (rule, small kernels) is set with its sources.
 */
int fit_profile(const struct fit_input *in, struct kernel_profile *profile, struct error *err);

struct fit_rows {
    const struct timing **at;
    size_t count;
};
/* Those of the timings that `keep` takes; NULL: all. */
struct fit_rows fit_rows_where(const struct timings *timings, bool (*keep)(const struct timing *), struct arena *arena);
/* Those of the rows that are held out, or the others. */
struct fit_rows fit_rows_held_out(struct fit_rows rows, bool held_out, struct arena *arena);

/* A form with positive parameters, fitted to rows in logarithms. */
struct fit_problem {
    const char *op;
    struct fit_rows rows;
    double *parameters; /* start, then solution */
    size_t parameter_count;
    double tie;               /* a factor of e away from the start costs as much as this on one row; 0: 1 % */
    const char *const *names; /* as in the profile; NULL: unnamed */
    double (*predict)(const struct timing *row, const double *parameters, const void *context);
    const void *context;
    double covariance[FIT_FORM_MAX * FIT_FORM_MAX]; /* of the parameters' logarithms, after fit_solve */
};
/* Solves it; fills rows, spread and sigma of quality (spread_outside is left). */
int fit_solve(struct fit_problem *problem, struct fit_quality *quality, struct error *err);
/* The same, and again with one parameter more, the next of the form, from `start`: kept where it takes 3 % or more from
 * the spread, else 0, which must leave the form as it is without. */
int fit_solve_more(struct fit_problem *problem, double start, struct fit_quality *quality, struct error *err);
/* Fits without the rows of a regime, and gives the spread of predictions for those; 0 where there is none, or too few
 * others to fit. The parameters are put back. */
int fit_leave_out(struct fit_problem *problem, bool (*regime)(const struct timing *, double limit), double limit,
                  struct arena *arena, double *spread, struct error *err);
/* Root mean square of log(predicted/measured) over rows. */
double fit_spread(const struct fit_problem *problem, struct fit_rows rows);
/* Appends lines to the report: over `rows`, the fitted and the held-out ones apart. */
void fit_report_rows(struct fit_report *report, const char *op, const struct fit_problem *problem, struct fit_rows rows,
                     const struct fit_quality *quality, struct arena *arena);
/* And the parameters with what the covariance says of them. */
void fit_report_parameters(struct fit_report *report, const struct fit_problem *problem);
/* A fitted figure: seven significant digits, as the profile keeps it; basis measured. */
void fit_set(struct figure *figure, double value, const char *source);

int fit_gemm(const struct fit_input *in, struct kernel_profile *profile, struct error *err);
/* After the others: what their kernels leave of a whole step. No such rows: the constants stay as they were set. */
int fit_small(const struct fit_input *in, struct kernel_profile *profile, struct error *err);
int fit_decode(const struct fit_input *in, struct kernel_profile *profile, struct error *err);
/* Where grouped products were timed, and the products' own constants do not give them as well. */
int fit_experts(const struct fit_input *in, struct kernel_profile *profile, struct error *err);
int fit_prefill(const struct fit_input *in, struct kernel_profile *profile, struct error *err);
int fit_collectives(const struct fit_input *in, struct kernel_profile *profile, struct error *err);

/* A copy engine and copying kernels, one direction: the constants of a node's link (sim/memory/network.h has the form;
 * struct copy_way of topology.h says what each is). */
struct copy_fit {
    double host_s, latency_s; /* of a single copy beside its bytes: until the host sees it done; the device's part */
    double bandwidth_bytes_per_s, descriptor_s, loop_gap_s;
    double small_below_bytes, descriptor_small_s, bandwidth_small_bytes_per_s; /* 0: one regime */
    double kernel_launch_s, kernel_bandwidth_bytes_per_s, kernel_in_flight_bytes, kernel_round_trip_s,
        kernel_cta_bytes_per_s;
    struct fit_quality engine, kernel;
    double spread, spread_small; /* log standard deviation of one copy, of blocks of 64 KiB or more, of less */
};
struct copy_fits {
    struct copy_fit read, write; /* towards the GPU, away */
    const char *source;
};
/* Error: no copies among the timings. */
int fit_copies(const struct fit_input *in, struct copy_fits *fits, struct error *err);
/* A mapping that a node file includes in the link of its copy engine. */
void copies_write(FILE *out, const struct copy_fits *fits);

/* YAML that load_kernel_profile reads back to the same values, and the report as Markdown. */
void profile_write(FILE *out, const struct kernel_profile *profile);
void fit_report_write(FILE *out, const struct fit_report *report);

#endif
