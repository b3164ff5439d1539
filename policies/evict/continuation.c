/* Continuation: the blocks of conversations that will hardly go on go first; then the least recently used.
 *
 * Rule     when a request ends, a prediction says whether its conversation goes on; of the leaves, those of
 *          conversations that are not expected back go first; within each kind the least recently used. The
 *          prediction is the truth, wrong with probability `noise`.
 * Needs    the future (whether a session returns), sessions, the tree, random. Lift: leaf.
 * Cost     O(log n) a hook; 52 bytes a slot.
 * Source   learned prefix caching, NeurIPS'25.
 * Differs  traces carry hashes and no text to learn from, so the prediction is injected: truth and noise. It is
 *          marked as clairvoyant. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/pool.h"
#include "policies/evict/rank.h"
#include "policies/evict/recent.h"

struct continuation_options {
    double noise;
};
static const struct option continuation_table[] = {{.name = "noise",
                                                    .kind = OPTION_REAL,
                                                    .unit = UNIT_RATIO,
                                                    .offset = offsetof(struct continuation_options, noise),
                                                    .fallback = "0.1",
                                                    .min = 0,
                                                    .max = 1,
                                                    .help = "how often the prediction is the opposite of the truth"},
                                                   OPTION_END};

struct continuation {
    struct ranking leaves;
    struct recent recent;
    struct slot_pool draws; /* its random numbers only */
    double noise;
    int64_t clock;
};

static void *continuation_create(const struct evict_context *context) {
    struct continuation *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->leaves, context, true);
    recent_create(&state->recent, context->slots);
    state->draws.random = context->seed;
    state->noise = context->options ? ((const struct continuation_options *)context->options)->noise : 0.1;
    return state;
}
static void continuation_destroy(void *self) {
    struct continuation *state = self;
    ranking_destroy(&state->leaves);
    recent_destroy(&state->recent);
    free(state);
}
enum { ENDS, GOES_ON };
static void continuation_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct continuation *state = self;
    recent_add(&state->recent, slot);
    ranking_insert(&state->leaves, slot, (struct slot_key){GOES_ON, state->clock++});
}
static void continuation_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct continuation *state = self;
    recent_add(&state->recent, slot);
    ranking_set(&state->leaves, slot, (struct slot_key){GOES_ON, state->clock++});
}
static void continuation_note(void *self, const struct session_note *note, int64_t now) {
    (void)now;
    struct continuation *state = self;
    uint32_t slot, at = 0;
    if ((note->event != SESSION_TURN && note->event != SESSION_TOOL) || note->returns < 0)
        return;
    bool wrong = (double)(pool_random(&state->draws) >> 11) * 0x1p-53 < state->noise;
    bool goes_on = (note->returns >= 0.5) != wrong;
    while ((slot = recent_take(&state->recent, state->leaves.facts, note->session, &at)) != EVICT_NONE)
        ranking_set(&state->leaves, slot,
                    (struct slot_key){goes_on ? GOES_ON : ENDS, ranking_key(&state->leaves, slot).second});
}
static void continuation_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    struct continuation *state = self;
    recent_drop(&state->recent, slot);
    ranking_remove(&state->leaves, slot);
}

static const struct evict_policy continuation = {
    .policy = {.abi = POLICY_ABI,
               .name = "continuation",
               .rule = "of the leaves, those of conversations not expected back go first; truth and noise",
               .source = "learned prefix caching, NeurIPS'25",
               .needs = NEED_FUTURE | NEED_SESSION | NEED_TREE | NEED_RANDOM,
               .options = continuation_table,
               .options_size = sizeof(struct continuation_options)},
    .lifts = LIFT_LEAF,
    .create = continuation_create,
    .destroy = continuation_destroy,
    .insert = continuation_insert,
    .touch = continuation_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .victim = ranked_victim,
    .remove = continuation_remove,
    .note = continuation_note};
POLICY_REGISTER(evict, continuation)
