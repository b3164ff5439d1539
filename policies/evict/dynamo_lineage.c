/* Dynamo's lineage: of the leaves, the one that has been let go for longest; a parent rejoins where it would have
 * stood.
 *
 * Rule     a block gets a tick when it is let go (or used while nobody holds it). The victim is the unheld leaf
 *          with the oldest tick. A parent whose last child goes becomes a leaf with the tick it has.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 44 bytes a slot.
 * Source   Dynamo lib/kvbm-logical (lineage). */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct dynamo_lineage {
    struct ranking leaves;
    int64_t tick;
};

static void *dynamo_lineage_create(const struct evict_context *context) {
    struct dynamo_lineage *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    return state;
}
static void dynamo_lineage_destroy(void *self) {
    struct dynamo_lineage *state = self;
    ranking_destroy(&state->leaves);
    free(state);
}
static void dynamo_lineage_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct dynamo_lineage *state = self;
    ranking_insert(&state->leaves, slot, (struct slot_key){state->tick++, 0});
}
static void dynamo_lineage_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct dynamo_lineage *state = self;
    ranking_set(&state->leaves, slot, (struct slot_key){state->tick++, 0});
}

static const struct evict_policy dynamo_lineage = {
    .policy = {.abi = POLICY_ABI,
               .name = "dynamo-lineage",
               .rule = "of the leaves, the one let go longest ago; a parent rejoins with its own tick",
               .source = "Dynamo lib/kvbm-logical",
               .needs = NEED_TREE},
    .lifts = LIFT_LEAF,
    .create = dynamo_lineage_create,
    .destroy = dynamo_lineage_destroy,
    .insert = dynamo_lineage_insert,
    .touch = dynamo_lineage_release,
    .hold = ranked_hold,
    .release = dynamo_lineage_release,
    .victim = ranked_victim,
    .remove = ranked_remove};
POLICY_REGISTER(evict, dynamo_lineage)
