/* Always fetch: whatever a lower tier holds is read rather than computed. */
#include "policies/reuse.h"

static uint32_t fetch_all(const void *options, const struct reuse_view *view) {
    (void)options;
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < view->option_count; i++)
        blocks += view->options[i].blocks;
    return blocks;
}

static const struct reuse_policy fetch = {.policy = {.abi = POLICY_ABI,
                                                     .name = "fetch",
                                                     .rule = "always fetch what a tier holds",
                                                     .source = "vLLM kv connectors"},
                                          .decide = fetch_all};
POLICY_REGISTER(reuse, fetch)
