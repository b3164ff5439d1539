/* Copies between tiers: what is under way, and what happens when it lands. */
#include <stdlib.h>

#include "sim/memory/faults.h"
#include "sim/memory/hierarchy_impl.h"

static void *grown(void *memory, size_t count, size_t size_bytes) {
    memory = realloc(memory, count * size_bytes);
    MUST(memory != NULL);
    return memory;
}

uint32_t transfer_open(struct hierarchy *h, enum transfer_kind kind, uint32_t instance, uint32_t from, uint32_t to,
                       sim_time now) {
    if (h->transfer_free == NO_TRANSFER) {
        uint32_t room = h->transfer_room ? 2 * h->transfer_room : 64;
        h->transfers = grown(h->transfers, room, sizeof *h->transfers);
        for (uint32_t i = room; i-- > h->transfer_room;) {
            h->transfers[i] = (struct transfer){.next_free = h->transfer_free};
            h->transfer_free = i;
        }
        h->transfer_room = room;
    }
    uint32_t id = h->transfer_free;
    struct transfer *transfer = &h->transfers[id];
    h->transfer_free = transfer->next_free;
    h->transfer_live++;
    *transfer = (struct transfer){.kind = kind,
                                  .live = true,
                                  .instance = instance,
                                  .from = from,
                                  .to = to,
                                  .submitted = now,
                                  .waits = NO_WAIT,
                                  .source = transfer->source,
                                  .target = transfer->target,
                                  .room = transfer->room};
    return id;
}

void transfer_close(struct hierarchy *h, uint32_t id) {
    struct transfer *transfer = &h->transfers[id];
    MUST(transfer->live);
    transfer->live = false;
    transfer->next_free = h->transfer_free;
    h->transfer_free = id;
    h->transfer_live--;
}

void transfer_add(struct hierarchy *h, uint32_t id, uint32_t source, uint32_t target) {
    struct transfer *transfer = &h->transfers[id];
    if (transfer->count == transfer->room) {
        transfer->room = transfer->room ? 2 * transfer->room : 32;
        transfer->source = grown(transfer->source, transfer->room, sizeof *transfer->source);
        transfer->target = grown(transfer->target, transfer->room, sizeof *transfer->target);
    }
    transfer->source[transfer->count] = source;
    transfer->target[transfer->count++] = target;
}

void transfer_reverse(struct hierarchy *h, uint32_t id) {
    struct transfer *transfer = &h->transfers[id];
    for (uint32_t i = 0, j = transfer->count; i + 1 < j; i++) {
        uint32_t source = transfer->source[--j], target = transfer->target[j];
        transfer->source[j] = transfer->source[i];
        transfer->target[j] = transfer->target[i];
        transfer->source[i] = source;
        transfer->target[i] = target;
    }
}

/* The format that the bytes have on the way: the lower tier's. */
static uint64_t block_bytes(const struct hierarchy *h, uint32_t from, uint32_t to) {
    return h->levels[from > to ? from : to].block_bytes;
}

double transfer_software_s(const struct hierarchy *h, uint32_t from, uint32_t to, uint64_t blocks) {
    const struct connector_profile *connector = h->setup.connector;
    double tokens = (double)blocks * h->setup.block_tokens, seconds = 0;
    if (connector)
        seconds += to == 0 ? connector->load_s.value + connector->load_per_token_s.value * tokens
                           : connector->store_s.value + connector->store_per_token_s.value * tokens;
    if (to == 0 && from > 0)
        seconds +=
            h->levels[from].options->index_lookup_s + h->levels[from].options->index_per_block_s * (double)blocks;
    /* A copy between two formats is decoded and encoded. */
    const uint32_t ends[] = {from, to};
    for (int i = 0; i < 2; i++) {
        const struct tier_options *end = h->levels[ends[i]].options;
        if (ends[i] > 0 && end->codec_bytes_per_s > 0)
            seconds += h->setup.lower_block_bytes * (double)blocks / end->codec_bytes_per_s;
    }
    return seconds;
}

