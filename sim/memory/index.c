#include "sim/memory/index.h"

#include "sim/base/arena.h"

void index_create(struct block_index *index, const struct block_info *blocks, uint64_t capacity) {
    uint64_t room = 64;
    while (room < 2 * capacity) room *= 2;
    *index = (struct block_index){.entries = lazy_alloc(room, sizeof *index->entries), .mask = room - 1, .room = room, .blocks = blocks};
}

void index_destroy(struct block_index *index) { lazy_free(index->entries, index->room, sizeof *index->entries); }

uint32_t index_find(const struct block_index *index, uint64_t id) {
    uint32_t hash = index_hash(id);
    for (uint64_t at = hash & index->mask;; at = (at + 1) & index->mask) {
        struct index_entry entry = index->entries[at];
        if (entry.slot_plus_1 == 0) return UINT32_MAX;
        if (entry.hash == hash && index->blocks[entry.slot_plus_1 - 1].id == id) return entry.slot_plus_1 - 1;
    }
}

void index_insert(struct block_index *index, uint32_t slot) {
    uint32_t hash = index_hash(index->blocks[slot].id);
    uint64_t at = hash & index->mask;
    while (index->entries[at].slot_plus_1 != 0) at = (at + 1) & index->mask;
    index->entries[at] = (struct index_entry){hash, slot + 1};
}

void index_remove(struct block_index *index, uint32_t slot) {
    uint64_t at = index_hash(index->blocks[slot].id) & index->mask;
    while (index->entries[at].slot_plus_1 != slot + 1) {
        MUST(index->entries[at].slot_plus_1 != 0);
        at = (at + 1) & index->mask;
    }
    /* Whatever stands after the gap and would be reached across it moves into it. */
    uint64_t gap = at;
    for (;;) {
        at = (at + 1) & index->mask;
        struct index_entry entry = index->entries[at];
        if (entry.slot_plus_1 == 0) break;
        uint64_t home = entry.hash & index->mask;
        if (((at - home) & index->mask) >= ((at - gap) & index->mask)) {
            index->entries[gap] = entry;
            gap = at;
        }
    }
    index->entries[gap] = (struct index_entry){0, 0};
}
