/* Timings of one's own kernels, or a profiler's: DIRECTORY/timings.csv, a line a timing, its columns named
 * (docs/own-measurements.md). Lines that begin with '#' are notes; `# source: TEXT` says what measured, on what. */
#ifndef VALIDATE_OP_TIMINGS_H
#define VALIDATE_OP_TIMINGS_H

#include "validate/timings.h"

/* Whether DIRECTORY has a timings.csv. */
bool op_timings_are_in(const char *directory, struct arena *arena);
/* The timings of one kind; none is no error. Every line is checked, whatever its kind: an error names op and column at
 * file:line:column. One row in three is held out, by the hash of measured_held_out over its op and its numbers. */
int op_timings_read(const char *directory, enum timing_kind kind, struct arena *arena, struct timings *out,
                    struct error *err);
/* What the file says of its source; "timings.csv" where it says nothing. */
const char *op_timings_source(const char *directory, struct arena *arena);
/* The columns of the file that no op knows, separated by commas; NULL: there is none, or no file. */
const char *op_timings_ignored(const char *directory, struct arena *arena);

#endif
