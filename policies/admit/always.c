/* Always: whatever is offered is written. */
#include "policies/admit.h"

static void admit_all(void *self, const struct admit_view *view, bool *admit, int64_t now) {
    (void)self, (void)now;
    for (uint32_t i = 0; i < view->count; i++)
        admit[i] = true;
}

static const struct admit_policy always = {.policy = {.abi = POLICY_ABI,
                                                      .name = "always",
                                                      .rule = "whatever is offered is written",
                                                      .source = "vLLM v1 kv_offload, SGLang write_through"},
                                           .decide = admit_all};
POLICY_REGISTER(admit, always)
