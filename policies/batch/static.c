/* A static batch, as engines before continuous batching had it: while nobody decodes, prompts get whole steps and may
 * come in; from the first decode on the batch is closed, and the next one comes in when the last of this one has ended.
 * A batch is so what fits into one step's token budget; a prompt that does not is finished before anyone decodes. */
#include "policies/batch.h"

static void one_batch_at_a_time(const void *options, const struct batch_view *view, struct batch_plan *plan) {
    (void)options;
    bool gathering = view->decoding == 0;
    *plan = (struct batch_plan){.prefill_tokens = gathering || view->prefilling > 0 ? view->token_budget : 0,
                                .decode = view->prefilling == 0,
                                .admit = gathering && view->prefilling == 0};
}

static const struct batch_policy one_batch = {
    .policy = {.abi = POLICY_ABI,
               .name = "static",
               .rule = "a batch runs to its end before the next comes in",
               .source = "request-level scheduling, the baseline of Orca (OSDI'22)"},
    .plan = one_batch_at_a_time};
POLICY_REGISTER(batch, one_batch)
