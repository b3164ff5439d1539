#include "sim/memory/tier_impl.h"

#include <stdlib.h>

#include "sim/base/arena.h"
#include "sim/memory/access_log.h"

enum { AHEAD = 8 }; /* slots whose lines are fetched while others are worked on */

static bool keeps_tree(const struct tier_setup *setup, unsigned lift) {
    return setup->prefix && (lift != LIFT_ORPHAN || setup->policy->policy.needs & NEED_TREE);
}

struct tier *tier_create(const struct tier_setup *setup) {
    MUST(setup->capacity_blocks > 0 && setup->capacity_blocks + setup->slack_blocks < SLOT_NONE);
    struct tier *tier = calloc(1, sizeof *tier);
    MUST(tier != NULL);
    tier->setup = *setup;
    tier->policy = *setup->policy;
    tier->needs = tier->policy.policy.needs;
    tier->slots = (uint32_t)(setup->capacity_blocks + setup->slack_blocks);
    tier->lift = setup->prefix ? tier->policy.lifts & -tier->policy.lifts : LIFT_NONE;
    MUST(!setup->prefix || tier->lift != LIFT_NONE);
    tier->blocks = lazy_alloc(tier->slots, sizeof *tier->blocks);
    tier->given = lazy_alloc(tier->slots, sizeof *tier->given);
    tier->evicted_ring = lazy_alloc(tier->slots, sizeof *tier->evicted_ring);
    tier->kin = keeps_tree(setup, tier->lift) ? lazy_alloc(tier->slots, sizeof *tier->kin) : NULL;
    if (tier->kin || tier->needs & NEED_FACTS)
        tier->facts = lazy_alloc(tier->slots, sizeof *tier->facts);
    index_create(&tier->index);
    struct evict_context context = {.blocks = tier->blocks,
                                    .facts = tier->needs & NEED_FACTS ? tier->facts : NULL,
                                    .slots = tier->slots,
                                    .capacity = (uint32_t)setup->capacity_blocks,
                                    .capacity_bytes = setup->capacity_bytes,
                                    .prefix = setup->prefix,
                                    .seed = setup->seed,
                                    .costs = tier->needs & NEED_COST ? setup->costs : NULL,
                                    .options = setup->policy_options};
    tier->state = tier->policy.create(&context);
    tier->wake = SIM_NEVER;
    note_timer(tier, 0);
    return tier;
}

void tier_destroy(struct tier *tier) {
    if (!tier)
        return;
    tier_log_destroy(tier->setup.log);
    tier->policy.destroy(tier->state);
    index_destroy(&tier->index);
    lazy_free(tier->blocks, tier->slots, sizeof *tier->blocks);
    lazy_free(tier->facts, tier->slots, sizeof *tier->facts);
    lazy_free(tier->given, tier->slots, sizeof *tier->given);
    lazy_free(tier->evicted_ring, tier->slots, sizeof *tier->evicted_ring);
    lazy_free(tier->kin, tier->slots, sizeof *tier->kin);
    free(tier);
}

int tier_can_run(const struct evict_policy *policy, unsigned given, bool prefix, struct error *err) {
    static const unsigned always = NEED_TIME | NEED_TREE | NEED_CATEGORY | NEED_LENGTH | NEED_RANDOM;
    const char *name = policy->policy.name;
    if (prefix && policy->lifts == LIFT_NONE)
        return error_set(
            err,
            "policy '%s' does not say how it lifts to prefix semantics\n  hint: flat semantics, or another "
            "policy: `tiersim list policies`",
            name);
    unsigned missing = policy->policy.needs & ~(given | always);
    if (missing == 0)
        return 0;
    char text[160];
    return error_set(
        err, "policy '%s' needs what is not known here: %s\n  hint: `tiersim list policies` says what each needs", name,
        policy_needs_text(missing, text, sizeof text));
}

const char *tier_name(const struct tier *tier) {
    return tier->setup.name;
}
uint32_t tier_find(const struct tier *tier, uint64_t id) {
    return index_find(&tier->index, id);
}
void tier_find_all(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    index_find_all(&tier->index, ids, count, false, slots);
}
void tier_find_resident(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    index_find_all(&tier->index, ids, count, true, slots);
}
uint32_t tier_match(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots) {
    return index_match(&tier->index, ids, count, slots);
}
const struct block_info *tier_block(const struct tier *tier, uint32_t slot) {
    return &tier->blocks[slot];
}
const struct block_facts *tier_facts(const struct tier *tier, uint32_t slot) {
    return &tier->facts[slot];
}
uint32_t tier_parent(const struct tier *tier, uint32_t slot) {
    return tier->kin ? tier->facts[slot].parent : SLOT_NONE;
}
enum slot_state tier_state(const struct tier *tier, uint32_t slot) {
    return (enum slot_state)tier->blocks[slot].state;
}

