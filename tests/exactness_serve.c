/* Do runs of steps give, to the bit, what taking every step gives? Every request's record must be the same. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sim/cli/scenario.h"
#include "sim/serve/run.h"
#include "tests/random_scenario.h"

struct kept {
    struct sink sink;
    struct request_record *records;
    size_t count, room;
};

static void keep_request(void *self, const struct request_record *record) {
    struct kept *kept = self;
    if (kept->count == kept->room) {
        kept->room = kept->room ? 2 * kept->room : 256;
        kept->records = realloc(kept->records, kept->room * sizeof *kept->records);
        assert_non_null(kept->records);
    }
    kept->records[kept->count++] = *record;
}

static void simulate(const struct scenario *scenario, bool exact_steps, struct kept *kept,
                     struct cluster_result *result) {
    *kept = (struct kept){.sink = {.self = kept, .request = keep_request}};
    struct variant_run run = {.variant = &scenario->variants[0],
                              .load = 1,
                              .seed = (uint64_t)scenario->options.seed,
                              .exact_steps = exact_steps,
                              .also = &kept->sink};
    struct metrics metrics;
    struct error error = {0};
    if (variant_simulate(&run, &metrics, result, &error) != 0)
        fail_msg("%s", error.text);
    metrics_destroy(&metrics);
}

static void same_record(const struct request_record *a, const struct request_record *b) {
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->instance, b->instance);
    assert_int_equal(a->arrival_ns, b->arrival_ns);
    assert_int_equal(a->first_token_ns, b->first_token_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_int_equal(a->preemptions, b->preemptions);
    assert_int_equal(a->recomputed_tokens, b->recomputed_tokens);
    assert_int_equal(a->computed_tokens, b->computed_tokens);
    assert_memory_equal(a->hit_tokens, b->hit_tokens, sizeof a->hit_tokens);
    assert_memory_equal(a->cause_ns, b->cause_ns, sizeof a->cause_ns);
    assert_memory_equal(a->load_tier_ns, b->load_tier_ns, sizeof a->load_tier_ns);
}

static void runs_agree_with_single_steps(void **state) {
    (void)state;
    uint64_t preemptions = 0, requests = 0, loads = 0;
    for (uint64_t seed = 0; seed < test_rounds(60, 1500); seed++) {
        char path[64];
        struct scenario scenario;
        struct error error = {0};
        if (random_scenario(seed, path, sizeof path, &scenario, &error) != 0)
            fail_msg("%s", error.text);
        struct kept runs, steps;
        struct cluster_result by_runs, by_steps;
        simulate(&scenario, false, &runs, &by_runs);
        simulate(&scenario, true, &steps, &by_steps);
        assert_int_equal(runs.count, steps.count);
        for (size_t i = 0; i < runs.count; i++)
            same_record(&runs.records[i], &steps.records[i]);
        assert_int_equal(by_runs.steps, by_steps.steps);
        assert_int_equal(by_runs.runs, by_steps.runs);
        assert_true(by_runs.busy_s == by_steps.busy_s && by_runs.model_bytes == by_steps.model_bytes);
        assert_true(by_steps.events >= by_runs.events);
        preemptions += by_runs.preemptions;
        requests += by_runs.finished;
        for (size_t i = 0; i < runs.count; i++)
            loads += runs.records[i].cause_ns[CAUSE_LOAD] > 0;
        free(runs.records);
        free(steps.records);
        scenario_free(&scenario);
        unlink(path);
    }
    /* The comparison means something only if the hard cases were among them. */
    assert_true(requests > 1000 && preemptions > 50 && loads > 50);
}

static void closed_form_is_the_sum(void **state) {
    (void)state;
    uint64_t r = 1;
    for (int round = 0; round < 2000; round++) {
        struct step_segment segment = {.a = 1 + (int64_t)test_below(&r, INT64_C(1) << 46),
                                       .b = (int64_t)test_below(&r, INT64_C(1) << 30),
                                       .steps = 0};
        int64_t steps = run_cap(&segment, 1 + (int64_t)test_below(&r, 3000)), sum = 0;
        for (int64_t i = 0; i < steps; i++) {
            assert_int_equal(run_elapsed_ns(&segment, i), sum / STEP_FIXED_ONE);
            sum += segment.a + segment.b * i;
        }
        int64_t at = (int64_t)test_below(&r, (uint64_t)(sum / STEP_FIXED_ONE + 2)),
                found = run_boundary_after(&segment, steps, at), wanted = 1;
        while (wanted < steps && run_elapsed_ns(&segment, wanted) <= at)
            wanted++;
        assert_int_equal(found, wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(closed_form_is_the_sum),
                                       cmocka_unit_test(runs_agree_with_single_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
