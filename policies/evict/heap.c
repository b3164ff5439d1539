#include "policies/evict/heap.h"

void slot_heap_create(struct slot_heap *heap, uint32_t room) {
    *heap = (struct slot_heap){.slots = lazy_alloc(room, sizeof *heap->slots),
                               .place = lazy_alloc(room, sizeof *heap->place),
                               .keys = lazy_alloc(room, sizeof *heap->keys),
                               .room = room};
}

void slot_heap_destroy(struct slot_heap *heap) {
    lazy_free(heap->slots, heap->room, sizeof *heap->slots);
    lazy_free(heap->place, heap->room, sizeof *heap->place);
    lazy_free(heap->keys, heap->room, sizeof *heap->keys);
}

static bool less(const struct slot_heap *heap, uint32_t a, uint32_t b) {
    struct slot_key ka = heap->keys[a], kb = heap->keys[b];
    if (ka.first != kb.first)
        return ka.first < kb.first;
    if (ka.second != kb.second)
        return ka.second < kb.second;
    return a < b;
}

static void put(struct slot_heap *heap, uint32_t index, uint32_t slot) {
    heap->slots[index] = slot;
    heap->place[slot] = index + 1;
}

static void sift(struct slot_heap *heap, uint32_t index, uint32_t slot) {
    for (; index > 0 && less(heap, slot, heap->slots[(index - 1) / 2]); index = (index - 1) / 2)
        put(heap, index, heap->slots[(index - 1) / 2]);
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && less(heap, heap->slots[child + 1], heap->slots[child]))
            child++;
        if (!less(heap, heap->slots[child], slot))
            break;
        put(heap, index, heap->slots[child]);
        index = child;
    }
    put(heap, index, slot);
}

void slot_heap_put(struct slot_heap *heap, uint32_t slot, struct slot_key key) {
    heap->keys[slot] = key;
    uint32_t index = heap->place[slot] ? heap->place[slot] - 1 : heap->count++;
    sift(heap, index, slot);
}

void slot_heap_remove(struct slot_heap *heap, uint32_t slot) {
    if (heap->place[slot] == 0)
        return;
    uint32_t index = heap->place[slot] - 1, last = heap->slots[--heap->count];
    heap->place[slot] = 0;
    if (last != slot)
        sift(heap, index, last);
}
