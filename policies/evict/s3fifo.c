/* S3-FIFO: a small queue filters out what is asked for once; a main queue gives second chances.
 *
 * Rule     a block that comes enters the small queue, or the main one if the ghost list remembers it. The small
 *          queue's oldest moves to the main queue if it was asked for at least twice there, else it is the victim
 *          and is remembered. The main queue's oldest goes to its tail, with one use less (of at most 3), while it
 *          has any. The main queue is asked for the victim while it holds more than its share, or the small one is
 *          empty.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook, amortised; 10 bytes a slot, about 87 with what it remembers.
 * Source   Yang et al., FIFO queues are all you need for cache eviction, SOSP'23: small 10 %, ghosts as many as the
 *          main queue, threshold 2.
 * Differs  where a tier counts bytes, shares are of the blocks it holds at the time. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/segments.h"

struct s3fifo_options {
    double small_share, ghost_share;
    int64_t threshold;
};
static const struct option s3fifo_table[] = {{.name = "small_share",
                                              .kind = OPTION_REAL,
                                              .offset = offsetof(struct s3fifo_options, small_share),
                                              .fallback = "0.1",
                                              .min = 0,
                                              .max = 1,
                                              .help = "the small queue's share of the capacity"},
                                             {.name = "ghost_share",
                                              .kind = OPTION_REAL,
                                              .offset = offsetof(struct s3fifo_options, ghost_share),
                                              .fallback = "0.9",
                                              .min = 0,
                                              .max = 16,
                                              .help = "ids that the ghost list remembers, of the capacity"},
                                             {.name = "threshold",
                                              .kind = OPTION_INT,
                                              .offset = offsetof(struct s3fifo_options, threshold),
                                              .fallback = "2",
                                              .min = 1,
                                              .max = 3,
                                              .help = "uses in the small queue that lead to the main one"},
                                             OPTION_END};

enum { SMALL, MAIN, USES_MAX = 3 };
struct s3fifo {
    const struct block_info *blocks;
    struct slot_segments queues;
    struct ghosts ghosts;
    struct s3fifo_options options;
    uint8_t *uses;               /* by slot */
    uint32_t capacity, resident; /* capacity 0: the tier counts bytes */
};

static void *s3fifo_create(const struct evict_context *context) {
    struct s3fifo *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->options =
        context->options ? *(const struct s3fifo_options *)context->options : (struct s3fifo_options){0.1, 0.9, 2};
    state->blocks = context->blocks;
    state->capacity = context->capacity_bytes ? 0 : context->capacity;
    state->uses = lazy_alloc(context->slots, sizeof *state->uses);
    segments_create(&state->queues, context->slots);
    ghosts_create(&state->ghosts, (uint32_t)(state->options.ghost_share * context->capacity));
    return state;
}
static void s3fifo_destroy(void *self) {
    struct s3fifo *state = self;
    lazy_free(state->uses, state->queues.slots, sizeof *state->uses);
    segments_destroy(&state->queues);
    ghosts_destroy(&state->ghosts);
    free(state);
}
static void s3fifo_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct s3fifo *state = self;
    state->resident++;
    state->uses[slot] = 0;
    bool again = ghosts_take(&state->ghosts, state->blocks[slot].id, NULL);
    segments_push_back(&state->queues, slot, again ? MAIN : SMALL);
}
static void s3fifo_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct s3fifo *state = self;
    state->uses[slot] += state->uses[slot] < USES_MAX;
}
static void s3fifo_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct s3fifo *state = self;
    segments_return(&state->queues, slot);
}
static uint32_t small_victim(struct s3fifo *state) {
    uint32_t slot;
    while ((slot = segments_first(&state->queues, SMALL, state->blocks)) != EVICT_NONE &&
           state->uses[slot] >= state->options.threshold) {
        state->uses[slot] = 0;
        segments_push_back(&state->queues, slot, MAIN);
    }
    return slot;
}
static uint32_t main_victim(struct s3fifo *state) {
    uint32_t slot;
    while ((slot = segments_first(&state->queues, MAIN, state->blocks)) != EVICT_NONE && state->uses[slot] > 0) {
        state->uses[slot]--;
        segments_push_back(&state->queues, slot, MAIN);
    }
    return slot;
}
static uint32_t s3fifo_victim(void *self, int64_t now) {
    (void)now;
    struct s3fifo *state = self;
    uint32_t all = state->capacity ? state->capacity : state->resident;
    uint32_t main_share = all - (uint32_t)(state->options.small_share * all);
    uint32_t slot = EVICT_NONE;
    if (state->queues.counts[MAIN] <= main_share)
        slot = small_victim(state);
    if (slot == EVICT_NONE)
        slot = main_victim(state);
    return slot != EVICT_NONE ? slot : small_victim(state);
}
static void s3fifo_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct s3fifo *state = self;
    if (evicted && segments_of(&state->queues, slot) == SMALL)
        ghosts_put(&state->ghosts, state->blocks[slot].id, 0);
    segments_drop(&state->queues, slot);
    state->resident--;
}
static void s3fifo_miss(void *self, uint64_t id, int64_t now) {
    (void)now;
    struct s3fifo *state = self;
    ghosts_ask(&state->ghosts, id);
}

static const struct evict_policy s3fifo = {
    .policy = {.abi = POLICY_ABI,
               .name = "s3fifo",
               .rule = "a small queue in front of a main one with second chances, and a ghost list",
               .source = "Yang et al., SOSP'23",
               .needs = NEED_NOTHING,
               .options = s3fifo_table,
               .options_size = sizeof(struct s3fifo_options)},
    .lifts = LIFT_ORPHAN,
    .create = s3fifo_create,
    .destroy = s3fifo_destroy,
    .insert = s3fifo_insert,
    .touch = s3fifo_touch,
    .release = s3fifo_release,
    .victim = s3fifo_victim,
    .remove = s3fifo_remove,
    .miss = s3fifo_miss};
POLICY_REGISTER(evict, s3fifo)
