/* What tier*.c share. */
#ifndef SIM_MEMORY_TIER_IMPL_H
#define SIM_MEMORY_TIER_IMPL_H

#include "sim/base/index.h"
#include "sim/memory/presence.h"
#include "sim/memory/tier.h"

/* A block's children, linked; each + 1, so that zeroed memory is "none". */
struct kin {
    uint32_t child, before, after;
};

struct tier {
    struct tier_setup setup;
    struct evict_policy policy; /* a copy: its hooks are what is called most */
    void *state;                /* the policy's */
    struct block_info *blocks;
    struct block_facts *facts; /* NULL: nobody asks */
    struct kin *kin;           /* NULL: no tree is kept */
    struct block_index index;
    uint32_t slots; /* capacity and slack */
    /* Free slots, in the order in which they will be used: those given up, last first; those never used; those evicted.
     */
    uint32_t *given;
    uint32_t *evicted_ring;
    uint32_t given_count, fresh, ring_first, ring_count;
    uint64_t taken, arriving, resident, leaving, held;
    uint64_t idle; /* resident, unheld: what eviction can reach */
    uint64_t used_peak, inserted, evicted;
    unsigned lift, needs;
    sim_time wake;
};

static inline uint64_t free_now(const struct tier *tier) {
    return tier->slots - tier->taken - tier->arriving - tier->resident - tier->leaving;
}
static inline void note_timer(struct tier *tier, sim_time now) {
    if (tier->policy.timer)
        tier->wake = tier->policy.timer(tier->state, now);
}
/* What the policy wants gone beyond need, and its timer: after blocks came or could go. */
void tier_settle(struct tier *tier, sim_time now);
void kin_adopt(struct tier *tier, uint32_t parent, uint32_t slot);
/* Takes `slot` from its parent's children. Its own field `parent` stays as it is. */
void kin_leave(struct tier *tier, uint32_t slot);
/* The slot's children have no parent any more. */
void kin_orphan_children(struct tier *tier, uint32_t slot);

#endif
