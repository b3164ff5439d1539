/* What each flow waits for, in order: a binary heap by (time, order of submission) whose entries know their place. */
#include "sim/base/error.h"
#include "sim/memory/network_impl.h"

static inline bool before(const struct flow *a, const struct flow *b) {
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void put(struct network *network, struct flow *flow, uint32_t place) {
    network->timers[place] = flow;
    flow->timer = place;
}

/* Finds the place of `flow`, from `place` upwards or downwards. */
static void sift(struct network *network, struct flow *flow, uint32_t place) {
    while (place > 0 && before(flow, network->timers[(place - 1) / 2])) {
        put(network, network->timers[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= network->timer_count)
            break;
        if (child + 1 < network->timer_count && before(network->timers[child + 1], network->timers[child]))
            child++;
        if (!before(network->timers[child], flow))
            break;
        put(network, network->timers[child], place);
        place = child;
    }
    put(network, flow, place);
}

void timer_set(struct network *network, struct flow *flow, sim_time at) {
    flow->at = at;
    uint32_t place = flow->timer != NOT_TIMED ? flow->timer : network->timer_count++;
    sift(network, flow, place);
}

void timer_clear(struct network *network, struct flow *flow) {
    if (flow->timer == NOT_TIMED)
        return;
    MUST(network->timers[flow->timer] == flow);
    struct flow *last = network->timers[--network->timer_count];
    if (last != flow)
        sift(network, last, flow->timer);
    flow->timer = NOT_TIMED;
}