/* The slot that will be used next; it stays free until pop_slot. */
static uint32_t next_slot(const struct tier *tier) {
    if (tier->given_count > 0)
        return tier->given[tier->given_count - 1];
    if (tier->fresh < tier->slots)
        return tier->fresh;
    MUST(tier->ring_count > 0);
    return tier->evicted_ring[tier->ring_first];
}
static void pop_slot(struct tier *tier) {
    if (tier->given_count > 0) {
        tier->given_count--;
    } else if (tier->fresh < tier->slots) {
        tier->fresh++;
    } else {
        tier->ring_first = tier->ring_first + 1 == tier->slots ? 0 : tier->ring_first + 1;
        tier->ring_count--;
    }
}
/* A slot given up goes to the front. */
static void give_slot(struct tier *tier, uint32_t slot) {
    tier->blocks[slot].state = SLOT_FREE;
    tier->given[tier->given_count++] = slot;
}

/* Fetches the line of the slot that will be used `ahead` slots on. */
static void prefetch_slot(const struct tier *tier, uint32_t ahead) {
    uint64_t at = tier->given_count;
    if (ahead < at) {
        __builtin_prefetch(&tier->blocks[tier->given[at - 1 - ahead]], 1);
        return;
    }
    ahead -= tier->given_count;
    uint32_t never_used = tier->slots - tier->fresh;
    if (ahead < never_used || ahead - never_used >= tier->ring_count)
        return; /* the kernel hands those out */
    at = (uint64_t)tier->ring_first + ahead - never_used;
    __builtin_prefetch(&tier->blocks[tier->evicted_ring[at >= tier->slots ? at - tier->slots : at]], 1);
}

static bool is_here(const struct tier *tier, uint32_t slot) {
    return slot != SLOT_NONE &&
           (tier->blocks[slot].state == SLOT_RESIDENT || tier->blocks[slot].state == SLOT_ARRIVING);
}

/* The block's own entry, and its facts where somebody asks: what the policy did not ask for is left out. */
static void describe(struct tier *tier, uint32_t slot, const struct block_new *new, uint32_t parent,
                     enum slot_state state) {
    unsigned needs = tier->needs;
    tier->blocks[slot] = (struct block_info){.id = new->id,
                                             .refs = 1,
                                             .category = needs &NEED_CATEGORY ? new->category : 0,
                                             .priority = new->priority,
                                             .in_flight = state == SLOT_ARRIVING,
                                             .state = (uint8_t)state};
    if (!tier->facts)
        return;
    tier->facts[slot] = (struct block_facts){.owner = needs & NEED_SESSION ? new->owner : 0,
                                             .next_use = needs &NEED_FUTURE ? new->next_use : INT64_MAX,
                                             .duration_ns = needs &NEED_TIME ? new->duration_ns : 0,
                                             .parent = parent,
                                             .depth = needs &(NEED_TREE | NEED_LENGTH) ? new->depth : 0,
                                             .tokens = needs &NEED_LENGTH ? new->tokens : 1,
                                             .tenant = needs &NEED_SESSION ? new->tenant : 0,
                                             .group = needs &NEED_GROUP ? new->group : 0};
}

static void becomes_resident(struct tier *tier, uint32_t slot, uint32_t parent, sim_time now) {
    tier->resident++;
    if (tier->setup.presence)
        presence_add(tier->setup.presence, tier->setup.holder, tier->blocks[slot].id);
    if (parent != EVICT_NONE)
        tier->facts[parent].children++;
    tier->policy.insert(tier->state, slot, now);
}

static void log_insert(const struct tier *tier, const struct block_new *first, const uint64_t *ids,
                       const int64_t *next_use, const uint32_t *slots, uint32_t count, enum slot_state state,
                       sim_time now) {
    bool has_parent = is_here(tier, first->parent);
    tier_log_insert(tier->setup.log, now, first, has_parent, has_parent ? tier->blocks[first->parent].id : 0, ids,
                    next_use, slots, count, state);
}

/* A new block in `slot`, whose id is in the index. */
static void enter(struct tier *tier, uint32_t slot, const struct block_new *new, enum slot_state state, sim_time now) {
    uint32_t parent = tier->kin && is_here(tier, new->parent) ? new->parent : EVICT_NONE;
    pop_slot(tier);
    describe(tier, slot, new, parent, state);
    if (parent != EVICT_NONE)
        kin_adopt(tier, parent, slot);
    tier->taken--;
    tier->held++;
    tier->inserted++;
    if (state == SLOT_ARRIVING)
        tier->arriving++;
    else
        becomes_resident(tier, slot, parent, now);
    if (tier->setup.watch)
        tier->setup.watch->came(tier->setup.watch->self, slot, now);
}

uint32_t tier_insert(struct tier *tier, const struct block_new *new, enum slot_state state, sim_time now) {
    MUST(tier->taken > 0 && (state == SLOT_ARRIVING || state == SLOT_RESIDENT));
    uint32_t slot = next_slot(tier);
    MUST(index_add(&tier->index, new->id, slot, state == SLOT_RESIDENT) == UINT32_MAX);
    if (tier->setup.log)
        log_insert(tier, new, &new->id, new->next_use == INT64_MAX ? NULL : &new->next_use, &slot, 1, state, now);
    enter(tier, slot, new, state, now);
    tier_settle(tier, now);
    return slot;
}

