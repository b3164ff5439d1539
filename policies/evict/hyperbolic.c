/* Hyperbolic: the block with the fewest uses per unit of time in the cache goes first, of a sample.
 *
 * Rule     of `sample` blocks drawn at random, the victim has the lowest uses / (time since it came), in accesses.
 * Needs    random. Lift: orphan.
 * Cost     O(1) a hook but victim, which looks at 64 blocks; 24 bytes a slot.
 * Source   Blankstein, Sen, Freedman, Hyperbolic caching, ATC'17: 64 samples.
 * Differs  draws with replacement. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/pool.h"

struct hyperbolic_options {
    int64_t sample;
};
static const struct option hyperbolic_table[] = {{.name = "sample",
                                                  .kind = OPTION_INT,
                                                  .offset = offsetof(struct hyperbolic_options, sample),
                                                  .fallback = "64",
                                                  .min = 1,
                                                  .max = 65536,
                                                  .help = "blocks that are compared for a victim"},
                                                 OPTION_END};

struct stay {
    int64_t since;
    uint32_t uses;
};
struct hyperbolic {
    struct slot_pool pool;
    struct stay *stays; /* by slot */
    int64_t clock, sample;
};

static void *hyperbolic_create(const struct evict_context *context) {
    struct hyperbolic *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, false);
    state->stays = lazy_alloc(context->slots, sizeof *state->stays);
    state->sample = context->options ? ((const struct hyperbolic_options *)context->options)->sample : 64;
    return state;
}
static void hyperbolic_destroy(void *self) {
    struct hyperbolic *state = self;
    lazy_free(state->stays, state->pool.room, sizeof *state->stays);
    pool_destroy(&state->pool);
    free(state);
}
static void hyperbolic_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct hyperbolic *state = self;
    state->stays[slot] = (struct stay){state->clock++, 1};
    pool_insert(&state->pool, slot);
}
static void hyperbolic_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct hyperbolic *state = self;
    state->clock++;
    state->stays[slot].uses++;
}
static uint32_t hyperbolic_victim(void *self, int64_t now) {
    (void)now;
    struct hyperbolic *state = self;
    uint32_t best = EVICT_NONE;
    double least = 0;
    for (int64_t i = 0; i < state->sample && state->pool.count > 0; i++) {
        uint32_t slot = pool_draw(&state->pool);
        double rate = (double)state->stays[slot].uses / (double)(state->clock - state->stays[slot].since);
        if (best == EVICT_NONE || rate < least) {
            best = slot;
            least = rate;
        }
    }
    return best;
}
static void hyperbolic_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    pool_remove(self, slot);
}

static const struct evict_policy hyperbolic = {
    .policy = {.abi = POLICY_ABI,
               .name = "hyperbolic",
               .rule = "of a sample, the block with the fewest uses for its time in the cache goes first",
               .source = "Blankstein et al., ATC'17",
               .needs = NEED_RANDOM,
               .options = hyperbolic_table,
               .options_size = sizeof(struct hyperbolic_options)},
    .lifts = LIFT_ORPHAN,
    .create = hyperbolic_create,
    .destroy = hyperbolic_destroy,
    .insert = hyperbolic_insert,
    .touch = hyperbolic_touch,
    .hold = pooled_hold,
    .release = pooled_release,
    .victim = hyperbolic_victim,
    .remove = hyperbolic_remove};
POLICY_REGISTER(evict, hyperbolic)
