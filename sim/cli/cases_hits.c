/* Cases that are hit ratios: a trace, and a policy, a size and a published figure each. */
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cache.h"
#include "sim/cli/cases.h"
#include "sim/cli/policy.h"
#include "sim/config/read.h"

struct hits_claim {
    const char *policy;
    struct place policy_at;
    int64_t size;
    double published, within;
    const char *why;
};
struct hits_case {
    const char *name, *title, *trace;
    int semantics;
    struct list claims;
};

#define C(member) offsetof(struct hits_claim, member)
static const struct option claim_table[] = {
    {.name = "policy", .kind = OPTION_TEXT, .offset = C(policy), .place_follows = true, .help = "eviction policy"},
    {.name = "size", .kind = OPTION_INT, .offset = C(size), .min = 1, .max = 1e9, .help = "of the cache, in blocks"},
    {.name = "published", .kind = OPTION_REAL, .offset = C(published), .min = 0, .max = 1, .help = "share that hits"},
    {.name = "within",
     .kind = OPTION_REAL,
     .offset = C(within),
     .fallback = "1.01",
     .min = 1,
     .max = 1000,
     .help = "it holds within this factor"},
    {.name = "why", .kind = OPTION_TEXT, .offset = C(why), .fallback = "", .help = "why it misses, where it does"},
    OPTION_END};
#undef C

static const char *const semantics_names[] = {"flat", "prefix", NULL};
#define H(member) offsetof(struct hits_case, member)
static const struct option hits_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = H(name), .help = "short name of the case"},
    {.name = "title", .kind = OPTION_TEXT, .offset = H(title), .fallback = "", .help = "the question it asks"},
    {.name = "trace", .kind = OPTION_TEXT, .offset = H(trace), .help = "as in `tiersim cache`"},
    {.name = "semantics",
     .kind = OPTION_CHOICE,
     .offset = H(semantics),
     .fallback = "flat",
     .choices = semantics_names,
     .help = "flat: of block accesses; prefix: of prompt tokens"},
    {.name = "claims",
     .kind = OPTION_LIST,
     .offset = H(claims),
     .table = claim_table,
     .item_size = sizeof(struct hits_claim),
     .help = "policy, size and the published share"},
    OPTION_END};
#undef H

bool case_is_hits(const struct node *root) {
    return root->kind == NODE_MAPPING && node_get(root, "trace") != NULL;
}

/* The policy and whether it runs on a trace alone, under these semantics. */
static int find_policy(const struct hits_claim *claim, bool prefix, struct evict_costs *costs, struct arena *arena,
                       struct replay_setup *setup, struct error *err) {
    struct node name = {.kind = NODE_SCALAR, .at = claim->policy_at, .text = claim->policy};
    const struct policy *policy;
    if (policy_resolve(POLICY_EVICT, &name, NULL, arena, &policy, &setup->policy_options, err) != 0)
        return -1;
    setup->policy = (const struct evict_policy *)policy;
    setup->costs = costs;
    struct error why;
    if (tier_can_run(setup->policy, NEED_FUTURE | replay_gives(setup), prefix, &why) != 0)
        return error_at(err, claim->policy_at, "%s", why.text);
    return 0;
}

static int replay_all(const struct hits_case *of, struct replay_trace *trace, struct arena *arena, struct told *told,
                      struct error *err) {
    const struct hits_claim *claims = of->claims.items;
    bool prefix = of->semantics == 1;
    struct evict_costs costs = cache_costs(trace->block_tokens);
    int64_t *next_use = replay_foresee(trace, prefix);
    int failed = 0;
    for (size_t i = 0; i < of->claims.count && !failed; i++) {
        struct replay_setup setup = {
            .trace = trace, .capacity_blocks = (uint64_t)claims[i].size, .prefix = prefix, .seed = 1};
        struct replay_result result;
        failed = find_policy(&claims[i], prefix, &costs, arena, &setup, err);
        if (failed)
            break;
        setup.next_use = setup.policy->policy.needs & NEED_FUTURE ? next_use : NULL;
        replay_run(&setup, &result);
        told->answers[i] = (struct answer){
            .claim = arena_printf(arena, "hits of %s, %lld blocks", claims[i].policy, (long long)claims[i].size),
            .published = claims[i].published,
            .within = claims[i].within,
            .predicted = prefix ? (double)result.hit_tokens / (double)result.tokens
                                : (double)result.hits / (double)result.accesses,
            .why = claims[i].why};
    }
    free(next_use);
    return failed;
}

int case_hits(const struct node *root, struct arena *arena, struct told *told, struct error *err) {
    struct hits_case of;
    struct replay_trace *trace;
    if (options_read(root, hits_table, &of, arena, err) != 0)
        return -1;
    struct cache_arguments arguments = {.trace = of.trace};
    if (cache_read_trace(&arguments, arena, &trace, err) != 0)
        return -1;
    *told = (struct told){.name = of.name,
                          .title = of.title,
                          .answers = arena_alloc(arena, (of.claims.count + 1) * sizeof *told->answers),
                          .count = of.claims.count};
    int failed = replay_all(&of, trace, arena, told, err);
    replay_trace_destroy(trace);
    return failed;
}
