/* Is fetch or recompute decided as the models have it: alone, the lesser of the two closed forms, to the ns; loaded,
 * otherwise than alone; and never much worse than the better of the two fixed rules? */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"

/* Sessions that hardly ever meet, and forget each other: their turns are far apart. */
#define ALONE "0.01/s"

struct seen {
    struct sink sink;
    uint64_t fetched, computed, partial, given;
    uint64_t exact; /* what was predicted came, to a us */
    bool lesser;    /* each was predicted to be no worse than either fixed rule */
};

static void take_decision(void *self, const struct decision_record *record) {
    struct seen *seen = self;
    double least_s = record->predicted_fetch_s < record->predicted_compute_s ? record->predicted_fetch_s
                                                                             : record->predicted_compute_s;
    seen->fetched += record->fetched_tokens == record->held_tokens;
    seen->computed += record->fetched_tokens == 0;
    seen->partial += record->skipped_tokens > 0;
    seen->given += record->given_tokens > 0;
    seen->lesser &= record->predicted_s <= least_s;
    double off_s = fabs((double)record->realised_ns * 1e-9 - record->predicted_s);
    seen->exact += !record->abandoned && off_s <= 1e-6;
}

/* Sessions that come back to an HBM that holds one of them. Mean TTFT, s. */
static double simulate(const char *reuse, const char *codec, const char *rate, int duration_s, uint64_t seed,
                       struct seen *seen) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-reuse-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "name: reuse\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nengine: none\nserving: {block_tokens: 64, "
            "kv_capacity: 6 GiB, token_budget: 8192, reuse: %s}\ntiers:\n  - {name: hbm}\n  - {name: dram, capacity: "
            "60 GB, scope: node, write: fill%s}\n",
            reuse, codec);
    fprintf(
        file,
        "workload:\n  generate:\n    arrivals: {process: poisson, rate: %s}\n    duration: %d s\n    "
        "system_tokens: 1024\n    first_prompt: {median: 8000, sigma: 0.6, min: 16, max: 30000}\n    turn: {median: "
        "500, sigma: 1, min: 1, max: 4000}\n    output: {median: 120, sigma: 0.8, min: 1, max: 1000}\n    turns: "
        "{kind: uniform, min: 1, max: 8}\n    think_time: {kind: exponential, mean: %s}\n",
        rate, duration_s, strcmp(rate, ALONE) == 0 ? "1000" : "10");
    fclose(file);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    *seen = (struct seen){.sink = {.self = seen, .decision = take_decision}, .lesser = true};
    struct variant_run run = {.variant = &scenario.variants[0], .load = 1, .seed = seed, .also = &seen->sink};
    struct metrics metrics;
    struct cluster_result result;
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    double mean_s = histogram_mean(metrics.ttft) * 1e-9;
    metrics_destroy(&metrics);
    scenario_free(&scenario);
    unlink(path);
    return mean_s;
}

static const char *const codecs[] = {"", ", codec: 20 GB/s", ", codec: 4 GB/s", ", codec: 3 GB/s", ", codec: 1 GB/s"};
enum { CODECS = sizeof codecs / sizeof *codecs };

/* Few requests meet: but for those, what is predicted is what comes. */
static void alone_it_is_the_lesser(void **state) {
    (void)state;
    uint64_t fetched = 0, computed = 0;
    for (int c = 0; c < CODECS; c++) {
        struct seen seen;
        simulate("{name: cheapest, others: 0}", codecs[c], ALONE, 20000, 3, &seen);
        assert_true(seen.fetched + seen.computed > 10);
        assert_true(seen.lesser);
        print_message("%s: %d fetched, %d computed, %d as predicted to a us\n", codecs[c], (int)seen.fetched,
                      (int)seen.computed, (int)seen.exact);
        assert_true((double)seen.exact > 0.8 * (double)(seen.fetched + seen.computed));
        fetched += seen.fetched;
        computed += seen.computed;
        if (c == 0)
            assert_int_equal(seen.computed, 0);
        if (c == CODECS - 1)
            assert_int_equal(seen.fetched, 0);
    }
    assert_true(fetched > 20 && computed > 20);
}

/* The same prefixes from the same tier: alone they are computed, under load they are fetched, since computing keeps
 * others waiting. */
static void it_flips_under_load(void **state) {
    (void)state;
    struct seen alone, loaded;
    simulate("cheapest", ", codec: 4 GB/s", "0.02/s", 2000, 1, &alone);
    simulate("cheapest", ", codec: 4 GB/s", "0.5/s", 120, 1, &loaded);
    assert_true(alone.computed > 3 * alone.fetched);
    assert_true(loaded.fetched > loaded.computed);
}

static void no_worse_than_the_better_fixed_rule(void **state) {
    (void)state;
    static const struct {
        const char *codec, *rate;
    } cases[] = {{"", "0.05/s"},
                 {"", "0.15/s"},
                 {"", "0.25/s"},
                 {", codec: 4 GB/s", "0.02/s"},
                 {", codec: 4 GB/s", "0.1/s"},
                 {", codec: 1 GB/s", "0.02/s"},
                 {", codec: 1 GB/s", "0.1/s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double mean_s[3] = {0};
        static const char *const rules[] = {"fetch", "recompute", "cheapest"};
        for (uint64_t seed = 1; seed <= 6; seed++)
            for (int r = 0; r < 3; r++) {
                struct seen seen;
                mean_s[r] += simulate(rules[r], cases[i].codec, cases[i].rate, 400, seed, &seen) / 6;
            }
        double best_s = mean_s[0] < mean_s[1] ? mean_s[0] : mean_s[1];
        print_message("%s%s: TTFT fetch %.4f, recompute %.4f, cheapest %.4f s\n", cases[i].rate, cases[i].codec,
                      mean_s[0], mean_s[1], mean_s[2]);
        assert_true(mean_s[2] <= best_s * 1.02);
    }
}

/* Loading behind what is computed, or under it, is over before either fixed rule where both take about as long. */
static void overlap_gains(void **state) {
    (void)state;
    struct seen seen;
    double fetch_s = simulate("fetch", ", codec: 4 GB/s", ALONE, 20000, 1, &seen),
           compute_s = simulate("recompute", ", codec: 4 GB/s", ALONE, 20000, 1, &seen),
           best_s = fetch_s < compute_s ? fetch_s : compute_s;
    assert_true(simulate("both-ends", ", codec: 4 GB/s", ALONE, 20000, 1, &seen) < 0.95 * best_s);
    assert_true(seen.partial > 10);
    assert_true(simulate("layerwise", ", codec: 4 GB/s", ALONE, 20000, 1, &seen) < fetch_s);
    /* A patience of nothing is recompute, of an hour fetch. */
    double hasty_s = simulate("{name: deadline, seconds: 1 us}", ", codec: 4 GB/s", ALONE, 20000, 1, &seen);
    assert_true(seen.given > 10 && fabs(hasty_s - compute_s) < 1e-3 * compute_s);
    assert_true(simulate("{name: deadline, seconds: 3600 s}", ", codec: 4 GB/s", ALONE, 20000, 1, &seen) == fetch_s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone_it_is_the_lesser), cmocka_unit_test(it_flips_under_load),
                                       cmocka_unit_test(no_worse_than_the_better_fixed_rule),
                                       cmocka_unit_test(overlap_gains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
