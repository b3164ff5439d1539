/* W-TinyLFU: what leaves a small window enters the main part only if it was seen more often than what it would
 * replace.
 *
 * Rule     a block that comes enters the window, an LRU. When room is needed, the window's oldest moves to the main
 *          part while that has room; else the main part's own victim and the window's oldest are compared by a
 *          count-min sketch, and the one seen less often goes (a tie: the window's). The main part is a segmented
 *          LRU, 20 % for what came, 80 % for what was asked for there.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook and four counters; 9 bytes a slot, about 23 with its sketch.
 * Source   Einziger, Friedman, Manes, TinyLFU: a highly efficient cache admission policy, TOS'17. Window 1 %.
 * Differs  the paper leaves the sketch open. With sketch: bloom (the default) it is that of libCacheSim, whose miss
 *          counts this was held against: ten plain rows, 14.4 counters for a block of the main part; counted are
 *          arrivals, uses in the main part, and the window's oldest at each comparison; halved after 32 x main uses
 *          in the main part. With sketch: paper, four conservative rows count every use and are halved after 10 x
 *          capacity of them. Misses on the conversation trace at 4000 and 64000 blocks: bloom 260310 and 215068,
 *          paper 255643 and 216140, libCacheSim 260876 and 215581. Where a tier counts bytes, shares are of the
 *          blocks it holds at the time. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/segments.h"
#include "policies/evict/sketch.h"

enum sketches { SKETCH_BLOOM, SKETCH_PAPER };
struct wtinylfu_options {
    double window_share;
    int sketch;
};
static const char *const sketch_names[] = {"bloom", "paper", NULL};
static const struct option wtinylfu_table[] = {
    {.name = "window_share",
     .kind = OPTION_REAL,
     .offset = offsetof(struct wtinylfu_options, window_share),
     .fallback = "0.01",
     .min = 0,
     .max = 1,
     .help = "the window's share of the capacity"},
    {.name = "sketch",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct wtinylfu_options, sketch),
     .choices = sketch_names,
     .fallback = "bloom",
     .help = "bloom: libCacheSim's sketch and what it counts; paper: every use, conservative counters, halved often"},
    OPTION_END};

enum { WINDOW, PROBATION, PROTECTED };
enum { BLOOM_ROWS = 10, BLOOM_PERIOD = 32, PAPER_ROWS = 4, PAPER_PERIOD = 10 };
struct wtinylfu {
    const struct block_info *blocks;
    struct slot_segments parts;
    struct sketch sketch;
    uint64_t counted, period; /* sights until the sketch is halved */
    struct wtinylfu_options options;
    uint32_t capacity, resident; /* capacity 0: the tier counts bytes */
};

