/* The blocks of live requests in HBM: look-up, onboarding, filling, letting go. */
#include "sim/memory/hierarchy_impl.h"

/* The fastest level below HBM that holds `id`, with its slot; 0: none. */
static uint32_t holder(const struct hierarchy *h, uint32_t instance, uint64_t id, uint32_t *slot) {
    for (uint32_t level = 1; level < h->level_count; level++) {
        const struct tier *tier = level_tier(h, level, instance);
        *slot = tier_find(tier, id);
        if (*slot != SLOT_NONE && tier_state(tier, *slot) == SLOT_RESIDENT) return level;
    }
    return 0;
}

void kv_lookup(const struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count, struct kv_lookup *out) {
    const struct tier *hbm = level_tier(h, 0, instance);
    *out = (struct kv_lookup){.hbm_blocks = tier_match(hbm, ids, count, NULL)};
    uint32_t at = out->hbm_blocks;
    for (; at < count; at++) {
        uint32_t slot = tier_find(hbm, ids[at]);
        if (slot == SLOT_NONE || tier_state(hbm, slot) != SLOT_ARRIVING) break;
        out->arriving_blocks++;
    }
    out->tier_blocks[0] = at;
    for (; h->level_count > 1 && at < count; at++) {
        uint32_t slot, level = holder(h, instance, ids[at], &slot);
        /* A block that HBM holds behind a gap would be there twice: the run ends. */
        if (level == 0 || tier_find(hbm, ids[at]) != SLOT_NONE) break;
        out->tier_blocks[level]++;
        out->lower_blocks++;
    }
}

/* The request's hits keep their place in tiers that copy everything, as vLLM's offloading manager has it. */
static void touch_copies(struct hierarchy *h, uint32_t instance, const struct kv_identity *identity, uint32_t count, sim_time now) {
    for (uint32_t level = 1; level < h->level_count; level++) {
        if (h->levels[level].options->write != WRITE_FILL && h->levels[level].options->write != WRITE_COMPLETION) continue;
        struct tier *tier = level_tier(h, level, instance);
        for (uint32_t i = count; i-- > 0;) {
            uint32_t slot = tier_find(tier, identity->ids[i]);
            if (slot != SLOT_NONE && tier_state(tier, slot) == SLOT_RESIDENT)
                tier_touch(tier, slot, identity->next_use ? identity->next_use[i] : INT64_MAX, now);
        }
    }
}

static struct block_new describe(const struct hierarchy *h, const struct kv_identity *identity, uint32_t i, uint32_t parent) {
    return (struct block_new){.id = identity->ids[i], .next_use = identity->next_use ? identity->next_use[i] : INT64_MAX,
                              .duration_ns = identity->duration_ns, .parent = parent, .depth = i, .tokens = h->setup.block_tokens,
                              .tenant = identity->tenant, .priority = identity->priority,
                              .category = i < identity->shared_blocks ? 1 : 4};
}

/* Starts the loads of blocks first .. first+fetch-1, one transfer a source level. HBM blocks for them are taken. */
static void start_loads(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity, uint32_t first, uint32_t fetch,
                        uint32_t wait, sim_time now) {
    struct tier *hbm = level_tier(h, 0, instance);
    uint32_t transfers[TIERS_MAX];
    for (uint32_t level = 0; level < h->level_count; level++) transfers[level] = NO_TRANSFER;
    for (uint32_t i = first; i < first + fetch; i++) {
        uint32_t slot, level = holder(h, instance, identity->ids[i], &slot);
        MUST(level > 0);
        struct tier *tier = level_tier(h, level, instance);
        tier_touch(tier, slot, identity->next_use ? identity->next_use[i] : INT64_MAX, now);
        tier_pin(tier, slot, true, now);
        struct block_new new = describe(h, identity, i, i > 0 ? kv->slots[i - 1] : SLOT_NONE);
        kv->slots[i] = tier_insert(hbm, &new, SLOT_ARRIVING, now);
        if (transfers[level] == NO_TRANSFER) {
            transfers[level] = transfer_open(h, TRANSFER_LOAD, instance, level, 0, now);
            wait_for(h, wait, transfers[level]);
        }
        transfer_add(h, transfers[level], slot, kv->slots[i]);
        h->arriving[instance][kv->slots[i]] = transfers[level] + 1;
    }
    for (uint32_t level = 1; level < h->level_count; level++)
        if (transfers[level] != NO_TRANSFER) transfer_start(h, transfers[level], now);
}

