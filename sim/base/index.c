#include "sim/base/index.h"

#include <stddef.h>
#include <string.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"

/* AHEAD: ids between one whose lines are asked for and the one at work; a head is asked for as long again before. */
enum { FIRST_ROOM = 64, AHEAD = 2 * INDEX_GROUP };

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

/* The place of the group of `key`, or the empty one where it would stand. */
static uint64_t place_of(const struct block_index *index, uint64_t key) {
    for (uint64_t at = place_hash(key) & index->mask;; at = (at + 1) & index->mask) {
        const struct index_head *head = &index->heads[at];
        if (head->present == 0 || head->key == key)
            return at;
    }
}

static void allocate(struct block_index *index, uint64_t room) {
    index->heads = lazy_alloc(room, sizeof *index->heads);
    index->slots = lazy_alloc(room, sizeof *index->slots);
    index->mask = room - 1;
}

void index_create(struct block_index *index) {
    *index = (struct block_index){0};
    allocate(index, FIRST_ROOM);
}

void index_destroy(struct block_index *index) {
    lazy_free(index->heads, index->mask + 1, sizeof *index->heads);
    lazy_free(index->slots, index->mask + 1, sizeof *index->slots);
}

static void move_group(struct block_index *to, uint64_t to_place, const struct block_index *from, uint64_t place) {
    to->heads[to_place] = from->heads[place];
    memcpy(to->slots[to_place], from->slots[place], sizeof *to->slots);
}

static void grow(struct block_index *index) {
    struct block_index larger = {.used = index->used};
    allocate(&larger, 2 * (index->mask + 1));
    for (uint64_t at = 0; at <= index->mask; at++)
        if (index->heads[at].present)
            move_group(&larger, place_of(&larger, index->heads[at].key), index, at);
    index_destroy(index);
    *index = larger;
}

static uint32_t slot_at(const struct block_index *index, uint64_t place, uint64_t id) {
    return index->heads[place].present >> bit_of(id) & 1 ? index->slots[place][bit_of(id)] : UINT32_MAX;
}

uint32_t index_find(const struct block_index *index, uint64_t id) {
    return slot_at(index, place_of(index, id / INDEX_GROUP), id);
}

static bool begins_group(const uint64_t *ids, uint32_t i) {
    return i == 0 || (ids[i] ^ ids[i - 1]) >= INDEX_GROUP;
}

static void fetch_head(const struct block_index *index, uint64_t id) {
    __builtin_prefetch(&index->heads[place_hash(id / INDEX_GROUP) & index->mask], 1);
}

static void fetch_slots(const struct block_index *index, uint64_t id) {
    __builtin_prefetch(index->slots[place_of(index, id / INDEX_GROUP)], 1);
}

/* What walks begin with: the lines of the first ids. */
static void fetch_first(const struct block_index *index, const uint64_t *ids, uint32_t count, bool slots) {
    for (uint32_t i = 0; i < 2 * AHEAD && i < count; i++)
        if (begins_group(ids, i))
            fetch_head(index, ids[i]);
    for (uint32_t i = 0; slots && i < AHEAD && i < count; i++)
        if (begins_group(ids, i))
            fetch_slots(index, ids[i]);
}

void index_ahead(const struct block_index *index, const uint64_t *ids, uint32_t i, uint32_t count) {
    if (i == 0)
        fetch_first(index, ids, count, true);
    if (i + 2 * AHEAD < count && begins_group(ids, i + 2 * AHEAD))
        fetch_head(index, ids[i + 2 * AHEAD]);
    if (i + AHEAD < count && begins_group(ids, i + AHEAD))
        fetch_slots(index, ids[i + AHEAD]);
}

void index_find_all(const struct block_index *index, const uint64_t *ids, uint32_t count, bool resident,
                    uint32_t *slots) {
    const struct index_head *head = index->heads;
    for (uint32_t i = 0; i < count; i++) {
        index_ahead(index, ids, i, count);
        if (begins_group(ids, i))
            head = &index->heads[place_of(index, ids[i] / INDEX_GROUP)];
        uint32_t bit = bit_of(ids[i]), there = resident ? head->present & head->resident : head->present;
        slots[i] = there >> bit & 1 ? index->slots[head - index->heads][bit] : UINT32_MAX;
    }
}

uint32_t index_match(const struct block_index *index, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    uint64_t place = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 1)
            fetch_first(index, ids, count, slots != NULL); /* more often than not the first is not there */
        else if (i + 2 * AHEAD < count && begins_group(ids, i + 2 * AHEAD))
            fetch_head(index, ids[i + 2 * AHEAD]);
        if (begins_group(ids, i))
            place = place_of(index, ids[i] / INDEX_GROUP);
        const struct index_head *head = &index->heads[place];
        if (!(head->present & head->resident & 1u << bit_of(ids[i])))
            return i;
        if (slots)
            slots[i] = index->slots[place][bit_of(ids[i])];
    }
    return count;
}

/* The place of an id about to be written: more often than not the one written last. */
static uint64_t place_to_write(struct block_index *index, uint64_t id) {
    const struct index_head *head = &index->heads[index->last];
    if (!head->present || head->key != id / INDEX_GROUP)
        index->last = place_of(index, id / INDEX_GROUP);
    return index->last;
}

uint32_t index_add(struct block_index *index, uint64_t id, uint32_t slot, bool resident) {
    if (2 * index->used > index->mask)
        grow(index);
    uint64_t place = place_to_write(index, id);
    struct index_head *head = &index->heads[place];
    uint32_t bit = bit_of(id);
    if (head->present == 0) {
        *head = (struct index_head){.key = id / INDEX_GROUP};
        index->used++;
    }
    if (head->present >> bit & 1)
        return index->slots[place][bit];
    head->present |= (uint16_t)(1u << bit);
    head->resident |= (uint16_t)((unsigned)resident << bit);
    index->slots[place][bit] = slot;
    return UINT32_MAX;
}

void index_set_resident(struct block_index *index, uint64_t id) {
    struct index_head *head = &index->heads[place_to_write(index, id)];
    MUST(head->present >> bit_of(id) & 1);
    head->resident |= (uint16_t)(1u << bit_of(id));
}

/* Whatever stands after the gap and would be reached across it moves into it. */
static void close_gap(struct block_index *index, uint64_t gap) {
    for (uint64_t at = (gap + 1) & index->mask; index->heads[at].present; at = (at + 1) & index->mask) {
        uint64_t home = place_hash(index->heads[at].key) & index->mask;
        if (((at - home) & index->mask) < ((at - gap) & index->mask))
            continue;
        move_group(index, gap, index, at);
        gap = at;
    }
    index->heads[gap].present = 0;
}

void index_remove(struct block_index *index, uint64_t id) {
    uint64_t place = place_to_write(index, id);
    struct index_head *head = &index->heads[place];
    uint16_t bit = (uint16_t)(1u << bit_of(id));
    MUST(head->present & bit);
    head->present &= (uint16_t)~bit;
    head->resident &= (uint16_t)~bit;
    if (head->present)
        return;
    index->used--;
    close_gap(index, place);
}

uint64_t index_count(const struct block_index *index) {
    uint64_t count = 0;
    for (uint64_t at = 0; at <= index->mask; at++)
        count += (uint64_t)__builtin_popcount(index->heads[at].present);
    return count;
}
