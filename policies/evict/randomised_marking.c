/* Randomised marking: any leaf that was not asked for in this phase; when there is none, a new phase begins.
 *
 * Rule     a block is marked when it comes and when it is asked for. The victim is drawn among unmarked leaves that
 *          nobody holds. When there is none, all marks are cleared and a new phase begins.
 * Needs    the tree, random. Lift: leaf.
 * Cost     O(1) a hook, and a look at each block a phase; 12 bytes a slot.
 * Source   arXiv 2601.18999 (randomised leaf-node eviction); marking by Fiat et al., 1991. */
#include <stdlib.h>

#include "policies/evict/pool.h"

struct randomised_marking {
    struct slot_pool pool; /* of unmarked leaves that may go */
    uint32_t *marked;      /* by slot: phase of its mark; 0: not here */
    uint32_t phase, used;  /* slots below `used` were ever used */
};

static void *randomised_marking_create(const struct evict_context *context) {
    struct randomised_marking *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, true);
    state->marked = lazy_alloc(context->slots, sizeof *state->marked);
    state->phase = 1;
    return state;
}
static void randomised_marking_destroy(void *self) {
    struct randomised_marking *state = self;
    lazy_free(state->marked, state->pool.room, sizeof *state->marked);
    pool_destroy(&state->pool);
    free(state);
}
static void consider(struct randomised_marking *state, uint32_t slot) {
    if (state->marked[slot] != 0 && state->marked[slot] != state->phase)
        pool_consider(&state->pool, slot);
    else
        pool_leave(&state->pool, slot);
}
static void randomised_marking_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct randomised_marking *state = self;
    state->marked[slot] = state->phase;
    pool_leave(&state->pool, slot);
}
static void randomised_marking_insert(void *self, uint32_t slot, int64_t now) {
    struct randomised_marking *state = self;
    uint32_t parent = state->pool.facts[slot].parent;
    if (slot >= state->used)
        state->used = slot + 1;
    if (parent != EVICT_NONE)
        pool_leave(&state->pool, parent);
    randomised_marking_touch(self, slot, now);
}
static void randomised_marking_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    pool_leave(self, slot);
}
static void randomised_marking_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    consider(self, slot);
}
static uint32_t randomised_marking_victim(void *self, int64_t now) {
    (void)now;
    struct randomised_marking *state = self;
    if (state->pool.count == 0) {
        state->phase++;
        for (uint32_t slot = 0; slot < state->used; slot++)
            consider(state, slot);
    }
    return pool_draw(&state->pool);
}
static void randomised_marking_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct randomised_marking *state = self;
    uint32_t parent = state->pool.facts[slot].parent;
    state->marked[slot] = 0;
    pool_leave(&state->pool, slot);
    if (parent != EVICT_NONE)
        consider(state, parent);
}

static const struct evict_policy randomised_marking = {
    .policy = {.abi = POLICY_ABI,
               .name = "randomised-marking",
               .rule = "any leaf that was not asked for in this phase; phases end when there is none",
               .source = "arXiv 2601.18999",
               .needs = NEED_TREE | NEED_RANDOM},
    .lifts = LIFT_LEAF,
    .create = randomised_marking_create,
    .destroy = randomised_marking_destroy,
    .insert = randomised_marking_insert,
    .touch = randomised_marking_touch,
    .hold = randomised_marking_hold,
    .release = randomised_marking_release,
    .victim = randomised_marking_victim,
    .remove = randomised_marking_remove};
POLICY_REGISTER(evict, randomised_marking)
