/* Queue window: what no waiting request will ask for goes first; then what the last of them will.
 *
 * Rule     a request that enters the queue says which blocks it will ask for. Of the leaves, those that no waiting
 *          request named go first, the least recently used of them; then those whose request stands farthest back.
 * Needs    the queue, the tree. Lift: leaf.
 * Cost     O(log n) a hook, O(blocks of a request) when one enters the queue; 44 bytes a slot, 32 to 64 more
 *          a block held and a queued id.
 * Source   after CachedAttention, ATC'24 (its look-ahead eviction), from memory: it does not bear the name.
 * Differs  a block named by several requests counts for the last of them; the prefetch into the window is no
 *          eviction. In `tiersim cache --queue N` the queue is the trace's next N requests: its future, so tables
 *          mark it. */
#include <stdlib.h>

#include "policies/evict/rank.h"
#include "sim/base/int_map.h"

struct queue_window {
    struct ranking leaves;
    struct int_map *asked_at; /* id -> number of the last request that named it, while that has not started */
    struct int_map *slot_of;  /* id -> slot, of blocks here */
    uint32_t started;         /* requests so far */
    int64_t clock;
};

static void *queue_window_create(const struct evict_context *context) {
    struct queue_window *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    state->asked_at = int_map_create();
    state->slot_of = int_map_create();
    return state;
}
static void queue_window_destroy(void *self) {
    struct queue_window *state = self;
    ranking_destroy(&state->leaves);
    int_map_destroy(state->asked_at);
    int_map_destroy(state->slot_of);
    free(state);
}
static struct slot_key key_of(struct queue_window *state, uint64_t id, int64_t last) {
    uint32_t at = int_map_get(state->asked_at, id);
    if (at != INT_MAP_NONE && at > state->started)
        return (struct slot_key){-(int64_t)at, last};
    if (at != INT_MAP_NONE)
        int_map_delete(state->asked_at, id);
    return (struct slot_key){INT64_MIN, last};
}
static void queue_window_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct queue_window *state = self;
    uint64_t id = state->leaves.blocks[slot].id;
    int_map_put(state->slot_of, id, slot);
    ranking_insert(&state->leaves, slot, key_of(state, id, state->clock++));
}
static void queue_window_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct queue_window *state = self;
    ranking_set(&state->leaves, slot, key_of(state, state->leaves.blocks[slot].id, state->clock++));
}
static void queue_window_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct queue_window *state = self;
    int_map_delete(state->slot_of, state->leaves.blocks[slot].id);
    ranking_remove(&state->leaves, slot);
}
static void queue_window_note(void *self, const struct session_note *note, int64_t now) {
    (void)now;
    struct queue_window *state = self;
    state->started += note->event == SESSION_STARTED;
    if (note->event != SESSION_QUEUED)
        return;
    for (uint32_t i = 0; i < note->count; i++) {
        int_map_put(state->asked_at, note->ids[i], state->started + note->position + 1);
        uint32_t slot = int_map_get(state->slot_of, note->ids[i]);
        if (slot != INT_MAP_NONE)
            ranking_set(&state->leaves, slot, key_of(state, note->ids[i], ranking_key(&state->leaves, slot).second));
    }
}

static const struct evict_policy queue_window = {
    .policy = {.abi = POLICY_ABI,
               .name = "queue-window",
               .rule = "of the leaves, what no waiting request will ask for goes first, then the farthest back",
               .source = "after CachedAttention, ATC'24",
               .needs = NEED_QUEUE | NEED_TREE},
    .lifts = LIFT_LEAF,
    .create = queue_window_create,
    .destroy = queue_window_destroy,
    .insert = queue_window_insert,
    .touch = queue_window_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .victim = ranked_victim,
    .remove = queue_window_remove,
    .note = queue_window_note};
POLICY_REGISTER(evict, queue_window)
