/* What a fleet tells eviction policies of sessions (evict_policy.note), by what they declared. Nobody asks: nothing is
 * done.
 *
 * NEED_QUEUE        QUEUED as a request enters an instance's queue, with its place there and the ids of its prompt.
 * NEED_SESSION      STARTED as it is taken into the batch; at its end TOOL where the trace says that it called a tool,
 *                   else TURN, with the context's length. Whether the session returns is said to NEED_FUTURE alone.
 * NEED_AGENT_GRAPH  STEPS after that: its session asks again after so many more requests. Not said when never.
 *
 * The last two are the trace's future, which an open loop has. The queue is known as it is in a real fleet. */
#ifndef SIM_SERVE_NEWS_H
#define SIM_SERVE_NEWS_H

#include "sim/serve/instance.h"

void news_queued(struct instance *instance, const struct request *request, sim_time now);
/* Once a request. */
void news_started(struct instance *instance, struct request *request, sim_time now);
void news_ended(struct instance *instance, const struct request *request, sim_time now);

/* What computing costs policies that weigh a loss (NEED_COST): of a prompt in full chunks on an idle instance, seconds
 * a token, and more for each token before it. */
void news_prices(struct fleet *fleet, double *token_s, double *pair_s);
/* Whether a run can tell `policy` what it needs: 0, or -1 and the remedy. */
int news_suffices(const struct evict_policy *policy, struct workload *workload, uint32_t block_tokens,
                  struct error *err);

#endif
