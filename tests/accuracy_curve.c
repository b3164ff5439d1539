/* How far are sampled curves from whole replays? On the conversation trace, flat and by trees, and on block I/O: nine
 * points of ten lie within the 95 % interval that is shown with them, and no estimate is off by more than the bound
 * below; the interval itself is narrow enough to tell something. And samples are what they claim to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "sim/memory/shards.h"
#include "tests/policies_world.h"
#include "tests/real_traces.h"

/* Without options, so that none need be read. */
static const char *const names[] = {"lru", "fifo", "clock", "sieve", "s3fifo", "arc", "2q", "lirs", "belady", "gdsf"};
enum { NAMES = sizeof names / sizeof *names, PARTS = 8 };

static const void *defaults(const struct policy *of, struct arena *arena) {
    struct error err = {0};
    if (!of->options)
        return NULL;
    void *options = arena_alloc(arena, of->options_size);
    assert_int_equal(options_read(NULL, of->options, options, arena, &err), 0);
    return options;
}

struct score {
    int points, within;
    double worst, widest, error;
};

/* One policy at sizes from the first that leaves a sample SLOTS blocks. */
static void hold_against_replays(const struct shards *shards, struct replay_setup *setup, int64_t *const *next_use,
                                 struct score *score) {
    enum { SLOTS = 64 };
    const struct replay_trace *trace = setup->trace;
    for (double share = 0.01; share < 0.7; share *= 2.3) {
        struct shards_result parts[PARTS];
        struct shards_estimate e;
        struct replay_result whole;
        setup->capacity_blocks = (uint64_t)(share * (double)trace->unique);
        if (shards_capacity(shards, setup->capacity_blocks) < SLOTS)
            continue;
        replay_run(setup, &whole);
        for (uint32_t p = 0; p < PARTS; p++)
            shards_replay(shards, p, setup, next_use[p], &parts[p]);
        shards_estimate(shards, parts, &e);
        double is = (double)whole.misses / (double)whole.accesses, off = fabs(e.miss_ratio - is);
        assert_true(e.low <= e.miss_ratio && e.miss_ratio <= e.high);
        score->points++;
        score->within += is >= e.low && is <= e.high;
        score->error += off;
        score->worst = off > score->worst ? off : score->worst;
        score->widest = e.high - e.low > score->widest ? e.high - e.low : score->widest;
    }
}

static void score_trace(int number, bool prefix, double rate, double worst, double widest) {
    struct replay_trace *trace = real_trace(number);
    if (!trace)
        return;
    struct arena *arena = arena_create();
    struct error err = {0};
    struct shards shards;
    struct score score = {0};
    int64_t *whole = replay_foresee(trace, prefix), *parts[PARTS];
    shards_create(&shards, trace, prefix, rate, PARTS, 0);
    for (uint32_t p = 0; p < PARTS; p++)
        parts[p] = replay_foresee(shards.samples[p], prefix);
    for (int n = 0; n < NAMES; n++) {
        const struct policy *found = policy_find(POLICY_EVICT, names[n], &err);
        assert_non_null(found);
        struct replay_setup setup = {.trace = trace,
                                     .policy = (const struct evict_policy *)found,
                                     .policy_options = defaults(found, arena),
                                     .next_use = whole,
                                     .prefix = prefix,
                                     .seed = 1};
        hold_against_replays(&shards, &setup, parts, &score);
    }
    print_message("%s, %s, %d samples of %.1f %%: %d of %d points within; mean error %.2f points, worst %.2f; widest "
                  "interval %.1f points\n",
                  real_trace_names[number], prefix ? "trees" : "blocks", PARTS, 100 * rate, score.within, score.points,
                  100 * score.error / score.points, 100 * score.worst, 100 * score.widest);
    assert_true(score.points >= 4 * NAMES);
    assert_true(score.within >= 0.9 * score.points);
    assert_true(score.worst <= worst);
    assert_true(score.widest <= widest);
    for (uint32_t p = 0; p < PARTS; p++)
        free(parts[p]);
    free(whole);
    shards_destroy(&shards);
    arena_destroy(arena);
    replay_trace_destroy(trace);
}

static void conversation(void **unused) {
    (void)unused;
    score_trace(0, false, 0.0448, 0.02, 0.08);
}
static void conversation_trees(void **unused) {
    (void)unused;
    score_trace(0, true, 0.1, 0.04, 0.08); /* a sampled cache holds less than one long prompt */
}
static void block_io(void **unused) {
    (void)unused;
    score_trace(2, false, 0.125, 0.03, 0.08);
}

/* Samples that are all there is: each access in one of them, or (popular) in all; each keeps its request and depth. */
static void samples_are_a_partition(void **unused) {
    (void)unused;
    struct world dice = {.random = 5};
    struct replay_trace *trace = replay_trace_create(16);
    for (int r = 0; r < 4000; r++) {
        uint64_t ids[6];
        uint32_t text = draw(&dice, 60) * draw(&dice, 60), count = 1 + draw(&dice, 6);
        for (uint32_t i = 0; i < count; i++)
            ids[i] = i == 0 && text % 3 ? 7 : 10 + text * 6 + i;
        struct replay_request request = {.at_ns = r, .blocks = count, .tokens = 16 * count, .session = (uint32_t)r};
        replay_trace_add(trace, &request, ids, NULL);
    }
    for (int prefix = 0; prefix < 2; prefix++) {
        enum { TEN = 10 };
        struct shards shards;
        shards_create(&shards, trace, prefix, 0.1, TEN, 0);
        uint64_t own = 0, sure = 0, tokens = 0;
        assert_true(shards.sure >= 1); /* 7 */
        for (uint32_t p = 0; p < TEN; p++) {
            const struct replay_trace *sample = shards.samples[p];
            assert_int_equal(sample->request_count, trace->request_count);
            for (uint32_t r = 0; r < trace->request_count; r++) {
                const struct replay_request *part = &sample->requests[r], *whole = &trace->requests[r];
                tokens += part->blocks ? part->tokens : 0;
                assert_true(!prefix || part->blocks == 0 || part->blocks == whole->blocks);
                assert_int_equal(part->at_ns, whole->at_ns);
                for (uint64_t at = part->first; at < part->first + part->blocks; at++) {
                    *(!prefix && shards.is_sure[p][at] ? &sure : &own) += 1;
                    assert_true(prefix || sample->depths[at] < whole->blocks);
                }
            }
        }
        assert_int_equal(sure % TEN, 0);
        assert_int_equal(own + sure / TEN, trace->count);
        assert_true(prefix ? sure == 0 && tokens == 16 * trace->count : sure > 0);
        shards_destroy(&shards);
    }
    replay_trace_destroy(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(samples_are_a_partition), cmocka_unit_test(conversation),
                                       cmocka_unit_test(conversation_trees), cmocka_unit_test(block_io)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
