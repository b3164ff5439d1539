/* LRU: the block whose last use lies furthest back goes first.
 *
 * Rule     a list; a block that was asked for goes to its tail when nobody holds it any more (at once if nobody
 *          does). The head is the victim; held blocks met there step aside. A request lets its blocks go tail
 *          first, so of one prefix the deepest goes first, and a block never before its descendants: no tree is
 *          needed. A block that was only read by a transfer keeps its place (one that had stepped aside returns to
 *          the head).
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook; 9 bytes a slot. What a victim costs is waiting for its line of memory, so a scout walks the
 *          list some victims ahead and has those lines fetched.
 * Source   vLLM v1 core/block_pool.py (its free queue has this order) and kv_offload (LRU). */
#include <stdlib.h>

#include "policies/evict/list.h"

struct lru {
    const struct block_info *blocks;
    struct slot_link *links;
    uint8_t *asked; /* by slot: asked for since it took its place */
    struct slot_list list;
    uint32_t slots;
    uint32_t scout, lead; /* a slot about `lead` places behind the head; 0: it starts anew. Only fetches hang on it */
};
enum { LEAD = 16 };

static void *lru_create(const struct evict_context *context) {
    struct lru *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct lru){.blocks = context->blocks, .slots = context->slots, .links = links_create(context->slots)};
    state->asked = lazy_alloc(context->slots, 1);
    return state;
}
static void lru_destroy(void *self) {
    struct lru *state = self;
    links_destroy(state->links, state->slots);
    lazy_free(state->asked, state->slots, 1);
    free(state);
}
static void to_tail(struct lru *state, uint32_t slot) {
    if (link_is_in(state->links, slot))
        list_unlink(&state->list, state->links, slot);
    list_push_back(&state->list, state->links, slot);
    state->asked[slot] = 0;
}
static void lru_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    if (state->blocks[slot].refs == 0)
        to_tail(state, slot);
    else
        state->asked[slot] = 1;
}
static void lru_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lru *state = self;
    if (state->asked[slot])
        to_tail(state, slot);
    else if (!link_is_in(state->links, slot))
        list_push_front(&state->list, state->links, slot);
}
/* Fetches the lines of the victims to come: at LEAD places behind the head, one more a victim. */
static void scout_on(struct lru *state, uint32_t head) {
    if (state->lead == 0 || !link_is_in(state->links, state->scout)) {
        state->scout = head;
        state->lead = 1;
    }
    for (int step = 0; step < 2 && state->lead <= LEAD; step++) {
        uint32_t next = list_after(state->links, state->scout);
        if (next == EVICT_NONE) {
            state->lead = 0;
            return;
        }
        state->scout = next;
        state->lead++;
        __builtin_prefetch(&state->blocks[next], 1);
        __builtin_prefetch(&state->links[next], 1); /* its next step */
    }
    state->lead--; /* the head goes */
}
static uint32_t lru_victim(void *self, int64_t now) {
    (void)now;
    struct lru *state = self;
    uint32_t slot;
    while ((slot = list_first(&state->list)) != EVICT_NONE && state->blocks[slot].refs > 0)
        list_unlink(&state->list, state->links, slot);
    if (slot == EVICT_NONE)
        return slot;
    scout_on(state, slot);
    return slot;
}
static void lru_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct lru *state = self;
    if (link_is_in(state->links, slot))
        list_unlink(&state->list, state->links, slot);
    state->asked[slot] = 0;
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
                                        .victim = lru_victim,
                                        .remove = lru_remove};
POLICY_REGISTER(evict, lru)
