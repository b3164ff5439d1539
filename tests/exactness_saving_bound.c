/* Does the bound on saved prefill bound? On small random instances: the best that any eviction can do, found by trying
 * all sets of blocks (dynamic programming), is no more; neither is what any registered policy saves. And is it near? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/memory/saving_bound.h"
#include "tests/policies_world.h"

enum { UNIQUE_MAX = 9, SETS = 1 << UNIQUE_MAX, REQUESTS = 14, DEPTH = 4, INSTANCES = 150 };

/* Seconds that a hit on block d saves: later blocks attend to more. */
static const double block_s[DEPTH] = {1, 1.25, 1.5, 1.75};

static double compute_s(const void *world, uint64_t from, uint32_t tokens) {
    (void)world;
    double seconds = 0;
    for (uint64_t b = from; b < from + tokens; b++)
        seconds += block_s[b];
    return seconds;
}
static double fetch_s(const void *world, uint32_t blocks) {
    (void)world, (void)blocks;
    return HUGE_VAL;
}

/* Paths in a tree of blocks of one token each, until there are too many blocks. */
static struct replay_trace *some_trace(struct world *dice) {
    struct replay_trace *trace = replay_trace_create(1);
    for (int64_t r = 0; r < REQUESTS; r++) {
        uint64_t ids[DEPTH], id = draw(dice, 2) + 1;
        uint32_t count = 1 + draw(dice, DEPTH);
        for (uint32_t b = 0; b < count; b++) {
            ids[b] = id;
            id = id * 7 + draw(dice, 2);
        }
        if (trace->unique + count > UNIQUE_MAX)
            continue;
        struct replay_request request = {
            .at_ns = r * 1000, .blocks = count, .tokens = count, .session = (uint32_t)ids[0]};
        replay_trace_add(trace, &request, ids, NULL);
    }
    return trace;
}

/* The most that can be saved: after each request any `capacity` of the blocks that were there and its own are kept. */
static double optimum(const struct replay_trace *trace, uint32_t capacity) {
    double best[SETS], next[SETS], most = 0;
    for (uint32_t s = 0; s < SETS; s++)
        best[s] = s == 0 ? 0 : -1;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const uint32_t *ids = trace->ids + trace->requests[r].first, count = trace->requests[r].blocks;
        uint32_t own = 0;
        for (uint32_t b = 0; b < count; b++)
            own |= 1u << ids[b];
        for (uint32_t s = 0; s < SETS; s++)
            next[s] = -1;
        for (uint32_t s = 0; s < SETS; s++) {
            if (best[s] < 0)
                continue;
            double saved = best[s];
            for (uint32_t b = 0; b < count && s >> ids[b] & 1; b++)
                saved += block_s[b];
            for (uint32_t all = s | own, kept = all;; kept = (kept - 1) & all) {
                if ((uint32_t)__builtin_popcount(kept) <= capacity && saved > next[kept])
                    next[kept] = saved;
                if (kept == 0)
                    break;
            }
        }
        memcpy(best, next, sizeof best);
    }
    for (uint32_t s = 0; s < SETS; s++)
        most = best[s] > most ? best[s] : most;
    return most;
}

static void policies_below(const struct replay_trace *trace, uint32_t capacity, double bound_s, struct arena *arena) {
    struct evict_costs costs = {.compute_s = compute_s, .fetch_s = fetch_s, .block_bytes = 1};
    int64_t *next_use = replay_foresee(trace, true);
    const struct policy *found;
    double whole = 0;
    for (uint32_t r = 0; r < trace->request_count; r++)
        whole += compute_s(NULL, 0, trace->requests[r].tokens);
    for (size_t p = 0; (found = policy_at(POLICY_EVICT, p)); p++) {
        struct error err = {0};
        struct replay_setup setup = {.trace = trace,
                                     .policy = (const struct evict_policy *)found,
                                     .policy_options = default_options(found, arena),
                                     .next_use = next_use,
                                     .capacity_blocks = capacity,
                                     .prefix = true,
                                     .costs = &costs,
                                     .queue = 2,
                                     .seed = 1};
        if (tier_can_run(setup.policy, replay_gives(&setup), true, &err) != 0)
            continue;
        struct replay_result result;
        replay_run(&setup, &result);
        if (whole - result.computed_s > bound_s + 1e-9)
            fail_msg("%s saves %g s, more than the bound of %g s", found->name, whole - result.computed_s, bound_s);
    }
    free(next_use);
}

static void bounds(void **unused) {
    (void)unused;
    struct arena *arena = arena_create();
    struct world dice = {.random = 5};
    double optima = 0, sums = 0, endless = 0;
    for (int i = 0; i < INSTANCES; i++) {
        struct replay_trace *trace = some_trace(&dice);
        for (uint32_t capacity = 1; capacity <= 5; capacity++) {
            struct saving_setup setup = {.trace = trace, .block_s = block_s, .capacity_blocks = capacity};
            struct saving_bound found, hasty;
            saving_bound(&setup, &found);
            setup.rounds = 1;
            saving_bound(&setup, &hasty);
            double best = optimum(trace, capacity);
            if (best > found.seconds + 1e-9)
                fail_msg("instance %d at %u: %g s can be saved, and the bound is %g s", i, capacity, best,
                         found.seconds);
            assert_true(found.seconds <= hasty.seconds + 1e-9 && hasty.seconds <= found.endless_s);
            policies_below(trace, capacity, found.seconds, arena);
            optima += best;
            sums += found.seconds;
            endless += found.endless_s;
        }
        replay_trace_destroy(trace);
    }
    print_message("all instances: best %g s, bound %g s, endless room %g s\n", optima, sums, endless);
    assert_true(sums < 1.15 * optima); /* near, and nearer than endless room */
    assert_true(sums < 0.9 * endless);
    arena_destroy(arena);
}

/* Two texts in turn and room for one: only what fits between counts, whatever else there is. */
static void by_hand(void **unused) {
    (void)unused;
    struct replay_trace *trace = replay_trace_create(1);
    for (int64_t r = 0; r < 6; r++) {
        uint64_t id = (uint64_t)r % 2;
        replay_trace_add(trace, &(struct replay_request){.at_ns = r, .blocks = 1, .tokens = 1}, &id, NULL);
    }
    struct saving_setup setup = {.trace = trace, .block_s = block_s, .capacity_blocks = 1, .rounds = 2000};
    struct saving_bound found;
    saving_bound(&setup, &found); /* keep one of the two throughout: 2 hits */
    assert_true(found.seconds >= 2 && found.seconds < 2.05);
    assert_true(fabs(found.endless_s - 4) < 1e-12);
    setup.capacity_blocks = 2;
    saving_bound(&setup, &found);
    assert_true(fabs(found.seconds - 4) < 1e-9);
    setup.skip = 4; /* only the last two requests count */
    saving_bound(&setup, &found);
    assert_true(fabs(found.seconds - 2) < 1e-9);
    static const uint32_t usable[] = {1, 1, 1, 1, 0, 1};
    setup.usable = usable;
    saving_bound(&setup, &found);
    assert_true(fabs(found.seconds - 1) < 1e-9);
    replay_trace_destroy(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounds), cmocka_unit_test(by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
