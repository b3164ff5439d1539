/* The blocks of live requests in HBM: onboarding, filling, letting go, swapping. */
#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

static int64_t next_use(const struct kv_identity *identity, uint32_t i) {
    return identity->next_use ? identity->next_use[i] : INT64_MAX;
}

/* Categories as the workload has them: shared text, and a conversation's own. */
enum { CATEGORY_SHARED = 1, CATEGORY_OWN = 4 };

static struct block_new describe(const struct hierarchy *h, const struct kv_identity *identity, uint32_t i,
                                 uint32_t parent) {
    return (struct block_new){.id = identity->ids[i],
                              .next_use = next_use(identity, i),
                              .duration_ns = identity->duration_ns,
                              .owner = identity->owner,
                              .parent = parent,
                              .depth = i,
                              .tokens = h->setup.block_tokens,
                              .tenant = identity->tenant,
                              .priority = identity->priority,
                              .category = i < identity->shared_blocks ? CATEGORY_SHARED : CATEGORY_OWN};
}

static void keep_facts(struct hierarchy *h, struct bank *hbm, const struct kv_identity *identity, uint32_t first,
                       uint32_t count, const uint32_t *slots) {
    for (uint32_t i = 0; hbm->facts && i < count; i++) {
        struct block_new block = describe(h, identity, first + i, SLOT_NONE);
        facts_keep(hbm, slots[i], &block);
    }
}

/* Enters blocks first .. first+count-1 into HBM out of taken slots; those that are there already are passed over.
 * Returns the number entered. */
static uint32_t enter_blocks(struct hierarchy *h, struct bank *hbm, const struct kv_identity *identity, uint32_t first,
                             uint32_t count, uint32_t parent, enum slot_state state, uint32_t *slots, sim_time now) {
    uint32_t entered = 0;
    for (uint32_t i = 0; i < count;) {
        /* The shared blocks are of one category, the rest of another. */
        uint32_t at = first + i, end = at < identity->shared_blocks && identity->shared_blocks < first + count
                                           ? identity->shared_blocks
                                           : first + count;
        struct block_new block = describe(h, identity, at, parent);
        entered +=
            tier_insert_all(hbm->tier, &block, identity->ids + at, identity->next_use ? identity->next_use + at : NULL,
                            end - at, state, slots + i, now);
        i = end - first;
        parent = slots[i - 1] != SLOT_NONE ? slots[i - 1] : tier_find(hbm->tier, identity->ids[end - 1]);
    }
    for (uint32_t i = 0; hbm->hits && i < count; i++)
        if (slots[i] != SLOT_NONE)
            hbm->hits[slots[i]] = 0;
    keep_facts(h, hbm, identity, first, count, slots);
    if (state == SLOT_RESIDENT)
        shelf_pin(hbm->shelf, slots, count, now);
    return entered;
}

static void touch(struct bank *unit, uint32_t slot, int64_t next, sim_time now) {
    if (unit->facts)
        unit->facts[slot].next_use = next;
    tier_touch(unit->tier, slot, next, now);
    shelf_touched(unit->shelf, slot, now);
}

/* The request's hits keep their place in tiers that hold all that HBM holds, as vLLM's offloading manager has it. Tail
 * first: the front stays longest. */
static void touch_copies(struct hierarchy *h, uint32_t instance, const struct kv_identity *identity, uint32_t count,
                         sim_time now) {
    scratch_reserve(h, count);
    for (uint32_t level = 1; level < h->level_count; level++) {
        const struct tier_options *options = h->levels[level].options;
        if (h->levels[level].write_from != 0 || options->write == WRITE_EVICTION)
            continue;
        struct bank *unit = level_bank(h, level, instance);
        tier_find_resident(unit->tier, identity->ids, count, h->slots);
        for (uint32_t i = count; i-- > 0;)
            if (h->slots[i] != SLOT_NONE)
                touch(unit, h->slots[i], next_use(identity, i), now);
    }
}

