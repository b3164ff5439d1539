/* Blocks ranked by a key of two numbers: the victim is the smallest that may go. The structure under every policy that
 * is a formula (LFU, GDSF, SGLang's radix keys, length-aware, ...). Of leaf policies only leaves are in the heap: a
 * parent joins, with its own key, when its last child goes.
 *
 * The state of such a policy begins with a struct ranking; its hold, release, victim and remove hooks can then be the
 * ranked_* below, and insert and touch say what the key is. The heap orders unheld blocks only, so that a block that is
 * held and let go n times in a row costs nothing but its re-entry. */
#ifndef POLICIES_EVICT_RANK_H
#define POLICIES_EVICT_RANK_H

#include <string.h>

#include "policies/evict/heap.h"

struct ranking {
    const struct block_info *blocks;
    const struct block_facts *facts; /* NULL: any block may go; else leaves only */
    struct slot_heap heap;
};

static inline void ranking_create(struct ranking *r, const struct evict_context *context, bool leaves) {
    r->blocks = context->blocks;
    r->facts = leaves ? context->facts : NULL;
    slot_heap_create(&r->heap, context->slots);
}
static inline void ranking_destroy(struct ranking *r) {
    slot_heap_destroy(&r->heap);
}
/* The key that the slot has, in the heap or not. */
static inline struct slot_key ranking_key(const struct ranking *r, uint32_t slot) {
    return r->heap.keys[slot];
}
/* In the heap if it may go, else out of it. */
static inline void ranking_consider(struct ranking *r, uint32_t slot) {
    if (r->blocks[slot].refs == 0 && !r->blocks[slot].in_flight && (!r->facts || r->facts[slot].children == 0))
        slot_heap_put(&r->heap, slot, r->heap.keys[slot]);
    else
        slot_heap_remove(&r->heap, slot);
}
static inline void ranking_set(struct ranking *r, uint32_t slot, struct slot_key key) {
    r->heap.keys[slot] = key;
    ranking_consider(r, slot);
}
/* The block has come: its parent is no leaf any more. */
static inline void ranking_insert(struct ranking *r, uint32_t slot, struct slot_key key) {
    ranking_set(r, slot, key);
    if (r->facts && r->facts[slot].parent != EVICT_NONE)
        slot_heap_remove(&r->heap, r->facts[slot].parent);
}
static inline void ranking_remove(struct ranking *r, uint32_t slot) {
    slot_heap_remove(&r->heap, slot);
    if (r->facts && r->facts[slot].parent != EVICT_NONE)
        ranking_consider(r, r->facts[slot].parent);
}
/* A number that is not negative as an integer of the same order. */
static inline int64_t rank_of(double value) {
    int64_t bits;
    value = value > 0 ? value : 0; /* -0 too */
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Hooks for a state that begins with a struct ranking. */
static inline void ranked_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    slot_heap_remove(&((struct ranking *)self)->heap, slot);
}
static inline void ranked_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    ranking_consider(self, slot);
}
static inline uint32_t ranked_victim(void *self, int64_t now) {
    (void)now;
    return slot_heap_first(&((struct ranking *)self)->heap);
}
static inline void ranked_ahead(const void *self, uint32_t slot) {
    const struct ranking *r = self;
    __builtin_prefetch(&r->heap.place[slot], 1);
    __builtin_prefetch(&r->heap.keys[slot], 1);
}
static inline void ranked_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    ranking_remove(self, slot);
}

#endif
