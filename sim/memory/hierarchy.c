/* The fleet's tiers: made, found, woken and given back. */
#include "sim/memory/hierarchy.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/memory/access_log.h"
#include "sim/memory/faults.h"
#include "sim/memory/hierarchy_impl.h"

static void *zeroed(size_t count, size_t size_bytes) {
    void *memory = calloc(count ? count : 1, size_bytes);
    MUST(memory != NULL);
    return memory;
}

/* Instances that share one unit of a scope. */
static uint32_t sharing(const struct hierarchy_setup *setup, int scope) {
    if (scope == SCOPE_POD)
        return setup->instances;
    if (scope == SCOPE_NODE)
        return setup->instances_per_node < setup->instances ? setup->instances_per_node : setup->instances;
    return 1;
}

/* What is known of a request's block; all that a tier may have to hand down. */
enum { NEEDS_OF_BLOCKS = NEED_FUTURE | NEED_TIME | NEED_SESSION | NEED_TREE | NEED_LENGTH | NEED_CATEGORY };

static void describe_level(struct hierarchy *h, uint32_t index) {
    const struct hierarchy_setup *setup = &h->setup;
    struct level *level = &h->levels[index];
    level->options = (const struct tier_options *)setup->tiers->items + index;
    level->per_unit = index == 0 ? 1 : sharing(setup, level->options->scope);
    level->unit_count = (setup->instances + level->per_unit - 1) / level->per_unit;
    double bytes = index == 0 ? setup->hbm_block_bytes : setup->lower_block_bytes * level->options->format_ratio;
    level->block_bytes = bytes < 1 ? 1 : (uint64_t)(bytes + 0.5);
    bool written = index > 0 && level->options->write != WRITE_NONE;
    level->write_from = written ? topology_write_from(setup->tiers, index) : NO_LEVEL;
    level->evicts_to = NO_LEVEL;
    level->needs = level->options->evict_policy->policy.needs;
    level->knows_misses = level->options->evict_policy->miss != NULL || setup->access_log;
    if (written && level->options->write == WRITE_EVICTION && h->levels[level->write_from].evicts_to == NO_LEVEL)
        h->levels[level->write_from].evicts_to = index;
}

static uint64_t capacity_blocks(const struct hierarchy *h, uint32_t index) {
    const struct level *level = &h->levels[index];
    uint64_t blocks = index == 0 ? h->setup.hbm_blocks : (uint64_t)level->options->capacity_bytes / level->block_bytes;
    return blocks == 0 ? 1 : blocks < SLOT_NONE ? blocks : SLOT_NONE - 1;
}

static void create_units(struct hierarchy *h, uint32_t index) {
    struct level *level = &h->levels[index];
    unsigned below = 0; /* what anybody who is written from here, however indirectly, wants to know */
    unsigned below_admit = 0;
    for (uint32_t other = index + 1; other < h->level_count; other++) {
        const struct admit_policy *admit = h->levels[other].options->admit_policy;
        below_admit |= admit ? admit->policy.needs : 0;
        below |= h->levels[other].needs | (admit ? admit->policy.needs : 0);
    }
    if (h->setup.spaces && h->setup.spaces->pins_by_depth)
        below |= NEED_TREE;
    bool keeps_facts = below & NEEDS_OF_BLOCKS & ~level->needs;
    level->units = zeroed(level->unit_count, sizeof *level->units);
    for (uint32_t i = 0; i < level->unit_count; i++) {
        struct bank *unit = &level->units[i];
        *unit = (struct bank){.h = h,
                              .level = index,
                              .first_instance = i * level->per_unit,
                              .evicting = NO_TRANSFER,
                              .slots = capacity_blocks(h, index)};
        unit->shelf = h->setup.spaces ? shelf_create(unit) : NULL;
        struct tier_setup tier = {
            .name = level->options->name,
            .capacity_blocks = unit->slots,
            .prefix = h->setup.prefix,
            .policy = level->options->evict_policy,
            .policy_options = level->options->evict_options,
            .costs = &unit->costs,
            .seed = h->setup.seed,
            .on_victim = level->evicts_to == NO_LEVEL && !level->options->admit_policy ? NULL : victim_leaves,
            .on_victim_self = unit,
            .watch = shelf_watch(unit->shelf),
            .presence = index == 0 ? h->presence : NULL,
            .holder = i};
        snprintf(unit->name, UNIT_NAME_MAX, level->unit_count > 1 ? "%s[%u]" : "%s", level->options->name, i);
        if (h->setup.access_log)
            tier.log = unit->log = access_log_tier(h->setup.access_log, unit->name, index, &tier);
        unit->tier = tier_create(&tier);
        admission_create(unit);
        unit->hits = below_admit & NEED_HITS ? lazy_alloc(unit->slots, sizeof *unit->hits) : NULL;
        unit->listed =
            level->options->index_delay_s > 0 && index > 0 ? lazy_alloc(unit->slots, sizeof *unit->listed) : NULL;
        unit->facts = keeps_facts ? lazy_alloc(unit->slots, sizeof *unit->facts) : NULL;
    }
    h->has_timers |= level->options->evict_policy->timer != NULL;
}

static void timers_fire(void *self, sim_time now) {
    struct hierarchy *h = self;
    sim_time next = SIM_NEVER;
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++) {
            struct bank *unit = &h->levels[level].units[i];
            h->acting = unit->first_instance;
            if (tier_wake_time(unit->tier) <= now)
                tier_wake(unit->tier, now);
            if (tier_wake_time(unit->tier) < next)
                next = tier_wake_time(unit->tier);
        }
    evictions_start(h);
    if (next != SIM_NEVER)
        engine_set(h->setup.engine, h->timer_source, next > now ? next : now + 1);
}

