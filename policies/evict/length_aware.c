/* Length-aware: of the leaves, the deepest goes first: the ends of long prompts before the beginnings that many share.
 *
 * Rule     a heap over unheld leaves by depth, the largest first; ties: the least recently used.
 * Needs    the tree (depth). Lift: leaf.
 * Cost     O(log n) a hook; 44 bytes a slot.
 * Source   Mooncake's technical report (its LengthAwareCache). */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct length_aware {
    struct ranking leaves;
    int64_t clock;
};

static void *length_aware_create(const struct evict_context *context) {
    struct length_aware *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    return state;
}
static void length_aware_destroy(void *self) {
    struct length_aware *state = self;
    ranking_destroy(&state->leaves);
    free(state);
}
static void length_aware_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct length_aware *state = self;
    ranking_insert(&state->leaves, slot, (struct slot_key){-(int64_t)state->leaves.facts[slot].depth, state->clock++});
}
static void length_aware_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct length_aware *state = self;
    ranking_set(&state->leaves, slot, (struct slot_key){-(int64_t)state->leaves.facts[slot].depth, state->clock++});
}

static const struct evict_policy length_aware = {.policy = {.abi = POLICY_ABI,
                                                            .name = "length-aware",
                                                            .rule = "of the leaves, the deepest goes first",
                                                            .source = "Mooncake technical report",
                                                            .needs = NEED_TREE},
                                                 .lifts = LIFT_LEAF,
                                                 .create = length_aware_create,
                                                 .destroy = length_aware_destroy,
                                                 .insert = length_aware_insert,
                                                 .touch = length_aware_touch,
                                                 .hold = ranked_hold,
                                                 .release = ranked_release,
                                                 .victim = ranked_victim,
                                                 .remove = ranked_remove};
POLICY_REGISTER(evict, length_aware)