/* A tier that was offered blocks as they were filled, and may have refused them, is asked again at each hit. */
static void offer_again(struct hierarchy *h, uint32_t instance, const uint32_t *slots, uint32_t count, sim_time now) {
    for (uint32_t level = 1; level < h->level_count; level++) {
        const struct tier_options *options = h->levels[level].options;
        if (options->admit_policy && options->write == WRITE_FILL && h->levels[level].write_from == 0)
            offload(h, instance, 0, level, ADMIT_FILL, slots, count, false, now);
    }
}

/* Holds and touches the request's hits in HBM, and touches what tiers below have of them. */
static void use_hits(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity,
                     uint32_t count, sim_time now) {
    struct bank *hbm = level_bank(h, 0, instance);
    struct block_use use = {
        .owner = identity->owner, .duration_ns = identity->duration_ns, .priority = identity->priority};
    tier_use_all(hbm->tier, kv->slots, count, &use, identity->next_use, now);
    keep_facts(h, hbm, identity, 0, count, kv->slots);
    for (uint32_t i = 0; hbm->hits && i < count; i++)
        admission_hit(hbm, kv->slots[i], identity->ids[i], now);
    if (h->level_count > 1 && count > 0) {
        touch_copies(h, instance, identity, count, now);
        offer_again(h, instance, kv->slots, count, now);
    }
}

/* Ghost lists of HBM's policy hear of blocks that will be computed. */
static void tell_misses(struct hierarchy *h, uint32_t instance, const struct kv_identity *identity, uint32_t first,
                        sim_time now) {
    struct bank *hbm = level_bank(h, 0, instance);
    for (uint32_t i = first; h->levels[0].knows_misses && i < identity->count; i++)
        if (tier_find(hbm->tier, identity->ids[i]) == SLOT_NONE)
            tier_missed(hbm->tier, identity->ids[i], now);
}

/* What a kv_begin is about to do. Blocks held..count-1 are to be fetched; those that HBM has behind the gap are only
 * held. */
struct onboarding {
    const struct kv_identity *identity;
    uint32_t instance, hits, held, count;
    uint32_t first;   /* of those that are fetched; between held and first: left to be computed */
    bool backwards;   /* the last is loaded first */
    uint32_t missing; /* blocks that must be loaded */
    uint32_t idle;    /* found in HBM and held by nobody: about to be no victims any more */
    bool waits;       /* for blocks that are arriving, or are loaded */
};

static void survey(const struct hierarchy *h, struct kv *kv, struct onboarding *plan) {
    const struct tier *hbm = level_tier(h, 0, plan->instance);
    const uint64_t *ids = plan->identity->ids;
    MUST(tier_match(hbm, ids, plan->hits, kv->slots) == plan->hits);
    tier_find_all(hbm, ids + plan->hits, plan->count - plan->hits, kv->slots + plan->hits);
    for (uint32_t i = plan->held; i < plan->first; i++)
        kv->slots[i] = SLOT_NONE;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (i >= plan->held && i < plan->first)
            continue;
        if (kv->slots[i] == SLOT_NONE) {
            MUST(i >= plan->held);
            plan->missing++;
        } else {
            plan->idle += tier_block(hbm, kv->slots[i])->refs == 0;
            plan->waits |= tier_state(hbm, kv->slots[i]) == SLOT_ARRIVING;
        }
    }
    plan->waits |= plan->missing > 0;
}

/* Pins the sources of what is missing, before room is made: making room evicts, down to where they are. */
static void pin_sources(struct hierarchy *h, const struct kv *kv, const struct onboarding *plan, sim_time now) {
    scratch_reserve(h, plan->count);
    for (uint32_t first = plan->first, end; first < plan->count; first = end) {
        end = plan->count - first < FIND_BLOCKS ? plan->count : first + FIND_BLOCKS;
        find_below(h, plan->instance, plan->identity->ids + first, end - first, h->levels_of + first, h->slots + first);
        for (uint32_t i = first; i < end; i++) {
            if (kv->slots[i] != SLOT_NONE)
                continue;
            MUST(h->levels_of[i] > 0);
            tier_pin(level_tier(h, h->levels_of[i], plan->instance), h->slots[i], true, now);
        }
    }
}

