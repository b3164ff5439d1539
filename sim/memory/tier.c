#include "sim/memory/tier.h"

#include <stdlib.h>

#include "sim/base/arena.h"
#include "sim/memory/index.h"

struct tier {
    struct tier_setup setup;
    uint32_t capacity;
    struct block_info *blocks;
    struct block_index index;
    uint32_t *free_slots;     /* those that were used and are free again; a stack */
    uint32_t free_count;
    uint32_t fresh;           /* slots from here on were never used */
    uint64_t taken, arriving, resident, leaving, held, used_peak, inserted, evicted;
    uint64_t idle;            /* resident, unheld: what eviction can reach */
    unsigned lift, needs;
    void *policy;
    sim_time wake;
};

struct tier *tier_create(const struct tier_setup *setup) {
    MUST(setup->capacity_blocks > 0 && setup->capacity_blocks < SLOT_NONE);
    struct tier *tier = calloc(1, sizeof *tier);
    MUST(tier != NULL);
    tier->setup = *setup;
    tier->capacity = (uint32_t)setup->capacity_blocks;
    tier->blocks = lazy_alloc(tier->capacity, sizeof *tier->blocks);
    tier->free_slots = lazy_alloc(tier->capacity, sizeof *tier->free_slots);
    index_create(&tier->index, tier->blocks, tier->capacity);
    tier->lift = setup->prefix ? setup->policy->lifts & -setup->policy->lifts : LIFT_NONE;
    tier->needs = setup->policy->policy.needs;
    struct evict_context context = {.blocks = tier->blocks, .capacity = tier->capacity, .prefix = setup->prefix, .seed = setup->seed,
                                    .options = setup->policy_options};
    tier->policy = setup->policy->create(&context);
    tier->wake = setup->policy->timer ? setup->policy->timer(tier->policy, 0) : SIM_NEVER;
    return tier;
}

void tier_destroy(struct tier *tier) {
    if (!tier) return;
    tier->setup.policy->destroy(tier->policy);
    index_destroy(&tier->index);
    lazy_free(tier->blocks, tier->capacity, sizeof *tier->blocks);
    lazy_free(tier->free_slots, tier->capacity, sizeof *tier->free_slots);
    free(tier);
}

const char *tier_name(const struct tier *tier) { return tier->setup.name; }
uint32_t tier_find(const struct tier *tier, uint64_t id) { return index_find(&tier->index, id); }
const struct block_info *tier_block(const struct tier *tier, uint32_t slot) { return &tier->blocks[slot]; }
enum slot_state tier_state(const struct tier *tier, uint32_t slot) { return (enum slot_state)tier->blocks[slot].state; }

uint32_t tier_match(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    enum { AHEAD = 16 };
    for (uint32_t i = 0; i < count; i++) {
        if (i % 8 == 0 && i + AHEAD < count) index_prefetch(&tier->index, ids[i + AHEAD]);
        uint32_t slot = index_find(&tier->index, ids[i]);
        if (slot == SLOT_NONE || tier->blocks[slot].state != SLOT_RESIDENT) return i;
        if (slots) slots[i] = slot;
    }
    return count;
}

static uint64_t free_now(const struct tier *tier) {
    return tier->capacity - tier->taken - tier->arriving - tier->resident - tier->leaving;
}

static void note_timer(struct tier *tier, sim_time now) {
    if (tier->setup.policy->timer) tier->wake = tier->setup.policy->timer(tier->policy, now);
}

static void free_slot(struct tier *tier, uint32_t slot) {
    tier->blocks[slot].state = SLOT_FREE;
    tier->free_slots[tier->free_count++] = slot;
}

/* The block leaves the index and its family; the policy is told. Its slot is not free yet. */
static void unlink_block(struct tier *tier, uint32_t slot, bool evicted, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_RESIDENT && block->refs == 0);
    if (block->parent != EVICT_NONE) {
        MUST(tier->blocks[block->parent].children > 0);
        tier->blocks[block->parent].children--;
    }
    tier->setup.policy->remove(tier->policy, slot, evicted, now);
    index_remove(&tier->index, slot);
    tier->resident--;
    tier->idle--;
}

