/* On arrival: a request's blocks move up as soon as it is in the queue.
 * Source   SGLang HiCache starts its storage prefetch when a request enters the waiting queue. */
#include "policies/prefetch/lift.h"

struct on_arrival_options {
    int to;
};
static const struct option on_arrival_table[] = {LIFT_TO_ROW(struct on_arrival_options, to, "hbm"), OPTION_END};

static void lift_at_arrival(const void *options, const struct prefetch_view *view, struct prefetch_plan *plan,
                            int64_t now) {
    (void)now;
    if (view->cause == PREFETCH_ARRIVAL)
        lift_all(view, ((const struct on_arrival_options *)options)->to, plan);
}

static const struct prefetch_policy on_arrival = {.policy = {.abi = POLICY_ABI,
                                                             .name = "on-arrival",
                                                             .rule = "blocks move up when their request arrives",
                                                             .source = "SGLang HiCache",
                                                             .options = on_arrival_table,
                                                             .options_size = sizeof(struct on_arrival_options)},
                                                  .decide = lift_at_arrival};
POLICY_REGISTER(prefetch, on_arrival)
