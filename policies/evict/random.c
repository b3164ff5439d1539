/* Random: any block that nobody holds.
 *
 * Rule     a draw among all blocks that may go, each as likely.
 * Needs    random. Lift: orphan.
 * Cost     O(1) a hook; 8 bytes a slot.
 * Source   classic; the yardstick that a policy has to beat. */
#include <stdlib.h>

#include "policies/evict/pool.h"

struct random_state {
    struct slot_pool pool;
};

static void *random_create(const struct evict_context *context) {
    struct random_state *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, false);
    return state;
}
static void random_destroy(void *self) {
    struct random_state *state = self;
    pool_destroy(&state->pool);
    free(state);
}
static void random_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    pool_insert(self, slot);
}
static void random_touch(void *self, uint32_t slot, int64_t now) {
    (void)self, (void)slot, (void)now;
}
static uint32_t random_victim(void *self, int64_t now) {
    (void)now;
    return pool_draw(self);
}
static void random_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    pool_remove(self, slot);
}

static const struct evict_policy random_policy = {.policy = {.abi = POLICY_ABI,
                                                             .name = "random",
                                                             .rule = "any block that nobody holds, each as likely",
                                                             .source = "classic",
                                                             .needs = NEED_RANDOM},
                                                  .lifts = LIFT_ORPHAN,
                                                  .create = random_create,
                                                  .destroy = random_destroy,
                                                  .insert = random_insert,
                                                  .touch = random_touch,
                                                  .hold = pooled_hold,
                                                  .release = pooled_release,
                                                  .victim = random_victim,
                                                  .remove = random_remove};
POLICY_REGISTER(evict, random_policy)
