/* Marconi: recency, and how much computing a byte of a block saves, weighed against each other.
 *
 * Rule     of a sample of unheld leaves, the victim has the least alpha * norm(FLOPs saved / bytes) + norm(1 / idle
 *          time); norm scales to 0..1 over the sample. A block far into its prefix saves more, since it attends to
 *          all before it.
 * Needs    cost, length, the tree, time, random. Lift: leaf.
 * Cost     O(1) a hook but victim, which looks at 64 blocks; 16 bytes a slot.
 * Source   Pan et al., Marconi, arXiv 2411.19379.
 * Differs  nodes there are runs of tokens, of which those with at most one child may go; a run of blocks is as many
 *          blocks here, so its end goes first: leaves. Samples instead of all nodes. alpha is an option, 0 by default
 *          (recency alone), where the paper's tuning by replay begins; on the agentic sessions any alpha above 0 misses
 *          more than LRU: one block just used takes all of recency's scale. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/pool.h"

struct marconi_options {
    double alpha;
};
static const struct option marconi_table[] = {{.name = "alpha",
                                               .kind = OPTION_REAL,
                                               .offset = offsetof(struct marconi_options, alpha),
                                               .fallback = "0",
                                               .min = 0,
                                               .max = 1000,
                                               .help = "weight of the computing saved against recency"},
                                              OPTION_END};
enum { SAMPLE = 64 };
struct marconi {
    struct slot_pool pool;
    const struct evict_costs *costs;
    int64_t *last; /* by slot */
    double alpha;
};

static void *marconi_create(const struct evict_context *context) {
    struct marconi *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, true);
    state->costs = context->costs;
    state->last = lazy_alloc(context->slots, sizeof *state->last);
    state->alpha = context->options ? ((const struct marconi_options *)context->options)->alpha : 0;
    return state;
}
static void marconi_destroy(void *self) {
    struct marconi *state = self;
    lazy_free(state->last, state->pool.room, sizeof *state->last);
    pool_destroy(&state->pool);
    free(state);
}
static void marconi_insert(void *self, uint32_t slot, int64_t now) {
    struct marconi *state = self;
    state->last[slot] = now;
    pool_insert(&state->pool, slot);
}
static void marconi_touch(void *self, uint32_t slot, int64_t now) {
    struct marconi *state = self;
    state->last[slot] = now;
}
/* Seconds of computing for a token of it: bytes are in proportion to tokens. Without costs, all blocks are alike. */
static double saves(const struct marconi *state, uint32_t slot) {
    const struct block_facts *facts = &state->pool.facts[slot];
    if (!state->costs || facts->tokens == 0)
        return 0;
    uint64_t from = (uint64_t)facts->depth * facts->tokens;
    return state->costs->compute_s(state->costs->world, from, facts->tokens) / facts->tokens;
}
static double scaled(double value, double least, double most) {
    return most > least ? (value - least) / (most - least) : 0;
}
static uint32_t marconi_victim(void *self, int64_t now) {
    struct marconi *state = self;
    uint32_t drawn[SAMPLE], count = state->pool.count < SAMPLE ? state->pool.count : SAMPLE;
    double saved[SAMPLE], recent[SAMPLE], least[2] = {0}, most[2] = {0};
    for (uint32_t i = 0; i < count; i++) {
        drawn[i] = count < SAMPLE ? state->pool.slots[i] : pool_draw(&state->pool);
        saved[i] = saves(state, drawn[i]);
        recent[i] = 1 / (double)(now - state->last[drawn[i]] + 1);
        least[0] = i == 0 || saved[i] < least[0] ? saved[i] : least[0];
        most[0] = i == 0 || saved[i] > most[0] ? saved[i] : most[0];
        least[1] = i == 0 || recent[i] < least[1] ? recent[i] : least[1];
        most[1] = i == 0 || recent[i] > most[1] ? recent[i] : most[1];
    }
    uint32_t best = EVICT_NONE;
    double lowest = 0;
    for (uint32_t i = 0; i < count; i++) {
        double utility = state->alpha * scaled(saved[i], least[0], most[0]) + scaled(recent[i], least[1], most[1]);
        if (best == EVICT_NONE || utility < lowest) {
            best = drawn[i];
            lowest = utility;
        }
    }
    return best;
}
static void marconi_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)evicted, (void)now;
    pool_remove(self, slot);
}

static const struct evict_policy marconi = {
    .policy = {.abi = POLICY_ABI,
               .name = "marconi",
               .rule = "of a sample of leaves, the least recency and computing saved a byte goes first",
               .source = "Pan et al., arXiv 2411.19379",
               .needs = NEED_COST | NEED_LENGTH | NEED_TREE | NEED_TIME | NEED_RANDOM,
               .options = marconi_table,
               .options_size = sizeof(struct marconi_options)},
    .lifts = LIFT_LEAF,
    .create = marconi_create,
    .destroy = marconi_destroy,
    .insert = marconi_insert,
    .touch = marconi_touch,
    .hold = pooled_hold,
    .release = pooled_release,
    .victim = marconi_victim,
    .remove = marconi_remove};
POLICY_REGISTER(evict, marconi)
