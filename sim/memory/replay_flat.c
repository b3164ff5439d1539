/* Flat replay by the short way: blocks of one size, one by one, against a policy and without a tier. A trace's ids are
 * dense, so the index is an array; nothing is held, nothing is on its way, so a slot is in use or free. The policy is
 * shown what a tier would show it, in the same order and in the same slots: tests/exactness_policies_replay.c holds the
 * two against each other. */
#include <malloc.h>
#include <stdlib.h>

#include "sim/base/arena.h"
#include "sim/memory/replay_notes.h"

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

enum { AHEAD_ID = 32, AHEAD_SLOT = 12 }; /* accesses whose lines are fetched while others are worked on */

struct flat {
    const struct replay_setup *setup;
    struct evict_policy policy; /* a copy: its hooks are what is called most */
    void *state;
    struct block_info *blocks;
    struct block_facts *facts; /* NULL: nobody asks */
    uint32_t *slot_of;         /* by id: slot + 1, 0: not here */
    uint32_t *ring;            /* slots that were evicted, in the order in which they will be used */
    uint32_t ring_first, ring_count, fresh, slots, used;
    unsigned needs;
    bool settles; /* the policy asks for more than victims when there is need */
    struct replay_notes notes;
    int64_t now, wake;
    uint64_t inserted, evicted;
};

static bool evict(struct flat *flat) {
    uint32_t slot = flat->policy.victim(flat->state, flat->now);
    if (slot == EVICT_NONE)
        return false;
    MUST(slot < flat->slots && flat->blocks[slot].state == SLOT_RESIDENT);
    flat->policy.remove(flat->state, slot, true, flat->now);
    flat->blocks[slot].state = SLOT_FREE;
    flat->slot_of[flat->blocks[slot].id] = 0;
    uint64_t at = (uint64_t)flat->ring_first + flat->ring_count++;
    flat->ring[at >= flat->slots ? at - flat->slots : at] = slot;
    flat->used--;
    flat->evicted++;
    return true;
}

/* What the policy wants gone beyond need, and when it wants to be woken. */
static void settle(struct flat *flat) {
    bool gives = flat->policy.surplus != NULL;
    while (gives) {
        uint32_t more = flat->policy.surplus(flat->state, flat->now);
        gives = more > 0;
        for (; gives && more > 0; more--)
            gives = evict(flat);
    }
    if (flat->policy.timer)
        flat->wake = flat->policy.timer(flat->state, flat->now);
}

static bool make_room(struct flat *flat) {
    if (flat->used < flat->slots)
        return true;
    bool room = evict(flat);
    if (flat->settles)
        settle(flat);
    return room;
}

static uint32_t next_slot(struct flat *flat) {
    if (flat->fresh < flat->slots)
        return flat->fresh++;
    uint32_t slot = flat->ring[flat->ring_first];
    flat->ring_first = flat->ring_first + 1 == flat->slots ? 0 : flat->ring_first + 1;
    flat->ring_count--;
    return slot;
}

/* The facts of block number `at` of the trace, what the policy did not ask for left out: as a tier does. */
static void describe(struct flat *flat, uint32_t slot, const struct replay_request *request, uint64_t at) {
    const struct replay_trace *trace = flat->setup->trace;
    unsigned needs = flat->needs;
    uint32_t depth = trace->depths ? trace->depths[at] : (uint32_t)(at - request->first);
    uint32_t tokens = trace->sizes ? trace->sizes[at] : trace->block_tokens ? trace->block_tokens : 1;
    flat->facts[slot] = (struct block_facts){.owner = needs & NEED_SESSION ? request->session : 0,
                                             .next_use = needs & NEED_FUTURE ? flat->setup->next_use[at] : INT64_MAX,
                                             .parent = EVICT_NONE,
                                             .depth = needs & (NEED_TREE | NEED_LENGTH) ? depth : 0,
                                             .tokens = needs & NEED_LENGTH ? tokens : 1,
                                             .tenant = needs & NEED_SESSION ? request->tenant : 0};
}

static void enter(struct flat *flat, const struct replay_request *request, uint64_t at, uint32_t id) {
    uint32_t slot = next_slot(flat);
    flat->blocks[slot] = (struct block_info){.id = id, .priority = PRIORITY_DEFAULT, .state = SLOT_RESIDENT};
    if (flat->facts)
        describe(flat, slot, request, at);
    flat->slot_of[id] = slot + 1;
    flat->used++;
    flat->inserted++;
    flat->policy.insert(flat->state, slot, flat->now);
}

/* true: a hit. */
static bool access_block(struct flat *flat, const struct replay_request *request, uint64_t at) {
    uint32_t id = flat->setup->trace->ids[at], slot = flat->slot_of[id];
    if (slot > 0) {
        if (flat->needs & NEED_FUTURE)
            flat->facts[slot - 1].next_use = flat->setup->next_use[at];
        if (flat->needs & NEED_SESSION)
            flat->facts[slot - 1].owner = request->session;
        flat->policy.touch(flat->state, slot - 1, flat->now);
    } else {
        if (flat->policy.miss)
            flat->policy.miss(flat->state, id, flat->now);
        if (!make_room(flat))
            return false;
        enter(flat, request, at, id);
    }
    if (flat->settles)
        settle(flat);
    return slot > 0;
}

