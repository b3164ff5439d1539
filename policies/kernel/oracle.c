/* The kernel that the cost model prices lowest: what any choice by the same prices could reach at most. On a tie the
 * rule's. */
#include "policies/kernel.h"

static uint32_t cheapest(const void *options, const struct kernel_view *view) {
    (void)options;
    uint32_t best = view->rule;
    double best_s = view->predict_s(view->world, best);
    for (uint32_t k = 0; k < view->kernel_count; k++) {
        double seconds = view->predict_s(view->world, k);
        if (seconds < best_s) {
            best_s = seconds;
            best = k;
        }
    }
    return best;
}

static const struct kernel_policy oracle = {.policy = {.abi = POLICY_ABI,
                                                       .name = "oracle",
                                                       .rule = "whichever kernel the cost model prices lowest",
                                                       .source = "bound",
                                                       .needs = NEED_COST},
                                            .choose = cheapest};
POLICY_REGISTER(kernel, oracle)
