/* Between the files that compose a step: schedule.c calls the others in this order. */
#ifndef SIM_SERVE_SCHEDULE_H
#define SIM_SERVE_SCHEDULE_H

#include "sim/serve/instance.h"

/* What one call of instance_schedule is about to decide. */
struct composition {
    struct batch_plan plan;
    int64_t budget;     /* tokens left in the step */
    uint32_t sequences; /* taking part */
    bool preempted;     /* somebody gave way: nobody joins this step */
};

static inline struct tier *instance_hbm(struct instance *instance) {
    return hierarchy_hbm(instance->fleet->hierarchy, instance->index);
}

/* ---- preempt.c: who gives way ---- */

/* Preempts one running request; false when there is none. */
bool preempt_one(struct instance *instance, struct composition *composing, sim_time now, uint32_t *who);
/* Whether blocks that cannot be had now will come without anybody else giving way: some are leaving, or a request is on
 * its way out. */
bool blocks_will_come(struct instance *instance);
/* Lets go what a waiting request holds; it is looked up anew when its turn comes. */
void preempt_let_go(struct instance *instance, struct request *request, sim_time now);
/* Waiting requests that hold loaded blocks stand in the way of those that run, or of each other: the last lets go, and
 * is looked up anew when its turn comes. The first keeps its blocks when it is the one that needs more. */
bool preempt_waiting(struct instance *instance, bool spare_first, sim_time now);

/* ---- admit.c: who comes in ---- */

/* Admits waiting requests in order while budget, places and blocks last. */
void admit_waiting(struct instance *instance, struct composition *composing, sim_time now);
/* The next chunk of a prompt within the budget; 0: none. */
uint32_t admit_chunk(const struct request *request, const struct composition *composing);
/* Blocks for `tokens` more of a request that holds kv. */
uint64_t admit_blocks_missing(const struct instance *instance, const struct request *request, uint32_t tokens);
/* Takes them; false: not to be had now. */
bool admit_extend(struct instance *instance, struct request *request, uint32_t tokens, sim_time now);

/* ---- launch.c: the composed step becomes a run ---- */

void launch_run(struct instance *instance, bool decode, sim_time now);

#endif