void transfer_start(struct hierarchy *h, uint32_t id, uint32_t blocks) {
    struct transfer *transfer = &h->transfers[id];
    const struct route *route = route_of(h, transfer->instance, transfer->from, transfer->to);
    MUST(route->count > 0 && blocks > 0 && blocks >= transfer->count);
    transfer->count = blocks;
    uint64_t bytes = block_bytes(h, transfer->from, transfer->to) * blocks;
    h->started_bytes += bytes;
    sim_time delay_ns = (sim_time)(transfer_software_s(h, transfer->from, transfer->to, blocks) * 1e9 + 0.5);
    h->storing[transfer->instance] += transfer->kind == TRANSFER_STORE && transfer->from == 0;
    transfer->flow = network_start_after(h->network, route->hops, route->count, bytes, blocks, delay_ns, id);
}

void transfer_cut(struct hierarchy *h, uint32_t id, sim_time now) {
    struct transfer *transfer = &h->transfers[id];
    struct tier *from = level_tier(h, transfer->from, transfer->instance), *hbm = level_tier(h, 0, transfer->instance);
    MUST(transfer->live && transfer->kind == TRANSFER_LOAD);
    uint32_t keep = transfer->count;
    while (keep > 0 && tier_block(hbm, transfer->target[keep - 1])->refs == 1)
        keep--;
    if (keep == transfer->count)
        return;
    uint32_t lands = network_truncate(h->network, transfer->flow, keep), cut = transfer->count - lands;
    MUST(lands >= keep && lands <= transfer->count);
    for (uint32_t i = transfer->count; i-- > lands;) {
        tier_pin(from, transfer->source[i], false, now);
        h->arriving[transfer->instance][transfer->target[i]] = 0;
        tier_abandon(hbm, transfer->target[i], now);
    }
    tier_give(hbm, cut);
    transfer->count = lands;
    h->cut_bytes += block_bytes(h, transfer->from, 0) * cut;
}

/* Blocks that were staged through a tier on their way up stay there, where there is room. */
static void keep_staged(struct hierarchy *h, const struct transfer *transfer, uint32_t level, sim_time now) {
    struct bank *stage = level_bank(h, level, transfer->instance);
    const struct bank *hbm = level_bank(h, 0, transfer->instance);
    uint32_t parent = SLOT_NONE;
    for (uint32_t i = 0; i < transfer->count && stage->lost == 0; i++) {
        struct block_new block = block_describe(hbm, transfer->target[i], parent);
        uint32_t slot = tier_find(stage->tier, block.id);
        if (slot == SLOT_NONE &&
            !admission_takes(level_bank(h, 0, transfer->instance), stage, ADMIT_FILL, transfer->target[i], now)) {
            parent = SLOT_NONE;
            continue;
        }
        if (slot == SLOT_NONE) {
            if (h->levels[level].knows_misses)
                tier_missed(stage->tier, block.id, now);
            if (shelf_room(stage->shelf, block.id, 1, now) == 0 || !tier_take(stage->tier, 1, now))
                return;
            slot = tier_insert(stage->tier, &block, SLOT_RESIDENT, now);
            facts_keep(stage, slot, &block);
            bank_lists(stage, h->levels[level].options, slot, now);
            shelf_pin(stage->shelf, &slot, 1, now);
            stage->written_bytes += h->levels[level].block_bytes;
            stage->promoted_bytes += h->levels[level].block_bytes;
            tier_release(stage->tier, slot, now);
            /* Eager policies may have sent it away at once. */
            slot = tier_find(stage->tier, block.id);
        }
        parent = slot;
    }
}

/* What has landed when its tier was lost was read from there for the last time. */
static void unpin_source(struct hierarchy *h, const struct transfer *transfer, uint32_t i, sim_time now) {
    struct bank *from = level_bank(h, transfer->from, transfer->instance);
    uint32_t slot = transfer->source[i];
    tier_pin(from->tier, slot, false, now);
    if (from->lost > 0 && tier_state(from->tier, slot) == SLOT_RESIDENT && tier_block(from->tier, slot)->refs == 0)
        tier_delete(from->tier, slot, now);
}

