/* `tiersim run --draws N`: whole runs with the models' errors drawn, and what interval that gives each output. */
#ifndef SIM_CLI_DRAWS_H
#define SIM_CLI_DRAWS_H

#include "models/draw.h"
#include "sim/cli/capacity.h"

/* The figures of the table, in its order. */
enum {
    FIGURE_CARRIES,
    FIGURE_GPUS,
    FIGURE_TTFT_P50,
    FIGURE_TTFT_P99,
    FIGURE_AGAIN,
    FIGURE_USD,
    FIGURE_JOULES,
    FIGURES
};

/* What one draw of one variant came to. */
struct drawn {
    bool failed;
    bool misses; /* no load keeps the SLO */
    double figures[FIGURES];
    char *json; /* its object of report_json */
};
struct draws {
    size_t count;        /* of each variant; 0: none were asked for */
    struct drawn *drawn; /* variants x count */
};
struct draws *draws_create(size_t variants, size_t count);
void draws_free(struct draws *draws, size_t variants);
const struct drawn *draws_of(const struct draws *draws, size_t variant);

/* Standard normals of draw `number` (from 0) for a variant. Streams are keyed by (seed, number, what errs: the profile,
 * the GPU, the engine, the connector, a node's links, by name), so that variants which share them err alike, and their
 * difference is not noise. */
void draw_normals(const struct variant *variant, uint64_t seed, uint64_t number, struct draw *draw);
/* Runs draw `number` of stream `seed` (the scenario's) of the variant as `reach` would run it undrawn. */
void draw_run(const struct reach *reach, uint64_t seed, uint64_t number, struct drawn *drawn);

/* 90 % of what another draw would give: ranks 0.05 (n + 1) from either end, between neighbours in proportion; the
 * outermost where there are fewer than 19, which is 1 - 2/(n + 1) of it. Sorts the values. */
void draws_interval(double *values, size_t count, double *low, double *high);
double draws_level(size_t count);

#endif
