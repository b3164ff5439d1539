/* Least loaded: the instance with the fewest tokens still to compute; ties: the fewest requests, then the first. */
#include "policies/route.h"

static uint32_t least(const void *options, const struct route_view *view) {
    (void)options;
    uint32_t best = 0;
    for (uint32_t i = 1; i < view->instance_count; i++) {
        const struct route_instance *a = &view->instances[i], *b = &view->instances[best];
        uint32_t requests_a = a->waiting + a->running, requests_b = b->waiting + b->running;
        if (a->outstanding_tokens < b->outstanding_tokens ||
            (a->outstanding_tokens == b->outstanding_tokens && requests_a < requests_b))
            best = i;
    }
    return best;
}

static const struct route_policy least_loaded = {
    .policy = {.abi = POLICY_ABI,
               .name = "least-loaded",
               .rule = "the instance with the fewest tokens still to compute",
               .source = "llm-d load-aware scorer"},
    .choose = least};
POLICY_REGISTER(route, least_loaded)
