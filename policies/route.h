/* Routing: which instance takes a request. */
#ifndef POLICIES_ROUTE_H
#define POLICIES_ROUTE_H

#include "policies/registry.h"

enum { ROUTE_TIERS_MAX = 12 };
struct route_instance {
    uint32_t waiting, running;   /* requests */
    uint64_t outstanding_tokens; /* prompt and output tokens not yet computed */
    uint64_t kv_free_blocks;
};
struct route_view {
    uint32_t instance_count;
    const struct route_instance *instances; /* as of the snapshot */
    int64_t snapshot_age_ns;
    uint64_t request_number, session; /* session: for affinity */
    uint32_t prompt_tokens;
    uint64_t random; /* NEED_RANDOM: a draw of its own for this request */
    /* NEED_TREE: prompt tokens that instance i's HBM holds (as of the snapshot). */
    uint32_t (*cached_tokens)(const void *world, uint32_t instance);
    const void *world;
    uint32_t tier_count;
    const char *const *tier_names; /* as the scenario lists them, the first is hbm */
    /* NEED_TREE: prompt tokens that instance i could read instead of computing, by tier: its HBM as of the snapshot,
     * and what the tiers below hold behind that now. Returns their sum. */
    uint32_t (*held_tokens)(const void *world, uint32_t instance, uint32_t tokens[ROUTE_TIERS_MAX]);
    /* NEED_COST: predicted seconds until instance i gives the first token: what is queued there as of the snapshot is
     * computed, then the prompt, once what tiers hold of it is fetched with the links' queues as they are now. Waiting
     * for HBM blocks is not in it. */
    double (*predict_ttft_s)(const void *world, uint32_t instance);
};
struct route_policy {
    struct policy policy;
    /* Required. An instance, 0..instance_count-1. */
    uint32_t (*choose)(const void *options, const struct route_view *view);
};

#endif
