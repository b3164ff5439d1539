/* Progress for people: one line on stderr, only when that is a terminal, rewritten a few times a second. Says how many
 * of the parts (variants, sweep points) are done, and of the simulation that reported last how much time it has
 * simulated, how fast, and when it may be done. */
#ifndef SIM_OUTPUT_PROGRESS_H
#define SIM_OUTPUT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress; /* may be shared by threads */
/* NULL where stderr is no terminal; all functions take that and do nothing. */
struct progress *progress_create(uint32_t parts);
/* Clears the line and frees. */
void progress_destroy(struct progress *progress);
/* One part is done. */
void progress_done(struct progress *progress);

/* One simulation of a part. */
struct progress_run {
    struct progress *progress;
    const char *name; /* of the part */
    double load;
    double horizon_s; /* simulated time that is expected; 0: not known */
    double begun_s;   /* wall clock, by progress_begin */
};
void progress_begin(struct progress_run *run);
/* A hook for cluster_setup.progress with self = struct progress_run: true, go on. */
bool progress_show(void *self, int64_t now_ns, uint64_t finished);

#endif
