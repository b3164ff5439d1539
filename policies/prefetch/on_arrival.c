/* On arrival: a request's blocks move up as soon as it is in the queue.
 * Source   SGLang HiCache starts its storage prefetch when a request enters the waiting queue, of 256 tokens or more
 *          (`fewest`). */
#include "policies/prefetch/lift.h"

struct on_arrival_options {
    int to;
    int64_t fewest;
};
static const struct option on_arrival_table[] = {LIFT_TO_ROW(struct on_arrival_options, to, "hbm"),
                                                 {.name = "fewest",
                                                  .kind = OPTION_INT,
                                                  .unit = UNIT_TOKENS,
                                                  .offset = offsetof(struct on_arrival_options, fewest),
                                                  .fallback = "0",
                                                  .min = 0,
                                                  .max = 1e9,
                                                  .help = "tokens below which nothing is brought up (HiCache: 256)"},
                                                 OPTION_END};

static void lift_at_arrival(const void *options, const struct prefetch_view *view, struct prefetch_plan *plan,
                            int64_t now) {
    (void)now;
    const struct on_arrival_options *own = options;
    if (view->cause != PREFETCH_ARRIVAL)
        return;
    lift_all(view, own->to, plan);
    if ((int64_t)plan->blocks * view->block_tokens < own->fewest)
        plan->blocks = 0;
}

static const struct prefetch_policy on_arrival = {.policy = {.abi = POLICY_ABI,
                                                             .name = "on-arrival",
                                                             .rule = "blocks move up when their request arrives",
                                                             .source = "SGLang HiCache",
                                                             .options = on_arrival_table,
                                                             .options_size = sizeof(struct on_arrival_options)},
                                                  .decide = lift_at_arrival};
POLICY_REGISTER(prefetch, on_arrival)
