/* Prefix-aware: the instance that would have to compute least: its outstanding tokens plus the request's tokens that it
 * does not hold, weighted. Ties: the first. An instance that holds the prefix is passed over only when it is so much
 * busier. */
#include <stddef.h>

#include "policies/route.h"

struct prefix_aware_options {
    double load_weight;
};
static const struct option prefix_aware_table[] = {
    {.name = "load_weight",
     .kind = OPTION_REAL,
     .offset = offsetof(struct prefix_aware_options, load_weight),
     .fallback = "1",
     .min = 0,
     .max = 1000,
     .help = "what an outstanding token of other requests counts beside an uncached one of this request"},
    OPTION_END};

static uint32_t least_work(const void *options, const struct route_view *view) {
    const struct prefix_aware_options *own = options;
    double weight = own ? own->load_weight : 1, best_work = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        double cached = view->cached_tokens(view->world, i);
        double work = view->prompt_tokens - cached + weight * (double)view->instances[i].outstanding_tokens;
        if (i == 0 || work < best_work) {
            best_work = work;
            best = i;
        }
    }
    return best;
}

static const struct route_policy prefix_aware = {
    .policy =
        {.abi = POLICY_ABI,
         .name = "prefix-aware",
         .rule =
             "the instance with the least to compute: its outstanding tokens plus what it does not hold of this prompt",
         .source = "llm-d precise prefix scorer",
         .needs = NEED_TREE,
         .options = prefix_aware_table,
         .options_size = sizeof(struct prefix_aware_options)},
    .choose = least_work};
POLICY_REGISTER(route, prefix_aware)
