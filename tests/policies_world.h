/* A small random world around one tier, for tests that hold eviction policies against their contract: requests on a
 * tree of texts, with transfers, deletions, timers and copies that arrive from elsewhere. The same seed does the same.
 */
#ifndef TESTS_POLICIES_WORLD_H
#define TESTS_POLICIES_WORLD_H

#include <cmocka.h>

#include "sim/base/arena.h"
#include "sim/config/read.h"
#include "sim/memory/tier.h"

enum { WORLD_DEPTH = 9, WORLD_LIVE = 4 };

struct live {
    uint32_t slots[WORLD_DEPTH], count, landed;
    bool arriving;
};
struct world {
    struct tier *tier;
    struct live live[WORLD_LIVE];
    uint32_t pinned[WORLD_LIVE], pins;
    uint64_t random;
    int64_t now;
};

static inline uint32_t draw(struct world *w, uint32_t below) {
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->random >> 33) % below;
}

static inline void end_request(struct world *w, struct live *live) {
    for (; live->arriving && live->landed < live->count; live->landed++)
        if (live->slots[live->landed] != SLOT_NONE && tier_state(w->tier, live->slots[live->landed]) == SLOT_ARRIVING)
            tier_landed(w->tier, live->slots[live->landed], w->now);
    tier_release_all(w->tier, live->slots, live->count, w->now);
    *live = (struct live){0};
}

/* Hits are held and touched, the rest is taken and inserted, resident or on its way. */
static inline void begin_request(struct world *w, struct live *live) {
    uint64_t ids[WORLD_DEPTH], id = 1;
    int64_t next_use[WORLD_DEPTH];
    uint32_t count = 1 + draw(w, WORLD_DEPTH);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = id = id * 3 + draw(w, i < 2 ? 1 : 3);
        next_use[i] = draw(w, 4) ? w->now + 1 + draw(w, 5000) : INT64_MAX;
    }
    uint32_t found = tier_match(w->tier, ids, count, live->slots);
    struct block_use use = {
        .owner = draw(w, 5), .priority = (uint8_t)(30 + draw(w, 10)), .duration_ns = draw(w, 3) * 50};
    tier_use_all(w->tier, live->slots, found, draw(w, 2) ? &use : NULL, next_use, w->now);
    live->count = live->landed = found;
    for (uint32_t i = found; i < count; i++)
        if (tier_find(w->tier, ids[i]) == SLOT_NONE)
            tier_missed(w->tier, ids[i], w->now);
    if (found == count || !tier_take(w->tier, count - found, w->now))
        return;
    struct block_new first = {.parent = found ? live->slots[found - 1] : SLOT_NONE,
                              .depth = found,
                              .tokens = 1 + draw(w, 4),
                              .owner = use.owner,
                              .priority = use.priority,
                              .duration_ns = use.duration_ns,
                              .group = draw(w, 3),
                              .category = (uint8_t)draw(w, 4)};
    live->arriving = draw(w, 3) == 0;
    uint32_t inserted = tier_insert_all(w->tier, &first, ids + found, next_use + found, count - found,
                                        live->arriving ? SLOT_ARRIVING : SLOT_RESIDENT, live->slots + found, w->now);
    tier_give(w->tier, count - found - inserted);
    live->count = count;
}

static inline uint32_t some_unheld(struct world *w, uint32_t slots) {
    for (int tries = 0; tries < 20; tries++) {
        uint32_t slot = draw(w, slots);
        if (tier_state(w->tier, slot) == SLOT_RESIDENT && tier_block(w->tier, slot)->refs == 0)
            return slot;
    }
    return SLOT_NONE;
}

