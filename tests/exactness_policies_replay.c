/* Does the short way of a flat replay give what a tier gives? Every registered policy, through both, on a random trace
 * with loops and popular blocks, at capacities from 1 up: the same hits, and the same number of evictions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Written and mapped, a trace is what it was; cut off or spoilt, it is refused with the remedy. */
static void as_a_file(void **unused) {
    (void)unused;
    char path[] = "/tmp/tiersim-replay-XXXXXX";
    int handle = mkstemp(path);
    assert_true(handle >= 0);
    close(handle);
    struct error err = {0};
    struct replay_trace *trace = some_trace(), *back;
    assert_int_equal(replay_write(trace, false, path, &err), 0);
    assert_int_equal(replay_map(path, &back, &err), 0);
    assert_int_equal(back->count, trace->count);
    assert_int_equal(back->unique, trace->unique);
    assert_int_equal(back->request_count, trace->request_count);
    assert_int_equal(back->longest, trace->longest);
    assert_int_equal(back->block_tokens, trace->block_tokens);
    assert_null(back->sizes);
    assert_memory_equal(back->ids, trace->ids, trace->count * sizeof *trace->ids);
    assert_memory_equal(back->requests, trace->requests, trace->request_count * sizeof *trace->requests);
    replay_trace_destroy(back);

    assert_int_equal(replay_write(trace, true, path, &err), 0);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = 24 * trace->count;
    char *bytes = malloc(size);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    assert_int_equal(replay_read_oracle(bytes, size, path, &back, &err), 0);
    assert_memory_equal(back->ids, trace->ids, trace->count * sizeof *trace->ids);
    replay_trace_destroy(back);
    free(bytes);

    static const long cuts[] = {0, 10, 64, 70, 40000};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(replay_write(trace, false, path, &err), 0);
        assert_int_equal(truncate(path, cuts[i]), 0);
        assert_int_equal(replay_map(path, &back, &err), -1);
        assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
        assert_non_null(strstr(err.text, "hint:"));
    }
    assert_int_equal(replay_write(trace, false, path, &err), 0);
    file = fopen(path, "r+b");
    assert_int_equal(fseek(file, -4, SEEK_END), 0);
    assert_int_equal(fwrite("\xff\xff\xff\xff", 1, 4, file), 4);
    fclose(file);
    assert_int_equal(replay_map(path, &back, &err), -1);
    assert_non_null(strstr(err.text, "a block that it does not have"));
    unlink(path);
    replay_trace_destroy(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways), cmocka_unit_test(as_a_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