/* Fetches the lines that accesses to come will touch. */
static inline void look_ahead(const struct flat *flat, const uint32_t *ids, uint64_t at, uint64_t count) {
    if (at + AHEAD_ID >= count)
        return;
    __builtin_prefetch(&flat->slot_of[ids[at + AHEAD_ID]], 1);
    uint32_t slot = flat->slot_of[ids[at + AHEAD_SLOT]];
    if (slot > 0 && flat->policy.ahead)
        flat->policy.ahead(flat->state, slot - 1);
}

static void tell_policy(void *self, const struct session_note *note, int64_t now) {
    struct flat *flat = self;
    flat->policy.note(flat->state, note, now);
    if (flat->settles)
        settle(flat);
}

/* What only some ask for: which accesses hit, and bytes. */
static void note_access(const struct flat *flat, uint64_t at, bool hit, bool counts, struct replay_result *out) {
    uint32_t bytes = flat->setup->trace->sizes ? flat->setup->trace->sizes[at] : 0;
    if (flat->setup->marks)
        flat->setup->marks[at] = hit;
    out->bytes += counts ? bytes : 0;
    out->hit_bytes += counts && hit ? bytes : 0;
}

static void replay_requests(struct flat *flat, struct replay_result *out) {
    const struct replay_trace *trace = flat->setup->trace;
    bool noted = flat->setup->marks || trace->sizes;
    flat->now = -1;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        uint64_t hits = 0, end = request->first + request->blocks;
        replay_notes_before(&flat->notes, r, request->at_ns > flat->now ? request->at_ns : flat->now);
        for (uint64_t at = request->first; at < end; at++) {
            flat->now = request->at_ns > flat->now ? request->at_ns : flat->now + 1;
            if (flat->wake <= flat->now)
                settle(flat);
            look_ahead(flat, trace->ids, at, trace->count);
            bool hit = access_block(flat, request, at);
            hits += hit;
            if (__builtin_expect(noted, 0))
                note_access(flat, at, hit, r >= flat->setup->skip, out);
        }
        replay_notes_after(&flat->notes, r, flat->now);
        if (r < flat->setup->skip) {
            out->warm_accesses += request->blocks;
            out->warm_hits += hits;
            continue;
        }
        out->accesses += request->blocks;
        out->hits += hits;
    }
}

/* Of the heap, and what this thread has reserved beside it. Sanitizers have a heap of their own. */
static uint64_t held_bytes(void) {
    struct mallinfo2 heap = mallinfo2();
    uint64_t held = heap.uordblks + heap.hblkhd + lazy_held_bytes();
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() + lazy_held_bytes()
                                                   : held;
}

void replay_flat(const struct replay_setup *setup, struct replay_result *out) {
    const struct replay_trace *trace = setup->trace;
    struct flat flat = {.setup = setup, .policy = *setup->policy, .wake = INT64_MAX};
    flat.slots = (uint32_t)setup->capacity_blocks;
    flat.needs = flat.policy.policy.needs;
    flat.settles = flat.policy.surplus || flat.policy.timer;
    flat.blocks = lazy_alloc(flat.slots, sizeof *flat.blocks);
    flat.ring = lazy_alloc(flat.slots, sizeof *flat.ring);
    flat.slot_of = lazy_alloc(trace->unique + 1, sizeof *flat.slot_of);
    if (flat.needs & NEED_FACTS)
        flat.facts = lazy_alloc(flat.slots, sizeof *flat.facts);
    struct evict_context context = {.blocks = flat.blocks,
                                    .facts = flat.facts,
                                    .slots = flat.slots,
                                    .capacity = flat.slots,
                                    .seed = setup->seed,
                                    .costs = flat.needs & NEED_COST ? setup->costs : NULL,
                                    .options = setup->policy_options};
    *out = (struct replay_result){0};
    replay_notes_create(&flat.notes, setup);
    uint64_t held = setup->state_bytes ? held_bytes() : 0;
    flat.state = flat.policy.create(&context);
    if (flat.policy.timer)
        flat.wake = flat.policy.timer(flat.state, 0);
    flat.notes.tell = tell_policy;
    flat.notes.self = &flat;
    replay_requests(&flat, out);
    if (setup->state_bytes)
        *setup->state_bytes = held_bytes() - held;
    replay_notes_destroy(&flat.notes);
    MUST(flat.inserted == flat.used + flat.evicted && flat.used <= flat.slots);
    out->misses = out->accesses - out->hits;
    if (!trace->sizes) {
        out->bytes = out->accesses;
        out->hit_bytes = out->hits;
    }
    out->inserted = flat.inserted;
    out->evicted = flat.evicted;
    flat.policy.destroy(flat.state);
    lazy_free(flat.blocks, flat.slots, sizeof *flat.blocks);
    lazy_free(flat.facts, flat.slots, sizeof *flat.facts);
    lazy_free(flat.ring, flat.slots, sizeof *flat.ring);
    lazy_free(flat.slot_of, trace->unique + 1, sizeof *flat.slot_of);
}
