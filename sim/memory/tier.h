/* A tier: an array of block slots, an index from block id to slot, and an eviction policy.
 *
 * A slot is free, arriving (a transfer or a prefill is filling it), resident, or leaving (being copied out before
 * its slot is free again). Blocks without identity are not slots: they are an anonymous count of slots taken out
 * of use (tier_take). The tier owns reference counts; whoever holds a block says so with tier_hold/tier_release.
 * Free slots are a queue: what was given up goes to its front, what was evicted to its back, and victims are asked for
 * only when no slot is free, as in vLLM's block pool.
 *
 * Under prefix semantics the tier keeps the tree for policies that lift as leaf or cascade, or need it: `leaf` is
 * enforced (MUST), under `cascade` a victim's descendants go with it, those that are held or on their way stay as
 * orphans. */
#ifndef SIM_MEMORY_TIER_H
#define SIM_MEMORY_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "policies/evict.h"
#include "sim/engine/engine.h"

#define SLOT_NONE UINT32_MAX
enum slot_state { SLOT_FREE, SLOT_ARRIVING, SLOT_RESIDENT, SLOT_LEAVING };

struct tier;
struct tier_log; /* access_log.h */

struct tier_setup {
    const char *name;
    uint64_t capacity_blocks;
    uint64_t capacity_bytes; /* 0; or what the policy is told of a tier that counts bytes (whoever fills it trims it) */
    uint64_t slack_blocks; /* slots beyond capacity_blocks, for whoever fills first and trims afterwards (tier_evict) */
    bool prefix;           /* semantics */
    const struct evict_policy *policy;
    const void *policy_options;
    const struct evict_costs *costs; /* NULL: none */
    uint64_t seed;
    /* Optional. Runs when `slot` has been chosen as victim, before its slot is free. Returns true when it takes the
     * block over (a copy-out begins: the slot becomes leaving, and tier_left must follow), false: the block is dropped.
     */
    bool (*on_victim)(void *self, struct tier *tier, uint32_t slot, sim_time now);
    void *on_victim_self;
    struct tier_log *log;           /* NULL: none. What is done to the tier is written there; the tier destroys it */
    const struct tier_watch *watch; /* NULL: nobody watches */
    struct presence *presence;      /* where its resident blocks are entered, as `holder`; NULL: nowhere */
    uint32_t holder;
};
/* Who follows a tier's blocks one by one, after the policy was told. `idle` and `busy` are of resident blocks: nobody
 * holds them any more, or again. `idle` may delete the block, or hold it; the others change nothing. */
struct tier_watch {
    void *self;
    void (*came)(void *self, uint32_t slot, sim_time now); /* it has identity now, arriving or resident */
    void (*idle)(void *self, uint32_t slot, sim_time now);
    void (*busy)(void *self, uint32_t slot, sim_time now);
    void (*gone)(void *self, uint32_t slot, sim_time now); /* evicted, deleted, abandoned: its description stands yet */
};
struct tier *tier_create(const struct tier_setup *setup);
void tier_destroy(struct tier *tier);
/* 0 when a tier that is given `given` (enum policy_need) can run the policy under these semantics; else -1, what is
 * missing and the remedy. Time, tree, length, category and random are always there. */
int tier_can_run(const struct evict_policy *policy, unsigned given, bool prefix, struct error *err);

/* What a new block is. parent: its predecessor's slot in this tier or SLOT_NONE. */
struct block_new {
    uint64_t id;
    int64_t next_use, duration_ns;
    uint64_t owner;
    uint32_t parent, depth, tokens, tenant, group;
    uint8_t category, priority;
};

/* The slot of `id`, arriving or resident, or SLOT_NONE. */
uint32_t tier_find(const struct tier *tier, uint64_t id);
/* The same for a row of ids: the way to ask for many. */
void tier_find_all(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots);
/* The same of those that are resident; SLOT_NONE for those on their way too. */
void tier_find_resident(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots);
enum slot_state tier_state(const struct tier *tier, uint32_t slot);
const struct block_info *tier_block(const struct tier *tier, uint32_t slot);
/* Only where the policy declares a need of NEED_FACTS. */
const struct block_facts *tier_facts(const struct tier *tier, uint32_t slot);
/* The slot of its predecessor where the tier keeps the tree and has it; else SLOT_NONE. */
uint32_t tier_parent(const struct tier *tier, uint32_t slot);
/* Number of leading ids that are resident; their slots go to slots[] (may be NULL). Touches nothing. */
uint32_t tier_match(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots);

