/* Namespaces: what keeps the blocks of one model version, adapter and tenant from being taken for another's.
 *
 * A namespace has a number, and its *salt* is added to every id of its chains: the ids of two namespaces never meet, so
 * no look-up, index or policy needs to know of them. Ids as the workload gives them stay below 2^57 and leave bits
 * 48..51 alone (2^24 sessions and documents, traces of 2^48 ids), so numbers below SPACES_MAX have salts of their own.
 *
 * On each shelf, a tier's unit, the blocks that nobody holds stand in a queue for their namespace, in the order in
 * which they were let go or touched last. From its front
 *   - they expire: a block that nobody has held or touched for its time to live is deleted, at that ns;
 *   - they make room for their own tenant, when it would be over its quota: before anybody else's block is asked for;
 *     in HBM, where blocks are computed before it is known what they cost, as soon as they are let go.
 * A namespace that is retired keeps what requests hold until they let go. Pinned blocks are held by the shelf. */
#ifndef SIM_MEMORY_SPACE_H
#define SIM_MEMORY_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/engine/engine.h"

enum { SPACES_MAX = 2048, SPACE_RULES_MAX = 64 };

static inline uint64_t space_salt(uint32_t space) {
    return (uint64_t)(space % 128) << 57 | (uint64_t)(space / 128) << 48;
}
static inline uint32_t space_of_id(uint64_t id) {
    return (uint32_t)(id >> 57) | (uint32_t)(id >> 48 & 15) * 128;
}
static inline bool space_takes_id(uint64_t id) {
    return id >> 57 == 0 && (id >> 48 & 15) == 0;
}

/* What holds for a namespace in a tier. */
struct space_terms {
    int64_t ttl_ns;      /* 0: no end */
    double quota_bytes;  /* of one unit of the tier, for the tenant; 0: none */
    double pin_bytes;    /* of one unit, for all that the rule is about; 0: nothing is pinned */
    uint32_t pin_blocks; /* only so many blocks from the beginning of a prompt; 0: all */
    uint32_t tenant, rule;
};
/* Who knows the namespaces. */
struct space_source {
    void *self;
    struct space_terms (*terms)(void *self, uint32_t space, uint32_t level);
    void (*wake)(void *self, sim_time at); /* a block may expire then: hierarchy_expire is to be called */
    bool pins_by_depth;
};

struct hierarchy;
/* Deletes what has expired by now. Returns when the next block may; SIM_NEVER: none. */
sim_time hierarchy_expire(struct hierarchy *hierarchy, sim_time now);
/* Deletes every block of the namespace, those that are held as soon as they are let go, wherever they come to. */
void hierarchy_retire(struct hierarchy *hierarchy, uint32_t space, sim_time now);

struct space_counts {
    uint64_t blocks;                         /* there now, arriving ones included */
    uint64_t expired, deleted, over, pinned; /* over: evicted for their own tenant's quota; pinned: now */
};
/* Of one namespace in one unit of a tier; the counts of expired, deleted, over and pinned are of all namespaces. */
struct space_counts hierarchy_space_counts(const struct hierarchy *hierarchy, uint32_t level, uint32_t unit,
                                           uint32_t space);

/* For the hierarchy's own files. */
struct bank;
struct shelf;
struct tier_watch;
struct shelf *shelf_create(struct bank *unit);
void shelf_destroy(struct shelf *shelf);
const struct tier_watch *shelf_watch(const struct shelf *shelf);
/* A block was touched without being held. NULL: no shelf. */
void shelf_touched(struct shelf *shelf, uint32_t slot, sim_time now);
/* Blocks that have come, resident and held, front first: the shelf holds those that are to be pinned. */
void shelf_pin(struct shelf *shelf, const uint32_t *slots, uint32_t count, sim_time now);
/* How many of `want` new blocks of the namespace of `id` its quota leaves room for, own ones evicted first. */
uint32_t shelf_room(struct shelf *shelf, uint64_t id, uint32_t want, sim_time now);
/* Closing: lets go of everything pinned, and pins nothing and sends nothing away until it is open again. */
void shelf_close(struct shelf *shelf, bool closing, sim_time now);

#endif
