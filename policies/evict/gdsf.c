/* GDSF: what is asked for often and is small stays; what stays unasked ages.
 *
 * Rule     a heap by priority = age + uses / size, set at each use; age is the priority of the last victim. Ties: the
 *          least recently used.
 * Needs    length: under flat semantics a block's size is its tokens (bytes, where the tier counts bytes).
 * Cost     O(log n) a hook; 56 bytes a slot.
 * Source   L. Cherkasova, Improving WWW proxies performance with greedy-dual-size-frequency caching policy, HPL-98-69.
 * Differs  the cost of a miss is 1 for all (the paper's hit-ratio setting). With blocks of one size it is LFUDA as that
 *          paper has it. */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct gdsf {
    struct ranking ranking; /* keys: priority as rank_of, order of last use */
    const struct block_facts *facts;
    uint32_t *uses; /* by slot */
    uint32_t slots;
    double age;
    double *priority;
    int64_t clock;
};

static void *gdsf_create(const struct evict_context *context) {
    struct gdsf *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->ranking, context, false);
    state->facts = context->facts;
    state->uses = lazy_alloc(context->slots, sizeof *state->uses);
    state->priority = lazy_alloc(context->slots, sizeof *state->priority);
    state->slots = context->slots;
    return state;
}
static void gdsf_destroy(void *self) {
    struct gdsf *state = self;
    ranking_destroy(&state->ranking);
    lazy_free(state->uses, state->slots, sizeof *state->uses);
    lazy_free(state->priority, state->slots, sizeof *state->priority);
    free(state);
}
static void gdsf_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct gdsf *state = self;
    double size = state->facts[slot].tokens ? state->facts[slot].tokens : 1;
    state->priority[slot] = state->age + ++state->uses[slot] / size;
    ranking_set(&state->ranking, slot, (struct slot_key){rank_of(state->priority[slot]), state->clock++});
}
static void gdsf_insert(void *self, uint32_t slot, int64_t now) {
    struct gdsf *state = self;
    state->uses[slot] = 0;
    gdsf_touch(self, slot, now);
}
static void gdsf_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct gdsf *state = self;
    if (evicted && state->priority[slot] > state->age)
        state->age = state->priority[slot];
    ranking_remove(&state->ranking, slot);
}

static const struct evict_policy gdsf = {
    .policy = {.abi = POLICY_ABI,
               .name = "gdsf",
               .rule = "the lowest age + uses / size goes first; age is the last victim's",
               .source = "Cherkasova, HPL-98-69",
               .needs = NEED_LENGTH},
    .lifts = LIFT_ORPHAN,
    .create = gdsf_create,
    .destroy = gdsf_destroy,
    .insert = gdsf_insert,
    .touch = gdsf_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .ahead = ranked_ahead,
    .victim = ranked_victim,
    .remove = gdsf_remove};
POLICY_REGISTER(evict, gdsf)
