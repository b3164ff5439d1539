/* LHD: the block with the least hit density goes first, of a sample: expected hits per unit of time and size.
 *
 * Rule     ages are counted in accesses since the last use, in steps of a power of two. For each class of blocks
 *          and each age, hits and evictions are counted; from them follow, at every age, the chance of a hit and
 *          the expected time until hit or eviction, whose ratio, over size, is the density. A block's class is the
 *          logarithm of its last two ages at a hit. The victim has the least density of 32 drawn.
 * Needs    random, length. Lift: orphan.
 * Cost     O(1) a hook but victim, which looks at 32 blocks; every 32,768 accesses 16 x 1024 densities anew; 24
 *          bytes a slot.
 * Source   Beckmann, Chen, Cidon, LHD: improving cache hit rate by maximizing hit density, NSDI'18.
 * Differs  densities are learnt every 32,768 accesses instead of every 2^20, since traces of blocks are short; no
 *          list of recently admitted blocks; no division by application. */
#include <stdlib.h>
#include <string.h>

#include "policies/evict/pool.h"

enum { CLASSES = 16, AGES = 1024, LEARN_EVERY = 1 << 15, SAMPLE = 32 };

struct life {
    int64_t last;        /* access number of the last use */
    uint32_t age_at_hit; /* steps of the last hit's age, + 1; 0: no hit yet */
    uint32_t class;
};
struct lhd {
    struct slot_pool pool;
    const struct block_facts *sizes; /* NULL: a block is a slot, all of one size */
    struct life *lives;              /* by slot */
    double hits[CLASSES][AGES], evictions[CLASSES][AGES], density[CLASSES][AGES];
    uint64_t too_old, events; /* evictions at the highest age, and all of this period */
    int64_t clock, learnt;
    unsigned coarse; /* an age step is 2^coarse accesses */
};

static void *lhd_create(const struct evict_context *context) {
    struct lhd *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, false);
    state->sizes = context->capacity_bytes ? context->facts : NULL;
    state->lives = lazy_alloc(context->slots, sizeof *state->lives);
    /* Ages up to eight times the capacity at first. */
    while ((uint64_t)AGES << state->coarse < 8 * (uint64_t)context->capacity && state->coarse < 40)
        state->coarse++;
    /* Until something is learnt: the more recent and the more often used the denser. */
    for (int c = 0; c < CLASSES; c++)
        for (int age = 0; age < AGES; age++)
            state->density[c][age] = (c + 1.0) / (age + 1.0);
    return state;
}
static void lhd_destroy(void *self) {
    struct lhd *state = self;
    lazy_free(state->lives, state->pool.room, sizeof *state->lives);
    pool_destroy(&state->pool);
    free(state);
}
/* Blocks without a hit are class 0; then the shorter the last two intervals, the higher. */
static uint32_t class_of(uint32_t steps) {
    uint32_t class = CLASSES - 1;
    for (; steps > 0 && class > 1; steps >>= 1)
        class --;
    return class;
}
static uint32_t age_of(const struct lhd *state, uint32_t slot) {
    int64_t age = (state->clock - state->lives[slot].last) >> state->coarse;
    return age < AGES ? (uint32_t)age : AGES - 1;
}
/* Densities from the counts, from the highest age down; counts then fade by a tenth. */
static void learn(struct lhd *state) {
    for (int c = 0; c < CLASSES; c++) {
        double hits = 0, events = 0, lifetime = 0;
        for (int age = AGES; age-- > 0;) {
            hits += state->hits[c][age];
            events += state->hits[c][age] + state->evictions[c][age];
            lifetime += events;
            state->density[c][age] = events > 1e-5 ? hits / lifetime : 0;
            state->hits[c][age] *= 0.9;
            state->evictions[c][age] *= 0.9;
        }
    }
    if (state->events > 0 && state->too_old * 100 > state->events && state->coarse < 40) {
        state->coarse++; /* more than 1 % lives longer than is told apart */
        memset(state->hits, 0, sizeof state->hits);
        memset(state->evictions, 0, sizeof state->evictions);
    }
    state->too_old = state->events = 0;
    state->learnt = state->clock;
}
static void count(struct lhd *state, uint32_t slot, bool hit) {
    uint32_t age = age_of(state, slot);
    (hit ? state->hits : state->evictions)[state->lives[slot].class][age]++;
    state->events++;
    state->too_old += age == AGES - 1;
}
static void lhd_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lhd *state = self;
    state->lives[slot] = (struct life){.last = ++state->clock};
    pool_insert(&state->pool, slot);
}
static void lhd_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lhd *state = self;
    struct life *life = &state->lives[slot];
    count(state, slot, true);
    uint64_t steps = (uint64_t)(++state->clock - life->last) >> state->coarse;
    uint32_t age = steps < UINT32_MAX / 4 ? (uint32_t)steps : UINT32_MAX / 4;
    life->class = class_of(age + (life->age_at_hit ? life->age_at_hit - 1 : age));
    life->age_at_hit = age + 1;
    life->last = state->clock;
    if (state->clock - state->learnt >= LEARN_EVERY)
        learn(state);
}
static uint32_t lhd_victim(void *self, int64_t now) {
    (void)now;
    struct lhd *state = self;
    uint32_t drawn[SAMPLE], best = EVICT_NONE;
    double least = 0;
    for (int i = 0; i < SAMPLE && state->pool.count > 0; i++) {
        drawn[i] = pool_draw(&state->pool);
        __builtin_prefetch(&state->lives[drawn[i]]);
    }
    for (int i = 0; i < SAMPLE && state->pool.count > 0; i++) {
        uint32_t slot = drawn[i], size = state->sizes ? state->sizes[slot].tokens : 1;
        double density = state->density[state->lives[slot].class][age_of(state, slot)] / (size ? size : 1);
        if (best == EVICT_NONE || density < least) {
            best = slot;
            least = density;
        }
    }
    return best;
}
static void lhd_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct lhd *state = self;
    if (evicted)
        count(state, slot, false);
    pool_remove(&state->pool, slot);
    if (state->clock - state->learnt >= LEARN_EVERY)
        learn(state);
}

static const struct evict_policy lhd = {
    .policy = {.abi = POLICY_ABI,
               .name = "lhd",
               .rule = "of a sample, the block with the fewest expected hits per unit of time and size goes first",
               .source = "Beckmann et al., NSDI'18",
               .needs = NEED_RANDOM | NEED_LENGTH},
    .lifts = LIFT_ORPHAN,
    .create = lhd_create,
    .destroy = lhd_destroy,
    .insert = lhd_insert,
    .touch = lhd_touch,
    .hold = pooled_hold,
    .release = pooled_release,
    .victim = lhd_victim,
    .remove = lhd_remove};
POLICY_REGISTER(evict, lhd)