enum kv_result kv_begin(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity, uint32_t hbm_blocks, uint32_t arriving,
                        uint32_t fetch, uint64_t tag, sim_time now) {
    struct tier *hbm = level_tier(h, 0, instance);
    MUST(kv->count == 0 && kv->anonymous == 0 && kv->room >= hbm_blocks + arriving + fetch);
    uint32_t held = hbm_blocks + arriving, idle = 0;
    MUST(tier_match(hbm, identity->ids, hbm_blocks, kv->slots) == hbm_blocks);
    for (uint32_t i = 0; i < hbm_blocks; i++) idle += tier_block(hbm, kv->slots[i])->refs == 0;
    /* Holding the hits takes them out of what can be had: know before touching anything. */
    if (fetch > 0 && tier_available(hbm) < idle + (uint64_t)fetch) {
        h->hungry[instance] = true;
        return KV_FULL;
    }
    for (uint32_t i = hbm_blocks; i < held; i++) kv->slots[i] = tier_find(hbm, identity->ids[i]);
    tier_hold_all(hbm, kv->slots, held, now);
    if (fetch > 0 && !tier_take(hbm, fetch, now)) {
        tier_release_all(hbm, kv->slots, held, now);
        evictions_start(h, now);
        h->hungry[instance] = true;
        return KV_FULL;
    }
    evictions_start(h, now);
    for (uint32_t i = 0; i < hbm_blocks; i++) tier_touch(hbm, kv->slots[i], identity->next_use ? identity->next_use[i] : INT64_MAX, now);
    if (h->level_count > 1) touch_copies(h, instance, identity, hbm_blocks, now);
    kv->count = held + fetch;
    if (arriving + fetch == 0) return KV_READY;
    uint32_t wait = wait_open(h, instance, tag, now);
    for (uint32_t i = hbm_blocks; i < held; i++) {
        MUST(h->arriving[instance][kv->slots[i]] > 0);
        wait_for(h, wait, h->arriving[instance][kv->slots[i]] - 1);
    }
    start_loads(h, instance, kv, identity, held, fetch, wait, now);
    timers_update(h);
    return KV_LOADING;
}

bool kv_extend(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t blocks, sim_time now) {
    bool had = tier_take(level_tier(h, 0, instance), blocks, now);
    evictions_start(h, now);
    if (had)
        kv->anonymous += blocks;
    else
        h->hungry[instance] = true;
    return had;
}

void kv_shrink(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t blocks, sim_time now) {
    (void)now;
    MUST(blocks <= kv->anonymous);
    kv->anonymous -= blocks;
    tier_give(level_tier(h, 0, instance), blocks);
}

void kv_publish(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity, uint32_t blocks, sim_time now) {
    struct tier *hbm = level_tier(h, 0, instance);
    uint32_t first = kv->count;
    MUST(first + blocks <= kv->room);
    for (uint32_t i = first; i < first + blocks; i++) {
        kv->slots[i] = SLOT_NONE;
        if (tier_find(hbm, identity->ids[i]) != SLOT_NONE) continue; /* somebody computed it at the same time */
        MUST(kv->anonymous > 0);
        uint32_t parent = i > 0 ? kv->slots[i - 1] : SLOT_NONE;
        if (i > 0 && parent == SLOT_NONE) {
            parent = tier_find(hbm, identity->ids[i - 1]);
            if (parent != SLOT_NONE && tier_state(hbm, parent) != SLOT_RESIDENT) parent = SLOT_NONE;
        }
        struct block_new new = describe(h, identity, i, parent);
        kv->slots[i] = tier_insert(hbm, &new, SLOT_RESIDENT, now);
        kv->anonymous--;
    }
    kv->count = first + blocks;
    if (h->level_count > 1) {
        offload_all(h, instance, 0, WRITE_FILL, kv->slots + first, blocks, now);
        evictions_start(h, now);
    }
    timers_update(h);
}

