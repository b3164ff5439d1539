/* Copies between tiers: what is under way, who waits for it, and what happens when it lands. */
#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

static void *grown(void *memory, size_t count, size_t size_bytes) {
    memory = realloc(memory, count * size_bytes);
    MUST(memory != NULL);
    return memory;
}

uint32_t transfer_open(struct hierarchy *h, enum transfer_kind kind, uint32_t instance, uint32_t from, uint32_t to, sim_time now) {
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
    *transfer = (struct transfer){.kind = kind, .live = true, .instance = instance, .from = from, .to = to, .submitted = now, .waits = NO_WAIT,
                                  .source = transfer->source, .target = transfer->target, .room = transfer->room};
    return id;
}

static void transfer_close(struct hierarchy *h, uint32_t id) {
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

/* Software before the wire: the connector, and the codec of the lower of the two levels. */
static sim_time delay_of(const struct hierarchy *h, const struct transfer *transfer, uint32_t blocks) {
    const struct connector_profile *connector = h->setup.connector;
    const struct tier_options *lower = h->levels[transfer->from > transfer->to ? transfer->from : transfer->to].options;
    double tokens = (double)blocks * h->setup.block_tokens, delay_s = 0;
    if (connector && transfer->kind == TRANSFER_LOAD) delay_s += connector->load_s.value + connector->load_per_token_s.value * tokens;
    if (connector && transfer->kind != TRANSFER_LOAD) delay_s += connector->store_s.value + connector->store_per_token_s.value * tokens;
    if (lower->codec_bytes_per_s > 0) delay_s += h->setup.lower_block_bytes * blocks / lower->codec_bytes_per_s;
    return (sim_time)(delay_s * 1e9 + 0.5);
}

void transfer_start_blocks(struct hierarchy *h, uint32_t id, uint32_t blocks, sim_time now) {
    struct transfer *transfer = &h->transfers[id];
    const struct route *route = route_of(h, transfer->instance, transfer->from, transfer->to);
    MUST(route->count > 0 && blocks > 0 && transfer->submitted == now);
    uint32_t lower = transfer->from > transfer->to ? transfer->from : transfer->to;
    transfer->bytes = (uint64_t)(h->levels[lower].block_bytes * blocks + 0.5);
    transfer->count = blocks;
    level_totals(h, transfer->from, transfer->instance)->read_bytes += transfer->bytes;
    level_totals(h, transfer->to, transfer->instance)->written_bytes += transfer->bytes;
    network_start_after(h->network, route->hops, route->count, transfer->bytes, blocks, delay_of(h, transfer, blocks), id);
}

void transfer_start(struct hierarchy *h, uint32_t id, sim_time now) {
    if (h->transfers[id].count == 0)
        transfer_close(h, id);
    else
        transfer_start_blocks(h, id, h->transfers[id].count, now);
}

uint32_t wait_open(struct hierarchy *h, uint32_t instance, uint64_t tag, sim_time now) {
    if (h->wait_free == NO_WAIT) {
        uint32_t room = h->wait_room ? 2 * h->wait_room : 64;
        h->waits = grown(h->waits, room, sizeof *h->waits);
        for (uint32_t i = room; i-- > h->wait_room;) {
            h->waits[i].next_free = h->wait_free;
            h->wait_free = i;
        }
        h->wait_room = room;
    }
    uint32_t id = h->wait_free;
    h->wait_free = h->waits[id].next_free;
    h->waits[id] = (struct wait){.instance = instance, .tag = tag, .last = now};
    h->wait_live++;
    return id;
}

void wait_for(struct hierarchy *h, uint32_t wait, uint32_t transfer) {
    /* The same load is waited for once, however many of its blocks are wanted. */
    for (uint32_t link = h->transfers[transfer].waits; link != NO_WAIT; link = h->wait_links[link].next)
        if (h->wait_links[link].wait == wait) return;
    if (h->link_free == NO_WAIT) {
        uint32_t room = h->link_room ? 2 * h->link_room : 64;
        h->wait_links = grown(h->wait_links, room, sizeof *h->wait_links);
        for (uint32_t i = room; i-- > h->link_room;) {
            h->wait_links[i].next = h->link_free;
            h->link_free = i;
        }
        h->link_room = room;
    }
    uint32_t link = h->link_free;
    h->link_free = h->wait_links[link].next;
    h->wait_links[link] = (struct wait_link){wait, h->transfers[transfer].waits};
    h->transfers[transfer].waits = link;
    h->waits[wait].pending++;
}

static void wake_waiters(struct hierarchy *h, uint32_t links, uint32_t level, sim_time now) {
    while (links != NO_WAIT) {
        struct wait_link link = h->wait_links[links];
        h->wait_links[links].next = h->link_free;
        h->link_free = links;
        links = link.next;
        struct wait *wait = &h->waits[link.wait];
        wait->tier_ns[level] += now - wait->last;
        wait->last = now;
        if (--wait->pending > 0) continue;
        struct wait over = *wait;
        wait->next_free = h->wait_free;
        h->wait_free = link.wait;
        h->wait_live--;
        h->setup.on_loaded(h->setup.self, over.instance, over.tag, over.tier_ns, now);
    }
}

/* Blocks that were staged through a tier on their way up stay there, where there is room. */
static void keep_staged(struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    const struct list *stages = &h->stages[transfer->from];
    const char *const *names = stages->items;
    for (size_t s = 0; s < stages->count; s++) {
        uint32_t level = topology_tier(h->setup.tiers, names[s]);
        if (level == UINT32_MAX || level == 0 || level >= transfer->from) continue;
        struct tier *tier = level_tier(h, level, transfer->instance), *hbm = level_tier(h, 0, transfer->instance);
        uint32_t parent = SLOT_NONE;
        for (uint32_t i = 0; i < transfer->count; i++) {
            const struct block_info *block = tier_block(hbm, transfer->target[i]);
            uint32_t slot = tier_find(tier, block->id);
            if (slot == SLOT_NONE) {
                if (!tier_take(tier, 1, now)) break;
                struct block_new new = {.id = block->id, .next_use = block->next_use, .duration_ns = block->duration_ns, .parent = parent,
                                        .tokens = h->setup.block_tokens, .tenant = block->tenant, .category = block->category,
                                        .priority = block->priority};
                slot = tier_insert(tier, &new, SLOT_RESIDENT, now);
                tier_release(tier, slot, now);
            }
            parent = tier_state(tier, slot) == SLOT_RESIDENT ? slot : SLOT_NONE;
        }
    }
}

/* The transfer comes by value: what happens on landing may open others, and move the pool. */
static void load_done(struct hierarchy *h, struct transfer copy, sim_time now) {
    const struct transfer *transfer = &copy;
    struct tier *from = level_tier(h, transfer->from, transfer->instance), *hbm = level_tier(h, 0, transfer->instance);
    for (uint32_t i = 0; i < transfer->count; i++) {
        tier_pin(from, transfer->source[i], false, now);
        h->arriving[transfer->instance][transfer->target[i]] = 0;
        tier_landed(hbm, transfer->target[i], now);
    }
    keep_staged(h, transfer, now);
    for (uint32_t level = 1; level < copy.from; level++)
        if (h->levels[level].options->write == WRITE_FILL && h->levels[level].write_from == 0)
            offload(h, copy.instance, 0, level, copy.target, copy.count, now);
    wake_waiters(h, copy.waits, copy.from, now);
}

static void store_done(struct hierarchy *h, struct transfer copy, sim_time now) {
    const struct transfer *transfer = &copy;
    struct tier *from = level_tier(h, transfer->from, transfer->instance), *to = level_tier(h, transfer->to, transfer->instance);
    for (uint32_t i = 0; i < transfer->count; i++) {
        if (transfer->kind == TRANSFER_STORE)
            tier_pin(from, transfer->source[i], false, now);
        else if (transfer->from == 0)
            tier_left(from, transfer->source[i], now);
        tier_landed(to, transfer->target[i], now);
    }
    offload_all(h, copy.instance, copy.to, WRITE_FILL, copy.target, copy.count, now);
    for (uint32_t i = copy.count; i-- > 0;) tier_release(to, copy.target[i], now);
}

static void swap_done(struct hierarchy *h, struct transfer copy, sim_time now) {
    if (copy.kind == TRANSFER_SWAP_OUT) {
        struct tier *hbm = level_tier(h, 0, copy.instance);
        tier_release_all(hbm, copy.source, copy.held, now);
        tier_give(hbm, copy.anonymous);
    } else {
        tier_give(level_tier(h, copy.from, copy.instance), copy.count);
    }
    h->setup.on_swapped(h->setup.self, copy.instance, copy.tag, now);
}

static void emit(const struct hierarchy *h, const struct transfer *transfer, sim_time now) {
    if (!h->setup.record_transfers || !h->setup.sink || !h->setup.sink->transfer) return;
    struct transfer_record record = {.instance = (uint16_t)transfer->instance, .from_tier = (uint8_t)transfer->from, .to_tier = (uint8_t)transfer->to,
                                     .submitted_ns = transfer->submitted, .started_ns = transfer->submitted, .end_ns = now,
                                     .bytes = transfer->bytes, .blocks = transfer->count};
    h->setup.sink->transfer(h->setup.sink->self, &record);
}

void transfer_done(void *self, uint64_t tag, sim_time now) {
    struct hierarchy *h = self;
    uint32_t id = (uint32_t)tag;
    struct transfer *transfer = &h->transfers[id];
    uint32_t instance = transfer->instance;
    bool frees_hbm = transfer->from == 0;
    emit(h, transfer, now);
    switch (transfer->kind) {
    case TRANSFER_LOAD: load_done(h, *transfer, now); break;
    case TRANSFER_STORE:
    case TRANSFER_EVICT: store_done(h, *transfer, now); break;
    case TRANSFER_SWAP_OUT:
    case TRANSFER_SWAP_IN: swap_done(h, *transfer, now); break;
    }
    transfer_close(h, id);
    evictions_start(h, now);
    if (frees_hbm && h->hungry[instance]) {
        h->hungry[instance] = false;
        h->setup.on_space(h->setup.self, instance, now);
    }
    timers_update(h);
}
