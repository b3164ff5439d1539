/* How much prefill the best cache could save at most: an upper bound by relaxation. See saving_bound.c for the proof.
 */
#ifndef SIM_MEMORY_SAVING_BOUND_H
#define SIM_MEMORY_SAVING_BOUND_H

#include "sim/memory/replay.h"

struct saving_setup {
    const struct replay_trace *trace;
    /* Seconds of prefill that a hit on block d of a prompt saves, d from 0 to trace->longest - 1; none below 0. What a
     * hit prefix of n blocks saves must be no more than the sum over its blocks. */
    const double *block_s;
    const uint32_t *usable;   /* a request: leading blocks that may hit; NULL: all */
    uint64_t capacity_blocks; /* of all tiers together */
    uint32_t skip;            /* requests at the start whose savings count for nothing */
    uint32_t rounds;          /* of improving it; it bounds whatever they are. 0: 300 */
};
struct saving_bound {
    double seconds;   /* no policy saves more */
    double endless_s; /* with room for everything: each block is computed once */
};
void saving_bound(const struct saving_setup *setup, struct saving_bound *out);

#endif
