/* Tier: the instance with the least to compute, where a token that a tier holds counts by the tier: one in HBM spares
 * all of itself, one further down less, since it must be fetched. Ties: the first. */
#include <stddef.h>
#include <string.h>

#include "policies/route.h"

struct tier_route_options {
    double load_weight, dram, ssd, flash, object, peer, other;
};
#define WEIGHT(member, value, what)                                                                                    \
    {                                                                                                                  \
        .name = #member, .kind = OPTION_REAL, .offset = offsetof(struct tier_route_options, member),                   \
        .fallback = value, .min = 0, .max = 1, .help = what                                                            \
    }
static const struct option tier_route_table[] = {
    {.name = "load_weight",
     .kind = OPTION_REAL,
     .offset = offsetof(struct tier_route_options, load_weight),
     .fallback = "1",
     .min = 0,
     .max = 1000,
     .help = "what an outstanding token of other requests counts beside an uncached one of this request"},
    WEIGHT(dram, "0.8", "what of a token is spared when DRAM holds it; in HBM it is 1"),
    WEIGHT(ssd, "0.6", "the same of a local SSD"),
    WEIGHT(flash, "0.6", "the same of shared flash"),
    WEIGHT(object, "0.3", "the same of an object or file store"),
    WEIGHT(peer, "0.7", "the same of DRAM of other nodes"),
    WEIGHT(other, "0.5", "the same of a tier of another name"),
    OPTION_END};
#undef WEIGHT

/* The defaults above, for whoever asks without options. */
static const struct tier_route_options usual = {1, 0.8, 0.6, 0.6, 0.3, 0.7, 0.5};

static double weight_of(const struct tier_route_options *own, const char *name) {
    const struct {
        const char *name;
        double weight;
    } weights[] = {
        {"hbm", 1},         {"dram", own->dram}, {"ssd", own->ssd}, {"flash", own->flash}, {"object", own->object},
        {"peer", own->peer}};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        if (strcmp(weights[i].name, name) == 0)
            return weights[i].weight;
    return own->other;
}

static uint32_t least_left(const void *options, const struct route_view *view) {
    const struct tier_route_options *own = options ? options : &usual;
    double best_work = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        uint32_t tokens[ROUTE_TIERS_MAX] = {0};
        double work = view->prompt_tokens + own->load_weight * (double)view->instances[i].outstanding_tokens;
        view->held_tokens(view->world, i, tokens);
        for (uint32_t t = 0; t < view->tier_count; t++)
            work -= weight_of(own, view->tier_names[t]) * tokens[t];
        if (i == 0 || work < best_work) {
            best_work = work;
            best = i;
        }
    }
    return best;
}

static const struct route_policy tier_route = {
    .policy = {.abi = POLICY_ABI,
               .name = "tier",
               .rule = "as prefix-aware, and what tiers below HBM hold counts too, weighted by the tier",
               .source = "llm-d kv-cache index, a weight a device tier: gpu 1, cpu 0.8; the others are assumed",
               .needs = NEED_TREE,
               .options = tier_route_table,
               .options_size = sizeof(struct tier_route_options)},
    .choose = least_left};
POLICY_REGISTER(route, tier_route)
