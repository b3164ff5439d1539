/* Reuse: given where a request's prefix is held, how much of it to fetch and how much to compute. */
#ifndef POLICIES_REUSE_H
#define POLICIES_REUSE_H

#include "policies/registry.h"

enum { REUSE_OPTIONS_MAX = 12 };

/* One tier's share of what follows the HBM hit, in prompt order of tiers as listed. */
struct reuse_option {
    uint8_t tier;
    uint32_t blocks;
    uint64_t tokens, bytes;
    uint64_t queued_bytes; /* ahead of it on the slowest link of its path */
};
struct reuse_view {
    uint32_t prompt_tokens, hbm_tokens; /* tokens the HBM already holds */
    uint32_t option_count;
    const struct reuse_option *options;
    /* Predicted seconds to fetch the first `blocks` blocks after the HBM hit with the queues they would join, and to
     * compute the prompt's remaining tokens when `from_tokens` are there, with the batch they would join. */
    double (*predict_fetch_s)(const void *world, uint32_t blocks);
    double (*predict_prefill_s)(const void *world, uint32_t from_tokens);
    const void *world;
};
struct reuse_policy {
    struct policy policy;
    /* Required. Number of blocks after the HBM hit to fetch, 0..sum of options' blocks; the rest is computed. */
    uint32_t (*decide)(const void *options, const struct reuse_view *view);
};

#endif