/* Children whose parent goes have none any more. Only trees that a policy asked for are kept. */
static void disown_children(struct tier *tier, uint32_t slot) { tier->blocks[slot].children = 0; }

static void evict(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->refs == 0 && !block->in_flight && block->state == SLOT_RESIDENT);
    MUST(tier->lift != LIFT_LEAF || block->children == 0);
    tier->evicted++;
    bool kept = tier->setup.on_victim && tier->setup.on_victim(tier->setup.on_victim_self, tier, slot, now);
    unlink_block(tier, slot, true, now);
    disown_children(tier, slot);
    if (kept) {
        block->state = SLOT_LEAVING;
        block->in_flight = 1;
        tier->leaving++;
    } else {
        free_slot(tier, slot);
    }
}

bool tier_take(struct tier *tier, uint64_t count, sim_time now) {
    uint64_t available = free_now(tier);
    if (available < count) {
        if (tier_available(tier) < count) return false;
        while (free_now(tier) + tier->leaving < count) {
            uint32_t slot = tier->setup.policy->victim(tier->policy, now);
            if (slot == EVICT_NONE) break;
            MUST(slot < tier->capacity);
            evict(tier, slot, now);
        }
        note_timer(tier, now);
        if (free_now(tier) < count) return false;
    }
    tier->taken += count;
    uint64_t used = tier->capacity - free_now(tier);
    if (used > tier->used_peak) tier->used_peak = used;
    return true;
}

void tier_give(struct tier *tier, uint64_t count) {
    MUST(count <= tier->taken);
    tier->taken -= count;
}

static void hold_first(struct tier *tier, struct block_info *block) {
    block->refs = 1;
    tier->held++;
}

uint32_t tier_insert(struct tier *tier, const struct block_new *new, enum slot_state state, sim_time now) {
    MUST(tier->taken > 0 && (state == SLOT_ARRIVING || state == SLOT_RESIDENT));
    uint32_t slot = tier->free_count > 0 ? tier->free_slots[--tier->free_count] : tier->fresh++;
    MUST(slot < tier->capacity);
    struct block_info *block = &tier->blocks[slot];
    unsigned needs = tier->needs;
    *block = (struct block_info){.id = new->id, .parent = tier->lift == LIFT_LEAF && (needs & NEED_TREE) ? new->parent : EVICT_NONE,
                                 .next_use = needs & NEED_FUTURE ? new->next_use : INT64_MAX,
                                 .duration_ns = needs & NEED_TIME ? new->duration_ns : 0, .depth = needs & NEED_TREE ? new->depth : 0,
                                 .tokens = needs & NEED_LENGTH ? new->tokens : 1, .tenant = new->tenant,
                                 .category = needs & NEED_CATEGORY ? new->category : 0, .priority = new->priority,
                                 .state = (uint8_t)state, .in_flight = state == SLOT_ARRIVING};
    tier->taken--;
    index_insert(&tier->index, slot);
    hold_first(tier, block);
    tier->inserted++;
    if (state == SLOT_ARRIVING) {
        tier->arriving++;
        return slot;
    }
    tier->resident++;
    if (block->parent != EVICT_NONE) tier->blocks[block->parent].children++;
    tier->setup.policy->insert(tier->policy, slot, now);
    return slot;
}

void tier_landed(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_ARRIVING);
    block->state = SLOT_RESIDENT;
    block->in_flight = 0;
    tier->arriving--;
    tier->resident++;
    /* Its parent may have gone while it was on its way. */
    if (block->parent != EVICT_NONE) {
        const struct block_info *parent = &tier->blocks[block->parent];
        if (parent->state == SLOT_RESIDENT)
            tier->blocks[block->parent].children++;
        else
            block->parent = EVICT_NONE;
    }
    if (block->refs == 0) tier->idle++;
    tier->setup.policy->insert(tier->policy, slot, now);
    note_timer(tier, now);
}

void tier_abandon(struct tier *tier, uint32_t slot, sim_time now) {
    (void)now;
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_ARRIVING && block->refs == 1);
    index_remove(&tier->index, slot);
    block->refs = 0;
    tier->held--;
    tier->arriving--;
    tier->taken++;
    free_slot(tier, slot);
}

