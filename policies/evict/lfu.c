/* LFU: the block with the fewest uses since it came goes first; of those, the one that has had so few for longest.
 *
 * Rule     a heap by (uses, when it had its last use). A block's count is forgotten when it is evicted.
 * Needs    nothing. Lift: orphan.
 * Cost     O(log n) a hook; 44 bytes a slot.
 * Source   classic; the tie by age is that of libCacheSim. */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct lfu {
    struct ranking ranking; /* keys: uses, order of last use */
    int64_t clock;
};

static void *lfu_create(const struct evict_context *context) {
    struct lfu *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->ranking, context, false);
    return state;
}
static void lfu_destroy(void *self) {
    struct lfu *state = self;
    ranking_destroy(&state->ranking);
    free(state);
}
static void lfu_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lfu *state = self;
    ranking_insert(&state->ranking, slot, (struct slot_key){1, state->clock++});
}
static void lfu_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lfu *state = self;
    int64_t uses = ranking_key(&state->ranking, slot).first;
    ranking_set(&state->ranking, slot, (struct slot_key){uses + 1, state->clock++});
}

static const struct evict_policy lfu = {.policy = {.abi = POLICY_ABI,
                                                   .name = "lfu",
                                                   .rule = "the block with the fewest uses since it came goes first",
                                                   .source = "classic",
                                                   .needs = NEED_NOTHING},
                                        .lifts = LIFT_ORPHAN,
                                        .create = lfu_create,
                                        .destroy = lfu_destroy,
                                        .insert = lfu_insert,
                                        .touch = lfu_touch,
                                        .hold = ranked_hold,
                                        .release = ranked_release,
                                        .ahead = ranked_ahead,
                                        .victim = ranked_victim,
                                        .remove = ranked_remove};
POLICY_REGISTER(evict, lfu)
