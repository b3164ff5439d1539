/* Blocks that move up before their request is scheduled. */
#ifndef SIM_SERVE_PREFETCH_H
#define SIM_SERVE_PREFETCH_H

#include "policies/prefetch.h"
#include "sim/serve/instance.h"

/* Asks the policy, and starts what it says. `request`: its spec and target; position in the queue, or steps. */
void prefetch_ask(struct instance *instance, const struct request *request, enum prefetch_cause cause, uint32_t count,
                  sim_time now);
/* The queue has changed: those at its front are asked for, each until something of it moves. */
void prefetch_queue(struct instance *instance, sim_time now);

#endif
