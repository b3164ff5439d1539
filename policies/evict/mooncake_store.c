/* Mooncake's store: above a watermark a share of all objects goes at once, the oldest lease first, groups whole.
 *
 * Rule     each store and use leases an object; while its lease runs it does not go. Above `watermark` full, `share` of
 * the objects are evicted in order of when their leases ended; with one member of a group, all of its members that
 *          nobody holds. Soft-pinned objects (priority at least `pin_priority`, for `pin` after their last use) go only
 *          when no other can. When all is leased and there is need, the oldest
 *          lease goes nevertheless; with `refuse` there is no victim, and the store is refused as there.
 * Needs    time, groups. Lift: orphan.
 * Cost     O(log n) a hook; 52 bytes a slot.
 * Source   mooncake-store master_service.cpp: watermark 0.90, share 5 %, lease 10 s, soft pin 30 min.
 * Differs  objects say that they are pinned by their priority; the store there takes a flag. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/rank.h"
#include "sim/base/int_map.h"

struct mooncake_store_options {
    double watermark, share, lease_s, pin_s;
    int64_t pin_priority;
    bool refuse;
};
static const struct option mooncake_store_table[] = {
    {.name = "watermark",
     .kind = OPTION_REAL,
     .offset = offsetof(struct mooncake_store_options, watermark),
     .fallback = "0.9",
     .min = 0.01,
     .max = 1,
     .help = "share of the capacity above which objects are evicted"},
    {.name = "share",
     .kind = OPTION_REAL,
     .offset = offsetof(struct mooncake_store_options, share),
     .fallback = "0.05",
     .min = 0,
     .max = 1,
     .help = "share of the objects that is evicted then"},
    {.name = "lease",
     .kind = OPTION_REAL,
     .unit = UNIT_SECONDS,
     .offset = offsetof(struct mooncake_store_options, lease_s),
     .fallback = "10 s",
     .min = 0,
     .max = 1e6,
     .help = "lease of an object whose request names none"},
    {.name = "pin",
     .kind = OPTION_REAL,
     .unit = UNIT_SECONDS,
     .offset = offsetof(struct mooncake_store_options, pin_s),
     .fallback = "1800 s",
     .min = 0,
     .max = 1e6,
     .help = "how long a soft pin lasts after a use"},
    {.name = "pin_priority",
     .kind = OPTION_INT,
     .offset = offsetof(struct mooncake_store_options, pin_priority),
     .fallback = "80",
     .min = 0,
     .max = 101,
     .help = "priority from which an object is soft-pinned; 101: none"},
    {.name = "refuse",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct mooncake_store_options, refuse),
     .fallback = "no",
     .help =
         "no victim while all is leased: what was to be stored is refused (not for HBM, whose requests would wait)"},
    OPTION_END};

struct mooncake_store {
    struct ranking leases; /* keys: when the lease ends */
    const struct block_facts *facts;
    struct mooncake_store_options options;
    struct int_map *group_head; /* group -> slot */
    uint32_t *before, *after;   /* by slot: others of its group, slot + 1 */
    uint32_t slots, capacity, count, pending, group;
    uint32_t beyond; /* victims that surplus has asked for and that were not named yet: those are never leased */
};

