#include "sim/memory/hierarchy.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

static void *zeroed(size_t count, size_t size_bytes) {
    void *memory = calloc(count ? count : 1, size_bytes);
    MUST(memory != NULL);
    return memory;
}

/* Instances that share one unit of a scope. */
static uint32_t sharing(const struct hierarchy_setup *setup, int scope) {
    if (scope == SCOPE_POD) return setup->instances;
    if (scope == SCOPE_NODE) return setup->instances_per_node < setup->instances ? setup->instances_per_node : setup->instances;
    return 1;
}

static void create_level(struct hierarchy *h, uint32_t index) {
    const struct hierarchy_setup *setup = &h->setup;
    struct level *level = &h->levels[index];
    level->options = (const struct tier_options *)setup->tiers->items + index;
    level->per_unit = index == 0 ? 1 : sharing(setup, level->options->scope);
    level->unit_count = (setup->instances + level->per_unit - 1) / level->per_unit;
    level->block_bytes = index == 0 ? setup->hbm_block_bytes : setup->lower_block_bytes * level->options->format_ratio;
    level->write_from = index == 0 || level->options->write == WRITE_NONE ? UINT32_MAX : topology_write_from(setup->tiers, index);
    level->units = zeroed(level->unit_count, sizeof *level->units);
    level->totals = zeroed(level->unit_count, sizeof *level->totals);
    uint64_t blocks = index == 0 ? setup->hbm_blocks : (uint64_t)(level->options->capacity_bytes / level->block_bytes);
    if (blocks >= SLOT_NONE) blocks = SLOT_NONE - 1;
    if (blocks == 0) blocks = 1;
    for (uint32_t unit = 0; unit < level->unit_count; unit++) {
        struct tier_setup tier = {.name = level->options->name, .capacity_blocks = blocks, .prefix = setup->prefix, .policy = level->options->evict_policy,
                                  .policy_options = level->options->evict_options, .seed = setup->seed, .on_victim = victim_leaves, .on_victim_self = h};
        level->units[unit] = tier_create(&tier);
        h->has_timers |= level->options->evict_policy->timer != NULL;
        level->totals[unit].first_instance = unit * level->per_unit;
        snprintf(level->totals[unit].name, UNIT_NAME_MAX, level->unit_count > 1 ? "%s[%u]" : "%s", level->options->name, unit);
    }
}

/* The network's number of `link` as `instance` uses it; one a unit of its scope, made when first asked for. */
static uint32_t link_number(struct hierarchy *h, const struct node_link *link, uint32_t instance, uint32_t *numbers) {
    const struct hierarchy_setup *setup = &h->setup;
    uint32_t index = (uint32_t)(link - (const struct node_link *)setup->node->links.items), unit = instance;
    if (link->scope == SCOPE_NODE) unit = instance / setup->instances_per_node;
    if (link->scope == SCOPE_POD) unit = 0;
    if (link->scope == SCOPE_SOCKET) {
        uint32_t node = instance / setup->instances_per_node, within = instance % setup->instances_per_node;
        unit = node * (uint32_t)setup->node->sockets + within * (uint32_t)setup->node->sockets / setup->instances_per_node;
    }
    /* A socket may have a number above the instances', so room is for both. */
    uint32_t room = setup->instances * (uint32_t)setup->node->sockets + setup->instances;
    uint32_t *number = &numbers[index * room + unit];
    if (*number > 0) return *number - 1;
    struct link_options options = link->link;
    if (link->scope == SCOPE_GPU) {
        double ranks = (double)setup->tp;
        struct link_direction *ways[] = {&options.read, &options.write};
        for (int way = 0; way < 2; way++) {
            ways[way]->bandwidth_bytes_per_s *= ranks;
            ways[way]->descriptor_break_bytes *= ranks;
            ways[way]->io_bytes *= ranks;
            ways[way]->iops *= ranks;
        }
        options.duplex_bytes_per_s *= ranks;
        options.peak_bytes_per_s *= ranks;
    }
    *number = network_add(h->network, &options) + 1;
    h->link_names = realloc(h->link_names, *number * sizeof *h->link_names);
    MUST(h->link_names != NULL);
    const char *const ways[] = {"read", "write"};
    for (int way = 0; way < 2; way++) snprintf(h->link_names[*number - 1][way], UNIT_NAME_MAX, "%s[%u] %s", link->name, unit, ways[way]);
    return *number - 1;
}

static void create_routes(struct hierarchy *h) {
    const struct hierarchy_setup *setup = &h->setup;
    uint32_t levels = h->level_count;
    h->routes = zeroed((size_t)setup->instances * levels * levels, sizeof *h->routes);
    h->stages = zeroed(levels, sizeof *h->stages);
    uint32_t *numbers = zeroed(setup->node->links.count * (setup->instances * ((size_t)setup->node->sockets + 1)), sizeof *numbers);
    for (uint32_t instance = 0; instance < setup->instances; instance++)
        for (uint32_t from = 0; from < levels; from++)
            for (uint32_t to = 0; to < levels; to++) {
                struct topology_hop hops[TOPOLOGY_HOPS_MAX];
                const struct node_path *path;
                if (from == to) continue;
                struct route *route = route_of(h, instance, from, to);
                route->count = topology_hops(setup->node, setup->tiers, from, to, hops, &path);
                if (route->count > 0 && to == 0) h->stages[from] = path->stages;
                for (uint32_t i = 0; i < route->count; i++)
                    route->hops[i] = (struct network_hop){link_number(h, hops[i].link, instance, numbers), hops[i].direction};
            }
    free(numbers);
}