static void unpin_sources(struct hierarchy *h, const struct kv *kv, const struct onboarding *plan, sim_time now) {
    for (uint32_t i = plan->first; i < plan->count; i++)
        if (kv->slots[i] == SLOT_NONE)
            tier_pin(level_tier(h, h->levels_of[i], plan->instance), h->slots[i], false, now);
}

/* Holds what HBM has and takes room for the rest. false: not to be had now, and nothing is held. */
static bool secure(struct hierarchy *h, struct kv *kv, const struct onboarding *plan, sim_time now) {
    struct tier *hbm = level_tier(h, 0, plan->instance);
    if (plan->missing > 0 && tier_available(hbm) < plan->idle + (uint64_t)plan->missing)
        return false;
    tier_hold_all(hbm, kv->slots, plan->count, now);
    if (plan->missing == 0)
        return true;
    pin_sources(h, kv, plan, now);
    for (uint32_t i = plan->first; h->levels[0].knows_misses && i < plan->count; i++)
        if (kv->slots[i] == SLOT_NONE)
            tier_missed(hbm, plan->identity->ids[i], now);
    if (tier_take(hbm, plan->missing, now))
        return true;
    unpin_sources(h, kv, plan, now);
    tier_release_all(hbm, kv->slots, plan->count, now);
    return false;
}

/* Enters what is missing as arriving, and starts its loads: one transfer a source level. */
static void start_loads(struct hierarchy *h, struct kv *kv, const struct onboarding *plan, uint32_t wait,
                        sim_time now) {
    struct bank *hbm = level_bank(h, 0, plan->instance);
    uint32_t transfers[TIERS_MAX], *arriving = h->arriving[plan->instance];
    for (uint32_t level = 0; level < TIERS_MAX; level++)
        transfers[level] = NO_TRANSFER;
    for (uint32_t i = plan->first; i < plan->count;) {
        uint32_t end = i;
        while (end < plan->count && kv->slots[end] == SLOT_NONE)
            end++;
        if (end > i)
            MUST(enter_blocks(h, hbm, plan->identity, i, end - i, i > 0 ? kv->slots[i - 1] : SLOT_NONE, SLOT_ARRIVING,
                              kv->slots + i, now) == end - i);
        for (; i < end; i++) {
            uint32_t level = h->levels_of[i];
            touch(level_bank(h, level, plan->instance), h->slots[i], next_use(plan->identity, i), now);
            admission_hit(level_bank(h, level, plan->instance), h->slots[i], plan->identity->ids[i], now);
            if (transfers[level] == NO_TRANSFER)
                transfers[level] = transfer_open(h, TRANSFER_LOAD, plan->instance, level, 0, now);
            transfer_add(h, transfers[level], h->slots[i], kv->slots[i]);
            arriving[kv->slots[i]] = transfers[level] + 1;
            if (wait != NO_WAIT)
                tier_hold(hbm->tier, kv->slots[i], now); /* the request's; the first reference is the transfer's */
        }
        i = end + 1;
    }
    for (uint32_t level = 1; level < h->level_count; level++)
        if (transfers[level] != NO_TRANSFER) {
            if (wait != NO_WAIT)
                wait_for(h, wait, transfers[level]);
            if (plan->backwards)
                transfer_reverse(h, transfers[level]);
            transfer_start(h, transfers[level], h->transfers[transfers[level]].count);
        }
}

