/* LeCaR: LRU and LFU each have a vote whose weight shrinks when it evicted what was then missed.
 *
 * Rule     a draw by weight says whether the victim is LRU's or LFU's; the id is remembered in that expert's ghost list
 *          (not when both named the same block). A miss on a remembered id, t accesses after its eviction, multiplies
 *          the other expert's weight by e^(rate * d^t), d = 0.005^(1/capacity); weights are then scaled to a sum of 1.
 * Needs    random. Lift: orphan.
 * Cost     O(log n) a hook, O(log t) a miss that is remembered; 53 bytes a slot, about 217 with what it remembers.
 * Source   Vietri et al., Driving cache replacement with ML-based LeCaR, HotStorage'18: learning rate 0.45.
 * Differs  a block that comes back begins with one use, as in the paper's text (its code keeps the count). */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/pool.h"
#include "policies/evict/rank.h"
#include "policies/evict/segments.h"

struct lecar_options {
    double learning_rate;
};
static const struct option lecar_table[] = {{.name = "learning_rate",
                                             .kind = OPTION_REAL,
                                             .offset = offsetof(struct lecar_options, learning_rate),
                                             .fallback = "0.45",
                                             .min = 0,
                                             .max = 10,
                                             .help = "how fast a wrong expert loses weight"},
                                            OPTION_END};
enum { LRU, LFU, EXPERTS, POWERS = 48 };

struct lecar {
    struct ranking lfu; /* keys: uses, order of last use */
    struct slot_segments lru;
    struct slot_pool draws; /* its random numbers only */
    struct ghosts evicted[EXPERTS];
    double weight[EXPERTS], rate;
    double discount[POWERS]; /* d^(2^i) */
    int64_t clock;
    uint32_t chosen; /* expert whose victim is going; EXPERTS: both named it */
};

static void *lecar_create(const struct evict_context *context) {
    struct lecar *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->lfu, context, false);
    segments_create(&state->lru, context->slots);
    state->draws.random = context->seed;
    for (int i = 0; i < EXPERTS; i++) {
        ghosts_create(&state->evicted[i], context->capacity);
        state->weight[i] = 0.5;
    }
    state->rate = context->options ? ((const struct lecar_options *)context->options)->learning_rate : 0.45;
    state->discount[0] = pow(0.005, 1.0 / context->capacity);
    for (int i = 1; i < POWERS; i++)
        state->discount[i] = state->discount[i - 1] * state->discount[i - 1];
    return state;
}
static void lecar_destroy(void *self) {
    struct lecar *state = self;
    ranking_destroy(&state->lfu);
    segments_destroy(&state->lru);
    for (int i = 0; i < EXPERTS; i++)
        ghosts_destroy(&state->evicted[i]);
    free(state);
}
/* e^x for 0 <= x <= 10, by halving to below 1/8 and eight terms: no libm, so the same bits everywhere. */
static double exponential(double x) {
    int halvings = 0;
    for (; x > 0.125; halvings++)
        x /= 2;
    double sum = 1, term = 1;
    for (int i = 1; i <= 8; i++)
        sum += term = term * x / i;
    for (; halvings > 0; halvings--)
        sum *= sum;
    return sum;
}
static void lecar_miss(void *self, uint64_t id, int64_t now) {
    (void)now;
    struct lecar *state = self;
    for (uint32_t wrong = 0; wrong < EXPERTS; wrong++) {
        int64_t at;
        if (!ghosts_take(&state->evicted[wrong], id, &at))
            continue;
        double regret = 1;
        uint64_t ago = (uint64_t)(state->clock - at);
        for (int i = 0; i < POWERS; i++)
            if (ago >> i & 1)
                regret *= state->discount[i];
        state->weight[EXPERTS - 1 - wrong] *= exponential(state->rate * regret);
        double sum = state->weight[LRU] + state->weight[LFU];
        state->weight[LRU] /= sum;
        state->weight[LFU] /= sum;
    }
}
static void lecar_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lecar *state = self;
    segments_push_back(&state->lru, slot, 0);
    ranking_insert(&state->lfu, slot, (struct slot_key){1, state->clock++});
}
static void lecar_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lecar *state = self;
    segments_push_back(&state->lru, slot, 0);
    ranking_set(&state->lfu, slot, (struct slot_key){ranking_key(&state->lfu, slot).first + 1, state->clock++});
}
static void lecar_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lecar *state = self;
    segments_return(&state->lru, slot);
    ranking_consider(&state->lfu, slot);
}
static uint32_t lecar_victim(void *self, int64_t now) {
    (void)now;
    struct lecar *state = self;
    uint32_t by_lru = segments_first(&state->lru, 0, state->lfu.blocks), by_lfu = slot_heap_first(&state->lfu.heap);
    double draw = (double)(pool_random(&state->draws) >> 11) * 0x1p-53;
    bool lru = draw < state->weight[LRU];
    state->chosen = by_lru == by_lfu ? EXPERTS : lru ? LRU : LFU;
    return lru ? by_lru : by_lfu;
}
static void lecar_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct lecar *state = self;
    if (evicted && state->chosen < EXPERTS)
        ghosts_put(&state->evicted[state->chosen], state->lfu.blocks[slot].id, state->clock);
    segments_drop(&state->lru, slot);
    ranking_remove(&state->lfu, slot);
}

static const struct evict_policy lecar = {
    .policy = {.abi = POLICY_ABI,
               .name = "lecar",
               .rule = "LRU or LFU by a draw, weighted by how often each was wrong",
               .source = "Vietri et al., HotStorage'18",
               .needs = NEED_RANDOM,
               .options = lecar_table,
               .options_size = sizeof(struct lecar_options)},
    .lifts = LIFT_ORPHAN,
    .create = lecar_create,
    .destroy = lecar_destroy,
    .insert = lecar_insert,
    .touch = lecar_touch,
    .hold = ranked_hold,
    .release = lecar_release,
    .victim = lecar_victim,
    .remove = lecar_remove,
    .miss = lecar_miss};
POLICY_REGISTER(evict, lecar)
