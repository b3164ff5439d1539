/* Priority with duration: the lowest priority goes first, leaves only; a priority may hold for a while only.
 *
 * Rule     a queue a priority, 0..100. A block joins the tail of its queue when it is let go; the victim is the
 *          first leaf of the lowest queue that has one. When a priority's duration is over, the block falls back to
 *          the default priority, at the tail. Blocks with children that are met at a head step aside, and return
 *          there as leaves.
 * Needs    time, the tree. Lift: leaf.
 * Cost     O(1) a hook, O(log n) where durations are used, 101 queue heads a victim; 53 bytes a slot.
 * Source   TensorRT-LLM batch_manager/evictionPolicy.cpp (default priority 35; a duration runs from the last
 *          release).
 * Differs  the priority from which blocks are offloaded there (30) is an admission policy's business here. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/heap.h"
#include "policies/evict/list.h"

enum { PRIORITIES = 101 };

struct priority_options {
    int64_t default_priority;
};
static const struct option priority_table[] = {{.name = "default_priority",
                                                .kind = OPTION_INT,
                                                .offset = offsetof(struct priority_options, default_priority),
                                                .fallback = "35",
                                                .min = 0,
                                                .max = 100,
                                                .help = "what a block falls back to when its own priority has run out"},
                                               OPTION_END};

struct priority {
    const struct block_info *blocks;
    const struct block_facts *facts;
    struct slot_link *links;
    struct slot_list queues[PRIORITIES];
    uint8_t *level; /* by slot: current priority + 1; 0: as the block says */
    struct slot_heap expiries;
    uint32_t slots;
    int64_t default_priority;
};

static void *priority_create(const struct evict_context *context) {
    const struct priority_options *options = context->options;
    struct priority *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->facts = context->facts;
    state->slots = context->slots;
    state->default_priority = options ? options->default_priority : 35;
    state->links = links_create(context->slots);
    state->level = lazy_alloc(context->slots, 1);
    slot_heap_create(&state->expiries, context->slots);
    return state;
}
static void priority_destroy(void *self) {
    struct priority *state = self;
    links_destroy(state->links, state->slots);
    lazy_free(state->level, state->slots, 1);
    slot_heap_destroy(&state->expiries);
    free(state);
}
static uint32_t level_of(const struct priority *state, uint32_t slot) {
    return state->level[slot] ? state->level[slot] - 1u : state->blocks[slot].priority;
}
static void leave_queue(struct priority *state, uint32_t slot) {
    if (link_is_in(state->links, slot))
        list_unlink(&state->queues[level_of(state, slot)], state->links, slot);
}
static void join_queue(struct priority *state, uint32_t slot) {
    leave_queue(state, slot);
    if (state->blocks[slot].refs == 0 && !state->blocks[slot].in_flight)
        list_push_back(&state->queues[level_of(state, slot)], state->links, slot);
}
/* Nobody holds it (any more): its duration runs from now, unless it has run out already. */
static void let_go(struct priority *state, uint32_t slot, int64_t now) {
    int64_t duration_ns = state->facts[slot].duration_ns;
    if (state->level[slot] == 0 && duration_ns > 0)
        slot_heap_put(&state->expiries, slot, (struct slot_key){now + duration_ns, 0});
    join_queue(state, slot);
}
static void priority_insert(void *self, uint32_t slot, int64_t now) {
    struct priority *state = self;
    state->level[slot] = 0;
    if (state->blocks[slot].refs == 0)
        let_go(state, slot, now);
}
static void priority_touch(void *self, uint32_t slot, int64_t now) {
    struct priority *state = self;
    leave_queue(state, slot);
    state->level[slot] = 0;
    if (state->blocks[slot].refs == 0)
        let_go(state, slot, now);
}
static void priority_hold(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct priority *state = self;
    leave_queue(state, slot);
    slot_heap_remove(&state->expiries, slot);
}
static void priority_release(void *self, uint32_t slot, int64_t now) {
    let_go(self, slot, now);
}
static int64_t priority_timer(void *self, int64_t now) {
    struct priority *state = self;
    uint32_t slot;
    while ((slot = slot_heap_first(&state->expiries)) != EVICT_NONE && state->expiries.keys[slot].first <= now) {
        slot_heap_remove(&state->expiries, slot);
        leave_queue(state, slot);
        state->level[slot] = (uint8_t)(state->default_priority + 1);
        join_queue(state, slot);
    }
    return slot == EVICT_NONE ? EVICT_NEVER : state->expiries.keys[slot].first;
}
static uint32_t priority_victim(void *self, int64_t now) {
    (void)now;
    struct priority *state = self;
    for (int p = 0; p < PRIORITIES; p++) {
        struct slot_list *queue = &state->queues[p];
        uint32_t slot;
        while ((slot = list_first(queue)) != EVICT_NONE && state->facts[slot].children > 0)
            list_unlink(queue, state->links, slot);
        if (slot != EVICT_NONE)
            return slot;
    }
    return EVICT_NONE;
}
static void priority_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct priority *state = self;
    leave_queue(state, slot);
    slot_heap_remove(&state->expiries, slot);
    state->level[slot] = 0;
    uint32_t parent = state->facts[slot].parent;
    if (parent == EVICT_NONE || link_is_in(state->links, parent))
        return;
    const struct block_info *above = &state->blocks[parent];
    if (above->refs == 0 && state->facts[parent].children == 0 && !above->in_flight)
        list_push_front(&state->queues[level_of(state, parent)], state->links, parent);
}

static const struct evict_policy priority = {
    .policy = {.abi = POLICY_ABI,
               .name = "priority",
               .rule = "the lowest priority goes first, leaves only; priorities may run out",
               .source = "TensorRT-LLM batch_manager/evictionPolicy.cpp",
               .needs = NEED_TIME | NEED_TREE,
               .options = priority_table,
               .options_size = sizeof(struct priority_options)},
    .lifts = LIFT_LEAF,
    .create = priority_create,
    .destroy = priority_destroy,
    .insert = priority_insert,
    .touch = priority_touch,
    .hold = priority_hold,
    .release = priority_release,
    .timer = priority_timer,
    .victim = priority_victim,
    .remove = priority_remove};
POLICY_REGISTER(evict, priority)
