/* LFUDA: LFU whose counts age, so that what was popular long ago can go.
 *
 * Rule     a heap by (key, last use). A block enters with key age + 1, and each use adds the age at that time; age is
 *          the key of the last victim.
 * Needs    nothing. Lift: orphan.
 * Cost     O(log n) a hook; 44 bytes a slot.
 * Source   Arlitt et al., Evaluating content management techniques for Web proxy caches, 1999.
 * Differs  the paper's key is age + uses, age being added once: that is what gdsf does with blocks of one size. Misses
 * on the conversation trace at 4000 and 64000 blocks: this rule (libCacheSim's) 261797 and 184971, the paper's 261567
 * and 185057. */
#include <stdlib.h>

#include "policies/evict/rank.h"

struct lfuda {
    struct ranking ranking; /* keys: key, order of last use */
    int64_t age, clock;
};

static void *lfuda_create(const struct evict_context *context) {
    struct lfuda *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->ranking, context, false);
    return state;
}
static void lfuda_destroy(void *self) {
    struct lfuda *state = self;
    ranking_destroy(&state->ranking);
    free(state);
}
/* Since uses add the age and the age follows the keys, keys can double with each use: they stop here, and what has
 * reached it is told apart by last use alone. */
static const int64_t key_most = INT64_MAX / 2;
static int64_t aged(int64_t key, int64_t by) {
    return key < key_most - by ? key + by : key_most;
}
static void lfuda_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lfuda *state = self;
    ranking_insert(&state->ranking, slot, (struct slot_key){aged(state->age, 1), state->clock++});
}
static void lfuda_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lfuda *state = self;
    int64_t key = ranking_key(&state->ranking, slot).first;
    ranking_set(&state->ranking, slot, (struct slot_key){aged(key, state->age), state->clock++});
}
static void lfuda_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct lfuda *state = self;
    int64_t key = ranking_key(&state->ranking, slot).first;
    if (evicted && key > state->age)
        state->age = key;
    ranking_remove(&state->ranking, slot);
}

static const struct evict_policy lfuda = {
    .policy = {.abi = POLICY_ABI,
               .name = "lfuda",
               .rule = "the fewest uses, each counted with the age of the cache at its time, goes first",
               .source = "Arlitt et al. 1999",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = lfuda_create,
    .destroy = lfuda_destroy,
    .insert = lfuda_insert,
    .touch = lfuda_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .ahead = ranked_ahead,
    .victim = ranked_victim,
    .remove = lfuda_remove};
POLICY_REGISTER(evict, lfuda)
