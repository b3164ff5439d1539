/* The life of a flow: waiting, queued, active, landing, done. */
#include "sim/memory/network.h"

#include <stdlib.h>

#include "sim/base/error.h"
#include "sim/memory/network_impl.h"

static void fire(void *self, sim_time now);

struct network *network_create(struct engine *engine, network_done done, void *self) {
    struct network *network = calloc(1, sizeof *network);
    MUST(network && engine && done);
    network->engine = engine;
    network->done = done;
    network->self = self;
    network->source = engine_add(engine, fire, network);
    network->probe = calloc(1, sizeof *network->probe);
    MUST(network->probe);
    return network;
}

void network_destroy(struct network *network) {
    if (!network)
        return;
    for (uint32_t i = 0; i < network->link_count; i++)
        free(network->links[i]);
    for (uint32_t i = 0; i < network->chunk_count; i++)
        free(network->chunks[i]);
    free(network->links);
    free(network->chunks);
    free(network->probe);
    watch_destroy(network->watch);
    free(network->timers);
    free(network->component);
    free(network->fresh);
    free(network->component_pipes);
    free(network->dirty);
    free(network);
}

static void *resize(void *memory, size_t count, size_t size) {
    memory = realloc(memory, count * size);
    MUST(memory);
    return memory;
}

uint32_t network_add(struct network *network, const struct link_options *options) {
    struct link *link = calloc(1, sizeof *link);
    struct error err;
    MUST(link && !network->watch);
    link->options = *options;
    MUST(link_check(&link->options, (struct place){0}, &err) == 0);
    for (int way = 0; way < 2; way++)
        link->slow[way] = link->slow_least[way] = 1;
    link->direction[NETWORK_READ].fifo = link->direction[NETWORK_WRITE].fifo = options->fifo;
    uint32_t id = network->link_count++;
    network->links = resize(network->links, network->link_count, sizeof(struct link *));
    network->links[id] = link;
    link->id = id;
    size_t pipes = 3 * (size_t)network->link_count;
    network->component_pipes = resize(network->component_pipes, pipes, sizeof(struct pipe *));
    network->dirty = resize(network->dirty, pipes, sizeof(struct pipe *));
    return id;
}

uint32_t network_links(const struct network *network) {
    return network->link_count;
}
uint32_t network_flows(const struct network *network) {
    return network->live;
}

/* One more chunk of flows: their addresses stay, the arrays that hold them all get room. */
static void grow(struct network *network) {
    uint32_t first = network->chunk_count * CHUNK, all = first + CHUNK;
    network->chunks = resize(network->chunks, network->chunk_count + 1, sizeof(struct flow *));
    struct flow *chunk = calloc(CHUNK, sizeof *chunk);
    MUST(chunk);
    network->chunks[network->chunk_count++] = chunk;
    for (uint32_t i = CHUNK; i-- > 0;) {
        chunk[i].index = first + i;
        chunk[i].next_free = network->free;
        network->free = &chunk[i];
    }
    network->timers = resize(network->timers, all, sizeof(struct flow *));
    network->component = resize(network->component, all, sizeof(struct flow *));
    network->fresh = resize(network->fresh, all, sizeof(struct flow *));
}

static uint64_t id_of(const struct flow *flow) {
    return (uint64_t)flow->generation << 32 | flow->index;
}

static struct flow *flow_of(const struct network *network, uint64_t id) {
    uint32_t index = (uint32_t)id;
    MUST(index < network->chunk_count * CHUNK);
    struct flow *flow = &network->chunks[index / CHUNK][index % CHUNK];
    MUST(flow->state != FLOW_FREE && flow->generation == id >> 32); /* a flow that has ended has no id */
    return flow;
}

/* Wakes the network when its first flow is due; at once when rates wait to be set. */
static void schedule(struct network *network) {
    if (network->firing)
        return;
    sim_time at = network->timer_count > 0 ? network->timers[0]->at : SIM_NEVER;
    if (network->dirty_count > 0 || network->fresh_count > 0)
        at = engine_now(network->engine);
    if (engine_next(network->engine, network->source) != at)
        engine_set(network->engine, network->source, at);
}

