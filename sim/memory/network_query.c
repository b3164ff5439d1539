/* What the network knows about itself: queues, predictions, totals, and whether it is in order. */
#include "sim/base/error.h"
#include "sim/memory/network_impl.h"

static const struct pipe *pipe_of(const struct network *network, uint32_t link, enum network_direction direction) {
    MUST(link < network->link_count);
    return &network->links[link]->direction[direction];
}

/* Bytes carried of flows that are under way, crossings counted. */
static uint64_t carried_now(const struct pipe *pipe, sim_time now) {
    uint64_t carried = 0;
    for (const struct use *use = pipe->first; use; use = use->after) {
        if (use->flow->state == FLOW_ACTIVE)
            carried += (uint64_t)flow_carried(use->flow, now) * use->crossings;
        if (pipe->fifo)
            break; /* the others queue */
    }
    return carried;
}

uint64_t network_queued_bytes(const struct network *network, uint32_t link, enum network_direction direction) {
    const struct pipe *pipe = pipe_of(network, link, direction);
    return pipe->queued_bytes - carried_now(pipe, engine_now(network->engine));
}

/* Seconds until a fifo pipe is through with those who are there. The queue behind goes as fast as the one in
 * front: what slows that down (a bus that several engines share) is there for the others too. */
static double fifo_wait(const struct pipe *pipe, sim_time now) {
    const struct flow *first = pipe->first ? pipe->first->flow : NULL;
    double slowdown = 1, wait = 0;
    if (first && first->state == FLOW_ACTIVE) {
        double rate = first->rate > 0 ? first->rate : first->lone_bytes_per_s;
        slowdown = first->lone_bytes_per_s / rate;
        wait = ((double)first->bytes - flow_carried(first, now)) / rate;
    }
    return wait + slowdown * (double)pipe->waiting_ns * 1e-9;
}

/* Seconds to get `bytes` through a shared pipe from `start_s` from now on: with equal shares each of those beside it
 * gets as much through meanwhile as it has left, and no more than it does. */
static double shared_service(const struct pipe *pipe, double bytes, double cost_s, double start_s, sim_time now) {
    double seconds = bytes * cost_s;
    for (const struct use *use = pipe->first; use; use = use->after) {
        const struct flow *flow = use->flow;
        double left = (double)flow->bytes - flow_carried(flow, now) - flow->rate * start_s;
        if (left > 0)
            seconds += (left < bytes ? left : bytes) * use->cost_s;
    }
    double waiting = (double)pipe->waiting_bytes, most = bytes * (double)pipe->waiting;
    return seconds + (waiting < most ? waiting : most) * cost_s;
}

sim_time network_predict(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                         uint32_t blocks) {
    struct flow *probe = network->probe;
    sim_time now = engine_now(network->engine);
    flow_measure(network, probe, path, hops, bytes, blocks);
    double wait = 0;
    for (uint32_t u = 0; u < probe->uses; u++)
        if (probe->use[u].pipe->fifo) {
            double w = fifo_wait(probe->use[u].pipe, now);
            wait = w > wait ? w : wait;
        }
    sim_time start = ns_up(wait);
    start = start > probe->latency_ns ? start : probe->latency_ns;
    double size = (double)bytes, service = size / probe->lone_bytes_per_s;
    for (uint32_t u = 0; u < probe->uses; u++)
        if (!probe->use[u].pipe->fifo) {
            double s = shared_service(probe->use[u].pipe, size, probe->use[u].cost_s, (double)start * 1e-9, now);
            service = s > service ? s : service;
        }
    sim_time end = now + start + ns_up(service);
    sim_time submitted = now + ns_up((double)blocks * probe->submit_ns * 1e-9);
    return end > submitted ? end : submitted;
}

struct network_queue network_queue(const struct network *network, struct network_hop hop) {
    const struct pipe *pipe = pipe_of(network, hop.link, hop.direction);
    struct network_totals totals = network_totals(network, hop.link, hop.direction);
    double now_s = (double)engine_now(network->engine) * 1e-9;
    struct network_queue queue = {.name = network->links[hop.link]->options.name,
                                  .bytes = network_queued_bytes(network, hop.link, hop.direction),
                                  .bytes_per_s = totals.bandwidth_bytes_per_s,
                                  .flows = pipe->active + pipe->waiting,
                                  .flows_per_s = now_s > 0 ? (double)totals.flows / now_s : 0,
                                  .share =
                                      now_s > 0 ? (double)totals.bytes / (totals.bandwidth_bytes_per_s * now_s) : 0};
    if (pipe->fifo)
        queue.wait_s = fifo_wait(pipe, engine_now(network->engine));
    for (const struct use *use = pipe->fifo ? pipe->first : NULL; use; use = use->after)
        queue.flows += use->flow->state != FLOW_ACTIVE;
    return queue;
}

static double joining_now(const struct pipe *pipe, sim_time now) {
    return pipe->joining_s + (double)(now - pipe->joining_since) * 1e-9 / (double)(pipe->active + 1);
}

void network_mark(const struct network *network, const struct network_hop *path, uint32_t hops,
                  struct network_mark *mark) {
    sim_time now = engine_now(network->engine);
    *mark = (struct network_mark){.begun = now};
    for (uint32_t i = 0; i < hops; i++) {
        const struct pipe *pipe = pipe_of(network, path[i].link, path[i].direction);
        mark->joining_s[i] = joining_now(pipe, now);
        double wait = pipe->fifo ? fifo_wait(pipe, now) : 0;
        mark->wait_s = wait > mark->wait_s ? wait : mark->wait_s;
    }
}

