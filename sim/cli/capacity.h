/* The highest load that keeps the SLO, by bisection on the load: below saturation every added tier would only look
 * dearer. */
#ifndef SIM_CLI_CAPACITY_H
#define SIM_CLI_CAPACITY_H

#include "sim/cli/scenario.h"
#include "sim/output/progress.h"

/* One variant at one load. */
struct outcome {
    double load;
    struct metrics metrics;
    struct cluster_result result;
    struct cost cost;
    bool holds; /* it keeps the SLO */
};

enum { PROBES_MAX = 128 }; /* a search takes 40 at most, and two more for each where threads try ahead */
enum { ALONE_MAX = 8 };
/* What a variant came to. */
struct verdict {
    bool failed;
    bool searched; /* for the highest load: there is an SLO, and the search was asked for */
    struct error error;
    struct outcome *base;  /* at the scenario's load */
    struct outcome *best;  /* at the highest load that keeps the SLO; NULL: no SLO, no search, or no load keeps it */
    struct outcome *above; /* at the lowest load that was seen to break it above `best`; NULL: none was */
    struct outcome *probes[PROBES_MAX]; /* all of them; owned */
    size_t probe_count;
    /* With faults: the scenario's load without any; and, where there are 2 to ALONE_MAX, with each alone. Owned. */
    struct outcome *unbroken, *alone[ALONE_MAX];
    size_t alone_count;
    double wall_s;
};

/* How to find out. */
struct reach {
    const struct variant *variant;
    uint64_t seed;
    bool exact_steps, audit, search;
    int threads;               /* for this variant: loads tried ahead of need where more than one */
    struct progress *progress; /* NULL: none */
    bool every_base_record;    /* runs and transfers too, whatever `output:` says */
    struct sink *base_records; /* take the records of `base`, and of `best`; NULL: nobody does */
    struct sink *best_records;
    struct access_log *access_log; /* of `base` too; NULL: none */
};

/* Simulates the variant at the scenario's load and, with an SLO and `search`, looks for the highest load between 1/64
 * and 64 times it that keeps it: by doubling or halving until one load keeps it and one does not, then by bisection (of
 * the logarithm) to 2 %, or to whole sessions. Percentiles of a finite run waver by a few percent of load, so loads 3 %
 * and 6 % above the first that breaks it are tried too: where one keeps it, the search goes on from there. The answer
 * does not depend on `threads`. */
void verdict_reach(const struct reach *reach, struct verdict *verdict);
void verdict_free(struct verdict *verdict);
/* The outcome that the figures of cost are of: the best, or the one at the scenario's load. */
const struct outcome *verdict_priced(const struct verdict *verdict);
/* No load keeps the SLO, and it was searched for. */
bool verdict_misses(const struct verdict *verdict);

/* What keeps a variant from carrying more, in words: a link's name, "HBM capacity" (or another tier's: contexts are
 * computed again), "prefill compute", "HBM bandwidth", or "the clients" when nothing does. */
const char *verdict_binds(const struct variant *variant, const struct verdict *verdict, const struct outcome *outcome,
                          char *buffer, size_t size);

#endif
