/* Making room in a tier: victims, their descendants, and the tree that both need. */
#include "sim/memory/access_log.h"
#include "sim/memory/tier_impl.h"

void kin_adopt(struct tier *tier, uint32_t parent, uint32_t slot) {
    struct kin *kin = tier->kin;
    uint32_t first = kin[parent].child;
    kin[slot] = (struct kin){.after = first};
    if (first)
        kin[first - 1].before = slot + 1;
    kin[parent].child = slot + 1;
}

void kin_leave(struct tier *tier, uint32_t slot) {
    struct kin *kin = tier->kin, own = kin[slot];
    uint32_t parent = tier->facts[slot].parent;
    if (parent == EVICT_NONE)
        return;
    if (own.before)
        kin[own.before - 1].after = own.after;
    else
        kin[parent].child = own.after;
    if (own.after)
        kin[own.after - 1].before = own.before;
    kin[slot].before = kin[slot].after = 0;
    if (tier->blocks[slot].state != SLOT_RESIDENT)
        return;
    MUST(tier->facts[parent].children > 0);
    tier->facts[parent].children--;
}

void kin_orphan_children(struct tier *tier, uint32_t slot) {
    struct kin *kin = tier->kin;
    for (uint32_t next = kin[slot].child; next;) {
        uint32_t child = next - 1;
        next = kin[child].after;
        kin[child].before = kin[child].after = 0;
        tier->facts[child].parent = EVICT_NONE;
    }
    kin[slot].child = 0;
    tier->facts[slot].children = 0;
}

/* The block leaves the index and its family; the policy is told. Its slot is not free yet. */
static void unlink_block(struct tier *tier, uint32_t slot, bool evicted, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_RESIDENT && block->refs == 0);
    if (tier->kin) {
        kin_leave(tier, slot);
        kin_orphan_children(tier, slot);
    }
    tier->policy.remove(tier->state, slot, evicted, now);
    if (tier->setup.watch)
        tier->setup.watch->gone(tier->setup.watch->self, slot, now);
    index_remove(&tier->index, block->id);
    if (tier->setup.presence)
        presence_remove(tier->setup.presence, tier->setup.holder, block->id);
    tier->resident--;
    tier->idle--;
}

/* An evicted slot goes to the back of those free. */
static void ring_push(struct tier *tier, uint32_t slot) {
    tier->blocks[slot].state = SLOT_FREE;
    uint64_t at = (uint64_t)tier->ring_first + tier->ring_count++;
    tier->evicted_ring[at >= tier->slots ? at - tier->slots : at] = slot;
}

static void evict_one(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_RESIDENT && block->refs == 0 && !block->in_flight);
    tier->evicted++;
    bool kept = tier->setup.on_victim && tier->setup.on_victim(tier->setup.on_victim_self, tier, slot, now);
    if (tier->setup.log)
        tier_log_victim(tier->setup.log, now, slot, block->id, kept);
    unlink_block(tier, slot, true, now);
    if (!kept) {
        ring_push(tier, slot);
        return;
    }
    block->state = SLOT_LEAVING;
    block->in_flight = 1;
    tier->leaving++;
}

static bool can_go(const struct tier *tier, uint32_t slot) {
    return tier->blocks[slot].state == SLOT_RESIDENT && tier->blocks[slot].refs == 0;
}

/* The descendants of `slot`, deepest first; those that are held or on their way are cut off with all below them. */
static void evict_descendants(struct tier *tier, uint32_t slot, sim_time now) {
    uint32_t at = slot;
    for (;;) {
        uint32_t child = tier->kin[at].child;
        if (child && can_go(tier, child - 1)) {
            at = child - 1;
        } else if (child) {
            kin_leave(tier, child - 1);
            tier->facts[child - 1].parent = EVICT_NONE;
        } else if (at == slot) {
            return;
        } else {
            uint32_t parent = tier->facts[at].parent;
            evict_one(tier, at, now);
            at = parent;
        }
    }
}

static bool evict_next(struct tier *tier, sim_time now) {
    uint32_t slot = tier->policy.victim(tier->state, now);
    if (slot == EVICT_NONE)
        return false;
    MUST(slot < tier->slots);
    MUST(tier->lift != LIFT_LEAF || tier->facts[slot].children == 0);
    if (tier->lift == LIFT_CASCADE)
        evict_descendants(tier, slot, now);
    evict_one(tier, slot, now);
    return true;
}

