/* Always recompute: only what HBM holds is reused. */
#include "policies/reuse.h"

static uint32_t fetch_none(const void *options, const struct reuse_view *view) {
    (void)options, (void)view;
    return 0;
}

static const struct reuse_policy recompute = {.policy = {.abi = POLICY_ABI,
                                                         .name = "recompute",
                                                         .rule = "compute whatever HBM does not hold",
                                                         .source = "vLLM without a connector"},
                                              .decide = fetch_none};
POLICY_REGISTER(reuse, recompute)
