/* Reuse curve: by kind of request, what will least likely be asked for again soon goes first.
 *
 * Rule     a block's kind is what the trace says of it (category) and in which turn of its session it was asked
 *          for last (1, 2 to 3, 4 to 15, later). Of each kind it is learnt what share of the uses is followed by
 *          another, and after what time on average, taken as exponential. Of a sample of leaves, the victim has the
 *          least chance of a use within the next lifespan (the mean time from a last use to an eviction), given its
 *          age; ties: the deeper, then the older. Uses that come after an eviction count while the id is remembered.
 * Needs    category, sessions, the tree (depth), time, random. Lift: leaf.
 * Cost     O(1) a hook but victim, which looks at 64 blocks; 17 bytes a slot, about 130 with what it remembers, and
 *          32 to 64 a session.
 * Source   after KVCache in the wild, arXiv 2506.02634, from memory; it does not bear the name: the paper's
 *          categories are kinds of requests (chat, API, files), which no trace at hand names.
 * Differs  turns stand for them; curves are learnt on the way, and forget: sums are halved every 2^18 uses. A sample
 *          of 64 instead of all. */
#include <math.h>
#include <stdlib.h>

#include "policies/evict/ghosts.h"
#include "policies/evict/pool.h"
#include "sim/base/int_map.h"

enum { TURNS = 4, KINDS = 8, SAMPLE = 64, EXP_STEPS = 2048, EXP_UP_TO = 16, FORGET = 1 << 18, SMOOTH = 64 };

struct curve {
    double uses, reuses, time_s; /* time_s: of the reuses, since the use before */
};
struct reuse_curve {
    struct slot_pool pool;
    const struct block_facts *facts;
    struct ghosts evicted; /* with when each was used last, and its kind */
    struct int_map *turn_of;
    struct curve curves[KINDS];
    int64_t *last; /* by slot */
    uint8_t *kind;
    double lifespan_s;
    uint64_t counted;
    double falls[EXP_STEPS + 2]; /* e^-x, x in steps of EXP_UP_TO / EXP_STEPS */
};

static void *reuse_curve_create(const struct evict_context *context) {
    struct reuse_curve *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    pool_create(&state->pool, context, true);
    state->facts = context->facts;
    ghosts_create(&state->evicted, context->capacity);
    state->turn_of = int_map_create();
    state->last = lazy_alloc(context->slots, sizeof *state->last);
    state->kind = lazy_alloc(context->slots, sizeof *state->kind);
    for (int i = 0; i < EXP_STEPS + 2; i++)
        state->falls[i] = exp(-(double)i * EXP_UP_TO / EXP_STEPS);
    return state;
}
static void reuse_curve_destroy(void *self) {
    struct reuse_curve *state = self;
    lazy_free(state->last, state->pool.room, sizeof *state->last);
    lazy_free(state->kind, state->pool.room, sizeof *state->kind);
    int_map_destroy(state->turn_of);
    ghosts_destroy(&state->evicted);
    pool_destroy(&state->pool);
    free(state);
}

/* e^-x, x >= 0. */
static double fall(const struct reuse_curve *state, double x) {
    double at = x * EXP_STEPS / EXP_UP_TO;
    if (at >= EXP_STEPS)
        return 0;
    int below = (int)at;
    return state->falls[below] + (at - below) * (state->falls[below + 1] - state->falls[below]);
}

static uint8_t kind_of(const struct reuse_curve *state, uint32_t slot) {
    uint32_t turn = int_map_get(state->turn_of, state->facts[slot].owner);
    uint32_t band = turn == INT_MAP_NONE || turn < 2 ? 0 : turn < 4 ? 1 : turn < 16 ? 2 : 3;
    return (uint8_t)(band + (state->pool.blocks[slot].category % 2) * TURNS);
}

static void reused(struct reuse_curve *state, uint8_t kind, int64_t after_ns) {
    state->curves[kind].reuses++;
    state->curves[kind].time_s += 1e-9 * (double)after_ns;
}

