/* A doubly linked list over slots in two lazily reserved arrays: the structure under LRU, FIFO and queues by priority.
 */
#ifndef POLICIES_EVICT_LIST_H
#define POLICIES_EVICT_LIST_H

#include "policies/evict.h"
#include "sim/base/arena.h"

struct slot_link {
    uint32_t before, after; /* slot + 1; LINK_END: none; 0 in both: in no list */
};
struct slot_list {
    uint32_t head, tail;
};

/* Stored + 1, so that zeroed memory means "in no list" and an empty list is {0, 0}. */
static inline struct slot_link *links_create(uint32_t slots) {
    return lazy_alloc(slots, sizeof(struct slot_link));
}
static inline void links_destroy(struct slot_link *links, uint32_t slots) {
    lazy_free(links, slots, sizeof *links);
}

#define LINK_END UINT32_MAX
static inline bool link_is_in(const struct slot_link *links, uint32_t slot) {
    return links[slot].before != 0;
}
static inline void list_push_back(struct slot_list *list, struct slot_link *links, uint32_t slot) {
    links[slot] = (struct slot_link){list->tail ? list->tail : LINK_END, LINK_END};
    if (list->tail)
        links[list->tail - 1].after = slot + 1;
    else
        list->head = slot + 1;
    list->tail = slot + 1;
}
static inline void list_push_front(struct slot_list *list, struct slot_link *links, uint32_t slot) {
    links[slot] = (struct slot_link){LINK_END, list->head ? list->head : LINK_END};
    if (list->head)
        links[list->head - 1].before = slot + 1;
    else
        list->tail = slot + 1;
    list->head = slot + 1;
}
static inline void list_unlink(struct slot_list *list, struct slot_link *links, uint32_t slot) {
    struct slot_link link = links[slot];
    if (link.before == LINK_END)
        list->head = link.after == LINK_END ? 0 : link.after;
    else
        links[link.before - 1].after = link.after;
    if (link.after == LINK_END)
        list->tail = link.before == LINK_END ? 0 : link.before;
    else
        links[link.after - 1].before = link.before;
    links[slot] = (struct slot_link){0, 0};
}
/* The first slot, EVICT_NONE when empty. */
static inline uint32_t list_first(const struct slot_list *list) {
    return list->head ? list->head - 1 : EVICT_NONE;
}
/* The slot after, EVICT_NONE at the end. */
static inline uint32_t list_after(const struct slot_link *links, uint32_t slot) {
    return links[slot].after == LINK_END ? EVICT_NONE : links[slot].after - 1;
}

#endif
