/* Radix LFU: of the leaves that nobody holds, the one with the fewest hits goes first; ties: the least recently
 * used.
 *
 * Rule     a heap over unheld leaves by (hits, last use). A parent joins when its last child goes.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 40 bytes a slot.
 * Source   SGLang mem_cache/evict_policy.py (LFU over the radix tree's leaves).
 * Differs  nodes there are runs of tokens, split where prompts part; here they are blocks, and hits are counted a
 *          block. */
#include <stdlib.h>

#include "policies/evict/heap.h"

struct radix_lfu {
    const struct block_info *blocks;
    const struct block_facts *facts;
    struct slot_heap leaves;
    struct slot_key *uses; /* by slot: {hits, last use} */
    uint32_t slots;
    int64_t clock; /* orders uses within one ns */
};

static void *radix_lfu_create(const struct evict_context *context) {
    struct radix_lfu *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct radix_lfu){.blocks = context->blocks,
                                .facts = context->facts,
                                .slots = context->slots,
                                .uses = lazy_alloc(context->slots, sizeof *state->uses)};
    slot_heap_create(&state->leaves, context->slots);
    return state;
}
static void radix_lfu_destroy(void *self) {
    struct radix_lfu *state = self;
    slot_heap_destroy(&state->leaves);
    lazy_free(state->uses, state->slots, sizeof *state->uses);
    free(state);
}
static void consider(struct radix_lfu *state, uint32_t slot) {
    const struct block_info *block = &state->blocks[slot];
    if (block->refs == 0 && state->facts[slot].children == 0 && !block->in_flight)
        slot_heap_put(&state->leaves, slot, state->uses[slot]);
    else
        slot_heap_remove(&state->leaves, slot);
}
static void radix_lfu_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct radix_lfu *state = self;
    state->uses[slot] = (struct slot_key){1, state->clock++};
    consider(state, slot);
    uint32_t parent = state->facts[slot].parent;
    if (parent != EVICT_NONE)
        slot_heap_remove(&state->leaves, parent);
}
static void radix_lfu_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct radix_lfu *state = self;
    state->uses[slot].first++;
    state->uses[slot].second = state->clock++;
    consider(state, slot);
}
static void radix_lfu_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct radix_lfu *state = self;
    slot_heap_remove(&state->leaves, slot);
}
static void radix_lfu_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    consider(self, slot);
}
static uint32_t radix_lfu_victim(void *self, int64_t now) {
    (void)now;
    struct radix_lfu *state = self;
    return slot_heap_first(&state->leaves);
}
static void radix_lfu_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct radix_lfu *state = self;
    slot_heap_remove(&state->leaves, slot);
    uint32_t parent = state->facts[slot].parent;
    if (parent != EVICT_NONE)
        consider(state, parent);
}

static const struct evict_policy radix_lfu = {
    .policy = {.abi = POLICY_ABI,
               .name = "radix-lfu",
               .rule = "of the leaves, the one with the fewest hits goes first, then the least recently used",
               .source = "SGLang mem_cache/evict_policy.py",
               .needs = NEED_TREE},
    .lifts = LIFT_LEAF,
    .create = radix_lfu_create,
    .destroy = radix_lfu_destroy,
    .insert = radix_lfu_insert,
    .touch = radix_lfu_touch,
    .hold = radix_lfu_hold,
    .release = radix_lfu_release,
    .victim = radix_lfu_victim,
    .remove = radix_lfu_remove};
POLICY_REGISTER(evict, radix_lfu)