double network_price_s(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                       uint32_t blocks, const struct network_mark *mark) {
    struct flow *probe = network->probe;
    sim_time now = engine_now(network->engine);
    flow_measure(network, probe, path, hops, bytes, blocks);
    double size = (double)bytes, service = size / probe->lone_bytes_per_s, since = (double)(now - mark->begun) * 1e-9;
    for (uint32_t i = 0; i < hops; i++) {
        const struct pipe *pipe = pipe_of(network, path[i].link, path[i].direction);
        uint32_t u = 0;
        while (probe->use[u].pipe != pipe)
            u++;
        double share = 1 / (double)(pipe->active + 1);
        if (since > 0)
            share = (joining_now(pipe, now) - mark->joining_s[i]) / since;
        double s = pipe->fifo ? 0 : size * probe->use[u].cost_s / share;
        service = s > service ? s : service;
    }
    double latency = (double)probe->latency_ns * 1e-9, submit = (double)blocks * probe->submit_ns * 1e-9;
    double seconds = (mark->wait_s > latency ? mark->wait_s : latency) + service;
    return seconds > submit ? seconds : submit;
}

double network_slow(const struct network *network, uint32_t link, enum network_direction direction) {
    return network->links[link]->slow[direction];
}
double network_fresh(const struct network *network, uint32_t link) {
    const struct link_options *options = &network->links[link]->options;
    return options->fresh_bytes_per_s > 0 ? options->write.bandwidth_bytes_per_s / options->fresh_bytes_per_s : 1;
}

bool network_is_down(const struct network *network, uint32_t link, enum network_direction direction) {
    return network->links[link]->down[direction];
}

struct network_totals network_totals(const struct network *network, uint32_t link, enum network_direction direction) {
    const struct pipe *pipe = pipe_of(network, link, direction);
    const struct link_options *options = &network->links[link]->options;
    sim_time now = engine_now(network->engine);
    double bandwidth = (direction == NETWORK_READ ? options->read : options->write).bandwidth_bytes_per_s /
                       network->links[link]->slow_least[direction];
    struct network_totals totals = {
        .name = options->name,
        .bandwidth_bytes_per_s = bandwidth,
        .peak_bytes_per_s = options->peak_bytes_per_s > 0 ? options->peak_bytes_per_s : bandwidth,
        .bytes = pipe->bytes + carried_now(pipe, now),
        .flows = pipe->flows,
        .busy_ns = pipe->busy_ns + (pipe->active > 0 ? now - pipe->busy_since : 0),
    };
    /* Utilisation <= 1, but for the rounding of sums. */
    MUST((double)totals.bytes <= bandwidth * ((double)totals.busy_ns * 1e-9) * (1 + 1e-9) + 1);
    return totals;
}

/* Max-min fair: nobody could have more without taking it from one who has no more than that. So each flow either has
 * all that it could use alone, or crosses a full pipe on which nobody is faster. */
static void audit_flow(const struct flow *flow) {
    if (flow->aborted)
        return;
    if (flow->stopped) {
        MUST(flow->rate == 0 && flow->timer == NOT_TIMED);
        return;
    }
    bool content = flow->rate >= flow->lone_bytes_per_s * (1 - 1e-9);
    for (uint32_t u = 0; u < flow->uses; u++) {
        const struct pipe *pipe = flow->use[u].pipe;
        if (pipe->fifo) {
            MUST(pipe->first == &flow->use[u]);
            continue;
        }
        double share = 0, fastest = 0;
        for (const struct use *use = pipe->first; use; use = use->after) {
            share += use->cost_s * use->flow->rate;
            fastest = use->flow->rate > fastest ? use->flow->rate : fastest;
        }
        MUST(share <= 1 + 1e-9);
        content |= share >= 1 - 1e-9 && flow->rate >= fastest * (1 - 1e-9);
    }
    MUST(flow->rate > 0 && flow->rate <= flow->lone_bytes_per_s * (1 + 1e-9) && content);
}

static uint64_t unserved_bytes(const struct network *network, const struct pipe *pipe, uint32_t *active) {
    uint64_t bytes = 0;
    *active = 0;
    for (uint32_t i = 0; i < network->chunk_count * CHUNK; i++) {
        const struct flow *flow = &network->chunks[i / CHUNK][i % CHUNK];
        if (flow->state == FLOW_FREE || flow->state == FLOW_LANDING)
            continue;
        for (uint32_t u = 0; u < flow->uses; u++)
            if (flow->use[u].pipe == pipe) {
                bytes += flow->bytes * flow->use[u].crossings;
                *active += flow->state == FLOW_ACTIVE;
            }
    }
    return bytes;
}

void network_audit(const struct network *network) {
    bool settled = network->dirty_count == 0 && network->fresh_count == 0;
    uint32_t live = 0;
    for (uint32_t i = 0; i < network->chunk_count * CHUNK; i++) {
        const struct flow *flow = &network->chunks[i / CHUNK][i % CHUNK];
        live += flow->state != FLOW_FREE;
        if (flow->state == FLOW_ACTIVE && settled)
            audit_flow(flow);
        MUST(flow->state != FLOW_QUEUED || flow->fifo_ahead > 0);
        MUST(flow->state == FLOW_FREE || flow->carried <= (double)flow->bytes);
    }
    MUST(live == network->live);
    for (uint32_t l = 0; l < network->link_count; l++)
        for (int d = 0; d < 3; d++) {
            const struct pipe *pipe = d < 2 ? &network->links[l]->direction[d] : &network->links[l]->both;
            uint32_t active;
            MUST(pipe->queued_bytes == unserved_bytes(network, pipe, &active));
            MUST(pipe->active == active && (!pipe->fifo || active <= 1));
            if (d < 2)
                network_totals(network, l, (enum network_direction)d);
        }
}
