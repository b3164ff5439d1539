/* Skeleton: a policy to copy. It is complete: it keeps the contract, runs under both semantics and passes the
 * conformance suite. docs/add-a-policy.md walks through it. A header says these five things, in this order:
 *
 * Rule     a list; a block goes to its end when it comes and when it is asked for; one that was asked for at least
 *          `spare` times is sent back once when it reaches the front. The victim is the first that nobody holds.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook; 13 bytes a slot.
 * Source   none: an example. (Yours: the paper or the engine's file.)
 * Differs  (Where yours is not what its source does; delete this line if it is.) */
#include <stddef.h>
#include <stdlib.h>

/* What you may include: the headers of policies/ and of sim/base/, and the structures of this folder:
 *   segments.h  several queues over the same blocks (this file; SLRU, 2Q, ARC)
 *   rank.h      the smallest key goes first (lfu.c is the shortest example; radix_*.c for leaves only)
 *   pool.h      any block at random (random.c, hyperbolic.c)
 *   ghosts.h    ids that were evicted lately (arc.c, s3fifo.c)
 *   sketch.h    how often any id was seen, about (wtinylfu.c, dynamo_multilru.c) */
#include "policies/evict/segments.h"

/* ---- options: what a user may set, as {name: skeleton, spare: 3}. Without any, leave out this part and .options. ----
 */

struct skeleton_options {
    int64_t spare;
};
/* The table makes the parser, the ranges, the errors and what `tiersim list policies` says. */
static const struct option skeleton_table[] = {{.name = "spare",
                                                .kind = OPTION_INT, /* int64_t; OPTION_REAL: double; OPTION_BOOL */
                                                .offset = offsetof(struct skeleton_options, spare),
                                                .fallback = "2", /* the default, as a user would write it */
                                                .min = 1,
                                                .max = 1000000,
                                                .help = "uses that send a block back once"},
                                               OPTION_END};

/* ---- state: one tier's, made by create. No globals: other tiers run in other threads at the same time. ---- */

struct skeleton {
    const struct block_info *blocks; /* by slot: id, refs, ... as far as declared; the tier's own, read only */
    struct slot_segments queue;      /* segment 0 */
    uint32_t *uses;                  /* by slot: your own array */
    int64_t spare;
};

static void *skeleton_create(const struct evict_context *context) {
    struct skeleton *state = calloc(1, sizeof *state);
    MUST(state != NULL); /* out of memory: nobody handles it better */
    const struct skeleton_options *options = context->options;
    state->spare = options ? options->spare : 2; /* NULL only where C code makes the tier itself */
    state->blocks = context->blocks;
    /* Arrays are by slot, context->slots long, and cost memory only where they are touched. Shares of the cache are
     * shares of context->capacity, which is smaller when the tier fills first and trims afterwards. */
    state->uses = lazy_alloc(context->slots, sizeof *state->uses);
    segments_create(&state->queue, context->slots);
    return state;
}
static void skeleton_destroy(void *self) {
    struct skeleton *state = self;
    lazy_free(state->uses, state->queue.slots, sizeof *state->uses);
    segments_destroy(&state->queue);
    free(state);
}

/* ---- what happens to a block, from its coming to its going ---- */

/* It came. A slot is used again and again: set whatever you keep of it. It may be held (blocks[slot].refs > 0). */
static void skeleton_insert(void *self, uint32_t slot, int64_t now) {
    (void)now; /* a clock, for policies that declare NEED_TIME; others must not look */
    struct skeleton *state = self;
    state->uses[slot] = 0;
    segments_push_back(&state->queue, slot, 0);
}
/* It was asked for and found: once a look-up, held or not. */
static void skeleton_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct skeleton *state = self;
    state->uses[slot]++;
    segments_push_back(&state->queue, slot, 0);
}
/* Nobody holds it any more. Held blocks that victim met have stepped aside; they come back here. */
static void skeleton_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct skeleton *state = self;
    segments_return(&state->queue, slot);
}
/* Which one is to go? It must be one with refs == 0, and under LIFT_LEAF one without children; EVICT_NONE only when
 * there is none. It has not gone yet: remove says so, right afterwards. Moving blocks about on the way, as here, is
 * allowed. */
static uint32_t skeleton_victim(void *self, int64_t now) {
    (void)now;
    struct skeleton *state = self;
    uint32_t slot;
    while ((slot = segments_first(&state->queue, 0, state->blocks)) != EVICT_NONE &&
           state->uses[slot] >= state->spare) {
        state->uses[slot] = 0; /* each turn uses up what a use had given: so this ends */
        segments_push_back(&state->queue, slot, 0);
    }
    return slot;
}
/* It goes: evicted (the victim, or below it in a tree under cascade), or deleted by somebody else. */
static void skeleton_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct skeleton *state = self;
    segments_drop(&state->queue, slot);
}
/* Hooks that this one does without (policies/evict.h says when each runs): hold, in_flight, timer, miss, surplus, note.
 */

/* ---- what makes it known ---- */

static const struct evict_policy skeleton = {
    .policy =
        {.abi = POLICY_ABI, /* of the headers that it was built against */
         .name = "skeleton",
         .rule = "an example to copy: least recently used, and often used blocks get a second round",
         .source = "docs/add-a-policy.md",
         /* Every field of block_facts, and category, that it reads: NEED_TREE | NEED_TIME ... What is not declared
          * holds a neutral value. facts is NULL without any of NEED_FACTS. NEED_RANDOM: context->seed. */
         .needs = NEED_NOTHING,
         .options = skeleton_table,
         .options_size = sizeof(struct skeleton_options)},
    /* Under prefix semantics: LIFT_LEAF (it names leaves only: declare NEED_TREE and look at facts[slot].children),
     * LIFT_ORPHAN (any; what is below it stays, unreachable until refilled), LIFT_CASCADE (what is below goes too).
     * LIFT_NONE: flat semantics only. */
    .lifts = LIFT_ORPHAN,
    .create = skeleton_create,
    .destroy = skeleton_destroy,
    .insert = skeleton_insert,
    .touch = skeleton_touch,
    .release = skeleton_release,
    .victim = skeleton_victim,
    .remove = skeleton_remove};
/* The whole act: no list of files, no edit elsewhere. */
POLICY_REGISTER(evict, skeleton)