static void link_use(struct use *use) {
    struct pipe *pipe = use->pipe;
    use->before = pipe->last;
    use->after = NULL;
    *(pipe->last ? &pipe->last->after : &pipe->first) = use;
    pipe->last = use;
}

static void unlink_use(struct use *use) {
    struct pipe *pipe = use->pipe;
    *(use->before ? &use->before->after : &pipe->first) = use->after;
    *(use->after ? &use->after->before : &pipe->last) = use->before;
    use->before = use->after = NULL;
}

/* Lone service time, by which a fifo queue is measured. */
static int64_t service_ns(const struct flow *flow) {
    return ns_up((double)flow->bytes / flow->lone_bytes_per_s);
}

/* Counts (or, `way` -1, discounts) the flow among those that are submitted and not active. */
static void count_waiting(struct flow *flow, int way) {
    for (uint32_t u = 0; u < flow->uses; u++) {
        struct pipe *pipe = flow->use[u].pipe;
        if (pipe->fifo)
            pipe->waiting_ns += way * service_ns(flow);
        else if (!flow->has_fifo) {
            pipe->waiting += (uint32_t)way;
            pipe->waiting_bytes += (uint64_t)way * flow->bytes;
        }
    }
}

static void count_queued(struct flow *flow, uint64_t bytes, int way) {
    for (uint32_t u = 0; u < flow->uses; u++)
        flow->use[u].pipe->queued_bytes += (uint64_t)way * bytes * flow->use[u].crossings;
}

static void activate(struct network *network, struct flow *flow, sim_time now) {
    count_waiting(flow, -1);
    flow->state = FLOW_ACTIVE;
    flow->since = flow->begun = now;
    flow->carried = 0;
    flow->rate = 0;
    for (uint32_t u = 0; u < flow->uses; u++) {
        struct pipe *pipe = flow->use[u].pipe;
        pipe_count_joining(pipe, now);
        if (pipe->active++ == 0)
            pipe->busy_since = now;
        if (!pipe->fifo) {
            link_use(&flow->use[u]);
            pipe_touch(network, pipe);
        }
    }
    if (!flow->is_fresh)
        network->fresh[network->fresh_count++] = flow;
    flow->is_fresh = true;
}

/* Gives up the flow's places in fifo queues; whoever comes first now may begin. */
static void leave_queues(struct network *network, struct flow *flow, sim_time now) {
    for (uint32_t u = 0; u < flow->uses; u++) {
        struct pipe *pipe = flow->use[u].pipe;
        if (!pipe->fifo)
            continue;
        bool was_first = pipe->first == &flow->use[u];
        unlink_use(&flow->use[u]);
        if (was_first && pipe->first && --pipe->first->flow->fifo_ahead == 0)
            activate(network, pipe->first->flow, now);
    }
}

/* Its latency is over: it takes its place at every fifo link at the same moment, so that all of them agree on who
 * comes first and nobody waits in a circle. */
static void arrive(struct network *network, struct flow *flow, sim_time now) {
    timer_clear(network, flow);
    flow->fifo_ahead = 0;
    for (uint32_t u = 0; u < flow->uses; u++)
        if (flow->use[u].pipe->fifo) {
            flow->fifo_ahead += flow->use[u].pipe->first != NULL;
            link_use(&flow->use[u]);
        }
    flow->state = FLOW_QUEUED;
    if (flow->fifo_ahead == 0)
        activate(network, flow, now);
}

static void end(struct network *network, struct flow *flow, sim_time now) {
    timer_clear(network, flow);
    network->done(network->self, flow->tag, now);
    network->live--;
    flow->state = FLOW_FREE;
    flow->generation++;
    flow->next_free = network->free;
    network->free = flow;
}

