/* Prefetch: which blocks move up before their request is scheduled, and when to stop waiting for them.
 *
 * Asked when something becomes known: a request arrives, moves up in the queue, an agent's next step is known, a
 * session is expected back. What it starts is a load like any other: blocks arrive, can be joined, and can be cut off
 * after any block. */
#ifndef POLICIES_PREFETCH_H
#define POLICIES_PREFETCH_H

#include <stdbool.h>

#include "policies/registry.h"

enum prefetch_cause {
    PREFETCH_ARRIVAL,  /* the request has arrived */
    PREFETCH_QUEUE,    /* its position in the queue has changed (CachedAttention's look-ahead window) */
    PREFETCH_STEPS,    /* NEED_AGENT_GRAPH: its agent runs after `steps` more steps (KVFlow) */
    PREFETCH_EXPECTED, /* NEED_SESSION: its session is predicted back at expected_ns */
    PREFETCH_PROGRESS  /* a prefetch of its own is under way (stop rules) */
};
enum { PREFETCH_TIERS_MAX = 12, PREFETCH_QUEUE_MAX = 16 }; /* so many of a queue are asked for */

struct prefetch_view {
    enum prefetch_cause cause;
    uint32_t position, steps; /* in the queue; of the agent's plan */
    int64_t arrival_ns, expected_ns;
    uint32_t prompt_tokens, block_tokens;
    uint32_t tier_count;
    uint32_t
        blocks[PREFETCH_TIERS_MAX]; /* that follow the prefix held further up, by tier that holds them; [0]: in HBM */
    uint64_t free_blocks[PREFETCH_TIERS_MAX]; /* that could be had without evicting what the queue will ask for */
    uint64_t queued_bytes;                    /* ahead of it on the slowest link */
    uint32_t landed, under_way;               /* blocks of its prefetch so far */
    /* Predicted seconds to bring the first `blocks` of them to `tier`; to its turn in the batch; and to compute them
     * instead. */
    double (*predict_fetch_s)(const void *world, uint32_t tier, uint32_t blocks);
    double (*predict_wait_s)(const void *world);
    double (*predict_prefill_s)(const void *world, uint32_t from_tokens);
    const void *world;
};
struct prefetch_plan {
    uint32_t blocks;    /* bring the first so many up now; 0: none */
    uint32_t tier;      /* to where: 0 HBM, 1 the tier below it, ... */
    bool wait;          /* the request is not scheduled before they have landed (wait_complete) ... */
    int64_t give_up_ns; /* ... or this time has come (timeout); INT64_MAX: never */
};
struct prefetch_policy {
    struct policy policy; /* Required. First. */
    /* Required. What to do now. Under PREFETCH_PROGRESS: plan.blocks below view.landed + view.under_way cuts the rest
     * off. */
    void (*decide)(const void *options, const struct prefetch_view *view, struct prefetch_plan *plan, int64_t now);
};

#endif
