/* Deadline: fetch, and compute what has not come in time.
 *
 * Rule     all blocks are fetched; at `after` times the predicted seconds of computing them (or after `seconds`, where
 *          that is given), what is not on its way is given up and computed.
 * Cost     one prediction.
 * Source   the timeouts of SGLang HiCache's prefetch (stop rule `timeout`) and of LMCache's blocking retrieval, with
 * the price of the alternative as the patience. */
#include <stddef.h>

#include "policies/reuse.h"

struct deadline_options {
    double after, seconds_s;
};
static const struct option deadline_table[] = {
    {.name = "after",
     .kind = OPTION_REAL,
     .offset = offsetof(struct deadline_options, after),
     .unit = UNIT_RATIO,
     .fallback = "1",
     .min = 0.01,
     .max = 1000,
     .help = "patience, in times of what computing the blocks is predicted to take"},
    {.name = "seconds",
     .kind = OPTION_REAL,
     .offset = offsetof(struct deadline_options, seconds_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .help = "a fixed patience instead; 0: `after`"},
    OPTION_END};

static void fetch_in_time(const void *options, const struct reuse_view *view, struct reuse_plan *plan) {
    const struct deadline_options *own = options;
    *plan = (struct reuse_plan){.fetch = view->blocks, .deadline_s = own->seconds_s};
    if (own->seconds_s == 0)
        plan->deadline_s = own->after * view->predict_compute_s(view->world, view->hbm_tokens,
                                                                view->hbm_tokens + view->blocks * view->block_tokens);
}

static const struct reuse_policy deadline = {.policy = {.abi = POLICY_ABI,
                                                        .name = "deadline",
                                                        .rule = "fetch with a deadline, then compute the rest",
                                                        .source = "SGLang HiCache (timeout), LMCache",
                                                        .needs = NEED_COST | NEED_LENGTH,
                                                        .options = deadline_table,
                                                        .options_size = sizeof(struct deadline_options)},
                                             .plan = fetch_in_time};
POLICY_REGISTER(reuse, deadline)
