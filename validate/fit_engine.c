#include "validate/fit_engine.h"

#include <gsl/gsl_multifit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/csv.h"
#include "validate/fit.h"

struct engine_step {
    double time_s, batch, host_s, device_s;
};
struct engine_steps {
    struct engine_step *items;
    size_t count;
};

/* Either form: an own table's time_s and batch, or what the loop writes: start_s, decodes and prefills. */
static int read_step(const struct csv *csv, struct engine_step *step, struct error *err) {
    bool loop = csv_has(csv, "start_s") && !csv_has(csv, "time_s");
    double prefills = 0;
    if (csv_number(csv, loop ? "start_s" : "time_s", &step->time_s, err) != 0 ||
        csv_number(csv, loop ? "decodes" : "batch", &step->batch, err) != 0 ||
        (loop && csv_number(csv, "prefills", &prefills, err) != 0) ||
        csv_number(csv, "host_s", &step->host_s, err) != 0 || csv_number(csv, "device_s", &step->device_s, err) != 0)
        return -1;
    step->batch += prefills;
    if (step->batch < 1 || step->host_s <= 0 || step->device_s < 0)
        return error_at(err, csv->at,
                        "a step has at least one sequence and some host time\n  hint: batch %g, host_s %g", step->batch,
                        step->host_s);
    return 0;
}

static int read_steps(const char *path, struct arena *arena, struct engine_steps *steps, struct error *err) {
    struct csv csv;
    if (csv_open(&csv, path, err) != 0)
        return -1;
    size_t count = 0;
    int status;
    while ((status = csv_next(&csv, err)) > 0)
        count++;
    *steps = (struct engine_steps){arena_alloc(arena, (count + 1) * sizeof *steps->items), 0};
    csv_rewind(&csv);
    while (status == 0 && steps->count < count && csv_next(&csv, err) > 0)
        status = read_step(&csv, &steps->items[steps->count++], err);
    csv_close(&csv);
    if (status < 0)
        return -1;
    double least = HUGE_VAL, most = 0;
    for (size_t i = 0; i < steps->count; i++) {
        least = fmin(least, steps->items[i].batch);
        most = fmax(most, steps->items[i].batch);
    }
    if (steps->count < ENGINE_FIT_STEPS_MIN || least == most)
        return error_set(
            err,
            "%s: %zu steps of batches %g to %g do not tell a step's cost from a sequence's\n  hint: at least "
            "%d steps, of different batches",
            path, steps->count, steps->count ? least : 0, most, ENGINE_FIT_STEPS_MIN);
    return 0;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, size_t count, double q) {
    qsort(values, count, sizeof *values, ascending);
    size_t at = (size_t)(q * (double)count);
    return values[at < count ? at : count - 1];
}

/* host = c0 + c1 x batch; columns 1: a constant alone. */
static int solve(const struct engine_steps *steps, size_t columns, double c[2], double sigma[2], struct error *err) {
    gsl_error_handler_t *handler = gsl_set_error_handler_off();
    gsl_matrix *x = gsl_matrix_alloc(steps->count, columns), *covariance = gsl_matrix_alloc(columns, columns);
    gsl_vector *y = gsl_vector_alloc(steps->count), *solution = gsl_vector_alloc(columns);
    gsl_multifit_robust_workspace *w = gsl_multifit_robust_alloc(gsl_multifit_robust_bisquare, steps->count, columns);
    gsl_multifit_robust_maxiter(500, w);
    for (size_t i = 0; i < steps->count; i++) {
        gsl_matrix_set(x, i, 0, 1);
        if (columns > 1)
            gsl_matrix_set(x, i, 1, steps->items[i].batch);
        gsl_vector_set(y, i, steps->items[i].host_s * 1e6); /* in us: the solver's tolerance is absolute */
    }
    int status = gsl_multifit_robust(x, y, solution, covariance, w);
    c[1] = sigma[1] = 0;
    for (size_t i = 0; i < columns; i++) {
        c[i] = gsl_vector_get(solution, i) * 1e-6;
        sigma[i] = sqrt(gsl_matrix_get(covariance, i, i)) * 1e-6;
    }
    gsl_matrix_free(x);
    gsl_matrix_free(covariance);
    gsl_vector_free(y);
    gsl_vector_free(solution);
    gsl_multifit_robust_free(w);
    gsl_set_error_handler(handler);
    return status == GSL_SUCCESS || status == GSL_EMAXITER
               ? 0
               : error_set(err, "the engine's fit failed: %s\n  hint: look for a column of the same number throughout",
                           gsl_strerror(status));
}

