/* Is nothing lost, over random fleets? Tiers and bytes are recounted at every step boundary (the audit), the books of
 * every request are checked as it ends, and here: each request ends once, its causes sum to its E2E, its prompt is hits
 * + computed. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sim/base/int_map.h"
#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"

struct books {
    struct sink sink;
    struct int_map *ended;
    uint64_t finished, rejected, partial, given, layerwise, computed, fetched;
    int64_t span_ns;
};

/* A decision divides what tiers held, and its regret is what it says. */
static void check_decision(void *self, const struct decision_record *record) {
    struct books *books = self;
    assert_true(record->held_tokens > 0 && record->skipped_tokens + record->fetched_tokens <= record->held_tokens);
    assert_true(record->given_tokens <= record->fetched_tokens + record->hbm_tokens);
    assert_true(record->predicted_s > 0 && record->predicted_fetch_s > 0 && record->predicted_compute_s > 0);
    assert_false(record->layerwise && record->skipped_tokens > 0);
    books->given += record->given_tokens > 0;
    books->layerwise += record->layerwise;
    if (record->abandoned)
        return;
    assert_true(record->realised_ns > 0 && record->alternative_s > 0);
    assert_true(record->regret_s == (double)record->realised_ns * 1e-9 - record->alternative_s);
    books->partial += record->skipped_tokens > 0;
    books->computed += record->fetched_tokens == 0;
    books->fetched += record->fetched_tokens == record->held_tokens;
}

static void check_request(void *self, const struct request_record *record) {
    struct books *books = self;
    assert_int_equal(int_map_get(books->ended, record->id), INT_MAP_NONE);
    int_map_put(books->ended, record->id, 1);
    if (record->end == REQUEST_REJECTED) {
        books->rejected++;
        return;
    }
    books->finished++;
    int64_t sum_ns = 0, load_ns = 0;
    uint64_t hits = 0;
    for (int c = 0; c < CAUSE_COUNT; c++) {
        assert_true(record->cause_ns[c] >= 0);
        sum_ns += record->cause_ns[c];
    }
    for (int t = 0; t < RECORD_TIERS_MAX; t++) {
        load_ns += record->load_tier_ns[t];
        hits += record->hit_tokens[t];
    }
    assert_int_equal(sum_ns, record->end_ns - record->arrival_ns);
    assert_int_equal(load_ns, record->cause_ns[CAUSE_LOAD]);
    assert_true(record->arrival_ns < record->first_token_ns && record->first_token_ns <= record->end_ns);
    assert_true(hits < record->prompt_tokens); /* the last prompt token is always computed */
    if (record->preemptions == 0)
        assert_int_equal(hits + record->computed_tokens, record->prompt_tokens);
    assert_true(hits + record->computed_tokens >= record->prompt_tokens);
}

static void check_link(void *self, const struct link_record *record) {
    (void)self;
    assert_true(record->busy_ns >= 0);
    if (record->busy_ns > 0)
        assert_true((double)record->bytes <= record->peak_bytes_per_s * (double)record->busy_ns * 1e-9 * 1.0000001 + 1);
}

static void check_tier(void *self, const struct tier_record *record) {
    (void)self;
    assert_true(record->peak_used_bytes <= record->capacity_bytes);
    assert_true(record->evicted_blocks <= record->inserted_blocks);
}

static void check_instance(void *self, const struct instance_record *record) {
    (void)self;
    assert_true(record->steps >= record->runs && record->busy_ns >= 0);
}

static void nothing_is_lost(void **state) {
    (void)state;
    uint64_t finished = 0, rejected = 0, preemptions = 0, partial = 0, given = 0, layerwise = 0, computed = 0,
             fetched = 0;
    for (uint64_t seed = 0; seed < test_rounds(250, 5000); seed++) {
        char path[64];
        struct scenario scenario;
        struct error error = {0};
        if (random_scenario(100000 + seed, path, sizeof path, &scenario, &error) != 0)
            fail_msg("%s", error.text);
        struct books books = {.sink = {.self = &books,
                                       .request = check_request,
                                       .link = check_link,
                                       .tier = check_tier,
                                       .instance = check_instance,
                                       .decision = check_decision},
                              .ended = int_map_create()};
        struct variant_run run = {
            .variant = &scenario.variants[0], .load = 1, .seed = seed, .audit = seed % 4 == 0, .also = &books.sink};
        struct metrics metrics;
        struct cluster_result result;
        if (variant_simulate(&run, &metrics, &result, &error) != 0)
            fail_msg("%s", error.text);
        assert_int_equal(result.arrived, books.finished + books.rejected);
        assert_int_equal(result.finished, books.finished);
        assert_int_equal(metrics.finished, books.finished);
        double span_s = (double)(result.last_end_ns - result.first_arrival_ns) * 1e-9;
        assert_true(result.busy_s <= span_s * scenario.variants[0].instances * 1.000001 + 1e-9);
        struct gpu_shares shares = variant_gpu_shares(&scenario.variants[0], &metrics, &result);
        assert_true(shares.bandwidth <= 1 && shares.flops <= 1);
        finished += books.finished;
        rejected += books.rejected;
        partial += books.partial;
        given += books.given;
        layerwise += books.layerwise;
        computed += books.computed;
        fetched += books.fetched;
        preemptions += result.preemptions;
        metrics_destroy(&metrics);
        int_map_destroy(books.ended);
        scenario_free(&scenario);
        unlink(path);
    }
    assert_true(finished > 1000 && rejected > 0 && preemptions > 50);
    print_message("decisions: %d fetched, %d computed, %d partial, %d layerwise, %d with blocks given up\n",
                  (int)fetched, (int)computed, (int)partial, (int)layerwise, (int)given);
    assert_true(partial > 20 && given > 20 && layerwise > 20 && computed > 100 && fetched > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
