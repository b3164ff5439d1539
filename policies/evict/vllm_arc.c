/* vLLM's ARC: adaptive replacement for batches of blocks that are offloaded to host memory.
 *
 * Rule     T1 holds what was stored and not asked for since, T2 what was, both LRU; B1 and B2 remember at most as
 *          many ids as the tier holds, each. A look-up of an id in B1 raises the target of T1 by max(1, |B2| /
 *          |B1|) in whole numbers, one in B2 lowers it by max(1, |B1| / |B2|). The victim is T1's oldest while |T1|
 *          >= target, else (or when all of T1 is held) T2's. A block that comes always enters T1, and is forgotten
 *          by B1 and B2.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook; 9 bytes a slot, about 165 with what it remembers.
 * Source   vLLM v1 kv_offload/arc_manager.py. The engine touches a batch in reverse and protects it; so does the
 *          tier's caller (tier_hold_all; all or nothing is tier_take).
 * Differs  from arc: whole numbers, no case for the cache's own size, a ghost's return enters T1. */
#include <stdlib.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/segments.h"

enum { T1, T2 };
struct vllm_arc {
    const struct block_info *blocks;
    struct slot_segments lists;
    struct ghosts b1, b2;
    uint32_t target, capacity;
};

static void *vllm_arc_create(const struct evict_context *context) {
    struct vllm_arc *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->capacity = context->capacity;
    segments_create(&state->lists, context->slots);
    ghosts_create(&state->b1, context->capacity);
    ghosts_create(&state->b2, context->capacity);
    return state;
}
static void vllm_arc_destroy(void *self) {
    struct vllm_arc *state = self;
    segments_destroy(&state->lists);
    ghosts_destroy(&state->b1);
    ghosts_destroy(&state->b2);
    free(state);
}
static uint32_t step(uint32_t other, uint32_t own) {
    return own > 0 && other / own > 1 ? other / own : 1;
}
static void vllm_arc_miss(void *self, uint64_t id, int64_t now) {
    (void)now;
    struct vllm_arc *state = self;
    uint32_t b1 = state->b1.count, b2 = state->b2.count;
    if (ghosts_has(&state->b1, id)) {
        uint32_t room = state->capacity - state->target, by = step(b2, b1);
        state->target += by < room ? by : room;
    } else if (ghosts_has(&state->b2, id)) {
        uint32_t by = step(b1, b2);
        state->target -= by < state->target ? by : state->target;
    }
}
static void vllm_arc_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct vllm_arc *state = self;
    ghosts_take(&state->b1, state->blocks[slot].id, NULL);
    ghosts_take(&state->b2, state->blocks[slot].id, NULL);
    segments_push_back(&state->lists, slot, T1);
}
static void vllm_arc_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct vllm_arc *state = self;
    segments_push_back(&state->lists, slot, T2);
}
static void vllm_arc_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct vllm_arc *state = self;
    segments_return(&state->lists, slot);
}
static uint32_t vllm_arc_victim(void *self, int64_t now) {
    (void)now;
    struct vllm_arc *state = self;
    uint32_t slot = EVICT_NONE;
    if (state->lists.counts[T1] >= state->target)
        slot = segments_first(&state->lists, T1, state->blocks);
    if (slot == EVICT_NONE)
        slot = segments_first(&state->lists, T2, state->blocks);
    return slot != EVICT_NONE ? slot : segments_first(&state->lists, T1, state->blocks);
}
static void vllm_arc_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct vllm_arc *state = self;
    if (evicted)
        ghosts_put(segments_of(&state->lists, slot) == T1 ? &state->b1 : &state->b2, state->blocks[slot].id, 0);
    segments_drop(&state->lists, slot);
}

static const struct evict_policy vllm_arc = {
    .policy = {.abi = POLICY_ABI,
               .name = "vllm-arc",
               .rule = "recency and frequency lists, the border in whole blocks, for batches that are offloaded",
               .source = "vLLM v1 kv_offload/arc_manager.py",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = vllm_arc_create,
    .destroy = vllm_arc_destroy,
    .insert = vllm_arc_insert,
    .touch = vllm_arc_touch,
    .release = vllm_arc_release,
    .victim = vllm_arc_victim,
    .remove = vllm_arc_remove,
    .miss = vllm_arc_miss};
POLICY_REGISTER(evict, vllm_arc)