static enum kv_result begin_loading(struct hierarchy *h, struct kv *kv, const struct onboarding *plan, uint64_t tag,
                                    sim_time now) {
    struct bank *hbm = level_bank(h, 0, plan->instance);
    /* Behind the gap, those that are there are hits as well. */
    for (uint32_t i = plan->first; i < plan->count; i++)
        if (kv->slots[i] != SLOT_NONE && tier_state(hbm->tier, kv->slots[i]) == SLOT_RESIDENT)
            touch(hbm, kv->slots[i], next_use(plan->identity, i), now);
    if (!plan->waits)
        return KV_READY;
    uint32_t wait = wait_open(h, plan->instance, tag, now);
    kv->wait = wait_name(h, wait);
    for (uint32_t i = plan->hits; i < plan->count; i++) {
        if (kv->slots[i] == SLOT_NONE || tier_state(hbm->tier, kv->slots[i]) != SLOT_ARRIVING)
            continue;
        MUST(h->arriving[plan->instance][kv->slots[i]] > 0);
        wait_for(h, wait, h->arriving[plan->instance][kv->slots[i]] - 1);
    }
    if (plan->missing > 0)
        start_loads(h, kv, plan, wait, now);
    return KV_LOADING;
}

static enum kv_result onboard(struct hierarchy *h, struct kv *kv, const struct onboarding *plan, uint64_t tag,
                              sim_time now) {
    uint32_t instance = plan->instance, hits = plan->hits;
    struct tier *hbm = level_tier(h, 0, instance);
    MUST(kv->count == 0 && kv->tail_count == 0 && kv->anonymous == 0 && kv->swapped == 0 && kv->room >= plan->count);
    h->acting = instance;
    enum kv_result result = KV_READY;
    if (plan->count == hits) {
        MUST(tier_match(hbm, plan->identity->ids, hits, kv->slots) == hits);
        use_hits(h, instance, kv, plan->identity, hits, now);
    } else {
        struct onboarding own = *plan;
        survey(h, kv, &own);
        if (!secure(h, kv, &own, now)) {
            h->hungry[instance] = true;
            evictions_start(h);
            timers_update(h);
            return KV_FULL;
        }
        /* Loads first: they read the scratch that touching copies writes. */
        result = begin_loading(h, kv, &own, tag, now);
        use_hits(h, instance, kv, plan->identity, hits, now);
        tier_release_all(hbm, kv->slots, hits, now); /* held twice now */
        h->hungry[instance] &= own.missing == 0;
        evictions_start(h);
    }
    tell_misses(h, instance, plan->identity, plan->count, now);
    timers_update(h);
    return result;
}

enum kv_result kv_begin(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity,
                        uint32_t hits, uint32_t arriving, uint32_t fetch, uint64_t tag, sim_time now) {
    struct onboarding plan = {.identity = identity,
                              .instance = instance,
                              .hits = hits,
                              .held = hits + arriving,
                              .first = hits + arriving,
                              .count = hits + arriving + fetch};
    enum kv_result result = onboard(h, kv, &plan, tag, now);
    kv->count = result == KV_FULL ? 0 : plan.count;
    return result;
}

enum kv_result kv_begin_tail(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity,
                             uint32_t hits, uint32_t skip, uint32_t fetch, uint64_t tag, sim_time now) {
    struct onboarding plan = {.identity = identity,
                              .instance = instance,
                              .hits = hits,
                              .held = hits,
                              .first = hits + skip,
                              .count = hits + skip + fetch,
                              .backwards = true};
    MUST(fetch > 0);
    enum kv_result result = onboard(h, kv, &plan, tag, now);
    if (result == KV_FULL)
        return result;
    kv->count = hits;
    kv->tail_first = plan.first;
    kv->tail_count = fetch;
    return result;
}

static uint32_t prefetch_to_hbm(struct hierarchy *h, const struct onboarding *given, sim_time now) {
    struct onboarding plan = *given;
    if (h->nobody.room < plan.count) {
        h->nobody.room = 2 * plan.count;
        h->nobody.slots = realloc(h->nobody.slots, h->nobody.room * sizeof *h->nobody.slots);
        MUST(h->nobody.slots != NULL);
    }
    survey(h, &h->nobody, &plan);
    if (plan.missing == 0 || !secure(h, &h->nobody, &plan, now))
        return 0;
    tier_release_all(level_tier(h, 0, plan.instance), h->nobody.slots, plan.count, now);
    start_loads(h, &h->nobody, &plan, NO_WAIT, now);
    return plan.missing;
}