/* The last byte is through. */
static void served(struct network *network, struct flow *flow, sim_time now) {
    flow->carried = (double)flow->bytes;
    flow->rate = 0;
    count_queued(flow, flow->bytes, -1);
    for (uint32_t u = 0; u < flow->uses; u++) {
        struct pipe *pipe = flow->use[u].pipe;
        pipe->bytes += flow->bytes * flow->use[u].crossings;
        pipe->flows++;
        pipe_count_joining(pipe, now);
        if (--pipe->active == 0)
            pipe->busy_ns += now - pipe->busy_since;
        if (!pipe->fifo) {
            unlink_use(&flow->use[u]);
            pipe_touch(network, pipe);
        }
    }
    if (network->watch)
        watch_note(network->watch, flow);
    flow->state = FLOW_LANDING;
    leave_queues(network, flow, now);
    sim_time submitted = flow->submitted + ns_up((double)flow->blocks * flow->submit_ns * 1e-9);
    if (submitted > now)
        timer_set(network, flow, submitted);
    else
        end(network, flow, now);
}

static void fire(void *self, sim_time now) {
    struct network *network = self;
    network->firing = true;
    do {
        while (network->timer_count > 0 && network->timers[0]->at <= now) {
            struct flow *flow = network->timers[0];
            if (flow->state == FLOW_WAITING)
                arrive(network, flow, now);
            else if (flow->state == FLOW_ACTIVE)
                served(network, flow, now);
            else
                end(network, flow, now);
        }
        network_settle(network, now);
    } while (network->timer_count > 0 && network->timers[0]->at <= now);
    network->firing = false;
    if (network->watch)
        watch_tell(network->watch, network, now);
    schedule(network);
}

uint64_t network_start_after(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                             uint32_t blocks, sim_time delay_ns, uint64_t tag) {
    MUST(delay_ns >= 0 && bytes <= UINT64_C(1) << 60);
    if (!network->free)
        grow(network);
    struct flow *flow = network->free;
    network->free = flow->next_free;
    flow_measure(network, flow, path, hops, bytes, blocks);
    flow->state = FLOW_WAITING;
    flow->aborted = false;
    flow->tag = tag;
    flow->order = network->order++;
    flow->carried = flow->rate = 0;
    flow->begun = SIM_NEVER;
    flow->submitted = engine_now(network->engine) + delay_ns;
    flow->timer = NOT_TIMED;
    network->live++;
    count_waiting(flow, 1);
    count_queued(flow, bytes, 1);
    timer_set(network, flow, flow->submitted + flow->latency_ns);
    schedule(network);
    return id_of(flow);
}

uint64_t network_start(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                       uint32_t blocks, uint64_t tag) {
    return network_start_after(network, path, hops, bytes, blocks, 0, tag);
}

/* Bytes of the first `blocks` blocks; whole bytes, upwards. */
static uint64_t bytes_of(const struct flow *flow, uint32_t blocks) {
    unsigned __int128 bytes = (unsigned __int128)flow->whole_bytes * blocks;
    return (uint64_t)((bytes + flow->whole_blocks - 1) / flow->whole_blocks);
}

static double blocks_through(const struct flow *flow, sim_time now) {
    if (flow->whole_bytes == 0)
        return flow->state == FLOW_LANDING ? flow->blocks : 0;
    return flow_carried(flow, now) * (double)flow->whole_blocks / (double)flow->whole_bytes;
}

uint32_t network_progress_blocks(const struct network *network, uint64_t id, sim_time now) {
    const struct flow *flow = flow_of(network, id);
    if (flow->state == FLOW_WAITING || flow->state == FLOW_QUEUED)
        return 0;
    double landed = blocks_through(flow, now) * (1 + 1e-14);
    if (flow->submit_ns > 0) {
        double submitted = (double)(now - flow->submitted) / flow->submit_ns * (1 + 1e-14);
        landed = submitted < landed ? submitted : landed;
    }
    return landed < flow->blocks ? (uint32_t)landed : flow->blocks;
}

uint32_t network_committed_blocks(const struct network *network, uint64_t id, sim_time now) {
    const struct flow *flow = flow_of(network, id);
    if (flow->state == FLOW_WAITING || flow->state == FLOW_QUEUED)
        return 0;
    if (flow->state == FLOW_LANDING)
        return flow->blocks;
    double through = blocks_through(flow, now);
    uint32_t under_way = (uint32_t)through + (through > (double)(uint32_t)through);
    return under_way < flow->blocks ? under_way : flow->blocks;
}

