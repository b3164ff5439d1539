#include "sim/serve/wakes.h"

#include <stdbool.h>
#include <stdlib.h>

#include "sim/base/error.h"

static bool before(const struct wake *a, const struct wake *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void wakes_destroy(struct wakes *wakes) {
    free(wakes->heap);
}

uint64_t wakes_set(struct wakes *wakes, sim_time at, uint32_t instance, uint32_t request) {
    if (wakes->count == wakes->room) {
        wakes->room = wakes->room ? 2 * wakes->room : 64;
        wakes->heap = realloc(wakes->heap, wakes->room * sizeof *wakes->heap);
        MUST(wakes->heap != NULL);
    }
    struct wake wake = {.at = at, .order = ++wakes->order, .instance = instance, .request = request};
    uint32_t index = wakes->count++;
    for (; index > 0 && before(&wake, &wakes->heap[(index - 1) / 2]); index = (index - 1) / 2)
        wakes->heap[index] = wakes->heap[(index - 1) / 2];
    wakes->heap[index] = wake;
    return wake.order;
}

sim_time wakes_next(const struct wakes *wakes) {
    return wakes->count > 0 ? wakes->heap[0].at : SIM_NEVER;
}

struct wake wakes_pop(struct wakes *wakes) {
    MUST(wakes->count > 0);
    struct wake first = wakes->heap[0], last = wakes->heap[--wakes->count];
    uint32_t index = 0;
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= wakes->count)
            break;
        if (child + 1 < wakes->count && before(&wakes->heap[child + 1], &wakes->heap[child]))
            child++;
        if (!before(&wakes->heap[child], &last))
            break;
        wakes->heap[index] = wakes->heap[child];
        index = child;
    }
    wakes->heap[index] = last;
    return first;
}
