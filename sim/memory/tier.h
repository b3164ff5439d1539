/* A tier: an array of block slots, an index from block id to slot, and an eviction policy.
 *
 * A slot is free, arriving (a transfer or a prefill is filling it), resident, or leaving (being copied out before
 * its slot is free again). Blocks without identity are not slots: they are an anonymous count of slots taken out
 * of use (tier_take). The tier owns reference counts; whoever holds a block says so with tier_hold/tier_release.
 * Free slots are a stack: what was freed last is used first, as in vLLM's block pool, and victims are asked for
 * only when no slot is free. */
#ifndef SIM_MEMORY_TIER_H
#define SIM_MEMORY_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "policies/evict.h"
#include "sim/engine/engine.h"

#define SLOT_NONE UINT32_MAX
enum slot_state { SLOT_FREE, SLOT_ARRIVING, SLOT_RESIDENT, SLOT_LEAVING };

struct tier;

struct tier_setup {
    const char *name;
    uint64_t capacity_blocks;
    bool prefix;                        /* semantics */
    const struct evict_policy *policy;
    const void *policy_options;
    uint64_t seed;
    /* Optional. Runs when `slot` has been chosen as victim, before its slot is free. Returns true when it takes the block over (a
     * copy-out begins: the slot becomes leaving, and tier_left must follow), false: the block is dropped. */
    bool (*on_victim)(void *self, struct tier *tier, uint32_t slot, sim_time now);
    void *on_victim_self;
};
struct tier *tier_create(const struct tier_setup *setup);
void tier_destroy(struct tier *tier);

/* What a new block is. parent: its predecessor's slot in this tier or SLOT_NONE. */
struct block_new {
    uint64_t id;
    int64_t next_use, duration_ns;
    uint32_t parent, depth, tokens, tenant;
    uint8_t category, priority;
};

/* The slot of `id` in any state but free, or SLOT_NONE. */
uint32_t tier_find(const struct tier *tier, uint64_t id);
enum slot_state tier_state(const struct tier *tier, uint32_t slot);
const struct block_info *tier_block(const struct tier *tier, uint32_t slot);
/* Number of leading ids that are resident; their slots go to slots[] (may be NULL). Touches nothing. */
uint32_t tier_match(const struct tier *tier, const uint64_t *ids, uint32_t count, uint32_t *slots);

/* Gets `count` slots out of free ones and victims, without identity. false (and nothing changed but copy-outs that were begun)
 * when that many cannot be had now. */
bool tier_take(struct tier *tier, uint64_t count, sim_time now);
void tier_give(struct tier *tier, uint64_t count);
/* Makes one taken slot into a block with identity, arriving or resident, with one reference. The id must not be in the tier. */
uint32_t tier_insert(struct tier *tier, const struct block_new *block, enum slot_state state, sim_time now);
/* An arriving block has landed: it can be found. */
void tier_landed(struct tier *tier, uint32_t slot, sim_time now);
/* An arriving block will not come (truncated transfer): its slot becomes a taken one again. Its references must be 1. */
void tier_abandon(struct tier *tier, uint32_t slot, sim_time now);
/* A leaving block's copy is done: its slot is free. */
void tier_left(struct tier *tier, uint32_t slot, sim_time now);

/* Asked for and found: policy's touch, with the next use where the policy sees the future. */
void tier_touch(struct tier *tier, uint32_t slot, int64_t next_use, sim_time now);
void tier_hold(struct tier *tier, uint32_t slot, sim_time now);
void tier_release(struct tier *tier, uint32_t slot, sim_time now);
/* The same for a request's blocks: holds front first; releases tail first. */
void tier_hold_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now);
void tier_release_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now);
/* A transfer starts or ends to read it (pins it). */
void tier_pin(struct tier *tier, uint32_t slot, bool begins, sim_time now);
/* A look-up of an id that is not here (ghost lists). */
void tier_missed(struct tier *tier, uint64_t id, sim_time now);
/* Deletes an unreferenced resident block. */
void tier_delete(struct tier *tier, uint32_t slot, sim_time now);
/* The policy's timer: when it wants to be woken (SIM_NEVER: not), and waking it. */
sim_time tier_wake_time(const struct tier *tier);
void tier_wake(struct tier *tier, sim_time now);

struct tier_counts {
    uint64_t capacity, free, taken, arriving, resident, leaving, held; /* capacity = free + taken + arriving + resident + leaving */
    uint64_t inserted, evicted, peak_used;
};
struct tier_counts tier_counts(const struct tier *tier);
/* Blocks that could be had now or once those leaving have left: free + unreferenced. An upper bound under LIFT_LEAF. */
uint64_t tier_available(const struct tier *tier);
/* Slow: recounts everything from the slots and compares (MUST). For tests and --check. */
void tier_audit(const struct tier *tier);
const char *tier_name(const struct tier *tier);

#endif