void tier_left(struct tier *tier, uint32_t slot, sim_time now) {
    (void)now;
    MUST(tier->blocks[slot].state == SLOT_LEAVING);
    tier->leaving--;
    tier->blocks[slot].in_flight = 0;
    free_slot(tier, slot);
}

void tier_touch(struct tier *tier, uint32_t slot, int64_t next_use, sim_time now) {
    if (tier->needs & NEED_FUTURE) tier->blocks[slot].next_use = next_use;
    tier->setup.policy->touch(tier->policy, slot, now);
}

void tier_hold(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    if (block->refs++ > 0) return;
    tier->held++;
    if (block->state != SLOT_RESIDENT) return;
    tier->idle--;
    if (tier->setup.policy->hold) tier->setup.policy->hold(tier->policy, slot, now);
}

void tier_release(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->refs > 0);
    if (--block->refs > 0) return;
    tier->held--;
    if (block->state != SLOT_RESIDENT) return;
    tier->idle++;
    if (tier->setup.policy->release) tier->setup.policy->release(tier->policy, slot, now);
    note_timer(tier, now);
}

void tier_hold_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now) {
    for (uint32_t i = 0; i < count; i++) {
        if (i + 8 < count && slots[i + 8] != SLOT_NONE) __builtin_prefetch(&tier->blocks[slots[i + 8]], 1);
        if (slots[i] != SLOT_NONE) tier_hold(tier, slots[i], now);
    }
}

void tier_release_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now) {
    for (uint32_t i = count; i-- > 0;) {
        if (i >= 8 && slots[i - 8] != SLOT_NONE) __builtin_prefetch(&tier->blocks[slots[i - 8]], 1);
        if (slots[i] != SLOT_NONE) tier_release(tier, slots[i], now);
    }
}

void tier_pin(struct tier *tier, uint32_t slot, bool begins, sim_time now) {
    if (begins) {
        tier_hold(tier, slot, now);
        if (tier->setup.policy->in_flight) tier->setup.policy->in_flight(tier->policy, slot, true, now);
    } else {
        if (tier->setup.policy->in_flight) tier->setup.policy->in_flight(tier->policy, slot, false, now);
        tier_release(tier, slot, now);
    }
}

void tier_missed(struct tier *tier, uint64_t id, sim_time now) {
    if (tier->setup.policy->miss) tier->setup.policy->miss(tier->policy, id, now);
}

void tier_delete(struct tier *tier, uint32_t slot, sim_time now) {
    unlink_block(tier, slot, false, now);
    disown_children(tier, slot);
    free_slot(tier, slot);
}

sim_time tier_wake_time(const struct tier *tier) { return tier->wake; }
void tier_wake(struct tier *tier, sim_time now) { note_timer(tier, now); }

struct tier_counts tier_counts(const struct tier *tier) {
    return (struct tier_counts){.capacity = tier->capacity, .free = free_now(tier), .taken = tier->taken, .arriving = tier->arriving,
                                .resident = tier->resident, .leaving = tier->leaving, .held = tier->held, .inserted = tier->inserted,
                                .evicted = tier->evicted, .peak_used = tier->used_peak};
}

uint64_t tier_available(const struct tier *tier) { return free_now(tier) + tier->leaving + tier->idle; }

void tier_audit(const struct tier *tier) {
    uint64_t arriving = 0, resident = 0, leaving = 0, held = 0, idle = 0;
    for (uint32_t slot = 0; slot < tier->fresh; slot++) {
        const struct block_info *block = &tier->blocks[slot];
        arriving += block->state == SLOT_ARRIVING;
        resident += block->state == SLOT_RESIDENT;
        leaving += block->state == SLOT_LEAVING;
        if (block->state == SLOT_FREE) continue;
        held += block->refs > 0;
        idle += block->state == SLOT_RESIDENT && block->refs == 0;
        MUST(block->state == SLOT_LEAVING || index_find(&tier->index, block->id) == slot);
    }
    MUST(arriving == tier->arriving && resident == tier->resident && leaving == tier->leaving && held == tier->held && idle == tier->idle);
    MUST(tier->taken + arriving + resident + leaving <= tier->capacity);
    MUST(tier->fresh - tier->free_count == arriving + resident + leaving);
}