uint32_t tier_insert_all(struct tier *tier, const struct block_new *first, const uint64_t *ids, const int64_t *next_use,
                         uint32_t count, enum slot_state state, uint32_t *slots, sim_time now) {
    MUST(tier->taken >= count && (state == SLOT_ARRIVING || state == SLOT_RESIDENT));
    struct block_new new = *first;
    uint32_t inserted = 0;
    for (uint32_t i = 0; i < count; i++, new.depth++) {
        index_ahead(&tier->index, ids, i, count);
        prefetch_slot(tier, AHEAD);
        uint32_t slot = next_slot(tier);
        uint32_t there = index_add(&tier->index, ids[i], slot, state == SLOT_RESIDENT);
        if (there != UINT32_MAX) {
            slots[i] = SLOT_NONE;
            new.parent = there;
            continue;
        }
        new.id = ids[i];
        new.next_use = next_use ? next_use[i] : INT64_MAX;
        enter(tier, slot, &new, state, now);
        slots[i] = new.parent = slot;
        inserted++;
    }
    if (tier->setup.log)
        log_insert(tier, first, ids, next_use, slots, count, state, now);
    tier_settle(tier, now);
    return inserted;
}

void tier_landed(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_ARRIVING);
    if (tier->setup.log)
        tier_log_id(tier->setup.log, now, "landed", block->id);
    block->state = SLOT_RESIDENT;
    block->in_flight = 0;
    tier->arriving--;
    index_set_resident(&tier->index, block->id);
    tier->idle += block->refs == 0;
    becomes_resident(tier, slot, tier->facts ? tier->facts[slot].parent : EVICT_NONE, now);
    if (block->refs == 0 && tier->setup.watch)
        tier->setup.watch->idle(tier->setup.watch->self, slot, now);
    tier_settle(tier, now);
}

void tier_abandon(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_ARRIVING && block->refs == 1);
    if (tier->setup.log)
        tier_log_id(tier->setup.log, now, "abandon", block->id);
    if (tier->setup.watch)
        tier->setup.watch->gone(tier->setup.watch->self, slot, now);
    index_remove(&tier->index, block->id);
    if (tier->kin) {
        kin_leave(tier, slot);
        kin_orphan_children(tier, slot);
    }
    block->refs = 0;
    tier->held--;
    tier->arriving--;
    tier->taken++;
    give_slot(tier, slot);
}

struct tier_counts tier_counts(const struct tier *tier) {
    return (struct tier_counts){.capacity = tier->slots,
                                .free = free_now(tier),
                                .taken = tier->taken,
                                .arriving = tier->arriving,
                                .resident = tier->resident,
                                .leaving = tier->leaving,
                                .held = tier->held,
                                .inserted = tier->inserted,
                                .evicted = tier->evicted,
                                .peak_used = tier->used_peak};
}

uint64_t tier_available(const struct tier *tier) {
    return free_now(tier) + tier->leaving + tier->idle;
}

void tier_give(struct tier *tier, uint64_t count) {
    MUST(count <= tier->taken);
    if (tier->setup.log && count > 0)
        tier_log_count(tier->setup.log, 0, "give", count); /* no policy is told, so no time is needed */
    tier->taken -= count;
}

sim_time tier_wake_time(const struct tier *tier) {
    return tier->wake;
}
void tier_wake(struct tier *tier, sim_time now) {
    if (tier->setup.log)
        tier_log_count(tier->setup.log, now, "wake", 0);
    note_timer(tier, now);
    tier_settle(tier, now);
}

void tier_missed(struct tier *tier, uint64_t id, sim_time now) {
    if (tier->setup.log)
        tier_log_id(tier->setup.log, now, "miss", id);
    if (tier->policy.miss)
        tier->policy.miss(tier->state, id, now);
}
/* Who may hear of it. */
static unsigned note_needs(enum session_event event) {
    switch (event) {
    case SESSION_QUEUED:
        return NEED_QUEUE;
    case SESSION_STARTED:
        return NEED_SESSION | NEED_QUEUE | NEED_AGENT_GRAPH;
    case SESSION_STEPS:
        return NEED_AGENT_GRAPH;
    default:
        return NEED_SESSION;
    }
}
void tier_note(struct tier *tier, const struct session_note *note, sim_time now) {
    if (tier->setup.log)
        tier_log_note(tier->setup.log, now, note);
    if (!tier->policy.note || !(tier->needs & note_needs(note->event)))
        return;
    struct session_note own = *note;
    if (!(tier->needs & NEED_FUTURE))
        own.returns = -1;
    tier->policy.note(tier->state, &own, now);
    tier_settle(tier, now);
}
