/* Alarms of single requests: a deadline of a load, the moment to join the batch under one. A heap by (time, order of
 * setting); nothing is taken out early: who no longer wants to be woken forgets his alarm's number. */
#ifndef SIM_SERVE_WAKES_H
#define SIM_SERVE_WAKES_H

#include "sim/engine/engine.h"

struct wake {
    sim_time at;
    uint64_t order; /* from 1: the alarm's number */
    uint32_t instance, request;
};
struct wakes {
    struct wake *heap;
    uint32_t count, room;
    uint64_t order;
};
void wakes_destroy(struct wakes *wakes);
/* Returns the alarm's number. */
uint64_t wakes_set(struct wakes *wakes, sim_time at, uint32_t instance, uint32_t request);
sim_time wakes_next(const struct wakes *wakes); /* SIM_NEVER: none */
struct wake wakes_pop(struct wakes *wakes);

#endif
