/* Fetch only when it is worth a transfer: at least so many tokens. SGLang's HiCache prefetches from 256 tokens. */
#include <stddef.h>

#include "policies/reuse.h"

struct threshold_options {
    int64_t tokens;
};
static const struct option threshold_table[] = {{.name = "tokens",
                                                 .kind = OPTION_INT,
                                                 .offset = offsetof(struct threshold_options, tokens),
                                                 .unit = UNIT_TOKENS,
                                                 .fallback = "256",
                                                 .min = 0,
                                                 .max = 1e9,
                                                 .help = "fewest tokens that are fetched; less is computed"},
                                                OPTION_END};

static uint32_t fetch_from_threshold(const void *options, const struct reuse_view *view) {
    const struct threshold_options *own = options;
    uint64_t tokens = 0;
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < view->option_count; i++) {
        tokens += view->options[i].tokens;
        blocks += view->options[i].blocks;
    }
    return tokens >= (uint64_t)own->tokens ? blocks : 0;
}

static const struct reuse_policy threshold = {.policy = {.abi = POLICY_ABI,
                                                         .name = "threshold",
                                                         .rule = "fetch from so many tokens on, else compute",
                                                         .source = "SGLang hiradix_cache.py",
                                                         .needs = NEED_LENGTH,
                                                         .options = threshold_table,
                                                         .options_size = sizeof(struct threshold_options)},
                                              .decide = fetch_from_threshold};
POLICY_REGISTER(reuse, threshold)
