/* MRU: the block that was asked for last goes first. Best where a loop is longer than the cache.
 *
 * Rule     a heap by last use, the latest first.
 * Needs    nothing. Lift: orphan.
 * Cost     O(log n) a hook; 44 bytes a slot.
 * Source   classic; LMCache storage_backend/cache_policy has it. SGLang's, over leaves, is radix-mru. */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct mru {
    struct ranking ranking;
    int64_t clock;
};

static void *mru_create(const struct evict_context *context) {
    struct mru *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->ranking, context, false);
    return state;
}
static void mru_destroy(void *self) {
    struct mru *state = self;
    ranking_destroy(&state->ranking);
    free(state);
}
static void mru_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct mru *state = self;
    ranking_set(&state->ranking, slot, (struct slot_key){-state->clock++, 0});
}

static const struct evict_policy mru = {.policy = {.abi = POLICY_ABI,
                                                   .name = "mru",
                                                   .rule = "the most recently used block goes first",
                                                   .source = "classic; LMCache storage_backend/cache_policy",
                                                   .needs = NEED_NOTHING},
                                        .lifts = LIFT_ORPHAN,
                                        .create = mru_create,
                                        .destroy = mru_destroy,
                                        .insert = mru_touch,
                                        .touch = mru_touch,
                                        .hold = ranked_hold,
                                        .release = ranked_release,
                                        .victim = ranked_victim,
                                        .remove = ranked_remove};
POLICY_REGISTER(evict, mru)
