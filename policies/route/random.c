/* Random: each instance alike. */
#include "policies/route.h"

static uint32_t draw(const void *options, const struct route_view *view) {
    (void)options;
    return (uint32_t)(view->random % view->instance_count);
}

static const struct route_policy random_route = {.policy = {.abi = POLICY_ABI,
                                                            .name = "random",
                                                            .rule = "any instance, each alike",
                                                            .source = "classic",
                                                            .needs = NEED_RANDOM},
                                                 .choose = draw};
POLICY_REGISTER(route, random_route)
