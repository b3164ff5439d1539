/* What a plan costs all: its own request, and those that wait while GPUs compute, links carry and HBM is held for it.
 */
#ifndef POLICIES_REUSE_COST_H
#define POLICIES_REUSE_COST_H

#include "policies/reuse.h"

/* Seconds of waiting that s seconds of a resource cost others: each who waits there now waits s longer; of those who
 * come (at the rate at which they came so far) the ones that come before the work at hand and s are done, a backlog
 * that drains by 1 - the share of its time that the resource was used. First order in the backlog, as of a single
 * queue. */
static inline double reuse_waiting_s(double s, double waiting, double coming_per_s, double backlog_s, double share) {
    double idle = 1 - share;
    idle = idle > 0.05 ? idle : 0.05;
    return s * (waiting + coming_per_s * (backlog_s + s / 2) / idle);
}

/* What the plan's loads cost others, on the link of each tier's path where that is most. */
static inline double reuse_loads_others_s(const struct reuse_view *view, const struct reuse_plan *plan) {
    double others_s = 0;
    uint32_t first = 0, begin = plan->skip, end = plan->skip + plan->fetch;
    for (uint32_t i = 0; i < view->option_count && first < end; i++) {
        const struct reuse_option *option = &view->options[i];
        uint32_t from = first > begin ? first : begin, last = first + option->blocks, to = last < end ? last : end;
        first = last;
        if (to <= from)
            continue;
        struct reuse_link links[REUSE_LINKS_MAX];
        uint32_t count = view->links(view->world, i, links);
        double bytes = (double)option->bytes * (to - from) / option->blocks, most_s = 0;
        for (uint32_t l = 0; l < count; l++) {
            double s = reuse_waiting_s(bytes / links[l].bytes_per_s, links[l].moving, links[l].transfers_per_s,
                                       (double)links[l].queued_bytes / links[l].bytes_per_s, links[l].share);
            most_s = s > most_s ? s : most_s;
        }
        others_s += most_s;
    }
    return others_s;
}

/* What the prompt's blocks cost others while it holds them for `held_s` and has no first token yet: a share of the HBM,
 * which a load takes when it begins and computing little by little. Where HBM is free nobody waits for it. */
static inline double reuse_held_others_s(const struct reuse_view *view, double held_s) {
    double blocks = (double)view->prompt_tokens / view->block_tokens / view->hbm_blocks,
           used = 1 - (double)view->hbm_free / view->hbm_blocks;
    return used * reuse_waiting_s(held_s * blocks, view->waiting, view->arrivals_per_s, view->backlog_s, used);
}

/* The plan's predicted time to first token, and `others` times what its computing, its loads and its blocks cost
 * others. */
static inline double reuse_cost_s(const struct reuse_view *view, const struct reuse_plan *plan, double others) {
    double seconds = view->predict_s(view->world, plan);
    if (others <= 0)
        return seconds;
    uint32_t tail = view->hbm_tokens + (plan->skip + plan->fetch) * view->block_tokens;
    double compute_s = view->predict_compute_s(view->world, tail, view->prompt_tokens);
    if (plan->skip > 0)
        compute_s +=
            view->predict_compute_s(view->world, view->hbm_tokens, view->hbm_tokens + plan->skip * view->block_tokens);
    double waiting_s =
        reuse_waiting_s(compute_s, view->waiting, view->arrivals_per_s, view->backlog_s, view->prompt_share);
    return seconds + others * (waiting_s + reuse_loads_others_s(view, plan) +
                               reuse_held_others_s(view, plan->fetch > 0 ? seconds : compute_s));
}

#define REUSE_OTHERS_ROW(type, member)                                                                                 \
    {                                                                                                                  \
        .name = "others", .kind = OPTION_REAL, .offset = offsetof(type, member), .unit = UNIT_RATIO, .fallback = "1",  \
        .min = 0, .max = 10, .help = "weight of the waiting caused to other requests; 0: the request's own time alone" \
    }

#endif