/* The block is used: what was learnt of uses of its kind, and what it is from now on. */
static void use(struct reuse_curve *state, uint32_t slot, int64_t now) {
    state->kind[slot] = kind_of(state, slot);
    state->last[slot] = now;
    state->curves[state->kind[slot]].uses++;
    if (++state->counted % FORGET != 0)
        return;
    for (int k = 0; k < KINDS; k++) {
        state->curves[k].uses /= 2;
        state->curves[k].reuses /= 2;
        state->curves[k].time_s /= 2;
    }
}
static void reuse_curve_insert(void *self, uint32_t slot, int64_t now) {
    struct reuse_curve *state = self;
    use(state, slot, now);
    pool_insert(&state->pool, slot);
}
static void reuse_curve_touch(void *self, uint32_t slot, int64_t now) {
    struct reuse_curve *state = self;
    reused(state, state->kind[slot], now - state->last[slot]);
    use(state, slot, now);
}
static void reuse_curve_miss(void *self, uint64_t id, int64_t now) {
    struct reuse_curve *state = self;
    int64_t note;
    if (ghosts_take(&state->evicted, id, &note))
        reused(state, (uint8_t)(note & (KINDS - 1)), now - (note & ~(int64_t)(KINDS - 1)));
}

/* Chance of a use within the next lifespan. */
static double chance(const struct reuse_curve *state, uint32_t slot, int64_t now) {
    const struct curve *curve = &state->curves[state->kind[slot]];
    double again = (curve->reuses + 1) / (curve->uses + 2);
    again = again < 1 ? again : 1;
    if (curve->time_s <= 0)
        return again;
    double rate = curve->reuses / curve->time_s, age_s = 1e-9 * (double)(now - state->last[slot]);
    double not_yet = again * fall(state, rate * age_s);
    return not_yet * (1 - fall(state, rate * state->lifespan_s)) / (1 - again + not_yet + 1e-300);
}
/* Held blocks stay in the pool: that one is held and let go does not change what is drawn. */
static uint32_t reuse_curve_victim(void *self, int64_t now) {
    struct reuse_curve *state = self;
    bool draws = state->pool.count > SAMPLE;
    uint32_t best = EVICT_NONE;
    double least = 0;
    for (uint32_t i = 0; i < (draws ? SAMPLE : state->pool.count); i++) {
        uint32_t slot = draws ? pool_draw(&state->pool) : state->pool.slots[i];
        if (state->pool.blocks[slot].refs > 0 || state->pool.blocks[slot].in_flight)
            continue;
        double value = chance(state, slot, now);
        bool goes = best == EVICT_NONE || value < least;
        if (!goes && value == least)
            goes = state->facts[slot].depth > state->facts[best].depth ||
                   (state->facts[slot].depth == state->facts[best].depth && state->last[slot] < state->last[best]);
        if (goes) {
            best = slot;
            least = value;
        }
    }
    for (uint32_t i = 0; i < state->pool.count && best == EVICT_NONE; i++) /* all that were drawn are held */
        if (state->pool.blocks[state->pool.slots[i]].refs == 0 && !state->pool.blocks[state->pool.slots[i]].in_flight)
            best = state->pool.slots[i];
    return best;
}
static void reuse_curve_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    struct reuse_curve *state = self;
    if (evicted) { /* when, to KINDS nanoseconds, with the kind in the low bits */
        ghosts_put(&state->evicted, state->pool.blocks[slot].id,
                   (state->last[slot] & ~(int64_t)(KINDS - 1)) | state->kind[slot]);
        state->lifespan_s += (1e-9 * (double)(now - state->last[slot]) - state->lifespan_s) / SMOOTH;
    }
    pool_remove(&state->pool, slot);
}
static void reuse_curve_note(void *self, const struct session_note *note, int64_t now) {
    (void)now;
    struct reuse_curve *state = self;
    if (note->event != SESSION_STARTED)
        return;
    uint32_t turn = int_map_get(state->turn_of, note->session);
    int_map_put(state->turn_of, note->session, turn == INT_MAP_NONE ? 1 : turn + 1);
}

static const struct evict_policy reuse_curve = {
    .policy = {.abi = POLICY_ABI,
               .name = "reuse-curve",
               .rule = "of a sample of leaves, the least chance of a use soon, by kind and age, goes first",
               .source = "after arXiv 2506.02634",
               .needs = NEED_CATEGORY | NEED_SESSION | NEED_TREE | NEED_TIME | NEED_RANDOM},
    .lifts = LIFT_LEAF,
    .create = reuse_curve_create,
    .destroy = reuse_curve_destroy,
    .insert = reuse_curve_insert,
    .touch = reuse_curve_touch,
    .miss = reuse_curve_miss,
    .release = pooled_release,
    .victim = reuse_curve_victim,
    .remove = reuse_curve_remove,
    .note = reuse_curve_note};
POLICY_REGISTER(evict, reuse_curve)
