/* Cost per idle time: what is cheap to compute again and has been idle for long goes first; so leading blocks first.
 *
 * Rule     of a sample, the victim has the least (seconds to compute it again after the blocks before it) / (idle
 *          time).
 * Needs    cost, length, time, random. Lift: orphan.
 * Cost     O(1) a hook but victim, which looks at 64 blocks; 16 bytes a slot.
 * Source   after Yu et al., Pensieve, EuroSys'25, from memory; it does not bear the name, since the paper's claim
 *          rests on computing dropped leading tokens alone, and under prefix semantics a hit ends at the first gap.
 * Differs  a sample of 64 instead of all. */
#include <stdlib.h>

#include "policies/evict/pool.h"

enum { SAMPLE = 64 };
struct cost_per_idle {
    struct slot_pool pool;
    const struct block_facts *facts;
    const struct evict_costs *costs;
    int64_t *last; /* by slot */
};

static void *cost_per_idle_create(const struct evict_context *context) {
    struct cost_per_idle *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, false);
    state->facts = context->facts;
    state->costs = context->costs;
    state->last = lazy_alloc(context->slots, sizeof *state->last);
    return state;
}
static void cost_per_idle_destroy(void *self) {
    struct cost_per_idle *state = self;
    lazy_free(state->last, state->pool.room, sizeof *state->last);
    pool_destroy(&state->pool);
    free(state);
}
static void cost_per_idle_insert(void *self, uint32_t slot, int64_t now) {
    struct cost_per_idle *state = self;
    state->last[slot] = now;
    pool_insert(&state->pool, slot);
}
static void cost_per_idle_touch(void *self, uint32_t slot, int64_t now) {
    struct cost_per_idle *state = self;
    state->last[slot] = now;
}
static double cost_of(const struct cost_per_idle *state, uint32_t slot) {
    const struct block_facts *facts = &state->facts[slot];
    if (!state->costs) /* as attention has it: in proportion to what is before it */
        return 1.0 + facts->depth;
    return state->costs->compute_s(state->costs->world, (uint64_t)facts->depth * facts->tokens, facts->tokens);
}
static uint32_t cost_per_idle_victim(void *self, int64_t now) {
    struct cost_per_idle *state = self;
    uint32_t best = EVICT_NONE;
    double least = 0;
    for (uint32_t i = 0; i < SAMPLE && state->pool.count > 0; i++) {
        uint32_t slot = pool_draw(&state->pool);
        double value = cost_of(state, slot) / (double)(now - state->last[slot] + 1);
        if (best == EVICT_NONE || value < least) {
            best = slot;
            least = value;
        }
    }
    return best;
}
static void cost_per_idle_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    pool_remove(self, slot);
}

static const struct evict_policy cost_per_idle = {
    .policy = {.abi = POLICY_ABI,
               .name = "cost-per-idle",
               .rule = "of a sample, the least seconds to compute again for its idle time goes first",
               .source = "after Pensieve, EuroSys'25",
               .needs = NEED_COST | NEED_LENGTH | NEED_TIME | NEED_RANDOM},
    .lifts = LIFT_ORPHAN,
    .create = cost_per_idle_create,
    .destroy = cost_per_idle_destroy,
    .insert = cost_per_idle_insert,
    .touch = cost_per_idle_touch,
    .hold = pooled_hold,
    .release = pooled_release,
    .victim = cost_per_idle_victim,
    .remove = cost_per_idle_remove};
POLICY_REGISTER(evict, cost_per_idle)
