/* Touching, holding and letting go of a tier's blocks. */
#include "sim/memory/access_log.h"
#include "sim/memory/tier_impl.h"

enum { AHEAD = 16 }; /* blocks whose lines are fetched while others are worked on */

static void say(const struct tier *tier, sim_time now, const char *word, const uint32_t *slots, uint32_t count) {
    if (tier->setup.log)
        tier_log_slots(tier->setup.log, now, word, tier->blocks, slots, count, NULL, NULL);
}

static inline void prefetch_block(const struct tier *tier, uint32_t slot) {
    if (slot != SLOT_NONE)
        __builtin_prefetch(&tier->blocks[slot], 1);
}

void tier_touch(struct tier *tier, uint32_t slot, int64_t next_use, sim_time now) {
    if (tier->setup.log)
        tier_log_touch(tier->setup.log, now, tier->blocks[slot].id, next_use);
    if (tier->needs & NEED_FUTURE)
        tier->facts[slot].next_use = next_use;
    tier->policy.touch(tier->state, slot, now);
    tier_settle(tier, now);
}

static inline void hold(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->state == SLOT_RESIDENT || block->state == SLOT_ARRIVING);
    if (block->refs++ > 0)
        return;
    tier->held++;
    if (block->state != SLOT_RESIDENT)
        return;
    tier->idle--;
    if (tier->policy.hold)
        tier->policy.hold(tier->state, slot, now);
    if (tier->setup.watch)
        tier->setup.watch->busy(tier->setup.watch->self, slot, now);
}

static inline void release(struct tier *tier, uint32_t slot, sim_time now) {
    struct block_info *block = &tier->blocks[slot];
    MUST(block->refs > 0);
    if (--block->refs > 0)
        return;
    tier->held--;
    if (block->state != SLOT_RESIDENT)
        return;
    tier->idle++;
    if (tier->policy.release)
        tier->policy.release(tier->state, slot, now);
    if (tier->setup.watch)
        tier->setup.watch->idle(tier->setup.watch->self, slot, now);
}

void tier_hold(struct tier *tier, uint32_t slot, sim_time now) {
    say(tier, now, "hold", &slot, 1);
    hold(tier, slot, now);
}

void tier_release(struct tier *tier, uint32_t slot, sim_time now) {
    say(tier, now, "release", &slot, 1);
    release(tier, slot, now);
    tier_settle(tier, now);
}

void tier_hold_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now) {
    say(tier, now, "hold", slots, count);
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            prefetch_block(tier, slots[i + AHEAD]);
        if (slots[i] != SLOT_NONE)
            hold(tier, slots[i], now);
    }
}

void tier_release_all(struct tier *tier, const uint32_t *slots, uint32_t count, sim_time now) {
    say(tier, now, "release", slots, count);
    for (uint32_t i = count; i-- > 0;) {
        if (i >= AHEAD)
            prefetch_block(tier, slots[i - AHEAD]);
        if (slots[i] != SLOT_NONE)
            release(tier, slots[i], now);
    }
    tier_settle(tier, now);
}

static void ask_again(struct tier *tier, uint32_t slot, const struct block_use *use) {
    tier->blocks[slot].priority = use->priority;
    if (tier->needs & NEED_SESSION)
        tier->facts[slot].owner = use->owner;
    if (tier->needs & NEED_TIME)
        tier->facts[slot].duration_ns = use->duration_ns;
}

void tier_use_all(struct tier *tier, const uint32_t *slots, uint32_t count, const struct block_use *use,
                  const int64_t *next_use, sim_time now) {
    if (tier->setup.log)
        tier_log_slots(tier->setup.log, now, "use", tier->blocks, slots, count, use, next_use);
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            prefetch_block(tier, slots[i + AHEAD]);
        if (slots[i] == SLOT_NONE)
            continue;
        hold(tier, slots[i], now);
        if (tier->needs & NEED_FUTURE)
            tier->facts[slots[i]].next_use = next_use ? next_use[i] : INT64_MAX;
        if (use)
            ask_again(tier, slots[i], use);
        tier->policy.touch(tier->state, slots[i], now);
    }
    tier_settle(tier, now);
}

void tier_pin(struct tier *tier, uint32_t slot, bool begins, sim_time now) {
    say(tier, now, begins ? "pin" : "unpin", &slot, 1);
    if (begins)
        hold(tier, slot, now);
    if (tier->policy.in_flight)
        tier->policy.in_flight(tier->state, slot, begins, now);
    if (begins)
        return;
    release(tier, slot, now);
    tier_settle(tier, now);
}