static void timers_fire(void *self, sim_time now) {
    struct hierarchy *h = self;
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++)
            if (tier_wake_time(h->levels[level].units[unit]) <= now) tier_wake(h->levels[level].units[unit], now);
    timers_update(h);
}

void timers_update(struct hierarchy *h) {
    if (!h->has_timers) return;
    sim_time next = SIM_NEVER;
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++) {
            sim_time wake = tier_wake_time(h->levels[level].units[unit]);
            if (wake < next) next = wake;
        }
    sim_time now = engine_now(h->setup.engine);
    engine_set(h->setup.engine, h->timer_source, next < now ? now : next);
}

int hierarchy_create(const struct hierarchy_setup *setup, struct hierarchy **out, struct error *err) {
    if (topology_check(setup->node, setup->tiers, err) != 0) return -1;
    struct hierarchy *h = zeroed(1, sizeof *h);
    h->setup = *setup;
    h->level_count = (uint32_t)setup->tiers->count;
    h->transfer_free = NO_TRANSFER;
    h->wait_free = h->link_free = NO_WAIT;
    h->timer_source = engine_add(setup->engine, timers_fire, h);
    h->network = network_create(setup->engine, transfer_done, h);
    for (uint32_t level = 0; level < h->level_count; level++) create_level(h, level);
    create_routes(h);
    h->arriving = zeroed(setup->instances, sizeof *h->arriving);
    h->hungry = zeroed(setup->instances, sizeof *h->hungry);
    size_t collectors = (size_t)h->level_count * setup->instances;
    h->evicting = zeroed(collectors, sizeof *h->evicting);
    for (size_t i = 0; i < collectors; i++) h->evicting[i] = NO_TRANSFER;
    for (uint32_t i = 0; i < setup->instances; i++) h->arriving[i] = lazy_alloc(setup->hbm_blocks, sizeof **h->arriving);
    *out = h;
    return 0;
}

void hierarchy_destroy(struct hierarchy *h) {
    if (!h) return;
    for (uint32_t level = 0; level < h->level_count; level++) {
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++) tier_destroy(h->levels[level].units[unit]);
        free(h->levels[level].units);
        free(h->levels[level].totals);
    }
    for (uint32_t i = 0; i < h->setup.instances; i++) lazy_free(h->arriving[i], h->setup.hbm_blocks, sizeof **h->arriving);
    for (uint32_t i = 0; i < h->transfer_room; i++) {
        free(h->transfers[i].source);
        free(h->transfers[i].target);
    }
    network_destroy(h->network);
    free(h->arriving);
    free(h->hungry);
    free(h->evicting);
    free(h->routes);
    free(h->stages);
    free(h->link_names);
    free(h->transfers);
    free(h->waits);
    free(h->wait_links);
    free(h);
}

uint32_t hierarchy_tier_count(const struct hierarchy *h) { return h->level_count; }
const char *hierarchy_tier_name(const struct hierarchy *h, uint32_t tier) { return h->levels[tier].options->name; }
struct tier *hierarchy_hbm(struct hierarchy *h, uint32_t instance) { return level_tier(h, 0, instance); }
struct tier *hierarchy_tier(struct hierarchy *h, uint32_t tier, uint32_t instance) { return level_tier(h, tier, instance); }

static void emit_links(const struct hierarchy *h, struct sink *sink) {
    for (uint32_t link = 0; link < network_links(h->network); link++)
        for (int way = 0; way < 2; way++) {
            struct network_totals totals = network_totals(h->network, link, (enum network_direction)way);
            struct link_record record = {.name = h->link_names[link][way], .peak_bytes_per_s = totals.peak_bytes_per_s, .bytes = totals.bytes, .busy_ns = totals.busy_ns};
            sink->link(sink->self, &record);
        }
}

static void emit_tiers(const struct hierarchy *h, struct sink *sink) {
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++) {
            const struct unit_totals *totals = &h->levels[level].totals[unit];
            struct tier_counts counts = tier_counts(h->levels[level].units[unit]);
            double bytes = h->levels[level].block_bytes;
            struct tier_record record = {.name = totals->name, .tier = level, .capacity_bytes = (uint64_t)(bytes * (double)counts.capacity),
                                         .peak_used_bytes = (uint64_t)(bytes * (double)counts.peak_used), .written_bytes = totals->written_bytes,
                                         .read_bytes = totals->read_bytes, .inserted_blocks = counts.inserted, .evicted_blocks = counts.evicted};
            sink->tier(sink->self, &record);
        }
}

void hierarchy_audit(const struct hierarchy *h) {
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++) tier_audit(h->levels[level].units[unit]);
    network_audit(h->network);
}

void hierarchy_finish(struct hierarchy *h, sim_time now, struct sink *sink) {
    (void)now;
    MUST(h->transfer_live == 0 && h->wait_live == 0 && network_flows(h->network) == 0);
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++) {
            struct tier_counts counts = tier_counts(h->levels[level].units[unit]);
            MUST(counts.held == 0 && counts.taken == 0 && counts.arriving == 0 && counts.leaving == 0);
            MUST(counts.free + counts.resident == counts.capacity && counts.peak_used <= counts.capacity);
        }
    if (sink && sink->link) emit_links(h, sink);
    if (sink && sink->tier) emit_tiers(h, sink);
}
