/* Where a block is: 64-bit id -> slot, and whether it is resident.
 *
 * Ids of one text are consecutive (chain.c makes those of coarser blocks so), so an entry is a *group* of sixteen ids
 * (id / 16): a prompt's blocks are found sixteen to a probe. Heads (key, who is present, who resident) stand apart from
 * the slots: probing, and looking up whether a prefix is there, touch only heads, four to a cache line; slots are one
 * line a group. Open addressing, linear probing, deletion by shifting back, at most half full. Doubles as it fills:
 * costs what it holds, not what it may hold. */
#ifndef SIM_BASE_INDEX_H
#define SIM_BASE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

enum { INDEX_GROUP = 16 };

struct index_head {
    uint64_t key;               /* id / INDEX_GROUP */
    uint16_t present, resident; /* a bit an id; present 0: the place is empty */
    uint32_t unused;
};
_Static_assert(sizeof(struct index_head) == 16, "four heads are one cache line");

struct block_index {
    struct index_head *heads;
    uint32_t (*slots)[INDEX_GROUP]; /* by place, by id % INDEX_GROUP */
    uint64_t mask, used;            /* groups */
    uint64_t last;                  /* place of the group written last */
};

void index_create(struct block_index *index);
void index_destroy(struct block_index *index);
/* The slot of `id`, UINT32_MAX: not there. */
uint32_t index_find(const struct block_index *index, uint64_t id);
/* Slots of ids[0..count) into slots[], UINT32_MAX each that is not there, or with `resident` is there and not that. */
void index_find_all(const struct block_index *index, const uint64_t *ids, uint32_t count, bool resident,
                    uint32_t *slots);
/* The number of leading ids that are there and resident; their slots into slots[] unless it is NULL. */
uint32_t index_match(const struct block_index *index, const uint64_t *ids, uint32_t count, uint32_t *slots);
/* Adds an id. Returns UINT32_MAX, or the slot it has already (and changes nothing). */
uint32_t index_add(struct block_index *index, uint64_t id, uint32_t slot, bool resident);
/* Has the lines fetched that ids some way behind ids[i] will touch: called for each i in turn while ids are added. */
void index_ahead(const struct block_index *index, const uint64_t *ids, uint32_t i, uint32_t count);
void index_set_resident(struct block_index *index, uint64_t id);
/* The id must be there. */
void index_remove(struct block_index *index, uint64_t id);
uint64_t index_count(const struct block_index *index); /* slow */

#endif
