/* Both ends: compute from the front, load from the back, meet in the middle.
 *
 * Rule     the split at which computing the blocks before it takes as long as loading those behind it; the last block
 * is loaded first, so that who is early can go on into the other's part (the simulator moves the split when the
 *          computing arrives before the load). Where a plain fetch or computing all is predicted to be over earlier,
 *          that is done: loading hidden by nothing, or nothing worth loading.
 * Needs    predictions.
 * Cost     a bisection: two predictions a halving.
 * Source   Cake (arXiv 2410.03065). */
#include <stddef.h>

#include "policies/reuse/cost.h"

struct both_ends_options {
    double others;
};
static const struct option both_ends_table[] = {REUSE_OTHERS_ROW(struct both_ends_options, others), OPTION_END};

static void meet(const void *options, const struct reuse_view *view, struct reuse_plan *plan) {
    const struct both_ends_options *own = options;
    struct reuse_plan all = {.fetch = view->blocks};
    double best_s = reuse_cost_s(view, plan, own->others), s = reuse_cost_s(view, &all, own->others);
    if (s <= best_s) {
        best_s = s;
        *plan = all;
    }
    if (!view->can_skip || view->blocks < 2)
        return;
    uint32_t low = 0, high = view->blocks; /* computing `low` blocks is over before the rest is loaded */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        double compute_s = view->ahead_s + view->predict_compute_s(view->world, view->hbm_tokens,
                                                                   view->hbm_tokens + middle * view->block_tokens);
        if (compute_s <= view->predict_load_s(view->world, middle, view->blocks - middle))
            low = middle;
        else
            high = middle;
    }
    for (uint32_t skip = low; skip <= high; skip++) {
        struct reuse_plan split = {.skip = skip, .fetch = view->blocks - skip};
        if (skip == 0 || split.fetch == 0)
            continue;
        s = reuse_cost_s(view, &split, own->others);
        if (s < best_s) {
            best_s = s;
            *plan = split;
        }
    }
}

static const struct reuse_policy both_ends = {.policy = {.abi = POLICY_ABI,
                                                         .name = "both-ends",
                                                         .rule = "compute from the front, load from the back, meet",
                                                         .source = "Cake (arXiv 2410.03065)",
                                                         .needs = NEED_COST | NEED_LENGTH | NEED_QUEUE,
                                                         .options = both_ends_table,
                                                         .options_size = sizeof(struct both_ends_options)},
                                              .plan = meet};
POLICY_REGISTER(reuse, both_ends)