/* Gets `count` slots out of free ones and victims, without identity. false (and nothing changed but copy-outs that were
 * begun and what was evicted on the way) when that many cannot be had now. All or nothing but under LIFT_LEAF, where
 * held descendants can keep victims from coming. */
bool tier_take(struct tier *tier, uint64_t count, sim_time now);
void tier_give(struct tier *tier, uint64_t count);
/* Evicts one block (more under cascade); false: the policy has none to give. */
bool tier_evict(struct tier *tier, sim_time now);
/* Evicts this block, which nobody holds; under cascade what stands on it goes with it. */
void tier_evict_slot(struct tier *tier, uint32_t slot, sim_time now);
/* Makes one taken slot into a block with identity, arriving or resident, with one reference. The id must not be in the
 * tier. */
uint32_t tier_insert(struct tier *tier, const struct block_new *block, enum slot_state state, sim_time now);
/* The same for ids[0..count), each the parent of the next; `first` describes the first, depth counts up. next_use: one
 * each, or NULL for never. An id that is there already is passed over: its slots[i] is SLOT_NONE, and it is the parent
 * of the next. Returns the number inserted, each out of one taken slot: count must have been taken. */
uint32_t tier_insert_all(struct tier *tier, const struct block_new *first, const uint64_t *ids, const int64_t *next_use,
                         uint32_t count, enum slot_state state, uint32_t *slots, sim_time now);
/* An arriving block has landed: it can be found. */
void tier_landed(struct tier *tier, uint32_t slot, sim_time now);
/* An arriving block will not come (truncated transfer): its slot becomes a taken one again. Its references must be 1.
 */
void tier_abandon(struct tier *tier, uint32_t slot, sim_time now);
/* A leaving block's copy is done: its slot is free. */
void tier_left(struct tier *tier, uint32_t slot, sim_time now);

/* Asked for and found: policy's touch, with the next use where the policy sees the future. A block that is to be held
 * is better held first: a policy then has nothing to move. */
void tier_touch(struct tier *tier, uint32_t slot, int64_t next_use, sim_time now);
void tier_hold(struct tier *tier, uint32_t slot, sim_time now);
void tier_release(struct tier *tier, uint32_t slot, sim_time now);
/* The same for a request's blocks: holds front first; releases tail first. SLOT_NONE is passed over. */
void tier_hold_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now);
void tier_release_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now);
/* How a block is asked for again: what its new request says of it. */
struct block_use {
    uint64_t owner;
    int64_t duration_ns;
    uint8_t priority;
};
/* Holds and touches a request's hits, front first. next_use: one each, or NULL for never. use: NULL leaves what the
 * blocks have. */
void tier_use_all(struct tier *tier, const uint32_t *slots, uint32_t count, const struct block_use *use,
                  const int64_t *next_use, sim_time now);
/* A transfer starts or ends to read it (pins it). */
void tier_pin(struct tier *tier, uint32_t slot, bool begins, sim_time now);
/* A look-up of an id that is not here (ghost lists). Before tier_take makes room for it. */
void tier_missed(struct tier *tier, uint64_t id, sim_time now);
/* Deletes an unreferenced resident block; its children stay as orphans. */
void tier_delete(struct tier *tier, uint32_t slot, sim_time now);
/* News of a session, for a policy that asks for them. */
void tier_note(struct tier *tier, const struct session_note *note, sim_time now);
/* The policy's timer: when it wants to be woken (SIM_NEVER: not), and waking it. Before it makes room a tier wakes its
 * policy by itself when that is due. */
sim_time tier_wake_time(const struct tier *tier);
void tier_wake(struct tier *tier, sim_time now);

struct tier_counts {
    uint64_t capacity, free, taken, arriving, resident, leaving,
        held; /* capacity = free + taken + arriving + resident + leaving */
    uint64_t inserted, evicted, peak_used;
};
struct tier_counts tier_counts(const struct tier *tier);
/* Blocks that could be had now or once those leaving have left: free + unreferenced. An upper bound under LIFT_LEAF. */
uint64_t tier_available(const struct tier *tier);
/* Slow: recounts everything from the slots and compares (MUST). For tests and --check. */
void tier_audit(const struct tier *tier);
const char *tier_name(const struct tier *tier);

#endif
