/* None: blocks move when their request is admitted. */
#include "policies/prefetch.h"

static void stay(const void *options, const struct prefetch_view *view, struct prefetch_plan *plan, int64_t now) {
    (void)options, (void)view, (void)plan, (void)now;
}

static const struct prefetch_policy none = {.policy = {.abi = POLICY_ABI,
                                                       .name = "none",
                                                       .rule = "blocks move when their request is admitted",
                                                       .source = "vLLM kv connectors"},
                                            .decide = stay};
POLICY_REGISTER(prefetch, none)
