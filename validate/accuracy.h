/* How good the predictions are, as a page: results/accuracy.md. */
#ifndef VALIDATE_ACCURACY_H
#define VALIDATE_ACCURACY_H

#include <stdio.h>

#include "validate/measured.h"

/* What the project wants of an op whose name begins with `op`, on points that the fit did not see. */
struct accuracy_target {
    const char *op;
    double median, p90;
};
extern const struct accuracy_target accuracy_targets[]; /* until op is NULL */
/* The target of an op; NULL: none was set. */
const struct accuracy_target *accuracy_target(const char *op);

/* A table over the ops with points: fitted and held-out rows apart, how many of the intervals hold, target and verdict;
 * then the worst point of each. `own`: the profile was fitted on rows of this GPU; else every row is new to it. */
void accuracy_write(FILE *out, const struct points *points, size_t ops, bool own, struct arena *arena);

#endif
