/* The blocks that one request has used, until a note says what is known of its session: for policies whose keys are a
 * session's. A block stands in it at most once. */
#ifndef POLICIES_EVICT_RECENT_H
#define POLICIES_EVICT_RECENT_H

#include "policies/evict.h"
#include "sim/base/arena.h"

struct recent {
    uint32_t *slots; /* count of them */
    uint32_t *place; /* by slot: index + 1, 0: not in it */
    uint32_t count, room;
};

static inline void recent_create(struct recent *r, uint32_t slots) {
    *r = (struct recent){
        .slots = lazy_alloc(slots, sizeof *r->slots), .place = lazy_alloc(slots, sizeof *r->place), .room = slots};
}
static inline void recent_destroy(struct recent *r) {
    lazy_free(r->slots, r->room, sizeof *r->slots);
    lazy_free(r->place, r->room, sizeof *r->place);
}
static inline void recent_add(struct recent *r, uint32_t slot) {
    if (r->place[slot] != 0)
        return;
    r->slots[r->count] = slot;
    r->place[slot] = ++r->count;
}
static inline void recent_drop(struct recent *r, uint32_t slot) {
    if (r->place[slot] == 0)
        return;
    uint32_t at = r->place[slot] - 1, last = r->slots[--r->count];
    r->slots[at] = last;
    r->place[last] = at + 1;
    r->place[slot] = 0;
}
/* Takes one of the blocks that `owner` used last out of it; EVICT_NONE when there is none. `at` begins at 0. */
static inline uint32_t recent_take(struct recent *r, const struct block_facts *facts, uint64_t owner, uint32_t *at) {
    for (; *at < r->count; ++*at)
        if (facts[r->slots[*at]].owner == owner) {
            uint32_t slot = r->slots[*at];
            recent_drop(r, slot);
            return slot;
        }
    return EVICT_NONE;
}

#endif
