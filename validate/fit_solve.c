/* Least squares on log residuals with GSL's trust region and geodesic acceleration; parameters are positive, so they
 * are varied as logarithms too. */
#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/fit.h"

/* Rounds of reweighing, and the Cauchy scale in standard deviations (95 % efficient on normal residuals). */
enum { rounds = 20 };
static const double cauchy = 2.385;
/* A parameter that the rows do not determine would run off to 0 or infinity. So each is tied to its start: a factor of
 * e away costs as much as 1 % on one row, far less than any row says of a parameter that it does determine. */
static const double default_tie = 0.01;

/* What the solver sees. */
struct tied {
    const struct fit_problem *problem;
    const gsl_vector *start; /* logarithms */
    double tie;
};

static double log_residual(const struct fit_problem *problem, const struct timing *row) {
    return log(problem->predict(row, problem->parameters, problem->context) / row->seconds);
}

static int residuals(const gsl_vector *x, void *data, gsl_vector *f) {
    const struct tied *tied = data;
    const struct fit_problem *problem = tied->problem;
    for (size_t i = 0; i < problem->parameter_count; i++) {
        problem->parameters[i] = exp(gsl_vector_get(x, i));
        gsl_vector_set(f, problem->rows.count + i, tied->tie * (gsl_vector_get(x, i) - gsl_vector_get(tied->start, i)));
    }
    for (size_t i = 0; i < problem->rows.count; i++) {
        double r = log_residual(problem, problem->rows.at[i]);
        if (!isfinite(r))
            return GSL_EDOM;
        gsl_vector_set(f, i, r);
    }
    return GSL_SUCCESS;
}

/* rms over rows of the standard deviation that the parameters' covariance gives log(prediction). */
static double prediction_sigma(const gsl_matrix *jacobian, const gsl_vector *weights, const gsl_matrix *covariance,
                               size_t rows, double variance) {
    size_t columns = jacobian->size2;
    double total = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++)
            for (size_t j = 0; j < columns; j++) /* the solver's Jacobian carries the root of the weight */
                total += gsl_matrix_get(jacobian, r, i) * gsl_matrix_get(covariance, i, j) *
                         gsl_matrix_get(jacobian, r, j) / gsl_vector_get(weights, r);
    return sqrt(total * variance / (double)rows);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Cauchy weights from the residuals: a row far off (a clock that dropped, a library that chose badly) pulls little. The
 * scale is the median absolute residual. */
static void reweigh(const gsl_vector *residual, size_t n, gsl_vector *weights) {
    MUST(n > 0);
    double *size = malloc(n * sizeof *size);
    MUST(size != NULL);
    for (size_t i = 0; i < n; i++)
        size[i] = fabs(gsl_vector_get(residual, i));
    qsort(size, n, sizeof *size, ascending);
    double scale = cauchy * 1.4826 * (size[n / 2] > 1e-6 ? size[n / 2] : 1e-6);
    for (size_t i = 0; i < n; i++) {
        double r = gsl_vector_get(residual, i) / scale;
        gsl_vector_set(weights, i, 1.0 / (1.0 + r * r));
    }
    free(size);
}

/* Solves with the weights as they are; leaves the solution in w->x. */
static int solve_once(gsl_multifit_nlinear_fdf *function, const gsl_vector *start, const gsl_vector *weights,
                      gsl_multifit_nlinear_workspace *w) {
    int info = 0, status = gsl_multifit_nlinear_winit(start, weights, function, w);
    if (status == GSL_SUCCESS)
        status = gsl_multifit_nlinear_driver(500, 1e-10, 1e-10, 1e-10, NULL, NULL, &info, w);
    /* ENOPROG: no step improves any more, which is where a form with corners ends. */
    return status == GSL_ENOPROG || status == GSL_EMAXITER ? GSL_SUCCESS : status;
}

