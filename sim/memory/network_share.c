/* Max-min fairness by progressive filling, where something changed.
 *
 * A shared pipe whose flows could not fill it even if each had all else to itself is slack: it limits nobody, and
 * couples nobody. Bound pipes and their flows form components; only those that a coming or going flow touches
 * are filled again, and a flow whose rate comes out the same is left alone. */
#include "sim/base/error.h"
#include "sim/memory/network_impl.h"

void pipe_touch(struct network *network, struct pipe *pipe) {
    if (pipe->dirty)
        return;
    pipe->dirty = true;
    network->dirty[network->dirty_count++] = pipe;
}

static bool could_fill(const struct pipe *pipe) {
    double share = 0;
    for (const struct use *use = pipe->first; use; use = use->after)
        share += use->cost_s * use->flow->lone_bytes_per_s;
    return share > 1 + 1e-12;
}

static void set_rate(struct network *network, struct flow *flow, double rate, sim_time now) {
    MUST(rate > 0 || flow->stopped);
    if (rate == flow->rate || flow->aborted)
        return;
    flow->carried = flow_carried(flow, now);
    flow->since = now;
    flow->rate = rate;
    if (network->watch)
        watch_note(network->watch, flow);
    if (rate == 0) {
        timer_clear(network, flow);
        return;
    }
    timer_set(network, flow, now + ns_up(((double)flow->bytes - flow->carried) / rate));
}

/* All flows that share bound pipes with `flow`, directly or over others, into component[]; their number. */
static uint32_t collect(struct network *network, struct flow *flow, uint32_t *pipes) {
    uint32_t count = 0;
    *pipes = 0;
    flow->mark = network->mark;
    network->component[count++] = flow;
    for (uint32_t i = 0; i < count; i++) {
        struct flow *member = network->component[i];
        for (uint32_t u = 0; u < member->uses; u++) {
            struct pipe *pipe = member->use[u].pipe;
            if (pipe->fifo || !pipe->bound || pipe->mark == network->mark)
                continue;
            pipe->mark = network->mark;
            network->component_pipes[(*pipes)++] = pipe;
            for (struct use *use = pipe->first; use; use = use->after)
                if (use->flow->mark != network->mark) {
                    use->flow->mark = network->mark;
                    network->component[count++] = use->flow;
                }
        }
    }
    return count;
}

/* The rate at which the pipe would be full if all its flows that are not frozen had it; negative: all are. */
static double level_of(const struct pipe *pipe) {
    double cost = 0;
    for (const struct use *use = pipe->first; use; use = use->after)
        if (!use->flow->frozen)
            cost += use->cost_s;
    return cost > 0 ? pipe->free_share / cost : -1;
}

static void freeze(struct flow *flow, double rate) {
    flow->frozen = true;
    flow->filled = rate;
    for (uint32_t u = 0; u < flow->uses; u++) {
        struct pipe *pipe = flow->use[u].pipe;
        pipe->free_share -= rate * flow->use[u].cost_s;
        if (pipe->free_share < 0)
            pipe->free_share = 0;
    }
}

/* All rates rise together. At `level` the first pipe is full: flows that can go no faster than that by themselves
 * stop at their own rate; when there is none, those of the full pipe stop at the level. */
static void fill(struct network *network, uint32_t count, uint32_t pipes) {
    uint32_t open = count;
    for (uint32_t i = 0; i < count; i++) {
        struct flow *flow = network->component[i];
        flow->frozen = flow->stopped;
        flow->filled = 0;
        open -= flow->stopped;
    }
    for (uint32_t i = 0; i < pipes; i++)
        network->component_pipes[i]->free_share = 1;
    while (open > 0) {
        double level = -1;
        struct pipe *full = NULL;
        for (uint32_t i = 0; i < pipes; i++) {
            double l = level_of(network->component_pipes[i]);
            if (l >= 0 && (!full || l < level)) {
                level = l;
                full = network->component_pipes[i];
            }
        }
        uint32_t before = open;
        for (uint32_t i = 0; i < count; i++) {
            struct flow *flow = network->component[i];
            if (!flow->frozen && (!full || flow->lone_bytes_per_s <= level)) {
                freeze(flow, flow->lone_bytes_per_s);
                open--;
            }
        }
        if (open < before)
            continue;
        MUST(full && level > 0);
        for (struct use *use = full->first; use; use = use->after)
            if (!use->flow->frozen) {
                freeze(use->flow, level);
                open--;
            }
    }
}

static void refresh(struct network *network, struct flow *flow, sim_time now) {
    if (flow->mark == network->mark)
        return;
    uint32_t pipes, count = collect(network, flow, &pipes);
    if (pipes == 0) {
        set_rate(network, flow, flow->stopped ? 0 : flow->lone_bytes_per_s, now);
        return;
    }
    fill(network, count, pipes);
    for (uint32_t i = 0; i < count; i++)
        set_rate(network, network->component[i], network->component[i]->filled, now);
}

void network_settle(struct network *network, sim_time now) {
    network->mark++;
    /* Every flag first, since components are walked by them. A pipe that was bound and is slack now frees its flows. */
    uint32_t changed = 0;
    for (uint32_t i = 0; i < network->dirty_count; i++) {
        struct pipe *pipe = network->dirty[i];
        bool was = pipe->bound;
        pipe->dirty = false;
        pipe->bound = could_fill(pipe);
        if (was || pipe->bound)
            network->dirty[changed++] = pipe;
    }
    network->dirty_count = 0;
    for (uint32_t i = 0; i < changed; i++)
        for (struct use *use = network->dirty[i]->first; use; use = use->after)
            refresh(network, use->flow, now);
    for (uint32_t i = 0; i < network->fresh_count; i++) {
        network->fresh[i]->is_fresh = false;
        if (network->fresh[i]->state == FLOW_ACTIVE)
            refresh(network, network->fresh[i], now);
    }
    network->fresh_count = 0;
}
