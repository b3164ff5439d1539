/* FIFO: the block that came first goes first, whatever was asked for since.
 *
 * Rule     a list in order of insertion; the victim is the first that nobody holds. Held blocks met at the head step aside until they
 *          are released, and then go back before all younger ones.
 * Needs    nothing. Cost: O(1) amortised, 16 bytes a slot. */
#include <stdlib.h>

#include "policies/evict/list.h"

struct fifo {
    const struct block_info *blocks;
    struct slot_link *links;
    uint64_t *order; /* of insertion */
    struct slot_list queue;
    uint64_t inserted;
    uint32_t capacity;
};

static void *fifo_create(const struct evict_context *context) {
    struct fifo *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct fifo){.blocks = context->blocks, .capacity = context->capacity, .links = links_create(context->capacity),
                           .order = lazy_alloc(context->capacity, sizeof *state->order)};
    return state;
}
static void fifo_destroy(void *self) {
    struct fifo *state = self;
    links_destroy(state->links, state->capacity);
    lazy_free(state->order, state->capacity, sizeof *state->order);
    free(state);
}
static void fifo_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct fifo *state = self;
    state->order[slot] = state->inserted++;
    list_push_back(&state->queue, state->links, slot);
}
static void fifo_touch(void *self, uint32_t slot, int64_t now) { (void)self, (void)slot, (void)now; }
static void fifo_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct fifo *state = self;
    if (link_is_in(state->links, slot)) return;
    /* It stepped aside: back to its place, which is near the head. */
    uint32_t after = list_first(&state->queue);
    while (after != EVICT_NONE && state->order[after] < state->order[slot]) after = list_after(state->links, after);
    if (after == EVICT_NONE) {
        list_push_back(&state->queue, state->links, slot);
    } else if (state->links[after].before == LINK_END) {
        list_push_front(&state->queue, state->links, slot);
    } else {
        uint32_t before = state->links[after].before - 1;
        state->links[slot] = (struct slot_link){before + 1, after + 1};
        state->links[before].after = state->links[after].before = slot + 1;
    }
}
static uint32_t fifo_victim(void *self, int64_t now) {
    (void)now;
    struct fifo *state = self;
    uint32_t slot;
    while ((slot = list_first(&state->queue)) != EVICT_NONE && state->blocks[slot].refs > 0) list_unlink(&state->queue, state->links, slot);
    return slot;
}
static void fifo_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct fifo *state = self;
    if (link_is_in(state->links, slot)) list_unlink(&state->queue, state->links, slot);
}

static const struct evict_policy fifo = {
    .policy = {.abi = POLICY_ABI, .name = "fifo", .rule = "the block that came first goes first", .source = "classic; LMCache cache_policy", .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN, .create = fifo_create, .destroy = fifo_destroy, .insert = fifo_insert, .touch = fifo_touch,
    .release = fifo_release, .victim = fifo_victim, .remove = fifo_remove};
POLICY_REGISTER(evict, fifo)
