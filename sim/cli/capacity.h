/* The highest load that keeps the SLO, by bisection on the load: below saturation every added tier would only look dearer. */
#ifndef SIM_CLI_CAPACITY_H
#define SIM_CLI_CAPACITY_H

#include "sim/cli/scenario.h"

/* One variant at one load. */
struct outcome {
    double load;
    struct metrics metrics;
    struct cluster_result result;
    bool holds;                /* it keeps the SLO */
};

/* What a variant came to. */
struct verdict {
    bool failed;
    struct error error;
    struct outcome base;       /* at the scenario's load */
    bool has_best;             /* with an SLO, when some load keeps it */
    struct outcome best;       /* at the highest load that does */
    bool best_is_base;         /* they are one run: `best` repeats `base`'s figures, and owns nothing */
    int probes;
    struct cost cost;          /* at best, or at base without an SLO (or when no load keeps it) */
    double wall_s;
};

/* Simulates the variant at the scenario's load and, with an SLO and `search`, looks for the highest load between 1/64 and 64 times it that keeps it, to
 * 2 %. `run` gives everything but the load. */
void verdict_reach(const struct variant_run *run, bool search, struct verdict *verdict);
void verdict_free(struct verdict *verdict);
/* The outcome that the figures of cost are of. */
const struct outcome *verdict_priced(const struct verdict *verdict);

#endif
