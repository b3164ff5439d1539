/* Do the gaps between tokens add up? Of every request from its first token to its end, whatever the batch policy, under
 * runs of steps and step by step; and by hand, a pause waited out by those who were there before it. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <unistd.h>

#include "sim/cli/scenario.h"
#include "sim/output/itl.h"

static const char *const batches[] = {"chunked", "prefill-first", "static", "{name: slo-aware, tpot: 20 ms}"};

static void load(const char *batch, struct scenario *scenario) {
    char path[] = "/tmp/tiersim-itl-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fprintf(file,
            "name: itl\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 2\n"
            "serving: {batch: %s, token_budget: 2048}\ntiers: [{name: hbm}]\n"
            "workload: {generate: {arrivals: {process: poisson, rate: 8/s}, duration: 20 s,"
            " first_prompt: {median: 3000, sigma: 0.8, min: 16, max: 20000},"
            " output: {median: 120, sigma: 0.8, min: 1, max: 800}}}\n",
            batch);
    fclose(file);
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, scenario, &error) != 0)
        fail_msg("%s", error.text);
    unlink(path);
}

static void gaps_add_up(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        double p99[2];
        for (int exact = 0; exact < 2; exact++) {
            struct scenario scenario;
            load(batches[i], &scenario);
            struct variant_run run = {.variant = &scenario.variants[0], .load = 1, .seed = 3, .exact_steps = exact};
            struct metrics metrics;
            struct cluster_result result;
            struct error error = {0};
            if (variant_simulate(&run, &metrics, &result, &error) != 0)
                fail_msg("%s", error.text);
            const struct histogram *gaps = itl_gaps(metrics.itl);
            double count = (double)histogram_count(metrics.e2e),
                   decoding_ns = count * (histogram_mean(metrics.e2e) - histogram_mean(metrics.ttft)),
                   gaps_ns = (double)histogram_count(gaps) * histogram_mean(gaps);
            assert_true(count > 100 && result.preemptions == 0);
            assert_int_equal(histogram_count(gaps), metrics.output_tokens - (uint64_t)count);
            print_message("%s: %.6f s of decoding, gaps %.6f s, p99 %.1f ms\n", batches[i], 1e-9 * decoding_ns,
                          1e-9 * gaps_ns, 1e-6 * (double)histogram_percentile(gaps, 0.99));
            /* A run's mean step is cut to whole ns. */
            assert_true(gaps_ns <= decoding_ns * (1 + 1e-12) && gaps_ns >= decoding_ns * (1 - 1e-6));
            p99[exact] = (double)histogram_percentile(gaps, 0.99);
            metrics_destroy(&metrics);
            scenario_free(&scenario);
        }
        assert_true(p99[0] == p99[1]);
    }
}

static void by_hand(void **state) {
    (void)state;
    struct itl *itl = itl_create(0);
    /* Two decode for 10 steps of 5 ns, and one ends; 100 ns of prompts alone, in whose middle one ends that decodes on;
     * then all three decode. */
    struct run_record runs[] = {{.start_ns = 0, .end_ns = 50, .steps = 10, .decode_sequences = 2, .decodes_left = 1},
                                {.start_ns = 50, .end_ns = 110, .steps = 4, .decodes_left = 1, .decodes_joined = 1},
                                {.start_ns = 110, .end_ns = 150, .steps = 4, .decodes_left = 2, .decodes_joined = 1},
                                {.start_ns = 150, .end_ns = 170, .steps = 2, .decode_sequences = 3}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        itl_run(itl, &runs[i]);
    const struct histogram *gaps = itl_gaps(itl);
    assert_int_equal(histogram_count(gaps), 2 * 10 + 3 * 2);
    assert_int_equal(histogram_max(gaps), 110);
    assert_int_equal(histogram_percentile(gaps, 0.5), 5);
    assert_int_equal((int64_t)(histogram_mean(gaps) * 26 + 0.5), 2 * 10 * 5 + 110 + 50 + 10 + 3 * 10);
    itl_destroy(itl);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gaps_add_up), cmocka_unit_test(by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
