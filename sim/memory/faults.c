#include "sim/memory/faults.h"

#include <stdlib.h>
#include <string.h>

#include "sim/memory/hierarchy_impl.h"

static bool swaps(const struct transfer *transfer) {
    return transfer->kind == TRANSFER_SWAP_OUT || transfer->kind == TRANSFER_SWAP_IN;
}

/* Blocks landed..count-1 of the transfer will not come. */
static void undo(struct hierarchy *h, struct transfer *transfer, uint32_t landed, sim_time now) {
    struct tier *from = level_tier(h, transfer->from, transfer->instance),
                *to = level_tier(h, transfer->to, transfer->instance);
    uint32_t cut = transfer->count - landed;
    for (uint32_t i = transfer->count; i-- > landed;) {
        if (transfer->kind != TRANSFER_EVICT)
            tier_pin(from, transfer->source[i], false, now);
        else if (transfer->from == 0)
            tier_left(from, transfer->source[i], now);
        if (transfer->kind == TRANSFER_LOAD)
            h->arriving[transfer->instance][transfer->target[i]] = 0;
        tier_abandon(to, transfer->target[i], now);
    }
    tier_give(to, cut);
    uint64_t bytes = h->levels[transfer->from > transfer->to ? transfer->from : transfer->to].block_bytes * cut;
    if (transfer->kind == TRANSFER_EVICT && transfer->from > 0)
        level_bank(h, transfer->to, transfer->instance)->buffered_bytes -= h->levels[transfer->to].block_bytes * cut;
    h->cut_bytes += bytes;
    transfer->count = landed;
}

/* keep: what has landed is good. */
static void fail(struct hierarchy *h, uint32_t id, bool keep, sim_time now) {
    evictions_start(h); /* so that each has a flow */
    while (h->transfers[id].waits != NO_WAIT) {
        uint32_t link = h->transfers[id].waits;
        const struct wait *wait = &h->waits[h->wait_links[link].wait];
        h->setup.on_failed(h->setup.self, wait->instance, wait->tag, now);
        MUST(h->transfers[id].waits != link);
    }
    struct transfer *transfer = &h->transfers[id];
    h->acting = transfer->instance;
    uint32_t landed = network_abort(h->network, transfer->flow);
    undo(h, transfer, keep && landed < transfer->count ? landed : keep ? transfer->count : 0, now);
}

/* Everything under way from or to a unit, but for swaps. keep: what has landed elsewhere by now is good. */
static void fail_all(struct hierarchy *h, const struct bank *unit, bool keep, sim_time now) {
    for (uint32_t id = 0; id < h->transfer_room; id++) {
        const struct transfer *transfer = &h->transfers[id];
        if (!transfer->live || swaps(transfer))
            continue;
        bool to = transfer->to == unit->level && level_bank(h, unit->level, transfer->instance) == unit,
             from = transfer->from == unit->level && level_bank(h, unit->level, transfer->instance) == unit;
        if (to || from)
            fail(h, id, keep && !to, now);
    }
}

/* Nothing under way from or to the unit, and nothing in it. */
static void clear(struct hierarchy *h, struct bank *unit, bool keep, sim_time now) {
    h->acting = unit->first_instance;
    shelf_close(unit->shelf, true, now);
    fail_all(h, unit, keep, now);
    uint64_t left = tier_counts(unit->tier).resident;
    for (uint32_t slot = 0; left > 0 && slot < unit->slots; slot++) {
        if (tier_state(unit->tier, slot) != SLOT_RESIDENT)
            continue;
        left--;
        if (tier_block(unit->tier, slot)->refs == 0)
            tier_delete(unit->tier, slot, now);
    }
    shelf_close(unit->shelf, false, now);
    evictions_start(h);
}

uint32_t hierarchy_units(const struct hierarchy *h, uint32_t level, uint32_t *sharing) {
    *sharing = h->levels[level].per_unit < h->setup.instances ? h->levels[level].per_unit : h->setup.instances;
    return h->levels[level].unit_count;
}