/* Neither is below zero: what would be is left out, and the other fitted alone. */
static int solve_positive(const struct engine_steps *steps, double c[2], double sigma[2], struct error *err) {
    if (solve(steps, 2, c, sigma, err) != 0)
        return -1;
    if (c[1] < 0)
        return solve(steps, 1, c, sigma, err);
    if (c[0] < 0) {
        double *ratios = malloc(steps->count * sizeof *ratios);
        MUST(ratios != NULL);
        for (size_t i = 0; i < steps->count; i++)
            ratios[i] = steps->items[i].host_s / steps->items[i].batch;
        c[0] = sigma[0] = 0;
        c[1] = quantile(ratios, steps->count, 0.5);
        free(ratios);
    }
    return 0;
}

/* How well it fits; the spread is that of the logarithm of a step's time over the fit's without the worst twentieth,
 * which the fit's weights leave out too. */
static void judge(const struct engine_steps *steps, const double c[2], struct engine_fit *out) {
    size_t n = steps->count, kept = n - n / 20;
    double *off = malloc(n * sizeof *off), squares = 0;
    MUST(off != NULL);
    for (size_t i = 0; i < n; i++)
        off[i] = fabs(log((c[0] + c[1] * steps->items[i].batch) / steps->items[i].host_s));
    qsort(off, n, sizeof *off, ascending);
    for (size_t i = 0; i < kept; i++)
        squares += off[i] * off[i];
    out->profile.spread = sqrt(squares / (double)kept);
    for (size_t i = 0; i < n; i++)
        off[i] = fabs((c[0] + c[1] * steps->items[i].batch) / steps->items[i].host_s - 1);
    out->median_error = quantile(off, n, 0.5);
    out->p90_error = quantile(off, n, 0.9);
    out->worst_error = off[n - 1];
    free(off);
}

/* Whether the time from one step to the next is that of both, or of the longer. Beyond one and a half times both, the
 * engine was waiting for work. */
static void judge_overlap(const struct engine_steps *steps, struct engine_fit *out) {
    double *sums = malloc(2 * steps->count * sizeof *sums), *larger = sums + steps->count;
    MUST(sums != NULL);
    size_t n = 0;
    for (size_t i = 0; i + 1 < steps->count; i++) {
        const struct engine_step *step = &steps->items[i];
        double took = step[1].time_s - step->time_s, both = step->host_s + step->device_s;
        if (took <= 0 || took > 1.5 * both)
            continue;
        sums[n] = fabs(both / took - 1);
        larger[n++] = fabs(fmax(step->host_s, step->device_s) / took - 1);
    }
    if (n > 0) {
        out->sum_error = quantile(sums, n, 0.5);
        out->larger_error = quantile(larger, n, 0.5);
        out->profile.asynchronous = out->larger_error < out->sum_error;
    }
    free(sums);
}

int fit_engine(const char *path, const char *name, const char *source, struct arena *arena, struct engine_fit *out,
               struct error *err) {
    struct engine_steps steps;
    double c[2], sigma[2];
    *out = (struct engine_fit){.profile = {.name = arena_strdup(arena, name)}};
    if (read_steps(path, arena, &steps, err) != 0 || solve_positive(&steps, c, sigma, err) != 0)
        return -1;
    out->steps = steps.count;
    fit_set(&out->profile.step_s, c[0], source);
    fit_set(&out->profile.per_sequence_s, c[1], source);
    out->profile.request_s = (struct figure){0, BASIS_MEASURED, "a request's own host work is within the steps'"};
    out->step_sigma = c[0] > 0 ? sigma[0] / c[0] : 0;
    out->per_sequence_sigma = c[1] > 0 ? sigma[1] / c[1] : 0;
    judge(&steps, c, out);
    judge_overlap(&steps, out);
    return 0;
}

static void write_figure(FILE *out, const char *key, const struct figure *figure) {
    fprintf(out, "%s: {value: %.6e s, basis: %s, source: \"%s\"}\n", key, figure->value, basis_name(figure->basis),
            figure->source);
}

void engine_fit_write(FILE *out, const struct engine_fit *fit) {
    const struct engine_profile *p = &fit->profile;
    fprintf(out,
            "# Written by `tiersim fit --engine`: %zu steps; |fitted/measured - 1| of the host's time: median %.1f %%, "
            "p90 %.1f %%, worst %.1f %%.\n",
            fit->steps, 100 * fit->median_error, 100 * fit->p90_error, 100 * fit->worst_error);
    fprintf(out, "# From step to step: GPU + host is off by %.1f %% (median), the larger of them by %.1f %%.\n",
            100 * fit->sum_error, 100 * fit->larger_error);
    fprintf(out, "name: %s\nasynchronous: %s\n", p->name, p->asynchronous ? "true" : "false");
    write_figure(out, "step", &p->step_s);
    write_figure(out, "per_sequence", &p->per_sequence_s);
    write_figure(out, "request", &p->request_s);
    fprintf(out, "spread: %.4f\n", p->spread);
}
