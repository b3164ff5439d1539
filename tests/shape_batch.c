/* Does each batch policy do what it is for, on the same requests: does slo-aware keep its step time where chunks do
 * not, and does a static batch make newcomers wait? */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "policies/batch.h"
#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"

struct outcome_s {
    double ttft_p50, tpot_p99, tpot_max;
    uint64_t ended;
};

static struct outcome_s run_with(const char *batch, bool exact_steps) {
    char path[64];
    struct outcome_s out;
    snprintf(path, sizeof path, "/tmp/tiersim-batch-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "name: batch\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nengine: none\nserving: {batch: %s}\n"
            "workload:\n  generate:\n    arrivals: {process: poisson, rate: 4/s}\n    duration: 60 s\n"
            "    first_prompt: {median: 3000, sigma: 0.8, min: 16, max: 30000}\n    output: {median: 150, sigma: 0.8, "
            "min: 2, "
            "max: 1000}\n",
            batch);
    fclose(file);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct variant_run run = {
        .variant = &scenario.variants[0], .load = 1, .seed = 3, .audit = !exact_steps, .exact_steps = exact_steps};
    struct metrics metrics;
    struct cluster_result result;
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    out = (struct outcome_s){(double)histogram_percentile(metrics.ttft, 0.5) * 1e-9,
                             (double)histogram_percentile(metrics.tpot, 0.99) * 1e-9,
                             (double)histogram_percentile(metrics.tpot, 1.0) * 1e-9, histogram_count(metrics.ttft)};
    metrics_destroy(&metrics);
    scenario_free(&scenario);
    unlink(path);
    return out;
}

static void each_for_its_purpose(void **state) {
    (void)state;
    struct outcome_s chunked = run_with("chunked", false), slo = run_with("{name: slo-aware, tpot: 25 ms}", false),
                     fixed = run_with("static", false), first = run_with("prefill-first", false);
    print_message("TPOT p99: chunked %.4f, slo-aware %.4f, prefill-first %.4f s; TTFT p50: %.3f, static %.3f s\n",
                  chunked.tpot_p99, slo.tpot_p99, first.tpot_p99, chunked.ttft_p50, fixed.ttft_p50);
    assert_true(chunked.ended > 100 && slo.ended == chunked.ended && fixed.ended == chunked.ended);
    /* Predicted for the prompt that is next: a step that ends one and begins another takes a little more. */
    assert_true(chunked.tpot_p99 > 0.035 && slo.tpot_p99 < 0.030);
    assert_true(chunked.tpot_p99 < first.tpot_p99);
    assert_true(fixed.ttft_p50 > 3 * chunked.ttft_p50);
}

static void by_single_steps(void **state) {
    (void)state;
    static const char *const policies[] = {"{name: slo-aware, tpot: 25 ms, least: 64}", "static"};
    for (int i = 0; i < 2; i++) {
        struct outcome_s runs = run_with(policies[i], false), exact = run_with(policies[i], true);
        assert_memory_equal(&runs, &exact, sizeof runs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_for_its_purpose), cmocka_unit_test(by_single_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