static bool is_exclusive(const struct hierarchy *h, uint32_t level) {
    return h->levels[level].options->inclusion == INCLUSION_EXCLUSIVE;
}

/* An exclusive tier drops what has gone up from it, but for what others are still reading. */
static void drop_read(struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    struct tier *from = level_tier(h, transfer->from, transfer->instance);
    for (uint32_t i = 0; is_exclusive(h, transfer->from) && i < transfer->count; i++)
        if (tier_state(from, transfer->source[i]) == SLOT_RESIDENT && tier_block(from, transfer->source[i])->refs == 0)
            tier_delete(from, transfer->source[i], now);
}

/* What HBM had again before it had landed below, having been computed anew. */
static void drop_landed(struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    struct tier *to = level_tier(h, transfer->to, transfer->instance), *hbm = level_tier(h, 0, transfer->instance);
    if (transfer->kind != TRANSFER_EVICT || !is_exclusive(h, transfer->to))
        return;
    for (uint32_t i = 0; i < transfer->count; i++) {
        uint32_t slot = transfer->target[i];
        if (tier_state(to, slot) == SLOT_RESIDENT && tier_block(to, slot)->refs == 0 &&
            tier_find(hbm, tier_block(to, slot)->id) != SLOT_NONE)
            tier_delete(to, slot, now);
    }
}

void drop_below(struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count, sim_time now) {
    for (uint32_t level = 1; level < h->level_count; level++) {
        struct tier *tier = level_tier(h, level, instance);
        for (uint32_t i = 0; is_exclusive(h, level) && i < count; i++) {
            uint32_t slot = tier_find(tier, ids[i]);
            if (slot != SLOT_NONE && tier_state(tier, slot) == SLOT_RESIDENT && tier_block(tier, slot)->refs == 0)
                tier_delete(tier, slot, now);
        }
    }
}

/* A tier that is written as HBM fills holds what HBM holds, so what comes from further down goes there too. */
static void load_done(struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    struct tier *hbm = level_tier(h, 0, transfer->instance);
    for (uint32_t i = 0; i < transfer->count; i++) {
        unpin_source(h, transfer, i, now);
        h->arriving[transfer->instance][transfer->target[i]] = 0;
        tier_landed(hbm, transfer->target[i], now);
    }
    shelf_pin(level_bank(h, 0, transfer->instance)->shelf, transfer->target, transfer->count, now);
    for (uint32_t level = 1; level < transfer->from; level++) {
        const struct tier_options *options = h->levels[level].options;
        bool fills = options->write == WRITE_FILL && h->levels[level].write_from == 0;
        if (options->promote == PROMOTE_NEVER || is_exclusive(h, level))
            continue;
        if (h->levels[transfer->from].stages[level])
            keep_staged(h, transfer, level, now);
        else if (fills || (options->promote == PROMOTE_ALWAYS && route_of(h, transfer->instance, 0, level)->count > 0))
            offload(h, transfer->instance, 0, level, ADMIT_FILL, transfer->target, transfer->count, true, now);
    }
    drop_read(h, transfer, now);
    tier_release_all(hbm, transfer->target, transfer->count, now);
}

static void store_done(struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    struct tier *from = level_tier(h, transfer->from, transfer->instance),
                *to = level_tier(h, transfer->to, transfer->instance);
    if (transfer->kind == TRANSFER_EVICT && transfer->from > 0)
        level_bank(h, transfer->to, transfer->instance)->buffered_bytes -=
            h->levels[transfer->to].block_bytes * transfer->count;
    for (uint32_t i = 0; i < transfer->count; i++) {
        if (transfer->kind == TRANSFER_STORE)
            unpin_source(h, transfer, i, now);
        else if (transfer->from == 0)
            tier_left(from, transfer->source[i], now);
        tier_landed(to, transfer->target[i], now);
        bank_lists(level_bank(h, transfer->to, transfer->instance), h->levels[transfer->to].options,
                   transfer->target[i], now);
    }
    shelf_pin(level_bank(h, transfer->to, transfer->instance)->shelf, transfer->target, transfer->count, now);
    offload_all(h, transfer->instance, transfer->to, WRITE_FILL, transfer->target, transfer->count, now);
    if (transfer->promotes)
        drop_read(h, transfer, now);
    tier_release_all(to, transfer->target, transfer->count, now);
    drop_landed(h, transfer, now);
}

