/* Prefill first, as vLLM v0 did: while prompts wait they get whole steps, and the decodes stand still. */
#include "policies/batch.h"

static void prompts_first(const void *options, const struct batch_view *view, struct batch_plan *plan) {
    (void)options;
    bool room = view->decoding + view->prefilling < view->max_sequences;
    bool prompts = view->prefilling > 0 || (view->waiting > 0 && room);
    *plan = (struct batch_plan){.prefill_tokens = prompts ? view->token_budget : 0, .decode = !prompts, .admit = true};
}

static const struct batch_policy prefill_first = {.policy = {.abi = POLICY_ABI,
                                                             .name = "prefill-first",
                                                             .rule = "prompts get whole steps, decodes wait",
                                                             .source = "vLLM v0 scheduler"},
                                                  .plan = prompts_first};
POLICY_REGISTER(batch, prefill_first)
