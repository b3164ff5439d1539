/* Chunked prefill whose chunk keeps the step within what decodes may take: of the token budget, prompts get as many
 * tokens as keep the predicted step at `tpot`, by bisection on the step model, but never fewer than `least`, or they
 * would starve. Alone, prompts get the whole budget. Costs about eight predictions a step.
 *
 * A chunk of fixed size (Sarathi-Serve's token budget, chosen once for an SLO) fits one context length and batch; this
 * one follows both. */
#include <stddef.h>

#include "policies/batch.h"

struct slo_options {
    double tpot_s;
    int64_t least;
};
static const struct option slo_table[] = {{.name = "tpot",
                                           .kind = OPTION_REAL,
                                           .offset = offsetof(struct slo_options, tpot_s),
                                           .unit = UNIT_SECONDS,
                                           .fallback = "50 ms",
                                           .min = 1e-4,
                                           .max = 60,
                                           .help = "longest step while sequences decode"},
                                          {.name = "least",
                                           .kind = OPTION_INT,
                                           .offset = offsetof(struct slo_options, least),
                                           .unit = UNIT_TOKENS,
                                           .fallback = "128",
                                           .min = 1,
                                           .max = 1 << 20,
                                           .help = "tokens of prompts that a step has whatever it takes"},
                                          OPTION_END};
enum { GRAIN = 16 };

static void within_the_slo(const void *options, const struct batch_view *view, struct batch_plan *plan) {
    const struct slo_options *own = options;
    int64_t left = view->token_budget - view->decoding, least = own->least < left ? own->least : left;
    bool prompts = view->prefilling + view->waiting > 0;
    *plan = (struct batch_plan){.prefill_tokens = left > 0 ? left : 0, .decode = true, .admit = true};
    if (view->decoding == 0 || !prompts || left <= least || view->step_s(view->world, left) <= own->tpot_s)
        return;
    int64_t fits = least, over = left;
    while (over - fits > GRAIN) {
        int64_t middle = fits + (over - fits) / 2;
        *(view->step_s(view->world, middle) <= own->tpot_s ? &fits : &over) = middle;
    }
    plan->prefill_tokens = fits;
}

static const struct batch_policy slo_aware = {
    .policy = {.abi = POLICY_ABI,
               .name = "slo-aware",
               .rule = "chunks as large as the predicted step may be while sequences decode",
               .source = "this project; chunks and their purpose: Sarathi-Serve (OSDI'24)",
               .options = slo_table,
               .options_size = sizeof(struct slo_options)},
    .plan = within_the_slo};
POLICY_REGISTER(batch, slo_aware)