/* Not begun, and nothing of it is wanted: it ends as soon as the network is next told the time, which is now. */
static void withdraw(struct network *network, struct flow *flow, sim_time now) {
    count_waiting(flow, -1);
    count_queued(flow, flow->bytes, -1);
    flow->bytes = flow->blocks = 0;
    enum flow_state was = flow->state;
    flow->state = FLOW_LANDING;
    if (was == FLOW_QUEUED)
        leave_queues(network, flow, now);
    timer_set(network, flow, now);
}

uint32_t network_truncate(struct network *network, uint64_t id, uint32_t blocks) {
    struct flow *flow = flow_of(network, id);
    sim_time now = engine_now(network->engine);
    if (blocks >= flow->blocks || flow->state == FLOW_LANDING)
        return flow->blocks;
    if (flow->state != FLOW_ACTIVE) {
        if (blocks == 0) {
            withdraw(network, flow, now);
            schedule(network);
            return 0;
        }
        count_waiting(flow, -1);
    } else {
        double through = blocks_through(flow, now);
        uint32_t under_way = (uint32_t)through + (through > (double)(uint32_t)through);
        blocks = blocks > under_way ? blocks : under_way;
        if (blocks >= flow->blocks)
            return flow->blocks;
    }
    uint64_t bytes = bytes_of(flow, blocks);
    count_queued(flow, flow->bytes - bytes, -1);
    flow->blocks = blocks;
    flow->bytes = bytes;
    if (flow->state != FLOW_ACTIVE)
        count_waiting(flow, 1);
    else if (flow->rate > 0) {
        flow->carried = flow_carried(flow, now);
        flow->since = now;
        timer_set(network, flow, now + ns_up(((double)bytes - flow->carried) / flow->rate));
    }
    schedule(network);
    return blocks;
}

uint32_t network_abort(struct network *network, uint64_t id) {
    struct flow *flow = flow_of(network, id);
    sim_time now = engine_now(network->engine);
    uint32_t landed = network_progress_blocks(network, id, now);
    if (flow->state != FLOW_ACTIVE) {
        if (flow->state == FLOW_LANDING)
            return flow->blocks;
        withdraw(network, flow, now);
        schedule(network);
        return 0;
    }
    uint64_t bytes = bytes_of(flow, landed);
    count_queued(flow, flow->bytes - bytes, -1);
    flow->blocks = landed;
    flow->bytes = bytes;
    flow->carried = (double)bytes;
    flow->since = now;
    flow->aborted = true;
    timer_set(network, flow, now);
    schedule(network);
    return landed;
}

static bool goes_over(const struct flow *flow, const struct link *link) {
    for (uint32_t u = 0; u < flow->uses; u++)
        if (flow->use[u].link == link)
            return true;
    return false;
}

static void reprice(struct network *network, struct flow *flow) {
    if (flow->state != FLOW_ACTIVE) {
        count_waiting(flow, -1);
        flow_price(flow);
        count_waiting(flow, 1);
        return;
    }
    flow_price(flow);
    for (uint32_t u = 0; u < flow->uses; u++)
        if (!flow->use[u].pipe->fifo)
            pipe_touch(network, flow->use[u].pipe);
    if (!flow->is_fresh)
        network->fresh[network->fresh_count++] = flow;
    flow->is_fresh = true;
}

void network_change(struct network *network, uint32_t id, enum network_direction way, double slow, bool down) {
    MUST(id < network->link_count && slow > 0);
    struct link *link = network->links[id];
    if (link->slow[way] == slow && link->down[way] == down)
        return;
    link->slow[way] = slow;
    link->down[way] = down;
    if (slow < link->slow_least[way])
        link->slow_least[way] = slow;
    for (uint32_t i = 0; i < network->chunk_count * CHUNK; i++) {
        struct flow *flow = &network->chunks[i / CHUNK][i % CHUNK];
        if (flow->state != FLOW_FREE && flow->state != FLOW_LANDING && goes_over(flow, link))
            reprice(network, flow);
    }
    schedule(network);
}

double network_rate(const struct network *network, uint64_t flow) {
    return flow_of(network, flow)->rate;
}
sim_time network_begun(const struct network *network, uint64_t flow) {
    return flow_of(network, flow)->begun;
}
