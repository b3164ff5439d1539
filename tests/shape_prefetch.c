/* Does moving blocks up early help where requests queue: on arrival and by position, against not at all? And is `none`
 * the same as nothing said? */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"

/* Mean TTFT over some seeds, s. */
static double mean_ttft_s(const char *prefetch) {
    char path[64];
    double sum_s = 0;
    snprintf(path, sizeof path, "/tmp/tiersim-prefetch-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(
        file,
        "name: prefetch\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nserving: {block_tokens: 64, kv_capacity: 6 "
        "GiB%s}\ntiers:\n  - {name: hbm}\n  - {name: dram, capacity: 8 GB}\n  - {name: ssd, capacity: 500 GB, write: "
        "eviction, write_buffer: 50 GB, codec: 20 GB/s}\n",
        prefetch);
    fputs(
        "workload:\n  generate:\n    arrivals: {process: poisson, rate: 0.35/s}\n    duration: 200 s\n    "
        "system_tokens: "
        "1024\n    first_prompt: {median: 8000, sigma: 0.6, min: 16, max: 30000}\n    turn: {median: 500, sigma: 1, "
        "min: 1, max: 4000}\n    output: {median: 120, sigma: 0.8, min: 1, max: 1000}\n    turns: {kind: uniform, min: "
        "1, max: 8}\n    think_time: {kind: exponential, mean: 10}\n",
        file);
    fclose(file);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct variant_run run = {.variant = &scenario.variants[0], .load = 1, .seed = seed, .audit = seed == 1};
        struct metrics metrics;
        struct cluster_result result;
        if (variant_simulate(&run, &metrics, &result, &error) != 0)
            fail_msg("%s", error.text);
        sum_s += histogram_mean(metrics.ttft) * 1e-9 / 6;
        metrics_destroy(&metrics);
    }
    scenario_free(&scenario);
    unlink(path);
    return sum_s;
}

static void early_is_better_in_a_queue(void **state) {
    (void)state;
    double none_s = mean_ttft_s(""), arrival_s = mean_ttft_s(", prefetch: on-arrival"),
           queue_s = mean_ttft_s(", prefetch: {name: queue-position, first: 8}");
    print_message("TTFT: none %.4f, on arrival %.4f, by position %.4f s\n", none_s, arrival_s, queue_s);
    assert_true(mean_ttft_s(", prefetch: none") == none_s);
    assert_true(arrival_s < none_s && queue_s < none_s);
    /* HiCache's threshold: some tokens change little, more than any prompt has are none at all. */
    double some_s = mean_ttft_s(", prefetch: {name: on-arrival, fewest: 256}");
    assert_true(some_s < none_s);
    assert_true(mean_ttft_s(", prefetch: {name: on-arrival, fewest: 100000}") == none_s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(early_is_better_in_a_queue)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
