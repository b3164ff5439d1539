/* Is nothing lost when things break? Random fleets with random faults and namespaces: every request ends once and its
 * books balance, tiers and bytes are recounted at every step boundary, the same seed gives the same run, and single
 * steps give what runs of steps do. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "tests/random_scenario.h"
#include "tests/text_scenario.h"

/* One fault or several of things that the scenario has. */
static void add_faults(FILE *out, const struct scenario *scenario, uint64_t *r) {
    static const char *const kinds[] = {"lose", "slow", "flap", "restart"};
    const struct variant *v = &scenario->variants[0];
    const struct tier_options *tiers = v->options.tiers.items;
    fputs("faults:\n", out);
    for (uint64_t i = 0, count = 1 + test_below(r, 4); i < count; i++) {
        uint64_t kind = test_below(r, 4);
        if (v->options.tiers.count < 2)
            kind = 3;
        fprintf(out, "  - {kind: %s", kinds[kind]);
        if (kind == 0)
            fprintf(out, ", of: %s", tiers[1 + test_below(r, v->options.tiers.count - 1)].name);
        else if (kind < 3)
            fprintf(out, ", of: %s", test_below(r, 2) ? "pcie" : tiers[1].name); /* a tier's drive is called like it */
        if (test_below(r, 2))
            fprintf(out, ", unit: %d", kind == 3 ? (int)test_below(r, v->instances) : 0);
        if (test_below(r, 3))
            fprintf(out, ", at: %llu ms, for: %llu ms", (unsigned long long)test_below(r, 20000),
                    (unsigned long long)(1 + test_below(r, test_below(r, 2) ? 200 : 6000)));
        else
            fprintf(out, ", mtbf: %llu s, mttr: %llu ms", (unsigned long long)(1 + test_below(r, 10)),
                    (unsigned long long)(1 + test_below(r, 2000)));
        if (kind == 1)
            fprintf(out, ", factor: %llu", (unsigned long long)(1 + test_below(r, 1000)));
        if (kind == 2 && test_below(r, 2))
            fprintf(out, ", down: %llu ms, up: %llu ms", (unsigned long long)(1 + test_below(r, 500)),
                    (unsigned long long)(1 + test_below(r, 500)));
        if (kind == 2 && test_below(r, 2))
            fprintf(out, ", give_up: %llu ms", (unsigned long long)(1 + test_below(r, 400)));
        fputs("}\n", out);
    }
}

static void add_spaces(FILE *out, const struct scenario *scenario, uint64_t *r) {
    const struct tier_options *tiers = scenario->variants[0].options.tiers.items;
    static const char *const restarts[] = {"0", "200 ms", "3 s"}, *const yes_no[] = {"yes", "no"};
    fprintf(out, "namespaces:\n  tenants: %llu\n  adapters: %llu\n  rules:\n",
            (unsigned long long)(1 + test_below(r, 4)), (unsigned long long)test_below(r, 3));
    for (size_t t = 0; t < scenario->variants[0].options.tiers.count; t++)
        if (test_below(r, 2))
            fprintf(out, "    - {tier: %s, ttl: %llu ms, quota: %llu MB, pin: %llu MB, pin_tokens: %llu}\n",
                    tiers[t].name, (unsigned long long)(test_below(r, 2) * test_below(r, 9000)),
                    (unsigned long long)(40 + test_below(r, 300)), (unsigned long long)test_below(r, 20),
                    (unsigned long long)test_below(r, 2000));
    fprintf(out, "    - {tier: hbm}\n  rollouts: [{at: %llu ms, version: v2, over: %llu s, restart: %s, purge: %s}]\n",
            (unsigned long long)test_below(r, 20000), (unsigned long long)test_below(r, 5), TEST_PICK(r, restarts),
            TEST_PICK(r, yes_no));
    fprintf(out, "  deletes: [{at: %llu ms, tenant: 0}]\n", (unsigned long long)test_below(r, 20000));
}

static void load_broken(uint64_t seed, struct scenario *out) {
    char path[64];
    struct error error = {0};
    uint64_t r = seed * 104729 + 17;
    if (random_scenario(seed, path, sizeof path, out, &error) != 0)
        fail_msg("%s", error.text);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    uint64_t what = test_below(&r, 4);
    if (what != 0)
        add_faults(file, out, &r);
    if (what != 1)
        add_spaces(file, out, &r);
    fclose(file);
    scenario_free(out);
    if (scenario_load(path, NULL, 0, NULL, out, &error) != 0)
        fail_msg("%llu: %s", (unsigned long long)seed, error.text);
}

static void check_books(const struct taken *taken) {
    assert_int_equal(taken->result.arrived, taken->result.finished + taken->result.rejected);
    assert_int_equal(taken->result.arrived, taken->count);
    for (size_t i = 0; i < taken->count; i++) {
        const struct request_record *record = &taken->requests[i];
        int64_t sum_ns = 0, load_ns = 0;
        for (int c = 0; c < CAUSE_COUNT; c++) {
            assert_true(record->cause_ns[c] >= 0);
            sum_ns += record->cause_ns[c];
        }
        for (int t = 0; t < RECORD_TIERS_MAX; t++)
            load_ns += record->load_tier_ns[t];
        assert_int_equal(sum_ns, record->end_ns - record->arrival_ns);
        assert_int_equal(load_ns, record->cause_ns[CAUSE_LOAD]);
        if (record->end == REQUEST_REJECTED)
            continue;
        assert_true(record->arrival_ns < record->first_token_ns && record->first_token_ns <= record->end_ns);
        assert_true(taken_hits(record) < record->prompt_tokens);
        assert_true(taken_hits(record) + record->computed_tokens >= record->prompt_tokens);
    }
}

static void every_request_ends(void **state) {
    (void)state;
    uint64_t finished = 0, preempted = 0, given = 0;
    for (uint64_t seed = 0; seed < test_rounds(60, 3000); seed++) {
        struct scenario scenario;
        load_broken(200000 + seed, &scenario);
        struct taken first, again, steps;
        text_simulate(&scenario, false, &first);
        check_books(&first);
        text_simulate(&scenario, false, &again);
        assert_int_equal(first.result.order_hash, again.result.order_hash);
        text_simulate(&scenario, true, &steps);
        assert_int_equal(first.count, steps.count);
        for (size_t i = 0; i < first.count; i++)
            if (memcmp(&first.requests[i], &steps.requests[i], sizeof first.requests[i]) != 0)
                fail_msg("scenario %llu: request %llu is another step by step", (unsigned long long)seed,
                         (unsigned long long)first.requests[i].id);
        finished += first.result.finished;
        preempted += first.result.preemptions;
        given += first.metrics.decisions.abandoned;
        taken_free(&first);
        taken_free(&again);
        taken_free(&steps);
        scenario_free(&scenario);
    }
    assert_true(finished > 1000 && preempted > 100 && given > 10); /* it is no test of idle fleets */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_request_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
