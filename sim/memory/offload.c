/* Copies downwards: at fill, at completion, on eviction. */
#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

struct block_new block_describe(const struct bank *unit, uint32_t slot, uint32_t parent) {
    const struct block_info *block = tier_block(unit->tier, slot);
    unsigned kept = unit->h->levels[unit->level].needs;
    const struct facts *facts = unit->facts ? &unit->facts[slot] : NULL;
    struct block_new out = {.id = block->id,
                            .next_use = INT64_MAX,
                            .parent = parent,
                            .tokens = unit->h->setup.block_tokens,
                            .category = block->category,
                            .priority = block->priority};
    if (kept & NEED_FACTS) {
        const struct block_facts *own = tier_facts(unit->tier, slot);
        out.next_use = own->next_use;
        out.duration_ns = own->duration_ns;
        out.owner = own->owner;
        out.depth = own->depth;
        out.tenant = own->tenant;
    }
    if (!facts)
        return out;
    if (!(kept & NEED_FUTURE))
        out.next_use = facts->next_use;
    if (!(kept & NEED_TIME))
        out.duration_ns = facts->duration_ns;
    if (!(kept & NEED_SESSION)) {
        out.owner = facts->owner;
        out.tenant = facts->tenant;
    }
    if (!(kept & (NEED_TREE | NEED_LENGTH)))
        out.depth = facts->depth;
    if (!(kept & NEED_CATEGORY))
        out.category = facts->category;
    return out;
}

void facts_keep(struct bank *unit, uint32_t slot, const struct block_new *block) {
    if (unit->hits && unit->level > 0 && slot != SLOT_NONE)
        unit->hits[slot] = 0;
    if (unit->facts && slot != SLOT_NONE)
        unit->facts[slot] = (struct facts){.next_use = block->next_use,
                                           .duration_ns = block->duration_ns,
                                           .owner = block->owner,
                                           .depth = block->depth,
                                           .tenant = block->tenant,
                                           .category = block->category};
}

/* As many of `want` slots as can be had. */
static uint32_t take_some(struct tier *tier, uint32_t want, sim_time now) {
    while (want > 0 && !tier_take(tier, want, now)) {
        uint64_t available = tier_available(tier);
        want = available < want ? (uint32_t)available : want / 2;
    }
    return want;
}

/* What an offload has found out of its blocks, in the hierarchy's scratch: ids, and where they are in the target. */
struct batch {
    const uint32_t *slots;
    uint32_t count, missing;
    enum admit_cause cause;
    bool promotes;
};

/* Which of the batch's blocks the target takes, block by block; those that it has are not asked for. */
static void ask(struct hierarchy *h, struct bank *source, struct bank *target, const struct batch *batch,
                sim_time now) {
    if (h->admit_room < batch->count) {
        h->admit_room = 2 * batch->count;
        h->admits = realloc(h->admits, 2 * h->admit_room * sizeof *h->admits);
        h->asked = realloc(h->asked, h->admit_room * sizeof *h->asked);
        MUST(h->admits != NULL && h->asked != NULL);
    }
    uint32_t count = 0;
    bool *answers = h->admits + h->admit_room;
    for (uint32_t i = 0; i < batch->count; i++) {
        h->admits[i] = true;
        if (target->admit && h->slots[i] == SLOT_NONE)
            h->asked[count++] = batch->slots[i];
    }
    if (!target->admit)
        return;
    admission_decide(source, target, batch->cause, h->asked, count, answers, now);
    for (uint32_t i = batch->count; i-- > 0;)
        if (h->slots[i] == SLOT_NONE)
            h->admits[i] = answers[--count];
}

/* Pins what the target lacks, and holds what it has: neither may go while room is made. */
static void secure(struct hierarchy *h, struct bank *source, struct bank *target, struct batch *batch, sim_time now) {
    for (uint32_t i = 0; i < batch->count; i++)
        h->ids[i] = tier_block(source->tier, batch->slots[i])->id;
    tier_find_all(target->tier, h->ids, batch->count, h->slots);
    ask(h, source, target, batch, now);
    for (uint32_t i = 0; i < batch->count; i++) {
        if (h->slots[i] != SLOT_NONE) {
            tier_hold(target->tier, h->slots[i], now);
            continue;
        }
        if (!h->admits[i])
            continue;
        tier_pin(source->tier, batch->slots[i], true, now);
        if (h->levels[target->level].knows_misses)
            tier_missed(target->tier, h->ids[i], now);
        batch->missing++;
    }
}

/* Enters the first `room` missing blocks into the transfer, lets go of the rest and of what was held. */
static void enter(struct hierarchy *h, struct bank *source, struct bank *target, const struct batch *batch,
                  uint32_t room, uint32_t transfer, sim_time now) {
    uint32_t parent = SLOT_NONE;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (h->slots[i] != SLOT_NONE) {
            parent = h->slots[i];
            continue;
        }
        if (!h->admits[i]) {
            parent = SLOT_NONE;
            continue;
        }
        if (room == 0) {
            tier_pin(source->tier, batch->slots[i], false, now);
            parent = SLOT_NONE;
            continue;
        }
        room--;
        struct block_new block = block_describe(source, batch->slots[i], parent);
        parent = tier_insert(target->tier, &block, SLOT_ARRIVING, now);
        facts_keep(target, parent, &block);
        transfer_add(h, transfer, batch->slots[i], parent);
    }
    tier_release_all(target->tier, h->slots, batch->count, now);
}