static void *mooncake_store_create(const struct evict_context *context) {
    struct mooncake_store *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leases, context, false);
    state->facts = context->facts;
    state->options = context->options ? *(const struct mooncake_store_options *)context->options
                                      : (struct mooncake_store_options){0.9, 0.05, 10, 1800, 80, false};
    state->group_head = int_map_create();
    state->before = lazy_alloc(context->slots, sizeof *state->before);
    state->after = lazy_alloc(context->slots, sizeof *state->after);
    state->slots = context->slots;
    state->capacity = context->capacity_bytes ? 0 : context->capacity; /* 0: no watermark in bytes */
    return state;
}
static void mooncake_store_destroy(void *self) {
    struct mooncake_store *state = self;
    ranking_destroy(&state->leases);
    int_map_destroy(state->group_head);
    lazy_free(state->before, state->slots, sizeof *state->before);
    lazy_free(state->after, state->slots, sizeof *state->after);
    free(state);
}
static void join_group(struct mooncake_store *state, uint32_t slot) {
    uint32_t group = state->facts[slot].group;
    state->before[slot] = state->after[slot] = 0;
    if (group == 0)
        return;
    uint32_t head = int_map_get(state->group_head, group);
    if (head != INT_MAP_NONE) {
        state->after[slot] = head + 1;
        state->before[head] = slot + 1;
    }
    int_map_put(state->group_head, group, slot);
}
static void leave_group(struct mooncake_store *state, uint32_t slot) {
    uint32_t group = state->facts[slot].group, before = state->before[slot], after = state->after[slot];
    if (group == 0)
        return;
    if (after)
        state->before[after - 1] = before;
    if (before)
        state->after[before - 1] = after;
    else if (after)
        int_map_put(state->group_head, group, after - 1);
    else
        int_map_delete(state->group_head, group);
}
static void mooncake_store_touch(void *self, uint32_t slot, int64_t now) {
    struct mooncake_store *state = self;
    int64_t own = state->facts[slot].duration_ns;
    int64_t lease = own > 0 ? own : (int64_t)(state->options.lease_s * 1e9);
    ranking_set(&state->leases, slot, (struct slot_key){now + lease, now});
}
static void mooncake_store_insert(void *self, uint32_t slot, int64_t now) {
    struct mooncake_store *state = self;
    state->count++;
    join_group(state, slot);
    mooncake_store_touch(self, slot, now);
    if (state->pending == 0 && state->capacity > 0 && state->count > state->options.watermark * state->capacity) {
        double most = state->options.share * state->count;
        state->pending = (uint32_t)most + (most > (uint32_t)most);
    }
}
/* A member of the group whose first has gone. */
static uint32_t rest_of_group(const struct mooncake_store *state) {
    uint32_t at = state->group ? int_map_get(state->group_head, state->group) : INT_MAP_NONE;
    for (at = at == INT_MAP_NONE ? 0 : at + 1; at; at = state->after[at - 1])
        if (state->leases.blocks[at - 1].refs == 0)
            return at - 1;
    return EVICT_NONE;
}
static bool is_pinned(const struct mooncake_store *state, uint32_t slot, int64_t now) {
    int64_t used = ranking_key(&state->leases, slot).second;
    return state->leases.blocks[slot].priority >= state->options.pin_priority &&
           (double)(now - used) < 1e9 * state->options.pin_s;
}
/* The first lease that is over; pinned objects are passed over while there is another (they are few, or all). */
static uint32_t mooncake_store_victim(void *self, int64_t now) {
    struct mooncake_store *state = self;
    uint32_t slot = rest_of_group(state);
    bool need = state->beyond == 0 && !state->options.refuse;
    state->beyond -= state->beyond > 0;
    if (slot != EVICT_NONE)
        return slot;
    struct slot_heap *heap = &state->leases.heap;
    slot = slot_heap_first(heap);
    if (slot == EVICT_NONE || heap->keys[slot].first > now) {
        state->beyond = 0;
        return need ? slot : EVICT_NONE;
    }
    if (!is_pinned(state, slot, now))
        return slot;
    uint32_t best = EVICT_NONE;
    for (uint32_t i = 0; i < heap->count; i++) {
        uint32_t other = heap->items[i].slot;
        if (heap->keys[other].first <= now && !is_pinned(state, other, now) &&
            (best == EVICT_NONE || heap->keys[other].first < heap->keys[best].first))
            best = other;
    }
    return best == EVICT_NONE ? slot : best;
}
static void mooncake_store_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct mooncake_store *state = self;
    ranking_remove(&state->leases, slot);
    leave_group(state, slot);
    state->count--;
    if (!evicted)
        return;
    if (state->pending > 0)
        state->pending--;
    if (state->facts[slot].group != 0)
        state->group = state->facts[slot].group;
}
static uint32_t mooncake_store_surplus(void *self, int64_t now) {
    (void)now;
    struct mooncake_store *state = self;
    state->beyond = state->pending > 0 ? state->pending : rest_of_group(state) != EVICT_NONE;
    if (state->beyond == 0)
        state->group = 0;
    return state->beyond;
}

static const struct evict_policy mooncake_store = {
    .policy = {.abi = POLICY_ABI,
               .name = "mooncake-store",
               .rule = "above a watermark a share goes, the oldest lease first, leased ones stay, groups whole",
               .source = "mooncake-store master_service.cpp",
               .needs = NEED_TIME | NEED_GROUP,
               .options = mooncake_store_table,
               .options_size = sizeof(struct mooncake_store_options)},
    .lifts = LIFT_ORPHAN,
    .create = mooncake_store_create,
    .destroy = mooncake_store_destroy,
    .insert = mooncake_store_insert,
    .touch = mooncake_store_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .victim = mooncake_store_victim,
    .remove = mooncake_store_remove,
    .surplus = mooncake_store_surplus};
POLICY_REGISTER(evict, mooncake_store)
