/* 2Q: what comes for the first time passes through a small queue; only what is asked for again later is kept long.
 *
 * Rule     a block that comes enters the queue A1in, where uses do not move it. From there it leaves into the ghost
 *          list A1out; if it is asked for while it is remembered there, it enters Am, which is an LRU. The victim is
 *          A1in's oldest while A1in holds more than its share, else Am's least recently used.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook; 9 bytes a slot, about 66 with what it remembers.
 * Source   T. Johnson, D. Shasha, 2Q: a low overhead high performance buffer management replacement algorithm, VLDB'94:
 *          A1in 25 %, A1out 50 % of the capacity.
 * Differs  where a tier counts bytes, shares are of the blocks it holds at the time. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/segments.h"

struct two_q_options {
    double in_share, out_share;
};
static const struct option two_q_table[] = {{.name = "in_share",
                                             .kind = OPTION_REAL,
                                             .offset = offsetof(struct two_q_options, in_share),
                                             .fallback = "0.25",
                                             .min = 0,
                                             .max = 1,
                                             .help = "A1in's share of the capacity"},
                                            {.name = "out_share",
                                             .kind = OPTION_REAL,
                                             .offset = offsetof(struct two_q_options, out_share),
                                             .fallback = "0.5",
                                             .min = 0,
                                             .max = 16,
                                             .help = "ids that A1out remembers, of the capacity"},
                                            OPTION_END};

enum { A1IN, AM };
struct two_q {
    const struct block_info *blocks;
    struct slot_segments queues;
    struct ghosts a1out;
    struct two_q_options options;
    uint32_t capacity, resident; /* capacity 0: the tier counts bytes */
};

static void *two_q_create(const struct evict_context *context) {
    struct two_q *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->options =
        context->options ? *(const struct two_q_options *)context->options : (struct two_q_options){0.25, 0.5};
    state->blocks = context->blocks;
    state->capacity = context->capacity_bytes ? 0 : context->capacity;
    segments_create(&state->queues, context->slots);
    ghosts_create(&state->a1out, (uint32_t)(state->options.out_share * context->capacity));
    return state;
}
static void two_q_destroy(void *self) {
    struct two_q *state = self;
    segments_destroy(&state->queues);
    ghosts_destroy(&state->a1out);
    free(state);
}
static void two_q_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct two_q *state = self;
    state->resident++;
    bool again = ghosts_take(&state->a1out, state->blocks[slot].id, NULL);
    segments_push_back(&state->queues, slot, again ? AM : A1IN);
}
static void two_q_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct two_q *state = self;
    if (segments_of(&state->queues, slot) == AM)
        segments_push_back(&state->queues, slot, AM);
}
static void two_q_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct two_q *state = self;
    segments_return(&state->queues, slot);
}
static uint32_t two_q_victim(void *self, int64_t now) {
    (void)now;
    struct two_q *state = self;
    double all = state->capacity ? state->capacity : state->resident;
    bool in_first = state->queues.counts[A1IN] > (uint32_t)(state->options.in_share * all);
    uint32_t slot = segments_first(&state->queues, in_first ? A1IN : AM, state->blocks);
    return slot != EVICT_NONE ? slot : segments_first(&state->queues, in_first ? AM : A1IN, state->blocks);
}
static void two_q_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct two_q *state = self;
    if (evicted && segments_of(&state->queues, slot) == A1IN)
        ghosts_put(&state->a1out, state->blocks[slot].id, 0);
    segments_drop(&state->queues, slot);
    state->resident--;
}
static void two_q_miss(void *self, uint64_t id, int64_t now) {
    (void)now;
    struct two_q *state = self;
    ghosts_ask(&state->a1out, id);
}

static const struct evict_policy two_q = {
    .policy = {.abi = POLICY_ABI,
               .name = "2q",
               .rule = "a small queue for what is new, an LRU for what came back after it",
               .source = "Johnson and Shasha, VLDB'94",
               .needs = NEED_NOTHING,
               .options = two_q_table,
               .options_size = sizeof(struct two_q_options)},
    .lifts = LIFT_ORPHAN,
    .create = two_q_create,
    .destroy = two_q_destroy,
    .insert = two_q_insert,
    .touch = two_q_touch,
    .release = two_q_release,
    .victim = two_q_victim,
    .remove = two_q_remove,
    .miss = two_q_miss};
POLICY_REGISTER(evict, two_q)
