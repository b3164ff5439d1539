/* LRU: the block whose last use lies furthest back goes first.
 *
 * Rule     a list of unheld blocks; a block joins its tail when it is released, or touched while nobody holds it; the head is
 *          the victim. A request lets its blocks go tail first, so of one prefix the deepest goes first, and a block is
 *          never evicted before its descendants: no tree is needed.
 * Needs    nothing. Cost: O(1) a hook, 8 bytes a slot.
 * Source   vLLM v1 core/block_pool.py keeps the same order in its free queue. */
#include <stdlib.h>

#include "policies/evict/list.h"

struct lru {
    const struct block_info *blocks;
    struct slot_link *links;
    struct slot_list unheld;
    uint32_t capacity;
};

static void *lru_create(const struct evict_context *context) {
    struct lru *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct lru){.blocks = context->blocks, .capacity = context->capacity, .links = links_create(context->capacity)};
    return state;
}
static void lru_destroy(void *self) {
    struct lru *state = self;
    links_destroy(state->links, state->capacity);
    free(state);
}
static void lru_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    if (state->blocks[slot].refs == 0) list_push_back(&state->unheld, state->links, slot);
}
static void lru_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    if (!link_is_in(state->links, slot)) return;
    list_unlink(&state->unheld, state->links, slot);
    list_push_back(&state->unheld, state->links, slot);
}
static void lru_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    list_unlink(&state->unheld, state->links, slot);
}
static void lru_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    list_push_back(&state->unheld, state->links, slot);
}
static uint32_t lru_victim(void *self, int64_t now) {
    (void)now;
    struct lru *state = self;
    return list_first(&state->unheld);
}
static void lru_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct lru *state = self;
    if (link_is_in(state->links, slot)) list_unlink(&state->unheld, state->links, slot);
}

static const struct evict_policy lru = {
    .policy = {.abi = POLICY_ABI, .name = "lru", .rule = "the least recently used block goes first", .source = "vLLM v1 core/block_pool.py", .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN, .create = lru_create, .destroy = lru_destroy, .insert = lru_insert, .touch = lru_touch, .hold = lru_hold,
    .release = lru_release, .victim = lru_victim, .remove = lru_remove};
POLICY_REGISTER(evict, lru)