static void fill_quality(struct fit_problem *problem, const gsl_vector *weights, gsl_multifit_nlinear_workspace *w,
                         struct fit_quality *quality) {
    size_t n = problem->rows.count, p = problem->parameter_count;
    gsl_matrix *covariance = gsl_matrix_alloc(p, p);
    MUST(p <= FIT_FORM_MAX);
    gsl_multifit_nlinear_covar(w->J, 0.0, covariance);
    double chi2 = 0, weight = 0, plain = 0;
    for (size_t i = 0; i < n; i++) {
        double r = log_residual(problem, problem->rows.at[i]);
        chi2 += gsl_vector_get(weights, i) * r * r;
        weight += gsl_vector_get(weights, i);
        plain += r * r;
    }
    /* Ties hold what few rows leave open: then half of the rows count as free. */
    double freedom = 2 * p > n ? 0.5 * (double)n : (double)(n - p);
    double variance = chi2 / (weight * freedom / (double)n);
    *quality = (struct fit_quality){.rows = (int64_t)n,
                                    .spread = sqrt(plain / freedom),
                                    .sigma = prediction_sigma(w->J, weights, covariance, n, variance)};
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < p; j++)
            problem->covariance[i * p + j] = variance * gsl_matrix_get(covariance, i, j);
    gsl_matrix_free(covariance);
}

/* Solves in rounds of weights; `at` goes from the start to the solution. */
static int solve_rounds(const struct tied *tied, gsl_vector *at, gsl_vector *weights,
                        gsl_multifit_nlinear_workspace *w) {
    size_t n = tied->problem->rows.count, p = tied->problem->parameter_count;
    struct tied own = *tied;
    gsl_vector *residual = gsl_vector_alloc(n + p);
    gsl_multifit_nlinear_fdf function = {.f = residuals, .n = n + p, .p = p, .params = &own};
    int status = GSL_SUCCESS;
    gsl_vector_set_all(weights, 1.0);
    for (int round = 0; round < rounds && status == GSL_SUCCESS; round++) {
        status = solve_once(&function, at, weights, w);
        if (status != GSL_SUCCESS)
            break;
        gsl_vector_memcpy(at, w->x);
        residuals(at, &own, residual); /* leaves the solution in problem->parameters */
        if (round + 1 < rounds)
            reweigh(residual, n, weights);
    }
    gsl_vector_free(residual);
    return status;
}

int fit_solve(struct fit_problem *problem, struct fit_quality *quality, struct error *err) {
    size_t n = problem->rows.count, p = problem->parameter_count;
    size_t least = problem->tie > 0 ? p / 2 : p + 1;
    if (n < least)
        return error_set(err, "%s: %zu timings are too few to fit %zu constants\n  hint: measure more shapes",
                         problem->op, n, p);
    gsl_error_handler_t *handler = gsl_set_error_handler_off();
    gsl_multifit_nlinear_parameters options = gsl_multifit_nlinear_default_parameters();
    options.trs = gsl_multifit_nlinear_trs_lmaccel;
    options.h_df = 1e-6; /* the forms have corners: a step of 1e-8 would be lost in rounding */
    gsl_multifit_nlinear_workspace *w = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &options, n + p, p);
    gsl_vector *start = gsl_vector_alloc(p), *at = gsl_vector_alloc(p), *weights = gsl_vector_alloc(n + p);
    for (size_t i = 0; i < p; i++)
        gsl_vector_set(start, i, log(problem->parameters[i]));
    gsl_vector_memcpy(at, start);
    int status =
        solve_rounds(&(struct tied){problem, start, problem->tie > 0 ? problem->tie : default_tie}, at, weights, w);
    if (status == GSL_SUCCESS)
        fill_quality(problem, weights, w, quality);
    gsl_vector_free(start);
    gsl_vector_free(at);
    gsl_vector_free(weights);
    gsl_multifit_nlinear_free(w);
    gsl_set_error_handler(handler);
    if (status == GSL_SUCCESS)
        return 0;
    return error_set(err, "%s: the fit failed: %s\n  hint: look for a zero or negative time among the timings",
                     problem->op, gsl_strerror(status));
}

double fit_spread(const struct fit_problem *problem, struct fit_rows rows) {
    double total = 0;
    for (size_t i = 0; i < rows.count; i++) {
        double r = log_residual(problem, rows.at[i]);
        total += r * r;
    }
    return rows.count > 0 ? sqrt(total / (double)rows.count) : 0;
}

struct fit_rows fit_rows_where(const struct timings *timings, bool (*keep)(const struct timing *),
                               struct arena *arena) {
    struct fit_rows rows = {arena_alloc(arena, (timings->count + 1) * sizeof *rows.at), 0};
    for (size_t i = 0; i < timings->count; i++)
        if (!keep || keep(&timings->rows[i]))
            rows.at[rows.count++] = &timings->rows[i];
    return rows;
}