/* From each tier below `to`, those of ids[0..count) that it holds. */
static uint32_t prefetch_to_tier(struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count,
                                 uint32_t to, sim_time now) {
    uint64_t before = h->started_bytes;
    uint32_t *slots = malloc(count * sizeof *slots);
    MUST(slots != NULL);
    for (uint32_t from = to + 1; from < h->level_count; from++) {
        const struct tier *tier = level_tier(h, from, instance);
        if (!can_copy(h, instance, from, to))
            continue;
        /* A row at a time: what room for one sends down may send away the next. */
        for (uint32_t i = 0, end; i < count; i = end + 1) {
            tier_find_resident(tier, ids + i, count - i, slots + i);
            for (end = i; end < count && slots[end] != SLOT_NONE;)
                end++;
            offload(h, instance, from, to, ADMIT_FILL, slots + i, end - i, true, now);
        }
    }
    free(slots);
    return h->started_bytes > before ? count : 0;
}

uint32_t kv_prefetch(struct hierarchy *h, uint32_t instance, const struct kv_identity *identity, uint32_t hbm,
                     uint32_t arriving, uint32_t blocks, uint32_t to, sim_time now) {
    struct onboarding plan = {.identity = identity,
                              .instance = instance,
                              .hits = hbm,
                              .held = hbm + arriving,
                              .first = hbm + arriving,
                              .count = hbm + arriving + blocks};
    h->acting = instance;
    uint32_t moved = to == 0               ? prefetch_to_hbm(h, &plan, now)
                     : to < h->level_count ? prefetch_to_tier(h, instance, identity->ids + plan.first, blocks, to, now)
                                           : 0;
    evictions_start(h);
    timers_update(h);
    return moved;
}

bool kv_extend(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t blocks, sim_time now) {
    h->acting = instance;
    bool had = tier_take(level_tier(h, 0, instance), blocks, now);
    evictions_start(h);
    timers_update(h);
    h->hungry[instance] = !had || (h->hungry[instance] && blocks == 0);
    kv->anonymous += had ? blocks : 0;
    return had;
}

void kv_shrink(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t blocks, sim_time now) {
    (void)now;
    MUST(blocks <= kv->anonymous);
    kv->anonymous -= blocks;
    tier_give(level_tier(h, 0, instance), blocks);
}

void kv_publish(struct hierarchy *h, uint32_t instance, struct kv *kv, const struct kv_identity *identity,
                uint32_t blocks, sim_time now) {
    struct bank *hbm = level_bank(h, 0, instance);
    uint32_t first = kv->count;
    MUST(first + blocks <= kv->room && blocks <= kv->anonymous);
    MUST(kv->tail_count == 0 || first + blocks <= kv->tail_first);
    h->acting = instance;
    uint32_t parent = first > 0 ? kv->slots[first - 1] : SLOT_NONE;
    if (first > 0 && parent == SLOT_NONE) /* a private copy: its twin is the parent */
        parent = tier_find(hbm->tier, identity->ids[first - 1]);
    kv->anonymous -= enter_blocks(h, hbm, identity, first, blocks, parent, SLOT_RESIDENT, kv->slots + first, now);
    kv->count = first + blocks;
    if (h->level_count > 1) {
        drop_below(h, instance, identity->ids + first, blocks, now);
        offload_all(h, instance, 0, WRITE_FILL, kv->slots + first, blocks, now);
    }
    evictions_start(h);
    timers_update(h);
}

static void let_go(struct hierarchy *h, uint32_t instance, struct kv *kv, sim_time now) {
    struct tier *hbm = level_tier(h, 0, instance);
    tier_release_all(hbm, kv->slots + kv->tail_first, kv->tail_count, now);
    tier_release_all(hbm, kv->slots, kv->count, now);
    tier_give(hbm, kv->anonymous);
    kv->count = kv->tail_first = kv->tail_count = 0;
    kv->anonymous = 0;
    kv->wait = 0;
}

