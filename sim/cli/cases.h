/* What the files of `tiersim cases` share: cases.c runs scenarios and writes the page, cases_hits.c replays traces. */
#ifndef SIM_CLI_CASES_H
#define SIM_CLI_CASES_H

#include "sim/base/arena.h"
#include "sim/config/node.h"

/* A published figure beside its prediction. */
struct answer {
    const char *claim;
    double published, within, predicted;
    const char *why; /* it misses, or NULL */
};
/* A case and its answers; everything lies in the arena. */
struct told {
    const char *name, *title;
    struct answer *answers;
    size_t count;
};

/* A case without a machine: hit ratios of eviction policies on a trace, as `tiersim cache` gives them. */
bool case_is_hits(const struct node *root);
/* 0, or -1 with the place and the remedy. */
int case_hits(const struct node *root, struct arena *arena, struct told *told, struct error *err);

#endif
