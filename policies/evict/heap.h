/* A heap of slots by a key of two 64-bit numbers, smallest first, ties by slot; a slot may be moved or taken
 * out. The structure under LFU, Belady and everything else that ranks. */
#ifndef POLICIES_EVICT_HEAP_H
#define POLICIES_EVICT_HEAP_H

#include "policies/evict.h"
#include "sim/base/arena.h"

struct slot_key {
    int64_t first, second;
};
struct heap_item {
    struct slot_key key; /* of the slot: beside it, so that a comparison looks nowhere else */
    uint32_t slot;
};
struct slot_heap {
    struct heap_item *items; /* heap order: four children each, so that a path is short and its lines few */
    uint32_t *place;         /* by slot: index + 1, 0: not in the heap */
    struct slot_key *keys;   /* by slot; kept when it is taken out */
    uint32_t count, room;
};
/* `room`: slots there are. */
void slot_heap_create(struct slot_heap *heap, uint32_t room);
void slot_heap_destroy(struct slot_heap *heap);
static inline bool slot_heap_has(const struct slot_heap *heap, uint32_t slot) {
    return heap->place[slot] != 0;
}
/* Puts the slot in, or gives it another key. */
void slot_heap_put(struct slot_heap *heap, uint32_t slot, struct slot_key key);
void slot_heap_remove(struct slot_heap *heap, uint32_t slot); /* nothing when it is not in */
/* EVICT_NONE when empty. */
static inline uint32_t slot_heap_first(const struct slot_heap *heap) {
    return heap->count ? heap->items[0].slot : EVICT_NONE;
}

#endif
