/* A queue of slots in an array: the structure under policies that mostly push at one end and pop at the other.
 *
 * A linked list costs a wait for memory a step, since each link says where the next is. Here the order is an array
 * that is read and written in sequence, and its front can be looked at as far ahead as one likes. A slot that leaves
 * from the middle is only forgotten: what stands in the array counts if `place[slot]` points back at it. When the array
 * is full it is written anew, twice as large if more than half of it counts; so it follows what is queued. */
#ifndef POLICIES_EVICT_QUEUE_H
#define POLICIES_EVICT_QUEUE_H

#include <stdlib.h>

#include "policies/evict.h"
#include "sim/base/arena.h"
#include "sim/base/error.h"

/* A slot's place + 1, 0: not queued; the highest bit is the policy's. */
enum { QUEUE_FIRST_ROOM = 64, QUEUE_AHEAD = 24 };
#define QUEUE_MARK 0x80000000u

struct slot_queue {
    uint32_t *place;       /* by slot */
    uint32_t *order, mask; /* ring of slots */
    uint32_t front, room;  /* first place, and how many are used from there on */
    uint32_t count, slots; /* queued; length of place[] */
};

static inline void queue_create(struct slot_queue *queue, uint32_t slots) {
    MUST(slots < QUEUE_MARK / 4);
    *queue = (struct slot_queue){.place = lazy_alloc(slots, sizeof *queue->place), .slots = slots};
    queue->mask = QUEUE_FIRST_ROOM - 1;
    queue->order = malloc(QUEUE_FIRST_ROOM * sizeof *queue->order);
    MUST(queue->order != NULL);
}
static inline void queue_destroy(struct slot_queue *queue) {
    lazy_free(queue->place, queue->slots, sizeof *queue->place);
    free(queue->order);
}
static inline uint32_t queue_place(const struct slot_queue *queue, uint32_t slot) {
    return queue->place[slot] & ~QUEUE_MARK;
}
static inline bool queue_has(const struct slot_queue *queue, uint32_t slot) {
    return queue_place(queue, slot) != 0;
}
static inline bool queue_marked(const struct slot_queue *queue, uint32_t slot) {
    return (queue->place[slot] & QUEUE_MARK) != 0;
}
static inline void queue_mark(struct slot_queue *queue, uint32_t slot) {
    queue->place[slot] |= QUEUE_MARK;
}
/* Writes what counts into a new array from its beginning. */
static inline void queue_renew(struct slot_queue *queue) {
    uint32_t room = queue->mask + 1, kept = 0;
    while (queue->count > room / 2)
        room *= 2;
    uint32_t *order = malloc(room * sizeof *order);
    MUST(order != NULL);
    for (uint32_t i = 0; i < queue->room; i++) {
        uint32_t at = (queue->front + i) & queue->mask, slot = queue->order[at];
        if (queue_place(queue, slot) != at + 1)
            continue;
        order[kept] = slot;
        /* Places of the new array are told from the old one's until all have moved: those are not looked at again. */
        queue->place[slot] = (queue->place[slot] & QUEUE_MARK) | (room + queue->mask + 2 + kept++);
    }
    for (uint32_t i = 0; i < kept; i++)
        queue->place[order[i]] -= room + queue->mask + 1;
    free(queue->order);
    queue->order = order;
    queue->mask = room - 1;
    queue->front = 0;
    queue->room = kept;
}
/* Takes the slot, queued or not, out of the queue; its mark goes too. */
static inline void queue_drop(struct slot_queue *queue, uint32_t slot) {
    queue->count -= queue_has(queue, slot);
    queue->place[slot] = 0;
}
/* The slot becomes the last; its mark goes. */
static inline void queue_push_back(struct slot_queue *queue, uint32_t slot) {
    queue_drop(queue, slot);
    if (queue->room > queue->mask)
        queue_renew(queue);
    uint32_t at = (queue->front + queue->room++) & queue->mask;
    queue->order[at] = slot;
    queue->place[slot] = at + 1;
    queue->count++;
}
/* The slot becomes the first; its mark goes. */
static inline void queue_push_front(struct slot_queue *queue, uint32_t slot) {
    queue_drop(queue, slot);
    if (queue->room > queue->mask)
        queue_renew(queue);
    queue->front = (queue->front - 1) & queue->mask;
    queue->room++;
    queue->order[queue->front] = slot;
    queue->place[slot] = queue->front + 1;
    queue->count++;
}
/* The first slot, EVICT_NONE when empty. The lines of those some way behind it are fetched. */
static inline uint32_t queue_first(struct slot_queue *queue, const struct block_info *blocks) {
    for (; queue->room > 0; queue->front = (queue->front + 1) & queue->mask, queue->room--) {
        uint32_t slot = queue->order[queue->front];
        if (queue->room > QUEUE_AHEAD) {
            uint32_t ahead = queue->order[(queue->front + QUEUE_AHEAD) & queue->mask];
            __builtin_prefetch(&blocks[ahead], 1);
            __builtin_prefetch(&queue->place[ahead], 1);
        }
        if (queue_place(queue, slot) == queue->front + 1)
            return slot;
    }
    return EVICT_NONE;
}

#endif
