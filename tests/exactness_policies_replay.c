/* Does the short way of a flat replay give what a tier gives? Every registered policy, through both, on a random trace
 * with loops and popular blocks, at capacities from 1 up: the same hits, and the same number of evictions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/memory/replay.h"
#include "tests/policies_world.h"

enum { REQUESTS = 1500, BLOCKS_MAX = 12 };

static struct replay_trace *some_trace(void) {
    struct replay_trace *trace = replay_trace_create(16);
    struct world dice = {.random = 3};
    for (int64_t r = 0; r < REQUESTS; r++) {
        uint64_t ids[BLOCKS_MAX];
        uint32_t count = 1 + draw(&dice, BLOCKS_MAX), text = draw(&dice, 40), kind = draw(&dice, 3);
        for (uint32_t i = 0; i < count; i++)
            ids[i] = kind == 0   ? 1000 + (uint64_t)draw(&dice, 600)     /* any */
                     : kind == 1 ? 16 * (uint64_t)(text * text / 40) + i /* some texts more often than others */
                                 : 5000 + (uint64_t)(r * 7 + i) % 130;   /* a loop */
        struct replay_request request = {
            .at_ns = r * 100000, .blocks = count, .tokens = 16 * count, .session = text, .tenant = text % 3};
        replay_trace_add(trace, &request, ids, NULL);
    }
    return trace;
}

static void both_ways(void **unused) {
    (void)unused;
    static const uint64_t capacities[] = {1, 2, 20, 150, 5000};
    struct arena *arena = arena_create();
    struct replay_trace *trace = some_trace();
    int64_t *next_use = replay_foresee(trace, false);
    const struct policy *found;
    uint64_t hits = 0;
    for (size_t p = 0; (found = policy_at(POLICY_EVICT, p)); p++)
        for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
            struct error err = {0};
            struct replay_setup setup = {.trace = trace,
                                         .policy = (const struct evict_policy *)found,
                                         .policy_options = default_options(found, arena),
                                         .next_use = next_use,
                                         .capacity_blocks = capacities[c],
                                         .seed = 1};
            if (tier_can_run(setup.policy, replay_gives(&setup), false, &err) != 0)
                continue;
            struct replay_result quick, slow;
            replay_run(&setup, &quick);
            setup.by_tier = true;
            replay_run(&setup, &slow);
            if (quick.hits != slow.hits || quick.evicted != slow.evicted || quick.inserted != slow.inserted)
                fail_msg("%s at %llu: %llu hits the short way, %llu through a tier", found->name,
                         (unsigned long long)capacities[c], (unsigned long long)quick.hits,
                         (unsigned long long)slow.hits);
            assert_int_equal(quick.accesses, trace->count);
            hits += quick.hits;
        }
    assert_true(hits > 0);
    free(next_use);
    replay_trace_destroy(trace);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
