/* FIFO: the block that came first goes first, whatever was asked for since.
 *
 * Rule     a list in order of insertion; the victim is the first that nobody holds. Held blocks met at the head
 *          step aside; once released they go before all that are still in the list, the oldest first.
 * Needs    nothing. Lift: orphan (a parent comes before its children, and goes before them).
 * Cost     O(1) a hook, O(log n) for a block that stepped aside; 60 bytes a slot.
 * Source   classic; LMCache storage_backend/cache_policy has it too. */
#include <stdlib.h>

#include "policies/evict/heap.h"
#include "policies/evict/list.h"

struct fifo {
    const struct block_info *blocks;
    struct slot_link *links;
    uint64_t *order; /* by slot: of insertion */
    struct slot_list queue;
    struct slot_heap returned; /* stepped aside, then released: older than all in the queue */
    uint64_t inserted;
    uint32_t slots;
};

static void *fifo_create(const struct evict_context *context) {
    struct fifo *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct fifo){.blocks = context->blocks, .slots = context->slots, .links = links_create(context->slots)};
    state->order = lazy_alloc(context->slots, sizeof *state->order);
    slot_heap_create(&state->returned, context->slots);
    return state;
}
static void fifo_destroy(void *self) {
    struct fifo *state = self;
    links_destroy(state->links, state->slots);
    lazy_free(state->order, state->slots, sizeof *state->order);
    slot_heap_destroy(&state->returned);
    free(state);
}
static void fifo_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct fifo *state = self;
    state->order[slot] = state->inserted++;
    list_push_back(&state->queue, state->links, slot);
}
static void fifo_touch(void *self, uint32_t slot, int64_t now) {
    (void)self, (void)slot, (void)now;
}
static void fifo_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct fifo *state = self;
    if (!link_is_in(state->links, slot))
        slot_heap_put(&state->returned, slot, (struct slot_key){(int64_t)state->order[slot], 0});
}
static uint32_t fifo_victim(void *self, int64_t now) {
    (void)now;
    struct fifo *state = self;
    uint32_t slot;
    while ((slot = slot_heap_first(&state->returned)) != EVICT_NONE && state->blocks[slot].refs > 0)
        slot_heap_remove(&state->returned, slot);
    if (slot != EVICT_NONE)
        return slot;
    while ((slot = list_first(&state->queue)) != EVICT_NONE && state->blocks[slot].refs > 0)
        list_unlink(&state->queue, state->links, slot);
    return slot;
}
static void fifo_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct fifo *state = self;
    if (link_is_in(state->links, slot))
        list_unlink(&state->queue, state->links, slot);
    else
        slot_heap_remove(&state->returned, slot);
}

static const struct evict_policy fifo = {.policy = {.abi = POLICY_ABI,
                                                    .name = "fifo",
                                                    .rule = "the block that came first goes first",
                                                    .source = "classic; LMCache storage_backend/cache_policy",
                                                    .needs = NEED_NOTHING},
                                         .lifts = LIFT_ORPHAN,
                                         .create = fifo_create,
                                         .destroy = fifo_destroy,
                                         .insert = fifo_insert,
                                         .touch = fifo_touch,
                                         .release = fifo_release,
                                         .victim = fifo_victim,
                                         .remove = fifo_remove};
POLICY_REGISTER(evict, fifo)