void hierarchy_lose(struct hierarchy *h, uint32_t level, uint32_t unit, sim_time now) {
    MUST(level > 0 && level < h->level_count && unit < h->levels[level].unit_count);
    struct bank *bank = &h->levels[level].units[unit];
    if (bank->lost++ > 0)
        return;
    clear(h, bank, true, now);
    timers_update(h);
}

void hierarchy_regain(struct hierarchy *h, uint32_t level, uint32_t unit) {
    MUST(h->levels[level].units[unit].lost > 0);
    h->levels[level].units[unit].lost--;
}

/* Whether link `number` of the network is that unit of the node's link. */
static bool is_link(const struct hierarchy *h, uint32_t number, const char *name, uint32_t unit) {
    size_t length = strlen(name);
    const char *made = h->link_names[number][0];
    return strncmp(made, name, length) == 0 && made[length] == '[' && strtoul(made + length + 1, NULL, 10) == unit;
}

static void mark_routes(struct hierarchy *h) {
    size_t routes = (size_t)h->setup.instances * h->level_count * h->level_count;
    for (size_t i = 0; i < routes; i++) {
        struct route *route = &h->routes[i];
        route->down = false;
        for (uint32_t hop = 0; hop < route->count; hop++)
            route->down |= network_is_down(h->network, route->hops[hop].link, route->hops[hop].direction);
    }
}

uint32_t hierarchy_change_link(struct hierarchy *h, const char *name, uint32_t unit, double slow, bool down) {
    uint32_t changed = 0;
    for (uint32_t link = 0; link < network_links(h->network); link++) {
        if (!is_link(h, link, name, unit))
            continue;
        changed++;
        network_change(h->network, link, NETWORK_READ, slow, down);
        network_change(h->network, link, NETWORK_WRITE, slow * h->link_fresh[link], down);
    }
    mark_routes(h);
    return changed;
}

static void set_fresh(struct hierarchy *h, uint32_t level, uint32_t instance, bool fresh) {
    const struct route *route = route_of(h, instance, level, 0);
    uint32_t link = route->hops[0].link; /* the drive's own comes first on its way up */
    double slow = network_slow(h->network, link, NETWORK_WRITE) / h->link_fresh[link];
    h->link_fresh[link] = fresh ? network_fresh(h->network, link) : 1;
    network_change(h->network, link, NETWORK_WRITE, slow * h->link_fresh[link],
                   network_is_down(h->network, link, NETWORK_WRITE));
}

void drives_begin(struct hierarchy *h) {
    for (uint32_t level = 1; level < h->level_count; level++)
        for (uint32_t i = 0; h->levels[level].options->drive_state == DRIVE_FRESH && i < h->setup.instances; i++) {
            level_bank(h, level, i)->fresh = true;
            set_fresh(h, level, i, true);
        }
}

void drive_written(struct hierarchy *h, struct bank *unit, uint32_t instance) {
    if (!unit->fresh || (double)unit->written_bytes < h->levels[unit->level].options->capacity_bytes)
        return;
    unit->fresh = false;
    set_fresh(h, unit->level, instance, false);
}

void hierarchy_give_up(struct hierarchy *h, const char *name, uint32_t unit, sim_time now) {
    for (uint32_t id = 0; id < h->transfer_room; id++) {
        const struct transfer *transfer = &h->transfers[id];
        if (!transfer->live || transfer->kind != TRANSFER_LOAD)
            continue;
        const struct route *route = route_of(h, transfer->instance, transfer->from, transfer->to);
        bool over = false;
        for (uint32_t hop = 0; hop < route->count; hop++)
            over |= is_link(h, route->hops[hop].link, name, unit);
        if (over)
            fail(h, id, true, now);
    }
    evictions_start(h);
    timers_update(h);
}

void hierarchy_crash(struct hierarchy *h, uint32_t instance, sim_time now) {
    for (uint32_t level = 0; level < h->level_count; level++) {
        struct bank *unit = level_bank(h, level, instance);
        uint32_t sharing = h->levels[level].per_unit, last = unit->first_instance + sharing;
        if (last > h->setup.instances)
            sharing = h->setup.instances - unit->first_instance;
        if (level > 0 && (sharing > 1 || h->levels[level].options->persistent))
            continue;
        clear(h, unit, false, now);
    }
    timers_update(h);
}
