/* CLOCK: first in, first out, with a second chance for what was asked for since.
 *
 * Rule     a queue in order of insertion and one bit a block, set when it is asked for. The head is the victim if its
 *          bit is clear; else the bit is cleared and the block goes to the tail.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook, amortised: each turn of a victim search clears a bit that a touch had set; 10 bytes a slot.
 * Source   F. J. Corbato, A paging experiment with the Multics system, MIT MAC-M-384, 1968.
 * Differs  held blocks met at the head step aside and return to the head (segments.h). */
#include <stdlib.h>

#include "policies/evict/segments.h"

struct clock_state {
    const struct block_info *blocks;
    struct slot_segments queue; /* segment 0 */
    uint8_t *asked;             /* by slot */
};

static void *clock_create(const struct evict_context *context) {
    struct clock_state *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->asked = lazy_alloc(context->slots, sizeof *state->asked);
    segments_create(&state->queue, context->slots);
    return state;
}
static void clock_destroy(void *self) {
    struct clock_state *state = self;
    lazy_free(state->asked, state->queue.slots, sizeof *state->asked);
    segments_destroy(&state->queue);
    free(state);
}
static void clock_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct clock_state *state = self;
    state->asked[slot] = 0;
    segments_push_back(&state->queue, slot, 0);
}
static void clock_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct clock_state *state = self;
    state->asked[slot] = 1;
}
static void clock_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct clock_state *state = self;
    segments_return(&state->queue, slot);
}
static uint32_t clock_victim(void *self, int64_t now) {
    (void)now;
    struct clock_state *state = self;
    uint32_t slot;
    while ((slot = segments_first(&state->queue, 0, state->blocks)) != EVICT_NONE && state->asked[slot]) {
        state->asked[slot] = 0;
        segments_push_back(&state->queue, slot, 0);
    }
    return slot;
}
static void clock_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct clock_state *state = self;
    segments_drop(&state->queue, slot);
}

static const struct evict_policy clock_policy = {
    .policy = {.abi = POLICY_ABI,
               .name = "clock",
               .rule = "the block that came first goes first, unless it was asked for since it was last looked at",
               .source = "Corbato 1968",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = clock_create,
    .destroy = clock_destroy,
    .insert = clock_insert,
    .touch = clock_touch,
    .release = clock_release,
    .victim = clock_victim,
    .remove = clock_remove};
POLICY_REGISTER(evict, clock_policy)
