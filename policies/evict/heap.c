#include "policies/evict/heap.h"

enum { CHILDREN = 4 };

void slot_heap_create(struct slot_heap *heap, uint32_t room) {
    *heap = (struct slot_heap){.items = lazy_alloc(room, sizeof *heap->items),
                               .place = lazy_alloc(room, sizeof *heap->place),
                               .keys = lazy_alloc(room, sizeof *heap->keys),
                               .room = room};
}

void slot_heap_destroy(struct slot_heap *heap) {
    lazy_free(heap->items, heap->room, sizeof *heap->items);
    lazy_free(heap->place, heap->room, sizeof *heap->place);
    lazy_free(heap->keys, heap->room, sizeof *heap->keys);
}

static inline bool less(const struct heap_item *a, const struct heap_item *b) {
    if (a->key.first != b->key.first)
        return a->key.first < b->key.first;
    if (a->key.second != b->key.second)
        return a->key.second < b->key.second;
    return a->slot < b->slot;
}

static inline void put(struct slot_heap *heap, uint32_t index, const struct heap_item *item) {
    heap->items[index] = *item;
    heap->place[item->slot] = index + 1;
}

/* `item` belongs at `index` or above or below it, where a gap is. */
static void sift(struct slot_heap *heap, uint32_t index, struct heap_item item) {
    for (; index > 0 && less(&item, &heap->items[(index - 1) / CHILDREN]); index = (index - 1) / CHILDREN)
        put(heap, index, &heap->items[(index - 1) / CHILDREN]);
    for (;;) {
        uint64_t child = (uint64_t)index * CHILDREN + 1, end = child + CHILDREN;
        if (child >= heap->count)
            break;
        if (end > heap->count)
            end = heap->count;
        uint64_t best = child;
        for (child++; child < end; child++)
            if (less(&heap->items[child], &heap->items[best]))
                best = child;
        if (!less(&heap->items[best], &item))
            break;
        put(heap, index, &heap->items[best]);
        index = (uint32_t)best;
    }
    put(heap, index, &item);
}

void slot_heap_put(struct slot_heap *heap, uint32_t slot, struct slot_key key) {
    heap->keys[slot] = key;
    uint32_t index = heap->place[slot] ? heap->place[slot] - 1 : heap->count++;
    sift(heap, index, (struct heap_item){key, slot});
}

void slot_heap_remove(struct slot_heap *heap, uint32_t slot) {
    if (heap->place[slot] == 0)
        return;
    uint32_t index = heap->place[slot] - 1;
    struct heap_item last = heap->items[--heap->count];
    heap->place[slot] = 0;
    if (last.slot != slot)
        sift(heap, index, last);
}