bool tier_evict(struct tier *tier, sim_time now) {
    if (tier->setup.log)
        tier_log_count(tier->setup.log, now, "evict", 1);
    return evict_next(tier, now);
}

void tier_evict_slot(struct tier *tier, uint32_t slot, sim_time now) {
    MUST(can_go(tier, slot));
    if (tier->lift == LIFT_CASCADE)
        evict_descendants(tier, slot, now);
    evict_one(tier, slot, now);
}

void tier_settle(struct tier *tier, sim_time now) {
    bool gives = tier->policy.surplus != NULL;
    while (gives) {
        uint32_t more = tier->policy.surplus(tier->state, now);
        gives = more > 0;
        for (; gives && more > 0; more--)
            gives = evict_next(tier, now);
    }
    note_timer(tier, now);
}

static bool take(struct tier *tier, uint64_t count, sim_time now) {
    if (free_now(tier) < count) {
        if (tier->wake <= now)
            note_timer(tier, now);
        if (tier_available(tier) < count)
            return false;
        while (free_now(tier) + tier->leaving < count)
            if (!evict_next(tier, now))
                break;
        tier_settle(tier, now);
        if (free_now(tier) < count)
            return false;
    }
    tier->taken += count;
    uint64_t used = tier->slots - free_now(tier);
    if (used > tier->used_peak)
        tier->used_peak = used;
    return true;
}

bool tier_take(struct tier *tier, uint64_t count, sim_time now) {
    if (!tier->setup.log)
        return take(tier, count, now);
    tier_log_count(tier->setup.log, now, "take", count);
    bool took = take(tier, count, now);
    if (!took)
        tier_log_count(tier->setup.log, now, "denied", count);
    return took;
}

void tier_left(struct tier *tier, uint32_t slot, sim_time now) {
    MUST(tier->blocks[slot].state == SLOT_LEAVING);
    if (tier->setup.log)
        tier_log_left(tier->setup.log, now, slot);
    tier->leaving--;
    tier->blocks[slot].in_flight = 0;
    ring_push(tier, slot);
}

void tier_delete(struct tier *tier, uint32_t slot, sim_time now) {
    if (tier->setup.log)
        tier_log_id(tier->setup.log, now, "delete", tier->blocks[slot].id);
    unlink_block(tier, slot, false, now);
    tier->blocks[slot].state = SLOT_FREE;
    tier->given[tier->given_count++] = slot;
    tier_settle(tier, now);
}

static void audit_family(const struct tier *tier, uint32_t slot) {
    uint32_t resident = 0, before = 0;
    for (uint32_t child = tier->kin[slot].child; child; child = tier->kin[child - 1].after) {
        const struct block_info *block = &tier->blocks[child - 1];
        MUST(tier->facts[child - 1].parent == slot && tier->kin[child - 1].before == before);
        MUST(block->state == SLOT_RESIDENT || block->state == SLOT_ARRIVING);
        resident += block->state == SLOT_RESIDENT;
        before = child;
    }
    MUST(resident == tier->facts[slot].children);
}

void tier_audit(const struct tier *tier) {
    uint64_t in[4] = {0}, held = 0, idle = 0;
    for (uint32_t slot = 0; slot < tier->fresh; slot++) {
        const struct block_info *block = &tier->blocks[slot];
        in[block->state]++;
        if (block->state == SLOT_FREE)
            continue;
        held += block->refs > 0;
        idle += can_go(tier, slot);
        MUST(block->in_flight == (block->state != SLOT_RESIDENT));
        if (block->state == SLOT_LEAVING)
            continue;
        MUST(index_find(&tier->index, block->id) == slot);
        MUST(index_match(&tier->index, &block->id, 1, NULL) == (block->state == SLOT_RESIDENT));
        if (tier->kin)
            audit_family(tier, slot);
    }
    MUST(in[SLOT_ARRIVING] == tier->arriving && in[SLOT_RESIDENT] == tier->resident &&
         in[SLOT_LEAVING] == tier->leaving);
    MUST(held == tier->held && idle == tier->idle && index_count(&tier->index) == tier->arriving + tier->resident);
    MUST(tier->taken + tier->arriving + tier->resident + tier->leaving <= tier->slots);
    MUST(in[SLOT_FREE] == (uint64_t)tier->given_count + tier->ring_count);
}