void timers_update(struct hierarchy *h) {
    if (!h->has_timers)
        return;
    /* Only the acting instance's tiers can have changed. A time that has moved back is found out when it comes. */
    sim_time next = engine_next(h->setup.engine, h->timer_source), before = next, now = engine_now(h->setup.engine);
    for (uint32_t level = 0; level < h->level_count; level++) {
        sim_time wake = tier_wake_time(level_tier(h, level, h->acting));
        next = wake < next ? wake : next;
    }
    if (next < before)
        engine_set(h->setup.engine, h->timer_source, next < now ? now : next);
}

void scratch_reserve(struct hierarchy *h, uint32_t blocks) {
    if (blocks <= h->scratch_room)
        return;
    uint32_t room = h->scratch_room ? h->scratch_room : 256;
    while (room < blocks)
        room *= 2;
    h->ids = realloc(h->ids, room * sizeof *h->ids);
    h->slots = realloc(h->slots, room * sizeof *h->slots);
    h->levels_of = realloc(h->levels_of, room * sizeof *h->levels_of);
    MUST(h->ids && h->slots && h->levels_of);
    h->scratch_room = room;
}

static void emit_rate(void *self, uint32_t link, enum network_direction direction, sim_time now, double bytes_per_s) {
    const struct hierarchy *h = self;
    struct rate_record record = {.link = 2 * link + (uint32_t)direction,
                                 .name = h->link_names[link][direction],
                                 .at_ns = now,
                                 .bytes_per_s = bytes_per_s};
    h->setup.sink->rate(h->setup.sink->self, &record);
}

int hierarchy_create(const struct hierarchy_setup *setup, struct hierarchy **out, struct error *err) {
    if (topology_check(setup->node, setup->tiers, err) != 0)
        return -1;
    if (setup->access_log && setup->spaces)
        return error_set(err,
                         "an access log cannot say yet what namespaces delete\n  hint: --access-log is for runs of "
                         "one namespace");
    struct hierarchy *h = zeroed(1, sizeof *h);
    h->setup = *setup;
    h->level_count = (uint32_t)setup->tiers->count;
    h->transfer_free = NO_TRANSFER;
    h->wait_free = h->link_free = NO_WAIT;
    h->timer_source = engine_add(setup->engine, timers_fire, h);
    h->network = network_create(setup->engine, transfer_done, h);
    uint32_t units = 0;
    for (uint32_t level = 0; level < h->level_count; level++) {
        describe_level(h, level);
        units += h->levels[level].unit_count;
    }
    h->presence = setup->presence ? presence_create(setup->instances) : NULL;
    for (uint32_t level = 0; level < h->level_count; level++)
        create_units(h, level);
    routes_create(h);
    if (setup->sink && setup->sink->rate)
        network_watch(h->network, emit_rate, h);
    notes_create(h);
    costs_create(h);
    drives_begin(h);
    h->arriving = zeroed(setup->instances, sizeof *h->arriving);
    h->hungry = zeroed(setup->instances, sizeof *h->hungry);
    h->storing = zeroed(setup->instances, sizeof *h->storing);
    h->held = zeroed(setup->instances, sizeof *h->held);
    h->evicted = zeroed(units, sizeof(struct bank *));
    for (uint32_t i = 0; i < setup->instances; i++)
        h->arriving[i] = lazy_alloc(setup->hbm_blocks, sizeof **h->arriving);
    *out = h;
    return 0;
}

void hierarchy_destroy(struct hierarchy *h) {
    if (!h)
        return;
    for (uint32_t level = 0; level < h->level_count; level++) {
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++) {
            struct bank *unit = &h->levels[level].units[i];
            tier_destroy(unit->tier);
            lazy_free(unit->facts, unit->slots, sizeof *unit->facts);
            lazy_free(unit->hits, unit->slots, sizeof *unit->hits);
            lazy_free(unit->listed, unit->slots, sizeof *unit->listed);
            admission_destroy(unit);
            shelf_destroy(unit->shelf);
        }
        free(h->levels[level].units);
    }
    for (uint32_t i = 0; i < h->setup.instances; i++)
        lazy_free(h->arriving[i], h->setup.hbm_blocks, sizeof **h->arriving);
    for (uint32_t i = 0; i < h->transfer_room; i++) {
        free(h->transfers[i].source);
        free(h->transfers[i].target);
    }
    network_destroy(h->network);
    free(h->nobody.slots);
    free(h->offers);
    free(h->admits);
    free(h->asked);
    free(h->arriving);
    free(h->hungry);
    free(h->storing);
    presence_destroy(h->presence);
    free(h->held);
    free(h->evicted);
    free(h->routes);
    free(h->hand_out);
    free(h->hand_in);
    free(h->link_names);
    free(h->link_fresh);
    free(h->transfers);
    free(h->waits);
    free(h->wait_links);
    free(h->ids);
    free(h->slots);
    free(h->levels_of);
    free(h);
}

uint32_t hierarchy_tier_count(const struct hierarchy *h) {
    return h->level_count;
}
const char *hierarchy_tier_name(const struct hierarchy *h, uint32_t tier) {
    return h->levels[tier].options->name;
}
bool hierarchy_hbm_match(struct hierarchy *h, const uint64_t *ids, uint32_t count, uint32_t *leading) {
    if (h->presence)
        presence_match(h->presence, ids, count, leading);
    return h->presence != NULL;
}

struct tier *hierarchy_hbm(struct hierarchy *h, uint32_t instance) {
    return level_tier(h, 0, instance);
}
struct tier *hierarchy_tier(struct hierarchy *h, uint32_t tier, uint32_t instance) {
    return level_tier(h, tier, instance);
}
