/* Predicted TTFT: the instance that is expected to give the first token soonest: queue, fetch and prefill by the models
 * that the simulator itself runs on, from a view as old as the router's. Among those within `margin` of the soonest:
 * the fewest outstanding tokens; ties: the first. */
#include <stddef.h>

#include "policies/route.h"

struct predicted_ttft_options {
    double margin;
};
static const struct option predicted_ttft_table[] = {
    {.name = "margin",
     .kind = OPTION_REAL,
     .offset = offsetof(struct predicted_ttft_options, margin),
     .unit = UNIT_RATIO,
     .fallback = "0",
     .min = 0,
     .max = 10,
     .help = "instances whose prediction is within so much of the soonest count as alike: the least loaded takes it"},
    OPTION_END};

static uint32_t soonest(const void *options, const struct route_view *view) {
    const struct predicted_ttft_options *own = options;
    double first_s = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        double s = view->predict_ttft_s(view->world, i);
        if (i == 0 || s < first_s) {
            first_s = s;
            best = i;
        }
    }
    if (!own || own->margin == 0)
        return best;
    double limit_s = first_s * (1 + own->margin);
    for (uint32_t i = 0; i < view->instance_count; i++)
        if (view->instances[i].outstanding_tokens < view->instances[best].outstanding_tokens &&
            view->predict_ttft_s(view->world, i) <= limit_s)
            best = i;
    return best;
}

static const struct route_policy predicted_ttft = {
    .policy = {.abi = POLICY_ABI,
               .name = "predicted-ttft",
               .rule = "the instance with the soonest predicted first token: its queue, the fetch, the prefill",
               .source = "Mooncake conductor (FAST '25, algorithm 1); llm-d predicted-latency scorer",
               .needs = NEED_TREE | NEED_COST,
               .options = predicted_ttft_table,
               .options_size = sizeof(struct predicted_ttft_options)},
    .choose = soonest};
POLICY_REGISTER(route, predicted_ttft)
