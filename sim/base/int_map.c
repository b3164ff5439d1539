#include "sim/base/int_map.h"

#include <stdlib.h>

#include "sim/base/error.h"

struct entry {
    uint64_t key;
    uint32_t value; /* INT_MAP_NONE: empty */
};

struct int_map {
    struct entry *entries;
    uint64_t mask, count;
};

enum { NEIGHBOURS = 2 }; /* bits: as many keys in a row begin in one cache line, since keys often come in rows */

/* Finaliser of MurmurHash3 (public domain): spreads rows of keys. */
static uint64_t mix(uint64_t key) {
    key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
    key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

/* Where a key would like to stand. */
static uint64_t home_of(const struct int_map *map, uint64_t key) {
    return (mix(key >> NEIGHBOURS) << NEIGHBOURS | (key & ((1u << NEIGHBOURS) - 1))) & map->mask;
}

static struct entry *make_entries(uint64_t count) {
    struct entry *entries = malloc(count * sizeof *entries);
    MUST(entries != NULL);
    for (uint64_t i = 0; i < count; i++)
        entries[i].value = INT_MAP_NONE;
    return entries;
}

struct int_map *int_map_create(void) {
    struct int_map *map = malloc(sizeof *map);
    MUST(map != NULL);
    *map = (struct int_map){.entries = make_entries(64), .mask = 63};
    return map;
}

void int_map_destroy(struct int_map *map) {
    if (!map)
        return;
    free(map->entries);
    free(map);
}

static struct entry *find(const struct int_map *map, uint64_t key) {
    uint64_t at = home_of(map, key);
    while (map->entries[at].value != INT_MAP_NONE && map->entries[at].key != key)
        at = (at + 1) & map->mask;
    return &map->entries[at];
}

static void grow(struct int_map *map) {
    struct entry *old = map->entries;
    uint64_t size = map->mask + 1;
    map->entries = make_entries(2 * size);
    map->mask = 2 * size - 1;
    for (uint64_t i = 0; i < size; i++)
        if (old[i].value != INT_MAP_NONE)
            *find(map, old[i].key) = old[i];
    free(old);
}

void int_map_put(struct int_map *map, uint64_t key, uint32_t value) {
    MUST(value != INT_MAP_NONE);
    struct entry *entry = find(map, key);
    if (entry->value == INT_MAP_NONE) {
        if (2 * (map->count + 1) > map->mask + 1) {
            grow(map);
            entry = find(map, key);
        }
        map->count++;
    }
    *entry = (struct entry){key, value};
}

void int_map_ahead(const struct int_map *map, uint64_t key) {
    __builtin_prefetch(&map->entries[home_of(map, key)], 1);
}

uint32_t int_map_get(const struct int_map *map, uint64_t key) {
    return find(map, key)->value;
}

uint32_t int_map_delete(struct int_map *map, uint64_t key) {
    struct entry *entry = find(map, key);
    uint32_t value = entry->value;
    if (value == INT_MAP_NONE)
        return value;
    map->count--;
    /* Whatever stands after the gap and would be reached across it moves into it. */
    uint64_t gap = (uint64_t)(entry - map->entries), at = gap;
    for (;;) {
        at = (at + 1) & map->mask;
        if (map->entries[at].value == INT_MAP_NONE)
            break;
        uint64_t home = home_of(map, map->entries[at].key);
        if (((at - home) & map->mask) >= ((at - gap) & map->mask)) {
            map->entries[gap] = map->entries[at];
            gap = at;
        }
    }
    map->entries[gap].value = INT_MAP_NONE;
    return value;
}

uint64_t int_map_count(const struct int_map *map) {
    return map->count;
}
