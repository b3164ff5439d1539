/* Segmented LRU: a block climbs one segment a use, and falls one when the segment above it is full.
 *
 * Rule     four equal segments, each in order of last use. A block that comes enters the lowest segment with room; a
 *          use moves it to the next segment up (in the highest: to its recent end); the oldest of a segment that is
 *          over its share falls to the recent end of the one below. The victim is the oldest of the lowest segment that
 *          is not empty.
 * Needs    nothing. Lift: orphan.
 * Cost     O(segments) a hook; 9 bytes a slot.
 * Source   Karedla et al., Caching strategies to improve disk system performance, Computer 1994 (two segments); four as
 *          in libCacheSim.
 * Differs  where a tier counts bytes, a segment's share is one of the blocks it holds at the time. */
#include <stdlib.h>

#include "policies/evict/segments.h"

enum { LEVELS = 4 };

struct slru {
    const struct block_info *blocks;
    struct slot_segments levels;
    uint32_t capacity; /* 0: the tier counts bytes */
    uint32_t resident;
};

static void *slru_create(const struct evict_context *context) {
    struct slru *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->capacity = context->capacity_bytes ? 0 : context->capacity;
    segments_create(&state->levels, context->slots);
    return state;
}
static void slru_destroy(void *self) {
    struct slru *state = self;
    segments_destroy(&state->levels);
    free(state);
}
static uint32_t share(const struct slru *state) {
    return (state->capacity ? state->capacity : state->resident) / LEVELS;
}
/* Puts the slot at the recent end of `level`; what is too much there falls, level by level. */
static void climb(struct slru *state, uint32_t slot, uint32_t level) {
    segments_push_back(&state->levels, slot, level);
    for (; level > 0 && state->levels.counts[level] > share(state); level--) {
        uint32_t oldest = list_first(&state->levels.lists[level]);
        if (oldest == EVICT_NONE)
            return;
        segments_push_back(&state->levels, oldest, level - 1);
    }
}
static void slru_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct slru *state = self;
    state->resident++;
    uint32_t level = 0;
    while (level < LEVELS && state->levels.counts[level] >= share(state))
        level++;
    segments_push_back(&state->levels, slot, level < LEVELS ? level : 0);
}
static void slru_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct slru *state = self;
    uint32_t level = segments_of(&state->levels, slot);
    climb(state, slot, level + 1 < LEVELS ? level + 1 : level);
}
static void slru_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct slru *state = self;
    segments_return(&state->levels, slot);
}
static void slru_ahead(const void *self, uint32_t slot) {
    const struct slru *state = self;
    segments_ahead(&state->levels, slot);
}
static uint32_t slru_victim(void *self, int64_t now) {
    (void)now;
    struct slru *state = self;
    for (uint32_t level = 0; level < LEVELS; level++) {
        uint32_t slot = segments_first(&state->levels, level, state->blocks);
        if (slot != EVICT_NONE)
            return slot;
    }
    return EVICT_NONE;
}
static void slru_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct slru *state = self;
    segments_drop(&state->levels, slot);
    state->resident--;
}

static const struct evict_policy slru = {
    .policy = {.abi = POLICY_ABI,
               .name = "slru",
               .rule = "four segments: a use moves a block one up, overflow one down, the lowest evicts",
               .source = "Karedla et al. 1994; libCacheSim",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = slru_create,
    .destroy = slru_destroy,
    .insert = slru_insert,
    .touch = slru_touch,
    .release = slru_release,
    .ahead = slru_ahead,
    .victim = slru_victim,
    .remove = slru_remove};
POLICY_REGISTER(evict, slru)
