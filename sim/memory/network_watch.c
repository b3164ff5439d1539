/* Rates of links as they change, for whoever draws them. A change of a flow's rate marks its directions; once the
 * network has settled, each marked one is summed anew, so that no error adds up. */
#include <stdlib.h>

#include "sim/base/error.h"
#include "sim/memory/network_impl.h"

struct watch {
    network_moved moved;
    void *self;
    double *told;    /* by link and direction */
    bool *marked;    /* the same */
    uint32_t *marks; /* those that are marked, in order of their marking */
    uint32_t count;
};

void network_watch(struct network *network, network_moved moved, void *self) {
    MUST(!network->watch && moved);
    size_t directions = 2 * (size_t)network->link_count + 1; /* room is never asked for nothing */
    struct watch *watch = calloc(1, sizeof *watch);
    MUST(watch);
    watch->moved = moved;
    watch->self = self;
    watch->told = calloc(directions, sizeof *watch->told);
    watch->marked = calloc(directions, sizeof *watch->marked);
    watch->marks = calloc(directions, sizeof *watch->marks);
    MUST(watch->told && watch->marked && watch->marks);
    network->watch = watch;
}

void watch_destroy(struct watch *watch) {
    if (!watch)
        return;
    free(watch->told);
    free(watch->marked);
    free(watch->marks);
    free(watch);
}

void watch_note(struct watch *watch, const struct flow *flow) {
    for (uint32_t u = 0; u < flow->uses; u++) {
        const struct link *link = flow->use[u].link;
        if (flow->use[u].pipe == &link->both)
            continue;
        uint32_t at = 2 * link->id + (flow->use[u].pipe == &link->direction[NETWORK_WRITE]);
        if (watch->marked[at])
            continue;
        watch->marked[at] = true;
        watch->marks[watch->count++] = at;
    }
}

/* Of a fifo's flows only the first may be active. */
static double rate_of(const struct pipe *pipe) {
    double rate = 0;
    for (const struct use *use = pipe->first; use; use = pipe->fifo ? NULL : use->after)
        if (use->flow->state == FLOW_ACTIVE)
            rate += use->flow->rate * use->crossings;
    return rate;
}

void watch_tell(struct watch *watch, const struct network *network, sim_time now) {
    for (uint32_t i = 0; i < watch->count; i++) {
        uint32_t at = watch->marks[i], id = at / 2, way = at % 2;
        double rate = rate_of(&network->links[id]->direction[way]);
        watch->marked[at] = false;
        /* Another order of the same sum is no change. */
        if (rate - watch->told[at] <= 1e-12 * watch->told[at] && watch->told[at] - rate <= 1e-12 * watch->told[at])
            continue;
        watch->told[at] = rate;
        watch->moved(watch->self, id, (enum network_direction)way, now, rate);
    }
    watch->count = 0;
}
