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

/* Takes a running request out of the batch, without its blocks: it waits, first in the queue, to begin anew. */
void preempt_dead(struct instance *instance, uint32_t id, sim_time now);

/* ---- admit.c: who comes in ---- */

/* Admits waiting requests in order while budget, places and blocks last. */
void admit_waiting(struct instance *instance, struct composition *composing, sim_time now);
/* The next chunk of a prompt towards `goal` (request_goal) within the budget; 0: none. */
uint32_t admit_chunk(const struct request *request, uint32_t goal, const struct composition *composing);
/* Blocks for `tokens` more of a request that holds kv. */
uint64_t admit_blocks_missing(const struct instance *instance, const struct request *request, uint32_t tokens);
/* Takes them; false: not to be had now. */
bool admit_extend(struct instance *instance, struct request *request, uint32_t tokens, sim_time now);

/* ---- reuse.c: what is fetched of a prefix, what is computed, and what came of it ---- */

/* Asks the policy; the plan is cut to what there is and can be done. The decision is noted in the request. */
struct reuse_plan reuse_decide(struct instance *instance, struct request *request, const struct kv_lookup *found,
                               sim_time now);
/* Of a request's load that has begun: which of its blocks were asked for, and by when to look again. */
void reuse_begun(struct instance *instance, uint32_t id, const struct kv_lookup *found, const struct reuse_plan *plan,
                 sim_time now);
/* The run's steps with the request's prompt in them are over. */
void reuse_note_steps(const struct run *run, struct request *request, int64_t steps);
/* Its front is computed up to the tail: joins it, moves the tail on, or waits for it. false: it has left the batch. */
bool reuse_meet(struct instance *instance, uint32_t id, sim_time now);
/* The tail has landed and all before it is computed. */
void reuse_join(struct instance *instance, struct request *request);
/* Its load was cut: the last `blocks` of what it was to have will be computed. */
void reuse_give(struct instance *instance, struct request *request, uint32_t blocks);
/* The first token is there; or (abandoned) the request gave way before it. */
void reuse_settle(struct instance *instance, struct request *request, bool abandoned, sim_time now);
/* Of the time that the request has been in account LOAD, which tier answers for it. */
void reuse_book_load(struct request *request, const int64_t tier_ns[TIERS_MAX], int64_t booked_ns);

/* ---- launch.c: the composed step becomes a run ---- */

void launch_run(struct instance *instance, bool decode, sim_time now);

#endif
