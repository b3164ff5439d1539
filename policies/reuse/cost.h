/* What a plan costs all: its own request, and those that wait while the GPUs compute for it. */
#ifndef POLICIES_REUSE_COST_H
#define POLICIES_REUSE_COST_H

#include "policies/reuse.h"

/* Seconds of waiting that c seconds of computing cost others: each who waits now waits c longer; of those who come
 * (at the rate at which they came so far) the ones that come before the work at hand and c are done, a backlog that
 * drains by 1 - the share of time spent on prompts. First order in the backlog, as of a single queue. */
static inline double reuse_others_s(const struct reuse_view *view, double compute_s) {
    double idle = 1 - view->prompt_share;
    idle = idle > 0.05 ? idle : 0.05;
    double coming = view->arrivals_per_s * (view->backlog_s + compute_s / 2) / idle;
    return compute_s * ((double)view->waiting + coming);
}

/* The plan's predicted time to first token, and `others` times what its computing costs others. */
static inline double reuse_cost_s(const struct reuse_view *view, const struct reuse_plan *plan, double others) {
    double seconds = view->predict_s(view->world, plan);
    if (others <= 0)
        return seconds;
    uint32_t tail = view->hbm_tokens + (plan->skip + plan->fetch) * view->block_tokens;
    double compute_s = view->predict_compute_s(view->world, tail, view->prompt_tokens);
    if (plan->skip > 0)
        compute_s +=
            view->predict_compute_s(view->world, view->hbm_tokens, view->hbm_tokens + plan->skip * view->block_tokens);
    return seconds + others * reuse_others_s(view, compute_s);
}

#define REUSE_OTHERS_ROW(type, member)                                                                                 \
    {                                                                                                                  \
        .name = "others", .kind = OPTION_REAL, .offset = offsetof(type, member), .unit = UNIT_RATIO, .fallback = "1",  \
        .min = 0, .max = 10,                                                                                           \
        .help = "weight of the waiting that computing causes to other requests; 0: the request's own time alone"       \
    }

#endif