static void let_go(struct hierarchy *h, uint32_t instance, struct kv *kv, sim_time now) {
    struct tier *hbm = level_tier(h, 0, instance);
    tier_release_all(hbm, kv->slots, kv->count, now);
    tier_give(hbm, kv->anonymous);
    kv->count = 0;
    kv->anonymous = 0;
    timers_update(h);
}

void kv_end(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity, sim_time now) {
    (void)identity;
    if (h->level_count > 1) {
        offload_all(h, instance, 0, WRITE_COMPLETION, kv->slots, kv->count, now);
        evictions_start(h, now);
    }
    let_go(h, instance, kv, now);
}

void kv_drop(struct hierarchy *h, uint32_t instance, struct kv *kv, sim_time now) { let_go(h, instance, kv, now); }

bool kv_swap_out(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t tag, sim_time now) {
    uint64_t blocks = kv->anonymous;
    for (uint32_t i = 0; i < kv->count; i++) blocks += kv->slots[i] != SLOT_NONE;
    for (uint32_t level = 1; level < h->level_count; level++) {
        if (route_of(h, instance, 0, level)->count == 0 || !tier_take(level_tier(h, level, instance), blocks, now)) continue;
        evictions_start(h, now);
        uint32_t id = transfer_open(h, TRANSFER_SWAP_OUT, instance, 0, level, now);
        for (uint32_t i = 0; i < kv->count; i++)
            if (kv->slots[i] != SLOT_NONE) transfer_add(h, id, kv->slots[i], SLOT_NONE);
        struct transfer *transfer = &h->transfers[id];
        transfer->held = transfer->count;
        transfer->anonymous = kv->anonymous;
        transfer->tag = tag;
        *kv = (struct kv){.slots = kv->slots, .room = kv->room, .swapped = (uint32_t)blocks, .swap_tier = (uint8_t)level};
        h->hungry[instance] = true;
        transfer_start_blocks(h, id, (uint32_t)blocks, now);
        return true;
    }
    evictions_start(h, now);
    return false;
}

bool kv_swap_in(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t tag, sim_time now) {
    uint32_t blocks = kv->swapped;
    if (!kv_extend(h, instance, kv, blocks, now)) return false;
    uint32_t id = transfer_open(h, TRANSFER_SWAP_IN, instance, kv->swap_tier, 0, now);
    h->transfers[id].tag = tag;
    kv->swapped = 0;
    transfer_start_blocks(h, id, blocks, now);
    return true;
}

uint64_t kv_queued_bytes(const struct hierarchy *h, uint32_t instance, uint32_t tier) {
    const struct route *route = route_of(h, instance, tier, 0);
    uint64_t most = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        uint64_t queued = network_queued_bytes(h->network, route->hops[i].link, route->hops[i].direction);
        if (queued > most) most = queued;
    }
    return most;
}

double kv_predict_fetch_s(const struct hierarchy *h, uint32_t instance, uint32_t tier, uint32_t blocks) {
    const struct route *route = route_of(h, instance, tier, 0);
    uint64_t bytes = (uint64_t)(h->levels[tier].block_bytes * blocks + 0.5);
    sim_time now = engine_now(h->setup.engine);
    double software_s = h->setup.connector ? h->setup.connector->load_s.value + h->setup.connector->load_per_token_s.value * blocks * h->setup.block_tokens : 0;
    return software_s + (double)(network_predict(h->network, route->hops, route->count, bytes, blocks) - now) * 1e-9;
}
