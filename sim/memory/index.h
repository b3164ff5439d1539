/* Where a block is: 64-bit id -> slot, and whether it is resident.
 *
 * Ids of one text are consecutive, so an entry is a *group* of eight ids (id / 8) with their slots, one cache line: a
 * prompt's blocks are found eight to a probe, and a look-up of a run touches nothing but these lines. Open addressing,
 * linear probing, deletion by shifting back, at most half full. Doubles as it fills: costs what it holds, not what it
 * may hold. */
#ifndef SIM_MEMORY_INDEX_H
#define SIM_MEMORY_INDEX_H

#include <stdbool.h>
#include <stdint.h>

enum { INDEX_GROUP = 8 };

struct index_group {
    uint64_t key;                /* id / INDEX_GROUP */
    uint32_t slots[INDEX_GROUP]; /* by id % INDEX_GROUP */
    uint8_t present, resident;   /* a bit an id; present 0: the place is empty */
    uint8_t unused[22];
};
_Static_assert(sizeof(struct index_group) == 64, "a group is one cache line");

struct block_index {
    struct index_group *groups;
    uint64_t mask, used; /* groups */
    uint64_t last;       /* place of the group written last */
};

void index_create(struct block_index *index);
void index_destroy(struct block_index *index);
/* The slot of `id`, UINT32_MAX: not there. */
uint32_t index_find(const struct block_index *index, uint64_t id);
/* Slots of ids[0..count) into slots[], UINT32_MAX each that is not there. */
void index_find_all(const struct block_index *index, const uint64_t *ids, uint32_t count, uint32_t *slots);
/* The number of leading ids that are there and resident; their slots into slots[] unless it is NULL. */
uint32_t index_match(const struct block_index *index, const uint64_t *ids, uint32_t count, uint32_t *slots);
/* Adds an id. Returns UINT32_MAX, or the slot it has already (and changes nothing). */
uint32_t index_add(struct block_index *index, uint64_t id, uint32_t slot, bool resident);
void index_set_resident(struct block_index *index, uint64_t id);
/* The id must be there. */
void index_remove(struct block_index *index, uint64_t id);
uint64_t index_count(const struct block_index *index); /* slow */

#endif
