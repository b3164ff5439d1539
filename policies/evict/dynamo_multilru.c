/* Dynamo's MultiLRU: four LRU queues by how often a block was seen; the coldest queue evicts first.
 *
 * Rule     a sketch counts arrivals and uses; a block joins the tail of the queue of its count when it comes, is
 *          used, or is let go: below 2, below 6, below 15, and from there on. The victim is the head of the coldest
 *          queue.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook and four counters; 9 bytes a slot, about 17 with its sketch.
 * Source   Dynamo lib/kvbm-logical (MultiLRU with a TinyLFU tracker, thresholds 2, 6, 15).
 * Differs  the sketch is halved after 10 x capacity counts (TinyLFU's sample); blocks do not sink between uses. */
#include <stdlib.h>

#include "policies/evict/segments.h"
#include "policies/evict/sketch.h"

enum { LEVELS = 4, ROWS = 4, SAMPLE = 10 };
static const uint32_t thresholds[LEVELS - 1] = {2, 6, 15};

struct dynamo_multilru {
    const struct block_info *blocks;
    struct slot_segments levels;
    struct sketch sketch;
    uint64_t counted, period;
};

static void *dynamo_multilru_create(const struct evict_context *context) {
    struct dynamo_multilru *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->period = (uint64_t)SAMPLE * context->capacity;
    segments_create(&state->levels, context->slots);
    sketch_create(&state->sketch, 2 * (uint64_t)context->capacity, ROWS, true);
    return state;
}
static void dynamo_multilru_destroy(void *self) {
    struct dynamo_multilru *state = self;
    segments_destroy(&state->levels);
    sketch_destroy(&state->sketch);
    free(state);
}
static void join(struct dynamo_multilru *state, uint32_t slot) {
    uint32_t count = sketch_count(&state->sketch, state->blocks[slot].id), level = 0;
    while (level < LEVELS - 1 && count >= thresholds[level])
        level++;
    segments_push_back(&state->levels, slot, level);
}
static void dynamo_multilru_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct dynamo_multilru *state = self;
    sketch_add(&state->sketch, state->blocks[slot].id);
    if (++state->counted == state->period) {
        state->counted = 0;
        sketch_halve(&state->sketch);
    }
    join(state, slot);
}
static void dynamo_multilru_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    join(self, slot);
}
static uint32_t dynamo_multilru_victim(void *self, int64_t now) {
    (void)now;
    struct dynamo_multilru *state = self;
    for (uint32_t level = 0; level < LEVELS; level++) {
        uint32_t slot = segments_first(&state->levels, level, state->blocks);
        if (slot != EVICT_NONE)
            return slot;
    }
    return EVICT_NONE;
}
static void dynamo_multilru_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct dynamo_multilru *state = self;
    segments_drop(&state->levels, slot);
}

static const struct evict_policy dynamo_multilru = {
    .policy = {.abi = POLICY_ABI,
               .name = "dynamo-multilru",
               .rule = "four LRU queues by how often a sketch has seen a block; the coldest evicts first",
               .source = "Dynamo lib/kvbm-logical",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = dynamo_multilru_create,
    .destroy = dynamo_multilru_destroy,
    .insert = dynamo_multilru_touch,
    .touch = dynamo_multilru_touch,
    .release = dynamo_multilru_release,
    .victim = dynamo_multilru_victim,
    .remove = dynamo_multilru_remove};
POLICY_REGISTER(evict, dynamo_multilru)
