/* LRU: the block whose last use lies furthest back goes first.
 *
 * Rule     a queue; a block that was asked for goes to its tail when nobody holds it any more (at once if nobody
 *          does). The head is the victim; held blocks met there step aside. A request lets its blocks go tail
 *          first, so of one prefix the deepest goes first, and a block never before its descendants: no tree is
 *          needed. A block that was only read by a transfer keeps its place (one that had stepped aside returns to
 *          the head).
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook; 12 to 20 bytes a slot.
 * Source   vLLM v1 core/block_pool.py (its free queue has this order) and kv_offload (LRU). */
#include <stdlib.h>

#include "policies/evict/queue.h"

struct lru {
    const struct block_info *blocks;
    struct slot_queue queue; /* marked: asked for since it took its place */
};

static void *lru_create(const struct evict_context *context) {
    struct lru *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    queue_create(&state->queue, context->slots);
    return state;
}
static void lru_destroy(void *self) {
    struct lru *state = self;
    queue_destroy(&state->queue);
    free(state);
}
static void lru_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    if (state->blocks[slot].refs == 0)
        queue_push_back(&state->queue, slot);
    else
        queue_mark(&state->queue, slot);
}
static void lru_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    if (queue_marked(&state->queue, slot))
        queue_push_back(&state->queue, slot);
    else if (!queue_has(&state->queue, slot))
        queue_push_front(&state->queue, slot);
}
static void lru_ahead(const void *self, uint32_t slot) {
    const struct lru *state = self;
    __builtin_prefetch(&state->queue.place[slot], 1);
    __builtin_prefetch(&state->blocks[slot]);
}
static uint32_t lru_victim(void *self, int64_t now) {
    (void)now;
    struct lru *state = self;
    uint32_t slot;
    while ((slot = queue_first(&state->queue, state->blocks)) != EVICT_NONE && state->blocks[slot].refs > 0) {
        bool asked = queue_marked(&state->queue, slot);
        queue_drop(&state->queue, slot);
        if (asked)
            queue_mark(&state->queue, slot);
    }
    return slot;
}
static void lru_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct lru *state = self;
    queue_drop(&state->queue, slot);
}

static const struct evict_policy lru = {.policy = {.abi = POLICY_ABI,
                                                   .name = "lru",
                                                   .rule = "the least recently used block goes first",
                                                   .source = "vLLM v1 core/block_pool.py",
                                                   .needs = NEED_NOTHING},
                                        .lifts = LIFT_ORPHAN,
                                        .create = lru_create,
                                        .destroy = lru_destroy,
                                        .insert = lru_touch, /* a new block is one that was asked for */
                                        .touch = lru_touch,
                                        .release = lru_release,
                                        .ahead = lru_ahead,
                                        .victim = lru_victim,
                                        .remove = lru_remove};
POLICY_REGISTER(evict, lru)