static void offload_run(struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to, struct batch batch,
                        sim_time now) {
    struct bank *source = level_bank(h, from, instance), *target = level_bank(h, to, instance);
    secure(h, source, target, &batch, now);
    /* A request's blocks are of one namespace. */
    uint32_t allowed = batch.missing > 0 ? shelf_room(target->shelf, h->ids[0], batch.missing, now) : 0;
    uint32_t room = take_some(target->tier, allowed, now);
    target->skipped_blocks += batch.missing - room;
    uint32_t transfer = room > 0 ? transfer_open(h, TRANSFER_STORE, instance, from, to, now) : NO_TRANSFER;
    enter(h, source, target, &batch, room, transfer, now);
    if (transfer == NO_TRANSFER)
        return;
    h->transfers[transfer].cause = batch.cause;
    h->transfers[transfer].promotes = batch.promotes;
    transfer_start(h, transfer, room);
}

void offload(struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to, enum admit_cause cause,
             const uint32_t *slots, uint32_t count, bool promotes, sim_time now) {
    if (!can_copy(h, instance, from, to)) { /* faults.h: not begun while a link is down, or the tier lost */
        level_bank(h, to, instance)->skipped_blocks += count;
        return;
    }
    scratch_reserve(h, count);
    /* A private copy has no identity: what is before and after it goes apart. */
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        while (end < count && slots[end] != SLOT_NONE)
            end++;
        if (end > i)
            offload_run(h, instance, from, to,
                        (struct batch){.slots = slots + i, .count = end - i, .cause = cause, .promotes = promotes},
                        now);
        i = end + 1;
    }
}

void offload_all(struct hierarchy *h, uint32_t instance, uint32_t from, enum write_rule rule, const uint32_t *slots,
                 uint32_t count, sim_time now) {
    for (uint32_t to = from + 1; to < h->level_count; to++)
        if (h->levels[to].options->write == (int)rule && h->levels[to].write_from == from)
            offload(h, instance, from, to, rule == WRITE_COMPLETION ? ADMIT_COMPLETION : ADMIT_FILL, slots, count,
                    false, now);
}

bool kv_stores(struct hierarchy *h, uint32_t instance) {
    h->held[instance] = h->storing[instance] > 0;
    return h->held[instance];
}

/* Whether `target` takes a block that a tier further up evicts: it lacks it, and has room and, below HBM, buffer for
 * it. */
static bool takes_victim(struct hierarchy *h, struct bank *source, struct bank *target, uint64_t id, uint32_t slot,
                         sim_time now) {
    const struct level *level = &h->levels[target->level];
    if (tier_find(target->tier, id) != SLOT_NONE || !admission_takes(source, target, ADMIT_EVICTION, slot, now))
        return false;
    if (!can_copy(h, h->acting, source->level, target->level)) {
        target->dropped_blocks++;
        return false;
    }
    if (source->level > 0 &&
        target->buffered_bytes + level->block_bytes > (uint64_t)level->options->write_buffer_bytes) {
        target->dropped_blocks++;
        return false;
    }
    if (level->knows_misses)
        tier_missed(target->tier, id, now);
    bool room = shelf_room(target->shelf, id, 1, now) > 0 && tier_take(target->tier, 1, now);
    target->dropped_blocks += !room;
    return room;
}

bool victim_leaves(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    struct bank *source = self;
    struct hierarchy *h = source->h;
    uint32_t to = h->levels[source->level].evicts_to;
    admission_evicted(source, tier_block(tier, slot)->id, now);
    if (to == NO_LEVEL)
        return false;
    struct bank *target = level_bank(h, to, h->acting);
    if (!takes_victim(h, source, target, tier_block(tier, slot)->id, slot, now))
        return false;
    struct block_new block = block_describe(source, slot, SLOT_NONE);
    uint32_t there = tier_insert(target->tier, &block, SLOT_ARRIVING, now);
    facts_keep(target, there, &block);
    if (source->evicting == NO_TRANSFER) {
        source->evicting = transfer_open(h, TRANSFER_EVICT, h->acting, source->level, to, now);
        h->evicted[h->evicted_count++] = source;
    }
    transfer_add(h, source->evicting, slot, there);
    /* HBM's slot is free when the copy is done. A lower tier copies through a buffer: its slot is free at once. */
    if (source->level > 0)
        target->buffered_bytes += h->levels[to].block_bytes;
    return source->level == 0;
}

void evictions_start(struct hierarchy *h) {
    for (uint32_t i = 0; i < h->evicted_count; i++) {
        struct bank *unit = h->evicted[i];
        uint32_t transfer = unit->evicting;
        unit->evicting = NO_TRANSFER;
        transfer_start(h, transfer, h->transfers[transfer].count);
    }
    h->evicted_count = 0;
}
