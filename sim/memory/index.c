#include "sim/memory/index.h"

#include <stddef.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"

enum { FIRST_ROOM = 64, AHEAD = 32 };

/* Spreads group numbers over places: the finaliser of MurmurHash3 (A. Appleby, public domain). */
static uint64_t place_hash(uint64_t key) {
    key ^= key >> 33;
    key *= UINT64_C(0xff51afd7ed558ccd);
    key ^= key >> 33;
    key *= UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

static uint32_t bit_of(uint64_t id) {
    return (uint32_t)(id % INDEX_GROUP);
}

/* The group of `key`, or the empty place where it would stand. */
static struct index_group *group_at(const struct block_index *index, uint64_t key) {
    for (uint64_t at = place_hash(key) & index->mask;; at = (at + 1) & index->mask) {
        struct index_group *group = &index->groups[at];
        if (group->present == 0 || group->key == key)
            return group;
    }
}

static void prefetch(const struct block_index *index, uint64_t id) {
    __builtin_prefetch(&index->groups[place_hash(id / INDEX_GROUP) & index->mask]);
}

void index_create(struct block_index *index) {
    *index = (struct block_index){.groups = lazy_alloc(FIRST_ROOM, sizeof *index->groups), .mask = FIRST_ROOM - 1};
}

void index_destroy(struct block_index *index) {
    lazy_free(index->groups, index->mask + 1, sizeof *index->groups);
}

static void grow(struct block_index *index) {
    struct block_index larger = {.mask = 2 * index->mask + 1, .used = index->used};
    larger.groups = lazy_alloc(larger.mask + 1, sizeof *larger.groups);
    for (uint64_t at = 0; at <= index->mask; at++)
        if (index->groups[at].present)
            *group_at(&larger, index->groups[at].key) = index->groups[at];
    index_destroy(index);
    *index = larger;
}

uint32_t index_find(const struct block_index *index, uint64_t id) {
    const struct index_group *group = group_at(index, id / INDEX_GROUP);
    return group->present >> bit_of(id) & 1 ? group->slots[bit_of(id)] : UINT32_MAX;
}

/* Walks ids group by group, the lines some way ahead being fetched meanwhile. */
struct walk {
    const struct block_index *index;
    const struct index_group *group;
    uint64_t key;
};
static const struct index_group *walk_to(struct walk *walk, const uint64_t *ids, uint32_t i, uint32_t count) {
    if (i + AHEAD < count && (ids[i + AHEAD] ^ ids[i + AHEAD - 1]) >= INDEX_GROUP)
        prefetch(walk->index, ids[i + AHEAD]);
    uint64_t key = ids[i] / INDEX_GROUP;
    if (!walk->group || key != walk->key) {
        walk->key = key;
        walk->group = group_at(walk->index, key);
    }
    return walk->group;
}
static struct walk walk_start(const struct block_index *index, const uint64_t *ids, uint32_t count) {
    for (uint32_t i = 1; i < AHEAD && i < count; i++)
        if ((ids[i] ^ ids[i - 1]) >= INDEX_GROUP)
            prefetch(index, ids[i]);
    return (struct walk){.index = index};
}

void index_find_all(const struct block_index *index, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    struct walk walk = walk_start(index, ids, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct index_group *group = walk_to(&walk, ids, i, count);
        slots[i] = group->present >> bit_of(ids[i]) & 1 ? group->slots[bit_of(ids[i])] : UINT32_MAX;
    }
}

uint32_t index_match(const struct block_index *index, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    if (count == 0 || index_find(index, ids[0]) == UINT32_MAX)
        return 0;
    struct walk walk = walk_start(index, ids, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct index_group *group = walk_to(&walk, ids, i, count);
        if (!(group->present & group->resident & 1u << bit_of(ids[i])))
            return i;
        if (slots)
            slots[i] = group->slots[bit_of(ids[i])];
    }
    return count;
}

/* The group of an id about to be written: more often than not the one written last. */
static struct index_group *group_to_write(struct block_index *index, uint64_t id) {
    struct index_group *group = &index->groups[index->last];
    if (group->present && group->key == id / INDEX_GROUP)
        return group;
    group = group_at(index, id / INDEX_GROUP);
    index->last = (uint64_t)(group - index->groups);
    return group;
}

uint32_t index_add(struct block_index *index, uint64_t id, uint32_t slot, bool resident) {
    if (2 * index->used > index->mask)
        grow(index);
    struct index_group *group = group_to_write(index, id);
    uint32_t bit = bit_of(id);
    if (group->present == 0) {
        group->key = id / INDEX_GROUP;
        group->resident = 0;
        index->used++;
    }
    if (group->present >> bit & 1)
        return group->slots[bit];
    group->present |= (uint8_t)(1u << bit);
    group->resident |= (uint8_t)((unsigned)resident << bit);
    group->slots[bit] = slot;
    return UINT32_MAX;
}

void index_set_resident(struct block_index *index, uint64_t id) {
    struct index_group *group = group_to_write(index, id);
    MUST(group->present >> bit_of(id) & 1);
    group->resident |= (uint8_t)(1u << bit_of(id));
}

/* Whatever stands after the gap and would be reached across it moves into it. */
static void close_gap(struct block_index *index, uint64_t gap) {
    for (uint64_t at = (gap + 1) & index->mask; index->groups[at].present; at = (at + 1) & index->mask) {
        uint64_t home = place_hash(index->groups[at].key) & index->mask;
        if (((at - home) & index->mask) < ((at - gap) & index->mask))
            continue;
        index->groups[gap] = index->groups[at];
        gap = at;
    }
    index->groups[gap].present = 0;
}

void index_remove(struct block_index *index, uint64_t id) {
    struct index_group *group = group_to_write(index, id);
    uint8_t bit = (uint8_t)(1u << bit_of(id));
    MUST(group->present & bit);
    group->present &= (uint8_t)~bit;
    group->resident &= (uint8_t)~bit;
    if (group->present)
        return;
    index->used--;
    close_gap(index, (uint64_t)(group - index->groups));
}

uint64_t index_count(const struct block_index *index) {
    uint64_t count = 0;
    for (uint64_t at = 0; at <= index->mask; at++)
        count += (uint64_t)__builtin_popcount(index->groups[at].present);
    return count;
}
