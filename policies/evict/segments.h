/* Several lists over slots that share one array of links: the structure under every policy that moves blocks between
 * queues (SLRU, 2Q, ARC, S3-FIFO, ...). A slot is in one segment or in none.
 *
 * A held block may stay where it is. When segments_first meets one at the head it steps aside: it still belongs to its
 * segment and counts there, but is in no list; segments_return (at release) puts it back at the head. So a hit costs
 * nothing on the way, and the search for a victim never looks at a held block twice. */
#ifndef POLICIES_EVICT_SEGMENTS_H
#define POLICIES_EVICT_SEGMENTS_H

#include "policies/evict/list.h"

enum { SEGMENTS_MAX = 8, SEGMENT_NONE = 255, SEGMENT_ASIDE = 128 };

struct slot_segments {
    struct slot_link *links;
    uint8_t *part; /* by slot: segment + 1, 0: none; with SEGMENT_ASIDE: not in its list */
    struct slot_list lists[SEGMENTS_MAX];
    uint32_t counts[SEGMENTS_MAX]; /* those aside included */
    uint32_t slots;
};

static inline void segments_create(struct slot_segments *s, uint32_t slots) {
    *s = (struct slot_segments){
        .links = links_create(slots), .part = lazy_alloc(slots, sizeof *s->part), .slots = slots};
}
static inline void segments_destroy(struct slot_segments *s) {
    links_destroy(s->links, s->slots);
    lazy_free(s->part, s->slots, sizeof *s->part);
}
/* The segment that the slot belongs to, SEGMENT_NONE for none. */
static inline uint32_t segments_of(const struct slot_segments *s, uint32_t slot) {
    return s->part[slot] ? (s->part[slot] & (SEGMENT_ASIDE - 1u)) - 1u : SEGMENT_NONE;
}
/* Takes the slot out of its segment, if it is in one. */
static inline void segments_drop(struct slot_segments *s, uint32_t slot) {
    uint32_t segment = segments_of(s, slot);
    if (segment == SEGMENT_NONE)
        return;
    s->counts[segment]--;
    if (!(s->part[slot] & SEGMENT_ASIDE))
        list_unlink(&s->lists[segment], s->links, slot);
    s->part[slot] = 0;
}
/* The slot becomes the last (first) of the segment, wherever it was. */
static inline void segments_push_back(struct slot_segments *s, uint32_t slot, uint32_t segment) {
    segments_drop(s, slot);
    list_push_back(&s->lists[segment], s->links, slot);
    s->part[slot] = (uint8_t)(segment + 1);
    s->counts[segment]++;
}
static inline void segments_push_front(struct slot_segments *s, uint32_t slot, uint32_t segment) {
    segments_drop(s, slot);
    list_push_front(&s->lists[segment], s->links, slot);
    s->part[slot] = (uint8_t)(segment + 1);
    s->counts[segment]++;
}
/* Fetches the lines of a slot that will be moved in a moment. */
static inline void segments_ahead(const struct slot_segments *s, uint32_t slot) {
    __builtin_prefetch(&s->links[slot], 1);
    __builtin_prefetch(&s->part[slot], 1);
}
/* The first of the segment that nobody holds, EVICT_NONE without one. Held ones on the way step aside. */
static inline uint32_t segments_first(struct slot_segments *s, uint32_t segment, const struct block_info *blocks) {
    uint32_t slot;
    while ((slot = list_first(&s->lists[segment])) != EVICT_NONE && blocks[slot].refs > 0) {
        list_unlink(&s->lists[segment], s->links, slot);
        s->part[slot] |= SEGMENT_ASIDE;
    }
    return slot;
}
/* Nobody holds it any more: if it had stepped aside, it is the first of its segment again. */
static inline void segments_return(struct slot_segments *s, uint32_t slot) {
    if (!(s->part[slot] & SEGMENT_ASIDE))
        return;
    s->part[slot] &= (uint8_t)~SEGMENT_ASIDE;
    list_push_front(&s->lists[segments_of(s, slot)], s->links, slot);
}

#endif
