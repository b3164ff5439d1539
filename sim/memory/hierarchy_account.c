/* What the hierarchy has to show at the end, and whether its books balance. */
#include "sim/memory/hierarchy_impl.h"

static void emit_links(const struct hierarchy *h, struct sink *sink) {
    for (uint32_t link = 0; link < network_links(h->network); link++)
        for (int way = 0; way < 2; way++) {
            struct network_totals totals = network_totals(h->network, link, (enum network_direction)way);
            struct link_record record = {.name = h->link_names[link][way],
                                         .peak_bytes_per_s = totals.peak_bytes_per_s,
                                         .bytes = totals.bytes,
                                         .busy_ns = totals.busy_ns};
            sink->link(sink->self, &record);
        }
}

static void emit_tier(const struct level *level, const struct bank *unit, struct sink *sink) {
    struct tier_counts counts = tier_counts(unit->tier);
    struct tier_record record = {.name = unit->name,
                                 .tier = unit->level,
                                 .capacity_bytes = level->block_bytes * counts.capacity,
                                 .peak_used_bytes = level->block_bytes * counts.peak_used,
                                 .written_bytes = unit->written_bytes,
                                 .read_bytes = unit->read_bytes,
                                 .inserted_blocks = counts.inserted,
                                 .evicted_blocks = counts.evicted,
                                 .filled_bytes = unit->filled_bytes,
                                 .completed_bytes = unit->completed_bytes,
                                 .demoted_bytes = unit->demoted_bytes,
                                 .promoted_bytes = unit->promoted_bytes,
                                 .refused_blocks = unit->refused_blocks,
                                 .dropped_blocks = unit->dropped_blocks};
    sink->tier(sink->self, &record);
}

/* References that transfers have on blocks, and bytes that they buffer, against what tiers and units say. */
static void audit_transfer(const struct hierarchy *h, uint32_t id, uint64_t *buffered) {
    const struct transfer *transfer = &h->transfers[id];
    const struct tier *from = level_tier(h, transfer->from, transfer->instance),
                      *to = level_tier(h, transfer->to, transfer->instance);
    bool swaps =
        transfer->kind == TRANSFER_SWAP_OUT || transfer->kind == TRANSFER_SWAP_IN || transfer->kind == TRANSFER_HAND;
    for (uint32_t i = 0; !swaps && i < transfer->count; i++) {
        MUST(tier_state(to, transfer->target[i]) == SLOT_ARRIVING && tier_block(to, transfer->target[i])->refs > 0);
        if (transfer->kind != TRANSFER_EVICT)
            MUST(tier_state(from, transfer->source[i]) == SLOT_RESIDENT &&
                 tier_block(from, transfer->source[i])->refs > 0);
        else if (transfer->from == 0)
            MUST(tier_state(from, transfer->source[i]) == SLOT_LEAVING);
        if (transfer->kind == TRANSFER_LOAD)
            MUST(h->arriving[transfer->instance][transfer->target[i]] == id + 1);
        else
            MUST(tier_block(to, transfer->target[i])->refs == 1);
    }
    for (uint32_t i = 0; transfer->kind == TRANSFER_SWAP_OUT && i < transfer->held; i++)
        MUST(tier_block(from, transfer->source[i])->refs > 0);
    if (transfer->kind == TRANSFER_EVICT && transfer->from > 0)
        *buffered += h->levels[transfer->to].block_bytes * transfer->count;
}

static void audit_waits(const struct hierarchy *h) {
    uint64_t linked = 0, pending = 0, live = 0;
    for (uint32_t id = 0; id < h->transfer_room; id++)
        for (uint32_t link = h->transfers[id].live ? h->transfers[id].waits : NO_WAIT; link != NO_WAIT;
             link = h->wait_links[link].next) {
            MUST(h->waits[h->wait_links[link].wait].pending > 0);
            linked++;
        }
    for (uint32_t i = 0; i < h->wait_room; i++) {
        pending += h->waits[i].pending;
        live += h->waits[i].pending > 0;
    }
    MUST(linked == pending && live == h->wait_live);
}

/* What an exclusive tier of one instance alone holds, that instance's HBM does not; unless it is being read, or was
 * written at completion. */
static void audit_exclusive(const struct hierarchy *h, uint32_t level) {
    const struct tier_options *options = h->levels[level].options;
    if (level == 0 || options->inclusion != INCLUSION_EXCLUSIVE || options->write != WRITE_EVICTION ||
        h->levels[level].per_unit > 1)
        return;
    for (uint32_t i = 0; i < h->levels[level].unit_count; i++) {
        const struct bank *unit = &h->levels[level].units[i];
        const struct tier *hbm = level_tier(h, 0, unit->first_instance);
        for (uint32_t slot = 0; slot < unit->slots; slot++) {
            const struct block_info *block = tier_block(unit->tier, slot);
            if (block->state != SLOT_RESIDENT || block->refs > 0)
                continue;
            uint32_t above = tier_find(hbm, block->id);
            MUST(above == SLOT_NONE || tier_state(hbm, above) != SLOT_RESIDENT);
        }
    }
}

void hierarchy_audit(const struct hierarchy *h) {
    uint64_t buffered = 0, said = 0;
    uint32_t live = 0;
    for (uint32_t level = 0; level < h->level_count; level++) {
        audit_exclusive(h, level);
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++) {
            const struct bank *unit = &h->levels[level].units[i];
            tier_audit(unit->tier);
            said += unit->buffered_bytes;
            MUST(unit->buffered_bytes <= (uint64_t)h->levels[level].options->write_buffer_bytes);
            MUST(unit->evicting == NO_TRANSFER);
            if (level > 0)
                MUST((double)(h->levels[level].block_bytes * tier_counts(unit->tier).peak_used) <=
                         h->levels[level].options->capacity_bytes ||
                     unit->slots == 1);
        }
    }
    for (uint32_t id = 0; id < h->transfer_room; id++) {
        if (!h->transfers[id].live)
            continue;
        live++;
        audit_transfer(h, id, &buffered);
    }
    MUST(buffered == said && live == h->transfer_live && live == network_flows(h->network));
    MUST(h->landed_bytes + h->cut_bytes <= h->started_bytes);
    audit_waits(h);
    network_audit(h->network);
}

void hierarchy_finish(struct hierarchy *h, sim_time now, struct sink *sink) {
    for (uint32_t level = 0; h->setup.spaces && level < h->level_count; level++)
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++)
            shelf_close(h->levels[level].units[i].shelf, true, now);
    MUST(h->transfer_live == 0 && h->wait_live == 0 && network_flows(h->network) == 0);
    MUST(h->started_bytes == h->landed_bytes + h->cut_bytes);
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++) {
            struct tier_counts counts = tier_counts(h->levels[level].units[i].tier);
            MUST(counts.held == 0 && counts.taken == 0 && counts.arriving == 0 && counts.leaving == 0);
            MUST(counts.free + counts.resident == counts.capacity && counts.peak_used <= counts.capacity);
            MUST(h->levels[level].units[i].buffered_bytes == 0);
        }
    if (sink && sink->link)
        emit_links(h, sink);
    for (uint32_t level = 0; sink && sink->tier && level < h->level_count; level++)
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++)
            emit_tier(&h->levels[level], &h->levels[level].units[i], sink);
}
