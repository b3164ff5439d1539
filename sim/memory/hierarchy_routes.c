/* Which links each instance's copies go over: the node's links, one a unit of their scope, made when first asked for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

/* The unit of `link` that `instance` uses, and how many of them at once: of gpu links one a rank, in lock-step; of
 * socket and switch links all that an instance spans. */
static uint32_t unit_of(const struct hierarchy_setup *setup, const struct node_link *link, uint32_t instance,
                        double *ganged) {
    uint32_t node = instance / setup->instances_per_node, within = instance % setup->instances_per_node;
    uint32_t parts = (uint32_t)(link->scope == SCOPE_SWITCH ? setup->node->switches : setup->node->sockets);
    *ganged = 1;
    switch (link->scope) {
    case SCOPE_NODE:
        return node;
    case SCOPE_POD:
        return 0;
    case SCOPE_GPU:
        *ganged = (double)setup->tp;
        return instance;
    case SCOPE_SOCKET:
    case SCOPE_SWITCH:
        if (setup->instances_per_node >= parts)
            return node * parts + (uint32_t)((uint64_t)within * parts / setup->instances_per_node);
        *ganged = (double)parts / setup->instances_per_node;
        return instance;
    default:
        return instance;
    }
}

/* Several links side by side as one: each takes its share of a block, and a descriptor of its own. */
static void gang_direction(struct link_direction *way, double links, double copies) {
    way->bandwidth_bytes_per_s *= links / copies;
    way->bandwidth_small_bytes_per_s *= links / copies;
    way->descriptor_break_bytes *= links / copies;
    way->io_bytes *= links / copies;
}

/* The options of `links` ganged links. `copies`: how often each distinct byte is written into HBM; a replica a rank
 * where a model's KV cannot be split that far. */
static struct link_options gang(const struct link_options *one, double links, double copies) {
    struct link_options options = *one;
    if (options.write.bandwidth_bytes_per_s == 0)
        options.write = options.read;
    gang_direction(&options.read, links, copies);
    gang_direction(&options.write, links, 1);
    options.duplex_bytes_per_s *= links;
    options.peak_bytes_per_s *= links;
    return options;
}

/* Numbers of a link's units: parts of all nodes may be more than the instances, so room is for both. */
static uint32_t units_room(const struct hierarchy_setup *setup) {
    const struct node_options *node = setup->node;
    int64_t parts = node->switches > node->sockets ? node->switches : node->sockets;
    return setup->instances * (uint32_t)parts + setup->instances;
}

static uint32_t link_number(struct hierarchy *h, const struct node_link *link, uint32_t instance, uint32_t *numbers) {
    const struct hierarchy_setup *setup = &h->setup;
    uint32_t index = (uint32_t)(link - (const struct node_link *)setup->node->links.items);
    double ganged;
    uint32_t unit = unit_of(setup, link, instance, &ganged);
    uint32_t *number = &numbers[(size_t)index * units_room(setup) + unit];
    if (*number > 0)
        return *number - 1;
    double replicas = setup->lower_block_bytes > 0 ? setup->hbm_block_bytes / setup->lower_block_bytes : 1;
    double copies = link->scope == SCOPE_GPU && replicas > 1 ? replicas : 1;
    struct link_options options = gang(&link->link, ganged, copies);
    *number = network_add(h->network, &options) + 1;
    h->link_names = realloc(h->link_names, *number * sizeof *h->link_names);
    h->link_fresh = realloc(h->link_fresh, *number * sizeof *h->link_fresh);
    MUST(h->link_names != NULL && h->link_fresh != NULL);
    h->link_fresh[*number - 1] = 1;
    const char *const ways[] = {"read", "write"};
    for (int way = 0; way < 2; way++)
        snprintf(h->link_names[*number - 1][way], UNIT_NAME_MAX, "%s[%u] %s", link->name, unit, ways[way]);
    return *number - 1;
}

/* Whether the path has a shared link of a GPU besides its copy engine: the bus that both go over. */
static bool has_bus(const struct topology_hop *hops, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (hops[i].link->scope == SCOPE_GPU && !hops[i].link->link.fifo)
            return true;
    return false;
}

/* A staged transfer is copied on block by block as its blocks land in the stage. Between them the copy engine serves
 * others: it is not held, as one whole copy holds it, for as long as the slower stage takes. What the blocks share with
 * those others is the bus. (Their descriptors' time goes uncounted: at the pace of drives it is hidden.) */
static uint32_t without_engines(struct topology_hop *hops, uint32_t count) {
    uint32_t kept = 0;
    if (!has_bus(hops, count))
        return count;
    for (uint32_t i = 0; i < count; i++)
        if (hops[i].link->scope != SCOPE_GPU || !hops[i].link->link.fifo)
            hops[kept++] = hops[i];
    return kept;
}

static void create_route(struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to, uint32_t *numbers) {
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    const struct node_path *path;
    struct route *route = route_of(h, instance, from, to);
    route->count = topology_hops(h->setup.node, h->setup.tiers, from, to, hops, &path);
    if (route->count > 0 && path->stages.count > 0)
        route->count = without_engines(hops, route->count);
    for (uint32_t i = 0; i < route->count; i++)
        route->hops[i] = (struct network_hop){link_number(h, hops[i].link, instance, numbers), hops[i].direction};
    if (route->count == 0 || to != 0)
        return;
    const char *const *stages = path->stages.items;
    for (size_t s = 0; s < path->stages.count; s++) {
        uint32_t level = topology_tier(h->setup.tiers, stages[s]);
        if (level != UINT32_MAX && level > 0 && level < from)
            h->levels[from].stages[level] = true;
    }
}

/* A hand-over leaves over the sender's links, as their path is written but backwards, and comes in over the receiver's.
 */
static void create_handover(struct hierarchy *h, uint32_t *numbers) {
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    uint32_t count = topology_named(h->setup.node, h->setup.handover_path, "peer", "hbm", hops);
    h->hand_out = calloc(h->setup.instances, sizeof *h->hand_out);
    h->hand_in = calloc(h->setup.instances, sizeof *h->hand_in);
    MUST(h->hand_out != NULL && h->hand_in != NULL && count > 0 && 2 * count <= NETWORK_HOPS_MAX);
    for (uint32_t instance = 0; instance < h->setup.instances; instance++)
        for (uint32_t i = 0; i < count; i++) {
            uint32_t link = link_number(h, hops[i].link, instance, numbers);
            enum network_direction back = hops[i].direction == NETWORK_READ ? NETWORK_WRITE : NETWORK_READ;
            h->hand_in[instance].hops[i] = (struct network_hop){link, hops[i].direction};
            h->hand_out[instance].hops[count - 1 - i] = (struct network_hop){link, back};
            h->hand_in[instance].count = h->hand_out[instance].count = count;
        }
}

void routes_create(struct hierarchy *h) {
    const struct hierarchy_setup *setup = &h->setup;
    uint32_t levels = h->level_count;
    h->routes = calloc((size_t)setup->instances * levels * levels, sizeof *h->routes);
    uint32_t *numbers = calloc(setup->node->links.count * units_room(setup), sizeof *numbers);
    MUST(h->routes != NULL && numbers != NULL);
    for (uint32_t instance = 0; instance < setup->instances; instance++)
        for (uint32_t from = 0; from < levels; from++)
            for (uint32_t to = 0; to < levels; to++)
                if (from != to)
                    create_route(h, instance, from, to, numbers);
    if (setup->handover_path)
        create_handover(h, numbers);
    free(numbers);
}
