/* Chunked prefill as vLLM v1 does it: every decode first, one token each; prompts share what is left of the token
 * budget. */
#include <stddef.h>

#include "policies/batch.h"

struct chunked_options {
    int64_t chunk_limit;
};
static const struct option chunked_table[] = {
    {.name = "chunk_limit",
     .kind = OPTION_INT,
     .offset = offsetof(struct chunked_options, chunk_limit),
     .unit = UNIT_TOKENS,
     .fallback = "0",
     .min = 0,
     .max = 1 << 20,
     .help = "most tokens of one prompt in a step (vLLM: long_prefill_token_threshold); 0: no limit"},
    OPTION_END};

static void decodes_first(const void *options, const struct batch_view *view, struct batch_plan *plan) {
    const struct chunked_options *own = options;
    int64_t left = view->token_budget - view->decoding;
    *plan = (struct batch_plan){.prefill_tokens = left > 0 ? left : 0,
                                .chunk_limit = own ? own->chunk_limit : 0,
                                .decode = true,
                                .admit = true};
}

static const struct batch_policy chunked = {
    .policy = {.abi = POLICY_ABI,
               .name = "chunked",
               .rule = "decodes first, then prompts in chunks up to the token budget",
               .source = "vLLM v1 core/sched/scheduler.py",
               .options = chunked_table,
               .options_size = sizeof(struct chunked_options)},
    .plan = decodes_first};
POLICY_REGISTER(batch, chunked)
