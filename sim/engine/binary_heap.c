/* The reference queue, written to be obviously right: a binary heap of (time, source) in which a changed mind is a
 * new entry, and an entry whose stamp is not its source's latest is dropped when it comes up. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"
#include "sim/engine/queue.h"

struct entry {
    int64_t time;
    uint32_t source, stamp;
};

struct binary_heap {
    struct entry *entries;
    size_t count, room;
    int64_t *time;   /* by source */
    uint32_t *stamp; /* by source: that of its latest entry */
    uint32_t sources;
};

struct binary_heap *binary_heap_create(uint32_t sources) {
    MUST(sources > 0);
    struct binary_heap *heap = calloc(1, sizeof *heap);
    MUST(heap);
    heap->sources = sources;
    heap->time = malloc(sources * sizeof *heap->time);
    heap->stamp = calloc(sources, sizeof *heap->stamp);
    MUST(heap->time && heap->stamp);
    for (uint32_t i = 0; i < sources; i++)
        heap->time[i] = INT64_MAX;
    return heap;
}

void binary_heap_destroy(struct binary_heap *heap) {
    if (!heap)
        return;
    free(heap->entries);
    free(heap->time);
    free(heap->stamp);
    free(heap);
}

static inline bool before(const struct entry *a, const struct entry *b) {
    return a->time < b->time || (a->time == b->time && a->source < b->source);
}

static void push(struct binary_heap *heap, struct entry entry) {
    if (heap->count == heap->room) {
        heap->room = heap->room ? 2 * heap->room : 64;
        heap->entries = realloc(heap->entries, heap->room * sizeof *heap->entries);
        MUST(heap->entries);
    }
    size_t at = heap->count++;
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!before(&entry, &heap->entries[parent]))
            break;
        heap->entries[at] = heap->entries[parent];
        at = parent;
    }
    heap->entries[at] = entry;
}

static void pop(struct binary_heap *heap) {
    struct entry last = heap->entries[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(&heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (!before(&heap->entries[child], &last))
            break;
        heap->entries[at] = heap->entries[child];
        at = child;
    }
    heap->entries[at] = last;
}

void binary_heap_set(struct binary_heap *heap, uint32_t source, int64_t time) {
    heap->time[source] = time;
    heap->stamp[source]++;
    if (time != INT64_MAX)
        push(heap, (struct entry){time, source, heap->stamp[source]});
}

int64_t binary_heap_get(const struct binary_heap *heap, uint32_t source) {
    return heap->time[source];
}

uint32_t binary_heap_first(struct binary_heap *heap, int64_t *time) {
    while (heap->count > 0 && heap->entries[0].stamp != heap->stamp[heap->entries[0].source])
        pop(heap);
    *time = heap->count > 0 ? heap->entries[0].time : INT64_MAX;
    return heap->count > 0 ? heap->entries[0].source : 0;
}
