/* SIEVE: a hand goes from old to new and takes the first block that was not asked for since it last passed.
 *
 * Rule     a queue in order of insertion and one bit a block, set when it is asked for. The hand starts at the oldest;
 *          it clears the bits that are set, and stops at the first that is clear: the victim. Nothing moves in the
 *          queue; at the newest the hand goes back to the oldest.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook, amortised; 9 bytes a slot.
 * Source   Zhang et al., SIEVE is simpler than LRU, NSDI'24.
 * Differs  held blocks met by the hand step aside and return as the oldest. Until the hand first wraps, it evicts
 *          exactly what LFU does (each block asked for once only, the oldest first). */
#include <stdlib.h>

#include "policies/evict/list.h"

enum { ASKED = 1, ASIDE = 2 };

struct sieve {
    const struct block_info *blocks;
    struct slot_link *links;
    uint8_t *bits;          /* by slot */
    struct slot_list queue; /* oldest first */
    uint32_t hand, slots;   /* EVICT_NONE: at the oldest */
};

static void *sieve_create(const struct evict_context *context) {
    struct sieve *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    *state = (struct sieve){.blocks = context->blocks,
                            .links = links_create(context->slots),
                            .bits = lazy_alloc(context->slots, sizeof *state->bits),
                            .hand = EVICT_NONE,
                            .slots = context->slots};
    return state;
}
static void sieve_destroy(void *self) {
    struct sieve *state = self;
    links_destroy(state->links, state->slots);
    lazy_free(state->bits, state->slots, sizeof *state->bits);
    free(state);
}
static void unlink_slot(struct sieve *state, uint32_t slot) {
    if (state->hand == slot)
        state->hand = list_after(state->links, slot);
    list_unlink(&state->queue, state->links, slot);
}
static void sieve_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct sieve *state = self;
    state->bits[slot] = 0;
    list_push_back(&state->queue, state->links, slot);
}
static void sieve_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct sieve *state = self;
    state->bits[slot] |= ASKED;
}
static void sieve_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct sieve *state = self;
    if (!(state->bits[slot] & ASIDE))
        return;
    state->bits[slot] &= ASKED;
    list_push_front(&state->queue, state->links, slot);
}
static uint32_t sieve_victim(void *self, int64_t now) {
    (void)now;
    struct sieve *state = self;
    for (;;) {
        uint32_t slot = state->hand == EVICT_NONE ? list_first(&state->queue) : state->hand;
        state->hand = slot;
        if (slot == EVICT_NONE)
            return slot;
        if (state->blocks[slot].refs > 0) {
            unlink_slot(state, slot);
            state->bits[slot] |= ASIDE;
        } else if (state->bits[slot] & ASKED) {
            state->bits[slot] = 0;
            state->hand = list_after(state->links, slot);
        } else {
            return slot;
        }
    }
}
static void sieve_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct sieve *state = self;
    if (link_is_in(state->links, slot))
        unlink_slot(state, slot);
}

static const struct evict_policy sieve = {
    .policy = {.abi = POLICY_ABI,
               .name = "sieve",
               .rule = "a hand from old to new takes the first block not asked for since it last passed",
               .source = "Zhang et al., NSDI'24",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = sieve_create,
    .destroy = sieve_destroy,
    .insert = sieve_insert,
    .touch = sieve_touch,
    .release = sieve_release,
    .victim = sieve_victim,
    .remove = sieve_remove};
POLICY_REGISTER(evict, sieve)