struct fit_rows fit_rows_held_out(struct fit_rows rows, bool held_out, struct arena *arena) {
    struct fit_rows some = {arena_alloc(arena, (rows.count + 1) * sizeof *some.at), 0};
    for (size_t i = 0; i < rows.count; i++)
        if (rows.at[i]->held_out == held_out)
            some.at[some.count++] = rows.at[i];
    return some;
}

int fit_solve_more(struct fit_problem *problem, double start, struct fit_quality *quality, struct error *err) {
    /* Rows that the form gives to half a percent leave nothing to explain. */
    static const double enough = 0.005, gain = 0.97;
    double *p = problem->parameters, kept[FIT_FORM_MAX];
    size_t count = problem->parameter_count;
    MUST(count < FIT_FORM_MAX);
    memcpy(kept, p, count * sizeof *p);
    p[count] = 0;
    if (fit_solve(problem, quality, err) != 0)
        return -1;
    if (quality->spread < enough || problem->rows.count <= count + 1)
        return 0;
    struct fit_quality more;
    struct fit_problem larger = *problem;
    double solved[FIT_FORM_MAX];
    memcpy(solved, p, count * sizeof *p);
    memcpy(p, kept, count * sizeof *p);
    p[count] = start;
    larger.parameter_count = count + 1;
    if (fit_solve(&larger, &more, err) != 0)
        return -1;
    if (more.spread < gain * quality->spread) {
        *problem = larger;
        *quality = more;
        return 0;
    }
    memcpy(p, solved, count * sizeof *p);
    p[count] = 0;
    return 0;
}

int fit_leave_out(struct fit_problem *problem, bool (*regime)(const struct timing *, double limit), double limit,
                  struct arena *arena, double *spread, struct error *err) {
    struct fit_rows all = problem->rows, inner = {arena_alloc(arena, all.count * sizeof *inner.at), 0};
    struct fit_rows outer = {arena_alloc(arena, all.count * sizeof *outer.at), 0};
    for (size_t i = 0; i < all.count; i++) {
        struct fit_rows *side = regime(all.at[i], limit) ? &outer : &inner;
        side->at[side->count++] = all.at[i];
    }
    *spread = 0;
    if (outer.count == 0 || inner.count < 2 * problem->parameter_count)
        return 0;
    double *start = arena_alloc(arena, problem->parameter_count * sizeof *start);
    memcpy(start, problem->parameters, problem->parameter_count * sizeof *start);
    struct fit_quality quality;
    problem->rows = inner;
    int status = fit_solve(problem, &quality, err);
    *spread = status == 0 ? fit_spread(problem, outer) : 0;
    problem->rows = all;
    memcpy(problem->parameters, start, problem->parameter_count * sizeof *start);
    return status;
}

static void report_set(struct fit_report *report, const char *op, bool held_out, const struct fit_problem *problem,
                       struct fit_rows rows, const struct fit_quality *quality) {
    if (rows.count == 0)
        return;
    MUST(report->count < FIT_OPS_MAX);
    double *off = malloc(rows.count * sizeof *off);
    MUST(off != NULL);
    for (size_t i = 0; i < rows.count; i++)
        off[i] = fabs(expm1(log_residual(problem, rows.at[i])));
    qsort(off, rows.count, sizeof *off, ascending);
    report->ops[report->count++] = (struct fit_accuracy){.op = op,
                                                         .held_out = held_out,
                                                         .rows = rows.count,
                                                         .median = off[rows.count / 2],
                                                         .p90 = off[rows.count * 9 / 10],
                                                         .worst = off[rows.count - 1],
                                                         .quality = *quality};
    free(off);
}

void fit_report_rows(struct fit_report *report, const char *op, const struct fit_problem *problem, struct fit_rows rows,
                     const struct fit_quality *quality, struct arena *arena) {
    report_set(report, op, false, problem, fit_rows_held_out(rows, false, arena), quality);
    report_set(report, op, true, problem, fit_rows_held_out(rows, true, arena), quality);
}

void fit_report_parameters(struct fit_report *report, const struct fit_problem *problem) {
    size_t p = problem->parameter_count;
    for (size_t i = 0; i < p; i++) {
        MUST(report->parameter_count < FIT_PARAMETERS_MAX);
        report->parameters[report->parameter_count++] =
            (struct fit_parameter){.op = problem->op,
                                   .name = problem->names[i],
                                   .value = problem->parameters[i],
                                   .sigma = sqrt(problem->covariance[i * p + i])};
    }
}
