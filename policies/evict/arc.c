/* ARC: recency and frequency share the cache, and misses on what was evicted lately move the border.
 *
 * Rule     T1 holds what was asked for once since it came, T2 what was asked for again, both LRU; B1 and B2
 *          remember the ids they evicted. A miss that B1 remembers raises the target of T1 by max(1, |B2|/|B1|),
 *          one that B2 remembers lowers it by max(1, |B1|/|B2|). The victim is T1's oldest while T1 is above its
 *          target, else T2's. T1 and B1 together remember at most the capacity, all four at most twice that.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook; 9 bytes a slot, about 200 with what it remembers.
 * Source   N. Megiddo, D. Modha, ARC: a self-tuning, low overhead replacement cache, FAST'03.
 * Differs  where a tier counts bytes, the capacity is the number of blocks it holds at the time. */
#include <stdlib.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/segments.h"

enum { T1, T2 };
struct arc {
    const struct block_info *blocks;
    struct slot_segments lists;
    struct ghosts b1, b2;
    double target;                           /* blocks in T1 */
    enum { IN_NEITHER, IN_B1, IN_B2 } asked; /* what was missed last */
    uint32_t capacity;                       /* 0: the tier counts bytes */
};

static void *arc_create(const struct evict_context *context) {
    struct arc *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->capacity = context->capacity_bytes ? 0 : context->capacity;
    segments_create(&state->lists, context->slots);
    ghosts_create(&state->b1, context->capacity);
    ghosts_create(&state->b2, 2 * context->capacity);
    return state;
}
static void arc_destroy(void *self) {
    struct arc *state = self;
    segments_destroy(&state->lists);
    ghosts_destroy(&state->b1);
    ghosts_destroy(&state->b2);
    free(state);
}
static uint32_t capacity(const struct arc *state) {
    return state->capacity ? state->capacity : state->lists.counts[T1] + state->lists.counts[T2];
}
static double step(uint32_t other, uint32_t own) {
    return other > own ? (double)other / own : 1;
}
static void arc_miss(void *self, uint64_t id, int64_t now) {
    (void)now;
    struct arc *state = self;
    uint32_t b1 = state->b1.count, b2 = state->b2.count;
    state->asked = IN_NEITHER;
    if (ghosts_ask(&state->b1, id)) {
        state->asked = IN_B1;
        state->target += step(b2, b1 ? b1 : 1);
        if (state->target > capacity(state))
            state->target = capacity(state);
    } else if (ghosts_ask(&state->b2, id)) {
        state->asked = IN_B2;
        state->target -= step(b1, b2 ? b2 : 1);
        if (state->target < 0)
            state->target = 0;
    }
}
static void arc_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct arc *state = self;
    uint64_t id = state->blocks[slot].id;
    bool again = ghosts_take(&state->b1, id, NULL) || ghosts_take(&state->b2, id, NULL);
    segments_push_back(&state->lists, slot, again ? T2 : T1);
}
static void arc_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct arc *state = self;
    segments_push_back(&state->lists, slot, T2);
}
static void arc_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct arc *state = self;
    segments_return(&state->lists, slot);
}
static void arc_ahead(const void *self, uint32_t slot) {
    const struct arc *state = self;
    segments_ahead(&state->lists, slot);
}
static uint32_t arc_victim(void *self, int64_t now) {
    (void)now;
    struct arc *state = self;
    uint32_t t1 = state->lists.counts[T1];
    bool from_t1 = t1 > 0 && (t1 > state->target || (state->asked == IN_B2 && t1 >= state->target));
    if (state->asked == IN_NEITHER && t1 >= capacity(state))
        from_t1 = true;
    uint32_t slot = segments_first(&state->lists, from_t1 ? T1 : T2, state->blocks);
    return slot != EVICT_NONE ? slot : segments_first(&state->lists, from_t1 ? T2 : T1, state->blocks);
}
/* Room for one more remembered id: T1 and B1 at most the capacity, all at most twice that. */
static void forget(struct arc *state) {
    uint32_t t1 = state->lists.counts[T1], all = t1 + state->lists.counts[T2], most = capacity(state);
    if (state->asked != IN_NEITHER)
        return;
    if (t1 + state->b1.count >= most)
        ghosts_drop_oldest(&state->b1);
    else if (all + state->b1.count + state->b2.count >= 2 * most)
        ghosts_drop_oldest(&state->b2);
}
static void arc_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct arc *state = self;
    uint32_t from = segments_of(&state->lists, slot);
    if (evicted) {
        bool only_t1 = state->asked == IN_NEITHER && state->lists.counts[T1] >= capacity(state);
        forget(state);
        if (from == T2 || !only_t1)
            ghosts_put(from == T1 ? &state->b1 : &state->b2, state->blocks[slot].id, 0);
    }
    segments_drop(&state->lists, slot);
}

static const struct evict_policy arc = {
    .policy = {.abi = POLICY_ABI,
               .name = "arc",
               .rule = "recency and frequency lists whose border is moved by misses on what was evicted lately",
               .source = "Megiddo and Modha, FAST'03",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = arc_create,
    .destroy = arc_destroy,
    .insert = arc_insert,
    .touch = arc_touch,
    .release = arc_release,
    .ahead = arc_ahead,
    .victim = arc_victim,
    .remove = arc_remove,
    .miss = arc_miss};
POLICY_REGISTER(evict, arc)
