/* FILO: the block that came last goes first.
 *
 * Rule     a heap by order of insertion, the latest first.
 * Needs    nothing. Lift: orphan.
 * Cost     O(log n) a hook; 44 bytes a slot.
 * Source   classic. SGLang's, over leaves, is radix-filo. */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct filo {
    struct ranking ranking;
    int64_t clock;
};

static void *filo_create(const struct evict_context *context) {
    struct filo *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->ranking, context, false);
    return state;
}
static void filo_destroy(void *self) {
    struct filo *state = self;
    ranking_destroy(&state->ranking);
    free(state);
}
static void filo_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct filo *state = self;
    ranking_set(&state->ranking, slot, (struct slot_key){-state->clock++, 0});
}
static void filo_touch(void *self, uint32_t slot, int64_t now) {
    (void)self, (void)slot, (void)now;
}

static const struct evict_policy filo = {.policy = {.abi = POLICY_ABI,
                                                    .name = "filo",
                                                    .rule = "the block that came last goes first",
                                                    .source = "classic",
                                                    .needs = NEED_NOTHING},
                                         .lifts = LIFT_ORPHAN,
                                         .create = filo_create,
                                         .destroy = filo_destroy,
                                         .insert = filo_insert,
                                         .touch = filo_touch,
                                         .hold = ranked_hold,
                                         .release = ranked_release,
                                         .victim = ranked_victim,
                                         .remove = ranked_remove};
POLICY_REGISTER(evict, filo)
