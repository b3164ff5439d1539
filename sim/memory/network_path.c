/* What a flow costs on its path, before anybody else is there. */
#include "sim/base/error.h"
#include "sim/memory/network_impl.h"

sim_time ns_up(double seconds) {
    double ns = seconds * 1e9;
    MUST(ns >= 0 && ns < 9e18);
    /* An exact number of ns may come out of the division a rounding error above itself. */
    double floor_ns = (double)(sim_time)ns, slack = 1e-6 + ns * 1e-15;
    return (sim_time)floor_ns + (ns - floor_ns > slack);
}

/* Seconds of a direction that a byte takes, with its share of the descriptors' cost and of the I/Os. */
static double cost_of(const struct link_direction *d, double bytes, double blocks) {
    double block = bytes / blocks, bandwidth = d->bandwidth_bytes_per_s, descriptor = d->descriptor_s, paid = blocks;
    if (block < d->descriptor_break_bytes) {
        descriptor = d->descriptor_small_s;
        if (d->bandwidth_small_bytes_per_s > 0)
            bandwidth = d->bandwidth_small_bytes_per_s;
    } else if (d->descriptor_most > 0 && blocks > (double)d->descriptor_most) {
        paid = (double)d->descriptor_most;
    }
    double cost = 1 / bandwidth + descriptor * paid / bytes;
    if (d->iops > 0) {
        double io = d->io_bytes > 0 && d->io_bytes < block ? d->io_bytes : block;
        double by_ios = 1 / (d->iops * io);
        cost = by_ios > cost ? by_ios : cost;
    }
    return cost;
}

/* Seconds a byte that the depth of one flow's queue allows. */
static double depth_cost_of(const struct link_direction *d, double block) {
    if (d->queue_depth == 0)
        return 0;
    double io = d->io_bytes > 0 && d->io_bytes < block ? d->io_bytes : block;
    return d->latency_s / ((double)d->queue_depth * io);
}

static void add_use(struct flow *flow, const struct link *link, struct pipe *pipe, enum network_direction way,
                    double cost, double depth) {
    uint32_t i = 0;
    while (i < flow->uses && flow->use[i].pipe != pipe)
        i++;
    if (i == flow->uses)
        flow->use[flow->uses++] = (struct use){.flow = flow, .pipe = pipe, .link = link};
    struct use *use = &flow->use[i];
    use->nominal_s[way] += cost;
    use->depth_s[way] = depth > use->depth_s[way] ? depth : use->depth_s[way];
    use->crossings++;
    flow->has_fifo |= pipe->fifo;
}

void flow_price(struct flow *flow) {
    double slowest = 0;
    flow->stopped = false;
    for (uint32_t i = 0; i < flow->uses; i++) {
        struct use *use = &flow->use[i];
        const double *slow = use->link->slow;
        use->cost_s = use->nominal_s[0] * slow[0] + use->nominal_s[1] * slow[1];
        slowest = use->cost_s > slowest ? use->cost_s : slowest;
        for (int way = 0; way < 2; way++) {
            double depth = use->depth_s[way] * slow[way];
            slowest = depth > slowest ? depth : slowest;
            flow->stopped |= use->nominal_s[way] > 0 && use->link->down[way];
        }
    }
    flow->lone_bytes_per_s = 1 / slowest;
}

void flow_measure(const struct network *network, struct flow *flow, const struct network_hop *path, uint32_t hops,
                  uint64_t bytes, uint32_t blocks) {
    MUST(hops >= 1 && hops <= NETWORK_HOPS_MAX && blocks >= 1);
    flow->bytes = flow->whole_bytes = bytes;
    flow->blocks = flow->whole_blocks = blocks;
    flow->uses = 0;
    flow->has_fifo = false;
    double latency = 0, submit = 0;
    double size = bytes > 0 ? (double)bytes : 1; /* no bytes: the rate does not matter */
    for (uint32_t i = 0; i < hops; i++) {
        MUST(path[i].link < network->link_count);
        struct link *link = network->links[path[i].link];
        const struct link_direction *d = path[i].direction == NETWORK_READ ? &link->options.read : &link->options.write;
        latency += d->latency_s * link->slow[path[i].direction];
        submit = d->submit_s > submit ? d->submit_s : submit;
        double cost = cost_of(d, size, blocks);
        add_use(flow, link, &link->direction[path[i].direction], path[i].direction, cost,
                depth_cost_of(d, size / blocks));
        if (link->options.half_duplex)
            add_use(flow, link, &link->both, path[i].direction, cost, 0);
        else if (link->options.duplex_bytes_per_s > 0)
            add_use(flow, link, &link->both, path[i].direction, 1 / link->options.duplex_bytes_per_s, 0);
    }
    flow_price(flow);
    flow->latency_ns = ns_up(latency);
    flow->submit_ns = submit * 1e9;
}

double flow_carried(const struct flow *flow, sim_time now) {
    double carried = flow->carried;
    if (flow->rate > 0 && now > flow->since)
        carried += flow->rate * ((double)(now - flow->since) * 1e-9);
    return carried < (double)flow->bytes ? carried : (double)flow->bytes;
}
