/* One tier: slots, an index from name to slot, and LRU as policies/evict/lru.c has it (vLLM's free queue). */
#include <stdlib.h>
#include <string.h>

#include "validate/loop/loop.h"

static uint32_t home(const struct loop_tier *tier, uint64_t id) {
    return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 33) & tier->index_mask;
}

void pages_open(struct loop_tier *tier, uint32_t slots) {
    memset(tier, 0, sizeof *tier);
    uint32_t room = 16;
    while (room < 2 * slots)
        room *= 2;
    tier->count = slots;
    tier->slots = (struct loop_slot *)loop_zeroed(slots, sizeof *tier->slots);
    tier->free = (uint32_t *)loop_zeroed(slots, sizeof *tier->free);
    tier->index = (uint32_t *)loop_zeroed(room, sizeof *tier->index);
    tier->index_mask = room - 1;
    tier->first = tier->last = LOOP_NONE;
    for (uint32_t i = slots; i-- > 0;)
        tier->free[tier->free_count++] = i;
}

void pages_close(struct loop_tier *tier) {
    free(tier->slots);
    free(tier->free);
    free(tier->index);
    memset(tier, 0, sizeof *tier);
}

uint32_t pages_lookup(const struct loop_tier *tier, uint64_t id) {
    for (uint32_t at = home(tier, id); tier->index && tier->index[at]; at = (at + 1) & tier->index_mask)
        if (tier->slots[tier->index[at] - 1].id == id)
            return tier->index[at] - 1;
    return LOOP_NONE;
}

static void index_put(struct loop_tier *tier, uint32_t slot) {
    uint32_t at = home(tier, tier->slots[slot].id);
    while (tier->index[at])
        at = (at + 1) & tier->index_mask;
    tier->index[at] = slot + 1;
}

/* What follows moves up, where its home allows it. */
static void index_drop(struct loop_tier *tier, uint32_t slot) {
    uint32_t at = home(tier, tier->slots[slot].id), mask = tier->index_mask;
    while (tier->index[at] != slot + 1)
        at = (at + 1) & mask;
    for (uint32_t next = (at + 1) & mask; tier->index[next]; next = (next + 1) & mask) {
        uint32_t from = home(tier, tier->slots[tier->index[next] - 1].id);
        if (((next - from) & mask) < ((next - at) & mask))
            continue;
        tier->index[at] = tier->index[next];
        at = next;
    }
    tier->index[at] = 0;
}

static void queue_drop(struct loop_tier *tier, uint32_t slot) {
    struct loop_slot *own = &tier->slots[slot];
    if (!own->queued)
        return;
    *(own->before == LOOP_NONE ? &tier->first : &tier->slots[own->before].after) = own->after;
    *(own->after == LOOP_NONE ? &tier->last : &tier->slots[own->after].before) = own->before;
    own->queued = false;
}
static void queue_push(struct loop_tier *tier, uint32_t slot, bool front) {
    struct loop_slot *own = &tier->slots[slot];
    queue_drop(tier, slot);
    own->before = front ? LOOP_NONE : tier->last;
    own->after = front ? tier->first : LOOP_NONE;
    *(own->before == LOOP_NONE ? &tier->first : &tier->slots[own->before].after) = slot;
    *(own->after == LOOP_NONE ? &tier->last : &tier->slots[own->after].before) = slot;
    own->queued = true;
    if (!front)
        own->asked = false;
}

uint32_t pages_room(const struct loop_tier *tier) {
    return tier->free_count + tier->idle;
}

static void evict_one(struct loop_tier *tier) {
    while (tier->first != LOOP_NONE && tier->slots[tier->first].refs > 0)
        queue_drop(tier, tier->first); /* held ones step aside */
    uint32_t slot = tier->first;
    LOOP_MUST(slot != LOOP_NONE && tier->slots[slot].state == LOOP_RESIDENT);
    queue_drop(tier, slot);
    index_drop(tier, slot);
    tier->idle--;
    tier->slots[slot].state = LOOP_FREE;
    tier->free[tier->free_count++] = slot;
}

bool pages_grab(struct loop_tier *tier, uint32_t count, uint32_t *slots) {
    if (pages_room(tier) < count)
        return false;
    while (tier->free_count < count)
        evict_one(tier);
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = tier->free[--tier->free_count];
        tier->slots[slots[i]].state = LOOP_TAKEN;
    }
    tier->taken += count;
    return true;
}

void pages_return(struct loop_tier *tier, uint32_t slot) {
    LOOP_MUST(tier->slots[slot].state == LOOP_TAKEN);
    tier->slots[slot].state = LOOP_FREE;
    tier->taken--;
    tier->free[tier->free_count++] = slot;
}

void pages_name(struct loop_tier *tier, uint32_t slot, uint64_t id, enum loop_slot_state state) {
    struct loop_slot *own = &tier->slots[slot];
    LOOP_MUST(own->state == LOOP_TAKEN && pages_lookup(tier, id) == LOOP_NONE);
    tier->taken--;
    own->id = id;
    own->state = (uint8_t)state;
    own->refs = 1;
    own->queued = false;
    own->asked = true;
    index_put(tier, slot);
}

void pages_arrived(struct loop_tier *tier, uint32_t slot) {
    LOOP_MUST(tier->slots[slot].state == LOOP_ARRIVING && tier->slots[slot].refs > 0);
    tier->slots[slot].state = LOOP_RESIDENT;
}

void pages_ref(struct loop_tier *tier, uint32_t slot) {
    struct loop_slot *own = &tier->slots[slot];
    LOOP_MUST(own->state == LOOP_ARRIVING || own->state == LOOP_RESIDENT);
    if (own->refs++ == 0)
        tier->idle--;
}

void pages_unref(struct loop_tier *tier, uint32_t slot) {
    struct loop_slot *own = &tier->slots[slot];
    LOOP_MUST(own->refs > 0);
    if (--own->refs > 0)
        return;
    LOOP_MUST(own->state == LOOP_RESIDENT);
    tier->idle++;
    if (own->asked)
        queue_push(tier, slot, false);
    else if (!own->queued)
        queue_push(tier, slot, true);
}

void pages_asked(struct loop_tier *tier, uint32_t slot) {
    if (tier->slots[slot].refs == 0)
        queue_push(tier, slot, false);
    else
        tier->slots[slot].asked = true;
}

void pages_audit(const struct loop_tier *tier) {
    uint32_t counts[4] = {0}, idle = 0, indexed = 0;
    for (uint32_t i = 0; i < tier->count; i++) {
        const struct loop_slot *slot = &tier->slots[i];
        counts[slot->state]++;
        idle += slot->state == LOOP_RESIDENT && slot->refs == 0;
        bool named = slot->state == LOOP_ARRIVING || slot->state == LOOP_RESIDENT;
        indexed += named;
        LOOP_MUST(!named || pages_lookup(tier, slot->id) == i);
        LOOP_MUST(slot->state != LOOP_ARRIVING || slot->refs > 0);
        LOOP_MUST(!(slot->state == LOOP_RESIDENT && slot->refs == 0) || slot->queued);
    }
    for (uint32_t at = 0; tier->index && at <= tier->index_mask; at++)
        indexed -= tier->index[at] != 0;
    LOOP_MUST(counts[LOOP_FREE] == tier->free_count && counts[LOOP_TAKEN] == tier->taken && idle == tier->idle);
    LOOP_MUST(indexed == 0);
}