static void *wtinylfu_create(const struct evict_context *context) {
    struct wtinylfu *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->options =
        context->options ? *(const struct wtinylfu_options *)context->options : (struct wtinylfu_options){0.01, 0};
    state->blocks = context->blocks;
    state->capacity = context->capacity_bytes ? 0 : context->capacity;
    segments_create(&state->parts, context->slots);
    uint64_t most = context->capacity, main_blocks = most - (uint64_t)(state->options.window_share * (double)most);
    if (state->options.sketch == SKETCH_BLOOM)
        sketch_create(&state->sketch, main_blocks * 144 / 100, BLOOM_ROWS, false);
    else
        sketch_create(&state->sketch, 2 * most, PAPER_ROWS, true);
    state->period = state->options.sketch == SKETCH_BLOOM ? BLOOM_PERIOD * main_blocks : PAPER_PERIOD * most;
    return state;
}
static void wtinylfu_destroy(void *self) {
    struct wtinylfu *state = self;
    segments_destroy(&state->parts);
    sketch_destroy(&state->sketch);
    free(state);
}
static uint32_t main_share(const struct wtinylfu *state) {
    uint32_t all = state->capacity ? state->capacity : state->resident;
    return all - (uint32_t)(state->options.window_share * all);
}
/* Bloom counts some sights only, and fewer of them towards halving; the paper all, towards both. */
static void sight(struct wtinylfu *state, uint64_t id, bool ages) {
    sketch_add(&state->sketch, id);
    state->counted += ages || state->options.sketch == SKETCH_PAPER;
    if (state->counted < state->period || state->period == 0)
        return;
    state->counted = 0;
    sketch_halve(&state->sketch);
}
static void wtinylfu_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct wtinylfu *state = self;
    state->resident++;
    segments_push_back(&state->parts, slot, WINDOW);
    sight(state, state->blocks[slot].id, false);
}
static void wtinylfu_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct wtinylfu *state = self;
    uint32_t part = segments_of(&state->parts, slot);
    if (part != WINDOW || state->options.sketch == SKETCH_PAPER)
        sight(state, state->blocks[slot].id, true);
    segments_push_back(&state->parts, slot, part == WINDOW ? WINDOW : PROTECTED);
    uint32_t main_blocks = main_share(state), most = main_blocks - main_blocks / 5;
    uint32_t oldest = list_first(&state->parts.lists[PROTECTED]);
    if (state->parts.counts[PROTECTED] > most && oldest != EVICT_NONE)
        segments_push_back(&state->parts, oldest, PROBATION);
}
static void wtinylfu_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct wtinylfu *state = self;
    segments_return(&state->parts, slot);
}
/* The window's oldest becomes one of the main part: on probation, or protected while only there is room. */
static void admit(struct wtinylfu *state, uint32_t slot) {
    uint32_t main_blocks = main_share(state), probation = main_blocks / 5;
    bool full = state->parts.counts[PROBATION] >= probation;
    bool room_above = state->parts.counts[PROTECTED] < main_blocks - probation;
    segments_push_back(&state->parts, slot, full && room_above ? PROTECTED : PROBATION);
}
static uint32_t main_victim(struct wtinylfu *state) {
    uint32_t slot = segments_first(&state->parts, PROBATION, state->blocks);
    return slot != EVICT_NONE ? slot : segments_first(&state->parts, PROTECTED, state->blocks);
}
static uint32_t wtinylfu_victim(void *self, int64_t now) {
    (void)now;
    struct wtinylfu *state = self;
    for (;;) {
        uint32_t newcomer = segments_first(&state->parts, WINDOW, state->blocks);
        if (newcomer == EVICT_NONE)
            return main_victim(state);
        uint64_t id = state->blocks[newcomer].id;
        if (state->parts.counts[PROBATION] + state->parts.counts[PROTECTED] < main_share(state)) {
            admit(state, newcomer);
            if (state->options.sketch == SKETCH_BLOOM)
                sight(state, id, false);
            continue;
        }
        uint32_t incumbent = main_victim(state);
        bool wins = incumbent != EVICT_NONE &&
                    sketch_count(&state->sketch, id) > sketch_count(&state->sketch, state->blocks[incumbent].id);
        if (state->options.sketch == SKETCH_BLOOM)
            sight(state, id, false);
        if (!wins)
            return newcomer;
        segments_push_back(&state->parts, newcomer, PROBATION);
        return incumbent;
    }
}
static void wtinylfu_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct wtinylfu *state = self;
    segments_drop(&state->parts, slot);
    state->resident--;
}

static const struct evict_policy wtinylfu = {
    .policy = {.abi = POLICY_ABI,
               .name = "wtinylfu",
               .rule = "what leaves a window stays only if a sketch has seen it more often than the main part's victim",
               .source = "Einziger et al., TOS'17",
               .needs = NEED_NOTHING,
               .options = wtinylfu_table,
               .options_size = sizeof(struct wtinylfu_options)},
    .lifts = LIFT_ORPHAN,
    .create = wtinylfu_create,
    .destroy = wtinylfu_destroy,
    .insert = wtinylfu_insert,
    .touch = wtinylfu_touch,
    .release = wtinylfu_release,
    .victim = wtinylfu_victim,
    .remove = wtinylfu_remove};
POLICY_REGISTER(evict, wtinylfu)
