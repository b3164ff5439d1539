/* Round robin: instances in turn. */
#include "policies/route.h"

static uint32_t take_turns(const void *options, const struct route_view *view) {
    (void)options;
    return (uint32_t)(view->request_number % view->instance_count);
}

static const struct route_policy round_robin = {
    .policy = {.abi = POLICY_ABI, .name = "round-robin", .rule = "instances in turn", .source = "classic"},
    .choose = take_turns};
POLICY_REGISTER(route, round_robin)
