#include "sim/serve/timers.h"

#include <stdlib.h>

static bool before(const struct timer_entry *a, const struct timer_entry *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void timers_destroy(struct timers *timers) {
    free(timers->heap);
    free(timers->specs);
    free(timers->instances);
    free(timers->free_places);
}

static void *grown(void *memory, size_t count, size_t size_bytes) {
    memory = realloc(memory, count * size_bytes);
    MUST(memory != NULL);
    return memory;
}

static void timers_grow(struct timers *timers) {
    uint32_t room = timers->room ? 2 * timers->room : 64;
    timers->heap = grown(timers->heap, room, sizeof *timers->heap);
    timers->specs = grown(timers->specs, room, sizeof *timers->specs);
    timers->instances = grown(timers->instances, room, sizeof *timers->instances);
    timers->free_places = grown(timers->free_places, room, sizeof *timers->free_places);
    for (uint32_t place = room; place-- > timers->room;)
        timers->free_places[timers->free_count++] = place;
    timers->room = room;
}

void timers_set(struct timers *timers, sim_time at, const struct request_spec *spec, int32_t instance) {
    if (timers->count == timers->room)
        timers_grow(timers);
    struct timer_entry entry = {.at = at, .order = timers->order++, .place = timers->free_places[--timers->free_count]};
    timers->specs[entry.place] = *spec;
    timers->instances[entry.place] = instance;
    uint32_t index = timers->count++;
    for (; index > 0 && before(&entry, &timers->heap[(index - 1) / 2]); index = (index - 1) / 2)
        timers->heap[index] = timers->heap[(index - 1) / 2];
    timers->heap[index] = entry;
}

sim_time timers_next(const struct timers *timers) {
    return timers->count ? timers->heap[0].at : SIM_NEVER;
}

void timers_pop(struct timers *timers, struct request_spec *spec, int32_t *instance) {
    MUST(timers->count > 0);
    uint32_t place = timers->heap[0].place;
    *spec = timers->specs[place];
    *instance = timers->instances[place];
    timers->free_places[timers->free_count++] = place;
    struct timer_entry last = timers->heap[--timers->count];
    uint32_t index = 0;
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && before(&timers->heap[child + 1], &timers->heap[child]))
            child++;
        if (!before(&timers->heap[child], &last))
            break;
        timers->heap[index] = timers->heap[child];
        index = child;
    }
    timers->heap[index] = last;
}
