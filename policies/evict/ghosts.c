#include "policies/evict/ghosts.h"

void ghosts_create(struct ghosts *g, uint32_t capacity) {
    MUST(capacity < UINT32_MAX / 4);
    uint32_t entries = 2 * capacity + 2;
    *g = (struct ghosts){.entry_of = int_map_create(),
                         .ids = lazy_alloc(entries, sizeof *g->ids),
                         .notes = lazy_alloc(entries, sizeof *g->notes),
                         .aside = lazy_alloc(entries, sizeof *g->aside),
                         .links = links_create(entries),
                         .capacity = capacity,
                         .entries = entries};
}

void ghosts_destroy(struct ghosts *g) {
    int_map_destroy(g->entry_of);
    lazy_free(g->ids, g->entries, sizeof *g->ids);
    lazy_free(g->notes, g->entries, sizeof *g->notes);
    lazy_free(g->aside, g->entries, sizeof *g->aside);
    links_destroy(g->links, g->entries);
}

static void leave(struct ghosts *g, uint32_t entry) {
    list_unlink(g->aside[entry] ? &g->asked : &g->order, g->links, entry);
    if (g->aside[entry])
        g->asked_count--;
    else
        g->count--;
}

static void forget(struct ghosts *g, uint32_t entry) {
    leave(g, entry);
    int_map_delete(g->entry_of, g->ids[entry]);
    list_push_back(&g->unused, g->links, entry);
}

void ghosts_drop_oldest(struct ghosts *g) {
    if (g->count > 0)
        forget(g, list_first(&g->order));
}

static uint32_t new_entry(struct ghosts *g) {
    uint32_t entry = list_first(&g->unused);
    if (entry == EVICT_NONE)
        return g->used++;
    list_unlink(&g->unused, g->links, entry);
    return entry;
}

static void append(struct ghosts *g, uint32_t entry, bool aside) {
    g->aside[entry] = aside;
    list_push_back(aside ? &g->asked : &g->order, g->links, entry);
    if (aside)
        g->asked_count++;
    else
        g->count++;
}

void ghosts_put(struct ghosts *g, uint64_t id, int64_t note) {
    uint32_t entry = int_map_get(g->entry_of, id);
    if (entry != INT_MAP_NONE)
        forget(g, entry);
    if (g->capacity == 0)
        return;
    if (g->count == g->capacity)
        ghosts_drop_oldest(g);
    entry = new_entry(g);
    MUST(entry < g->entries);
    g->ids[entry] = id;
    g->notes[entry] = note;
    append(g, entry, false);
    int_map_put(g->entry_of, id, entry);
}

bool ghosts_has(const struct ghosts *g, uint64_t id) {
    return int_map_get(g->entry_of, id) != INT_MAP_NONE;
}

bool ghosts_ask(struct ghosts *g, uint64_t id) {
    uint32_t entry = int_map_get(g->entry_of, id);
    if (entry == INT_MAP_NONE)
        return false;
    leave(g, entry);
    if (g->asked_count == g->capacity)
        forget(g, list_first(&g->asked));
    append(g, entry, true);
    return true;
}

bool ghosts_take(struct ghosts *g, uint64_t id, int64_t *note) {
    uint32_t entry = int_map_get(g->entry_of, id);
    if (entry == INT_MAP_NONE)
        return false;
    if (note)
        *note = g->notes[entry];
    forget(g, entry);
    return true;
}