void kv_end(struct hierarchy *h, uint32_t instance, struct kv *kv, sim_time now) {
    MUST(wait_named(h, kv->wait) == NO_WAIT && kv->swapped == 0 && kv->tail_count == 0);
    h->acting = instance;
    if (h->level_count > 1)
        offload_all(h, instance, 0, WRITE_COMPLETION, kv->slots, kv->count, now);
    let_go(h, instance, kv, now);
    evictions_start(h);
    timers_update(h);
}

/* Leaves the loads that the request waits for. Returns their number; they are in the scratch. */
static uint32_t leave_loads(struct hierarchy *h, uint32_t instance, const struct kv *kv) {
    uint32_t wait = wait_named(h, kv->wait), left = 0;
    if (wait == NO_WAIT)
        return 0;
    uint32_t end = kv->tail_count > 0 ? kv->tail_first + kv->tail_count : kv->count;
    scratch_reserve(h, end);
    for (uint32_t i = 0; i < end; i++) {
        if (kv->tail_count > 0 && i == kv->count)
            i = kv->tail_first;
        uint32_t load = kv->slots[i] == SLOT_NONE ? 0 : h->arriving[instance][kv->slots[i]];
        if (load > 0 && wait_leave(h, wait, load - 1))
            h->slots[left++] = load - 1;
    }
    wait_close(h, wait);
    return left;
}

void kv_drop(struct hierarchy *h, uint32_t instance, struct kv *kv, sim_time now) {
    h->acting = instance;
    uint32_t loads = leave_loads(h, instance, kv);
    let_go(h, instance, kv, now);
    for (uint32_t i = 0; i < loads; i++)
        transfer_cut(h, h->slots[i], now);
    if (kv->swapped > 0)
        tier_give(level_tier(h, kv->swap_tier, instance), kv->swapped);
    kv->swapped = 0;
    evictions_start(h);
    timers_update(h);
}

bool kv_swap_out(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t tag, sim_time now) {
    MUST(kv->swapped == 0);
    if (wait_named(h, kv->wait) != NO_WAIT || kv->tail_count > 0)
        return false;
    h->acting = instance;
    uint64_t blocks = kv->anonymous;
    for (uint32_t i = 0; i < kv->count; i++)
        blocks += kv->slots[i] != SLOT_NONE;
    bool out = false;
    for (uint32_t level = 1; !out && blocks > 0 && level < h->level_count; level++) {
        if (!can_copy(h, instance, 0, level) || !tier_take(level_tier(h, level, instance), blocks, now))
            continue;
        uint32_t id = transfer_open(h, TRANSFER_SWAP_OUT, instance, 0, level, now);
        for (uint32_t i = 0; i < kv->count; i++)
            if (kv->slots[i] != SLOT_NONE)
                transfer_add(h, id, kv->slots[i], SLOT_NONE);
        struct transfer *transfer = &h->transfers[id];
        transfer->held = transfer->count;
        transfer->anonymous = kv->anonymous;
        transfer->tag = tag;
        *kv =
            (struct kv){.slots = kv->slots, .room = kv->room, .swapped = (uint32_t)blocks, .swap_tier = (uint8_t)level};
        h->hungry[instance] = true;
        transfer_start(h, id, (uint32_t)blocks);
        out = true;
    }
    evictions_start(h);
    timers_update(h);
    return out;
}

bool kv_swap_in(struct hierarchy *h, uint32_t instance, struct kv *kv, uint64_t tag, sim_time now) {
    uint32_t blocks = kv->swapped;
    MUST(blocks > 0);
    if (!kv_extend(h, instance, kv, blocks, now))
        return false;
    uint32_t id = transfer_open(h, TRANSFER_SWAP_IN, instance, kv->swap_tier, 0, now);
    h->transfers[id].tag = tag;
    kv->swapped = 0;
    transfer_start(h, id, blocks);
    return true;
}

void kv_want(struct hierarchy *h, uint32_t instance) {
    h->hungry[instance] = true;
}