/* A copy from another tier arrives below a block that nobody holds (which may have to go for it). */
static inline void store_below(struct world *w, uint32_t parent) {
    struct block_new block = {
        .id = UINT64_C(1) << 40 | draw(w, 1 << 20), .parent = parent, .next_use = w->now + draw(w, 500)};
    if (tier_find(w->tier, block.id) != SLOT_NONE || !tier_take(w->tier, 1, w->now))
        return;
    uint32_t slot = tier_insert(w->tier, &block, SLOT_ARRIVING, w->now);
    if (draw(w, 8) == 0) {
        tier_abandon(w->tier, slot, w->now);
        tier_give(w->tier, 1);
        return;
    }
    if (draw(w, 2))
        tier_evict(w->tier, w->now);
    tier_landed(w->tier, slot, w->now);
    if (draw(w, 2))
        tier_evict(w->tier, w->now);
    tier_release(w->tier, slot, w->now);
}

/* News of some session: any, in any order. */
static inline void tell(struct world *w) {
    uint64_t ids[3] = {3 + draw(w, 9), 9 + draw(w, 27), UINT64_C(1) << 40 | draw(w, 9)};
    struct session_note note = {.event = (enum session_event)draw(w, SESSION_STEPS + 1),
                                .tool = draw(w, 3),
                                .position = draw(w, 8),
                                .session = draw(w, 5),
                                .context_tokens = 1 + draw(w, 5000),
                                .returns = (double)draw(w, 3) - 1};
    note.ids = ids;
    note.count = note.event == SESSION_QUEUED ? draw(w, 4) : 0;
    tier_note(w->tier, &note, w->now);
}

static inline void step(struct world *w, uint32_t slots) {
    struct live *live = &w->live[draw(w, WORLD_LIVE)];
    uint32_t slot;
    w->now += draw(w, 20);
    if (tier_wake_time(w->tier) <= w->now)
        tier_wake(w->tier, w->now);
    if (draw(w, 8) == 0)
        tell(w);
    switch (draw(w, 10)) {
    case 0:
        if (w->pins < WORLD_LIVE && (slot = some_unheld(w, slots)) != SLOT_NONE)
            tier_pin(w->tier, w->pinned[w->pins++] = slot, true, w->now);
        break;
    case 1:
        if (w->pins > 0)
            tier_pin(w->tier, w->pinned[--w->pins], false, w->now);
        break;
    case 2:
        if ((slot = some_unheld(w, slots)) != SLOT_NONE && draw(w, 4) == 0)
            tier_delete(w->tier, slot, w->now);
        break;
    case 3:
        if ((slot = some_unheld(w, slots)) != SLOT_NONE)
            tier_touch(w->tier, slot, w->now + draw(w, 100), w->now);
        break;
    case 4:
        if (draw(w, 4) == 0)
            tier_evict(w->tier, w->now);
        else if ((slot = some_unheld(w, slots)) != SLOT_NONE)
            store_below(w, slot);
        break;
    default:
        if (live->count > 0)
            end_request(w, live);
        else
            begin_request(w, live);
    }
}

/* Lets everything go; then the policy must find every block, one after another. */
static inline void empty(struct world *w) {
    for (uint32_t i = 0; i < WORLD_LIVE; i++)
        end_request(w, &w->live[i]);
    while (w->pins > 0)
        tier_pin(w->tier, w->pinned[--w->pins], false, w->now);
    w->now += INT64_C(3600) * SIM_SECOND; /* leases and durations are over */
    tier_wake(w->tier, w->now);
    while (tier_counts(w->tier).resident > 0)
        assert_true(tier_evict(w->tier, w->now));
    assert_false(tier_evict(w->tier, w->now));
    tier_audit(w->tier);
    struct tier_counts counts = tier_counts(w->tier);
    assert_true(counts.free == counts.capacity && counts.held == 0);
}

/* A policy's options as they are by default, NULL without any. */
static inline const void *default_options(const struct policy *policy, struct arena *arena) {
    if (!policy->options)
        return NULL;
    struct error err = {0};
    void *options = arena_alloc(arena, policy->options_size);
    assert_int_equal(options_read(NULL, policy->options, options, arena, &err), 0);
    return options;
}

#endif
