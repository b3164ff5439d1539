/* A ghost list: ids that were evicted lately, in order, at most `capacity` of them. The structure under ARC, 2Q,
 * S3-FIFO and LeCaR.
 *
 * An id that is asked for again (the hook `miss`) steps aside until its block comes in (insert), so that making room
 * for it cannot drive it out; at most `capacity` are aside at once, the oldest goes first. */
#ifndef POLICIES_EVICT_GHOSTS_H
#define POLICIES_EVICT_GHOSTS_H

#include "policies/evict/list.h"
#include "sim/base/int_map.h"

struct ghosts {
    struct int_map *entry_of; /* id -> entry */
    uint64_t *ids;            /* by entry */
    int64_t *notes;           /* by entry: the policy's own number */
    uint8_t *aside;
    struct slot_link *links;
    struct slot_list order, asked; /* oldest first */
    uint32_t count, asked_count;   /* count: without those aside */
    uint32_t capacity, used, entries;
    struct slot_list unused;
};

void ghosts_create(struct ghosts *g, uint32_t capacity);
void ghosts_destroy(struct ghosts *g);
/* Remembers `id` as the latest, with a number of the policy's; over capacity the oldest is forgotten. */
void ghosts_put(struct ghosts *g, uint64_t id, int64_t note);
bool ghosts_has(const struct ghosts *g, uint64_t id);
/* The block is asked for and not there: true, and aside it steps, if it is remembered. */
bool ghosts_ask(struct ghosts *g, uint64_t id);
/* The block comes in: true, and it is forgotten, if it was remembered; note (may be NULL) gets its number. */
bool ghosts_take(struct ghosts *g, uint64_t id, int64_t *note);
/* Forgets the oldest; nothing when there is none. */
void ghosts_drop_oldest(struct ghosts *g);

#endif
