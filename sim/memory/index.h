/* Where a block is: 64-bit id -> slot, open addressing with linear probing and deletion by shifting back.
 *
 * An entry is a 32-bit hash and a slot; the id itself stands in the tier's block array, which a hit needs anyway. Eight
 * consecutive ids hash to eight consecutive places, one cache line: the blocks of a prompt are found line by line. */
#ifndef SIM_MEMORY_INDEX_H
#define SIM_MEMORY_INDEX_H

#include <stdint.h>

#include "policies/evict.h"

struct index_entry {
    uint32_t hash;
    uint32_t slot_plus_1; /* 0: empty */
};
struct block_index {
    struct index_entry *entries;
    uint64_t mask, room;
    const struct block_info *blocks;
};

/* For at most `capacity` blocks whose ids are in blocks[slot].id. */
void index_create(struct block_index *index, const struct block_info *blocks, uint64_t capacity);
void index_destroy(struct block_index *index);
uint32_t index_find(const struct block_index *index, uint64_t id); /* UINT32_MAX: not there */
/* blocks[slot].id must be set, and not be in the index. */
void index_insert(struct block_index *index, uint32_t slot);
void index_remove(struct block_index *index, uint32_t slot);

static inline uint32_t index_hash(uint64_t id) {
    uint64_t group = id >> 3;
    group = (group ^ group >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    group ^= group >> 32;
    return (uint32_t)(group << 3) | (uint32_t)(id & 7);
}
static inline void index_prefetch(const struct block_index *index, uint64_t id) {
    __builtin_prefetch(&index->entries[index_hash(id) & index->mask]);
}

#endif
