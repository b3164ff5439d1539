/* The blocks that may go, in no order, for policies that draw: any of them in O(1). Held blocks are not in it; of leaf
 * policies, leaves only. The state of such a policy may begin with a struct slot_pool and use the pooled_* hooks. */
#ifndef POLICIES_EVICT_POOL_H
#define POLICIES_EVICT_POOL_H

#include "policies/evict.h"
#include "sim/base/arena.h"

struct slot_pool {
    const struct block_info *blocks;
    const struct block_facts *facts; /* NULL: any block may go; else leaves only */
    uint32_t *slots;                 /* count of them */
    uint32_t *place;                 /* by slot: index + 1, 0: not in it */
    uint32_t count, room;
    uint64_t random; /* state of pool_random */
};

static inline void pool_create(struct slot_pool *p, const struct evict_context *context, bool leaves) {
    *p = (struct slot_pool){.blocks = context->blocks,
                            .facts = leaves ? context->facts : NULL,
                            .slots = lazy_alloc(context->slots, sizeof *p->slots),
                            .place = lazy_alloc(context->slots, sizeof *p->place),
                            .room = context->slots,
                            .random = context->seed};
}
static inline void pool_destroy(struct slot_pool *p) {
    lazy_free(p->slots, p->room, sizeof *p->slots);
    lazy_free(p->place, p->room, sizeof *p->place);
}
/* SplitMix64 (Steele, Lea, Flood 2014): the next 64 random bits. */
static inline uint64_t pool_random(struct slot_pool *p) {
    uint64_t z = p->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
/* A number below `below` (> 0); its bias is below 2^-32. */
static inline uint32_t pool_below(struct slot_pool *p, uint32_t below) {
    return (uint32_t)((pool_random(p) >> 32) * below >> 32);
}
static inline void pool_leave(struct slot_pool *p, uint32_t slot) {
    if (p->place[slot] == 0)
        return;
    uint32_t at = p->place[slot] - 1, last = p->slots[--p->count];
    p->slots[at] = last;
    p->place[last] = at + 1;
    p->place[slot] = 0;
}
static inline void pool_consider(struct slot_pool *p, uint32_t slot) {
    bool may_go =
        p->blocks[slot].refs == 0 && !p->blocks[slot].in_flight && (!p->facts || p->facts[slot].children == 0);
    if (!may_go)
        pool_leave(p, slot);
    else if (p->place[slot] == 0) {
        p->slots[p->count] = slot;
        p->place[slot] = ++p->count;
    }
}
/* The block has come; its parent is no leaf any more. */
static inline void pool_insert(struct slot_pool *p, uint32_t slot) {
    pool_consider(p, slot);
    if (p->facts && p->facts[slot].parent != EVICT_NONE)
        pool_leave(p, p->facts[slot].parent);
}
static inline void pool_remove(struct slot_pool *p, uint32_t slot) {
    pool_leave(p, slot);
    if (p->facts && p->facts[slot].parent != EVICT_NONE)
        pool_consider(p, p->facts[slot].parent);
}
/* Any one, EVICT_NONE when there is none. */
static inline uint32_t pool_draw(struct slot_pool *p) {
    return p->count ? p->slots[pool_below(p, p->count)] : EVICT_NONE;
}

static inline void pooled_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    pool_leave(self, slot);
}
static inline void pooled_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    pool_consider(self, slot);
}

#endif
