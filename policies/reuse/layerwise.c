/* Layer-wise: always fetch, and compute the rest of the prompt under the load, layer by layer.
 *
 * Rule     all blocks are fetched; the first step of what remains begins so that it ends about when the load does: each
 *          layer is computed when its KV has landed.
 * Cost     nothing.
 * Source   CachedAttention (ATC'24) layer-wise pre-loading; LMCache and vLLM's layer-wise connectors. */
#include "policies/reuse.h"

static void fetch_under_compute(const void *options, const struct reuse_view *view, struct reuse_plan *plan) {
    (void)options;
    *plan = (struct reuse_plan){.fetch = view->blocks, .layerwise = true};
}

static const struct reuse_policy layerwise = {.policy = {.abi = POLICY_ABI,
                                                         .name = "layerwise",
                                                         .rule = "always fetch, computing the rest under the load",
                                                         .source = "CachedAttention (ATC'24), LMCache"},
                                              .plan = fetch_under_compute};
POLICY_REGISTER(reuse, layerwise)
