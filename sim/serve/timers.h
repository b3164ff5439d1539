/* Requests that are to come at a later time: after a client's think time, or the host's work on them. A heap of specs
 * by (time, order of setting); one engine source. */
#ifndef SIM_SERVE_TIMERS_H
#define SIM_SERVE_TIMERS_H

#include "sim/workload/workload.h"

struct timer_entry {
    sim_time at;
    uint64_t order;
    uint32_t place; /* in specs */
};
struct timers {
    struct timer_entry *heap;
    struct request_spec *specs;
    int32_t *instances; /* where the request goes; -1: to the router */
    uint32_t *free_places;
    uint32_t count, room, free_count;
    uint64_t order;
};
void timers_destroy(struct timers *timers);
void timers_set(struct timers *timers, sim_time at, const struct request_spec *spec, int32_t instance);
sim_time timers_next(const struct timers *timers); /* SIM_NEVER: none */
/* Takes out the first. */
void timers_pop(struct timers *timers, struct request_spec *spec, int32_t *instance);

#endif
