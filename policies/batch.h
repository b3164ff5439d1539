/* Batching: how a step's token budget is spent, and who gives way when the KV cache is full. */
#ifndef POLICIES_BATCH_H
#define POLICIES_BATCH_H

#include <stdbool.h>

#include "policies/registry.h"

struct batch_view {
    int64_t token_budget; /* tokens a step */
    int64_t max_sequences;
    uint32_t decoding;   /* sequences that decode */
    uint32_t prefilling; /* sequences within their prompt, in order of admission */
    uint32_t waiting;
    int64_t waiting_tokens; /* prompt tokens of the first waiting request */
    /* Predicted seconds of a step with all decodes and `tokens` more of the prompt that is next. */
    double (*step_s)(const void *world, int64_t tokens);
    const void *world;
};
/* A plan for one run of equal steps. */
struct batch_plan {
    int64_t prefill_tokens; /* of the budget, for prompts, oldest first; 0: decode alone */
    int64_t chunk_limit;    /* most tokens of one prompt in a step; 0: no limit */
    bool decode;            /* decodes take part */
    bool admit;             /* waiting requests may join */
};
struct batch_policy {
    struct policy policy;
    void (*plan)(const void *options, const struct batch_view *view, struct batch_plan *plan); /* Required */
    /* Optional. Which of `count` running requests to preempt: those that decode, in the order in which they
     * began to, then prompts in order of admission; absent: the last. */
    uint32_t (*victim)(const void *options, uint32_t count);
};

#endif