static void swap_done(struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    if (transfer->kind == TRANSFER_SWAP_IN) {
        tier_give(level_tier(h, transfer->from, transfer->instance), transfer->count);
        return;
    }
    struct tier *hbm = level_tier(h, 0, transfer->instance);
    tier_release_all(hbm, transfer->source, transfer->held, now);
    tier_give(hbm, transfer->anonymous);
}

static void emit(const struct hierarchy *h, const struct transfer *transfer, uint64_t bytes, sim_time now) {
    if (!h->setup.record_transfers || !h->setup.sink || !h->setup.sink->transfer)
        return;
    sim_time begun = network_begun(h->network, transfer->flow);
    struct transfer_record record = {.instance = (uint16_t)transfer->instance,
                                     .from_tier = (uint8_t)transfer->from,
                                     .to_tier = (uint8_t)transfer->to,
                                     .submitted_ns = transfer->submitted,
                                     .started_ns = begun < now ? begun : now,
                                     .end_ns = now,
                                     .bytes = bytes,
                                     .blocks = transfer->count};
    h->setup.sink->transfer(h->setup.sink->self, &record);
}

/* What the bytes were written for. */
static void count_written(struct bank *unit, const struct transfer *transfer, uint64_t bytes) {
    if (transfer->kind == TRANSFER_EVICT)
        unit->demoted_bytes += bytes;
    else if (transfer->kind == TRANSFER_STORE)
        *(transfer->promotes                    ? &unit->promoted_bytes
          : transfer->cause == ADMIT_COMPLETION ? &unit->completed_bytes
                                                : &unit->filled_bytes) += bytes;
}

/* Tiers first, then whoever waits: hooks see everything in its place. */
void transfer_done(void *self, uint64_t tag, sim_time now) {
    struct hierarchy *h = self;
    if (h->transfers[tag].kind == TRANSFER_HAND) {
        handover_done(h, (uint32_t)tag, now);
        return;
    }
    const struct transfer transfer = h->transfers[tag];
    uint64_t bytes = block_bytes(h, transfer.from, transfer.to) * transfer.count;
    h->acting = transfer.instance;
    h->landed_bytes += bytes;
    level_bank(h, transfer.from, transfer.instance)->read_bytes += bytes;
    level_bank(h, transfer.to, transfer.instance)->written_bytes += bytes;
    drive_written(h, level_bank(h, transfer.to, transfer.instance), transfer.instance);
    count_written(level_bank(h, transfer.to, transfer.instance), &transfer, bytes);
    emit(h, &transfer, bytes, now);
    bool swapped = transfer.kind == TRANSFER_SWAP_OUT || transfer.kind == TRANSFER_SWAP_IN;
    if (swapped)
        swap_done(h, &transfer, now);
    else if (transfer.kind == TRANSFER_LOAD)
        load_done(h, &transfer, now);
    else
        store_done(h, &transfer, now);
    uint32_t waits = h->transfers[tag].waits;
    transfer_close(h, (uint32_t)tag);
    evictions_start(h);
    timers_update(h);
    waits_wake(h, waits, transfer.from, now);
    if (swapped)
        h->setup.on_swapped(h->setup.self, transfer.instance, transfer.tag, now);
    bool stored = transfer.kind == TRANSFER_STORE && transfer.from == 0;
    MUST(!stored || h->storing[transfer.instance] > 0);
    h->storing[transfer.instance] -= stored;
    bool freed = h->held[transfer.instance] && h->storing[transfer.instance] == 0;
    h->held[transfer.instance] = h->held[transfer.instance] && !freed;
    if (freed || ((transfer.from == 0 || transfer.to == 0) && h->hungry[transfer.instance]))
        h->setup.on_space(h->setup.self, transfer.instance, now);
}
