/* Where a prompt's blocks are, and what it would take to get them. */
#include <string.h>

#include "sim/memory/hierarchy_impl.h"

/* Those that a tier lacks are asked of the next: prompts end in what is nowhere, so few are. */
void find_below(const struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count, uint32_t *levels,
                uint32_t *slots) {
    uint32_t found[FIND_BLOCKS], first = 0;
    sim_time now = engine_now(h->setup.engine);
    MUST(count <= FIND_BLOCKS);
    memset(levels, 0, count * sizeof *levels);
    for (uint32_t level = 1; level < h->level_count && first < count; level++) {
        const struct bank *unit = level_bank(h, level, instance);
        if (route_of(h, instance, level, 0)->down)
            continue;
        tier_find_resident(unit->tier, ids + first, count - first, found + first);
        for (uint32_t i = first; i < count; i++)
            if (levels[i] == 0 && found[i] != SLOT_NONE && bank_lists_by(unit, found[i], now)) {
                levels[i] = level;
                slots[i] = found[i];
            }
        while (first < count && levels[first] > 0)
            first++;
    }
}

/* Blocks of a chunk that can be fetched before the first gap; `before`: the level that the block before it came from.
 */
static uint32_t count_chunk(const struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count,
                            uint32_t *before, struct kv_lookup *out) {
    uint32_t levels[FIND_BLOCKS], slots[FIND_BLOCKS], in_hbm[FIND_BLOCKS];
    find_below(h, instance, ids, count, levels, slots);
    tier_find_all(level_tier(h, 0, instance), ids, count, in_hbm);
    for (uint32_t i = 0; i < count; i++) {
        if (levels[i] == 0 && (in_hbm[i] == SLOT_NONE || *before == 0))
            return i;
        *before = levels[i] > 0 ? levels[i] : *before;
        out->tier_blocks[*before]++;
    }
    return count;
}

void kv_lookup(const struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count,
               struct kv_lookup *out) {
    const struct tier *hbm = level_tier(h, 0, instance);
    *out = (struct kv_lookup){.hbm_blocks = tier_match(hbm, ids, count, NULL)};
    uint32_t at = out->hbm_blocks;
    if (h->level_count > 1) {
        for (; at < count; at++) {
            uint32_t slot = tier_find(hbm, ids[at]);
            if (slot == SLOT_NONE || tier_state(hbm, slot) != SLOT_ARRIVING)
                break;
            out->arriving_blocks++;
        }
        uint32_t before = 0;
        for (uint32_t first = at; at < count;) {
            uint32_t chunk = count - at < FIND_BLOCKS ? count - at : FIND_BLOCKS;
            uint32_t found = count_chunk(h, instance, ids + at, chunk, &before, out);
            at += found;
            out->lower_blocks = at - first;
            if (found < chunk)
                break;
        }
    }
    out->tier_blocks[0] = out->hbm_blocks + out->arriving_blocks;
}

uint64_t kv_queued_bytes(const struct hierarchy *h, uint32_t instance, uint32_t tier) {
    const struct route *route = route_of(h, instance, tier, 0);
    uint64_t most = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        uint64_t queued = network_queued_bytes(h->network, route->hops[i].link, route->hops[i].direction);
        if (queued > most)
            most = queued;
    }
    return most;
}

double kv_predict_fetch_s(const struct hierarchy *h, uint32_t instance, uint32_t tier, uint32_t blocks) {
    const struct route *route = route_of(h, instance, tier, 0);
    if (blocks == 0)
        return 0;
    sim_time now = engine_now(h->setup.engine);
    sim_time end = network_predict(h->network, route->hops, route->count, h->levels[tier].block_bytes * blocks, blocks);
    return transfer_software_s(h, tier, 0, blocks) + (double)(end - now) * 1e-9;
}

uint32_t kv_path_queues(const struct hierarchy *h, uint32_t instance, uint32_t tier,
                        struct network_queue queues[NETWORK_HOPS_MAX]) {
    const struct route *route = route_of(h, instance, tier, 0);
    for (uint32_t i = 0; i < route->count; i++) {
        queues[i] = network_queue(h->network, route->hops[i]);
        queues[i].name = h->link_names[route->hops[i].link][route->hops[i].direction];
    }
    return route->count;
}

void kv_mark(const struct hierarchy *h, uint32_t instance, uint32_t tier, struct network_mark *mark) {
    const struct route *route = route_of(h, instance, tier, 0);
    network_mark(h->network, route->hops, route->count, mark);
}

double kv_price_s(const struct hierarchy *h, uint32_t instance, uint32_t tier, uint32_t blocks,
                  const struct network_mark *mark) {
    const struct route *route = route_of(h, instance, tier, 0);
    if (blocks == 0)
        return 0;
    return transfer_software_s(h, tier, 0, blocks) +
           network_price_s(h->network, route->hops, route->count, h->levels[tier].block_bytes * blocks, blocks, mark);
}
