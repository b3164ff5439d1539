/* Cheapest: whichever is predicted to give the first token earlier.
 *
 * Rule     of: compute all; fetch the fastest tier's blocks; those and the next tier's; ... fetch all: the plan with
 * the least predicted time to first token, each with the queues and the batch that it would join. `others` adds, for
 * each request that waits behind, that share of the time that the plan's computing keeps the GPUs. Needs    the
 * simulator's own predictions. Cost     one prediction a tier. Source   the rule that Mooncake (arXiv 2407.00079,
 * section on cache-aware scheduling) and CacheGen describe; here with queues on both sides. */
#include <stddef.h>

#include "policies/reuse/cost.h"

struct cheapest_options {
    double others;
};
static const struct option cheapest_table[] = {REUSE_OTHERS_ROW(struct cheapest_options, others), OPTION_END};

static void take_cheapest(const void *options, const struct reuse_view *view, struct reuse_plan *plan) {
    const struct cheapest_options *own = options;
    double least_s = reuse_cost_s(view, plan, own->others);
    struct reuse_plan tried = {0};
    for (uint32_t i = 0; i < view->option_count; i++) {
        tried.fetch += view->options[i].blocks;
        double s = reuse_cost_s(view, &tried, own->others);
        if (s <= least_s) {
            least_s = s;
            *plan = tried;
        }
    }
}

static const struct reuse_policy cheapest = {
    .policy = {.abi = POLICY_ABI,
               .name = "cheapest",
               .rule = "fetch or compute, whichever is predicted to be over first",
               .source = "Mooncake (arXiv 2407.00079), with queues on both sides",
               .needs = NEED_COST | NEED_LENGTH | NEED_QUEUE,
               .options = cheapest_table,
               .options_size = sizeof(struct cheapest_options)},
    .plan = take_cheapest};
POLICY_REGISTER(reuse, cheapest)
