/* HiCache write_back: a block is written when the tier above evicts it, and not before.
 *
 * Rule     admits what is offered because of an eviction, or of a miss in `tiersim cache` (there is no tier above).
 * Needs    nothing.
 * Cost     O(1) a block, no state.
 * Source   SGLang hiradix_cache.py (write_back). write_through is `always`. */
#include "policies/admit.h"

static void write_back(void *self, const struct admit_view *view, bool *admit, int64_t now) {
    (void)self, (void)now;
    for (uint32_t i = 0; i < view->count; i++)
        admit[i] = view->cause == ADMIT_EVICTION || view->cause == ADMIT_MISS;
}

static const struct admit_policy hicache_write_back = {.policy = {.abi = POLICY_ABI,
                                                                  .name = "hicache-write-back",
                                                                  .rule = "written when the tier above evicts it",
                                                                  .source = "SGLang hiradix_cache.py (write_back)"},
                                                       .decide = write_back};
POLICY_REGISTER(admit, hicache_write_back)
