/* Belady: the block whose next use lies furthest ahead goes first. Clairvoyant.
 *
 * Rule     a heap by next use, the furthest first, then the least recently used. Under flat semantics no policy
 *          misses less. Under prefix semantics it is a "clairvoyant leaf": only leaves go, and nobody has proven it
 *          a bound.
 * Needs    the future (next_use), the tree. Lift: leaf.
 * Cost     O(log n) a hook; 52 bytes a slot.
 * Source   L. A. Belady, A study of replacement algorithms, IBM Systems Journal 5(2), 1966. */
#include <stdlib.h>

#include "policies/evict/heap.h"

struct belady {
    const struct block_info *blocks;
    const struct block_facts *facts;
    struct slot_heap heap;
    int64_t *last; /* by slot: order of last use */
    int64_t clock;
    uint32_t slots;
};

static void *belady_create(const struct evict_context *context) {
    struct belady *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct belady){.blocks = context->blocks,
                             .facts = context->facts,
                             .slots = context->slots,
                             .last = lazy_alloc(context->slots, sizeof *state->last)};
    slot_heap_create(&state->heap, context->slots);
    return state;
}
static void belady_destroy(void *self) {
    struct belady *state = self;
    slot_heap_destroy(&state->heap);
    lazy_free(state->last, state->slots, sizeof *state->last);
    free(state);
}
static void consider(struct belady *state, uint32_t slot) {
    const struct block_info *block = &state->blocks[slot];
    if (block->refs > 0 || block->in_flight || state->facts[slot].children > 0)
        slot_heap_remove(&state->heap, slot);
    else
        slot_heap_put(&state->heap, slot, (struct slot_key){-state->facts[slot].next_use, state->last[slot]});
}
static void belady_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct belady *state = self;
    state->last[slot] = state->clock++;
    consider(state, slot);
    uint32_t parent = state->facts[slot].parent;
    if (parent != EVICT_NONE)
        slot_heap_remove(&state->heap, parent);
}
static void belady_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct belady *state = self;
    state->last[slot] = state->clock++;
    consider(state, slot);
}
static void belady_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct belady *state = self;
    slot_heap_remove(&state->heap, slot);
}
static void belady_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    consider(self, slot);
}
static uint32_t belady_victim(void *self, int64_t now) {
    (void)now;
    struct belady *state = self;
    return slot_heap_first(&state->heap);
}
static void belady_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct belady *state = self;
    slot_heap_remove(&state->heap, slot);
    uint32_t parent = state->facts[slot].parent;
    if (parent != EVICT_NONE)
        consider(state, parent);
}

static const struct evict_policy belady = {
    .policy =
        {.abi = POLICY_ABI,
         .name = "belady",
         .rule =
             "the block whose next use lies furthest ahead goes first (clairvoyant; under prefix: clairvoyant leaf)",
         .source = "Belady 1966",
         .needs = NEED_FUTURE | NEED_TREE},
    .lifts = LIFT_LEAF,
    .create = belady_create,
    .destroy = belady_destroy,
    .insert = belady_insert,
    .touch = belady_touch,
    .hold = belady_hold,
    .release = belady_release,
    .victim = belady_victim,
    .remove = belady_remove};
POLICY_REGISTER(evict, belady)
