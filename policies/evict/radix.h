/* What SGLang's eviction orders over its radix tree share: a heap over unheld leaves by a key of two numbers, from what
 * is kept of each block. A file says what its key is, and registers itself with RADIX_POLICY. A request uses its blocks
 * when it begins and once more when it lets them go, tail first (there: match_prefix and cache_finished_req); that a
 * transfer has read a block is no use. */
#ifndef POLICIES_EVICT_RADIX_H
#define POLICIES_EVICT_RADIX_H

#include <stdlib.h>

#include "policies/evict/rank.h"

struct radix_use {
    int64_t created, last; /* order of arrival, of last use */
    uint32_t hits;         /* uses, the arrival included */
    bool asked;            /* used since it was let go last */
};
struct radix {
    struct ranking leaves;
    struct radix_use *uses; /* by slot */
    uint32_t slots;
    int64_t clock;
};

static inline void *radix_create(const struct evict_context *context) {
    struct radix *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    state->uses = lazy_alloc(context->slots, sizeof *state->uses);
    state->slots = context->slots;
    return state;
}
static inline void radix_destroy(void *self) {
    struct radix *state = self;
    ranking_destroy(&state->leaves);
    lazy_free(state->uses, state->slots, sizeof *state->uses);
    free(state);
}
static inline struct radix_use *radix_came(struct radix *state, uint32_t slot) {
    state->uses[slot] = (struct radix_use){state->clock, state->clock, 1, true};
    state->clock++;
    return &state->uses[slot];
}
static inline struct radix_use *radix_used(struct radix *state, uint32_t slot) {
    state->uses[slot].last = state->clock++;
    state->uses[slot].hits++;
    state->uses[slot].asked = true;
    return &state->uses[slot];
}

/* Defines the hooks of policy `symbol` from a function key(block, use), and registers it. */
#define RADIX_POLICY(symbol, name_text, rule_text, key)                                                                \
    static void symbol##_insert(void *self, uint32_t slot, int64_t now) {                                              \
        (void)now;                                                                                                     \
        struct radix *state = self;                                                                                    \
        const struct radix_use *use = radix_came(state, slot);                                                         \
        ranking_insert(&state->leaves, slot, key(&state->leaves.blocks[slot], use));                                   \
    }                                                                                                                  \
    static void symbol##_touch(void *self, uint32_t slot, int64_t now) {                                               \
        (void)now;                                                                                                     \
        struct radix *state = self;                                                                                    \
        const struct radix_use *use = radix_used(state, slot);                                                         \
        ranking_set(&state->leaves, slot, key(&state->leaves.blocks[slot], use));                                      \
    }                                                                                                                  \
    static void symbol##_release(void *self, uint32_t slot, int64_t now) {                                             \
        (void)now;                                                                                                     \
        struct radix *state = self;                                                                                    \
        struct radix_use *use = &state->uses[slot];                                                                    \
        if (use->asked)                                                                                                \
            use->last = state->clock++;                                                                                \
        use->asked = false;                                                                                            \
        ranking_set(&state->leaves, slot, key(&state->leaves.blocks[slot], use));                                      \
    }                                                                                                                  \
    static const struct evict_policy symbol = {.policy = {.abi = POLICY_ABI,                                           \
                                                          .name = name_text,                                           \
                                                          .rule = rule_text,                                           \
                                                          .source = "SGLang mem_cache/evict_policy.py",                \
                                                          .needs = NEED_TREE},                                         \
                                               .lifts = LIFT_LEAF,                                                     \
                                               .create = radix_create,                                                 \
                                               .destroy = radix_destroy,                                               \
                                               .insert = symbol##_insert,                                              \
                                               .touch = symbol##_touch,                                                \
                                               .hold = ranked_hold,                                                    \
                                               .release = symbol##_release,                                            \
                                               .victim = ranked_victim,                                                \
                                               .remove = ranked_remove};                                               \
    POLICY_REGISTER(evict, symbol)

#endif
