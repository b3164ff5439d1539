/* Does each way of placing blocks write what it should: selective less than all, completion later than fill, demotion
 * only what is evicted, promotion only where it is wanted, smaller formats fewer bytes? */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"

struct placed {
    struct tier_record dram, ssd;
    uint64_t hits;
};

static struct placed place(const char *dram, const char *ssd) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-place-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(
        file,
        "name: place\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nserving: {block_tokens: 64, kv_capacity: 4 "
        "GiB}\ntiers:\n  - {name: hbm}\n  - {name: dram, capacity: 6 GB%s}\n  - {name: ssd, capacity: 200 GB%s}\n",
        dram, ssd);
    fputs("workload:\n  generate:\n    arrivals: {process: poisson, rate: 0.4/s}\n    duration: 120 s\n    "
          "system_tokens: "
          "512\n    first_prompt: {median: 3000, sigma: 0.6, min: 16, max: 12000}\n    turn: {median: 300, sigma: 1, "
          "min: "
          "1, max: 2000}\n    output: {median: 60, sigma: 0.8, min: 1, max: 400}\n    turns: {kind: uniform, min: 1, "
          "max: "
          "8}\n    think_time: {kind: exponential, mean: 20}\n",
          file);
    fclose(file);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct variant_run run = {.variant = &scenario.variants[0], .load = 1, .seed = 5};
    struct metrics metrics;
    struct cluster_result result;
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(metrics.tier_count, 3);
    struct placed placed = {.dram = metrics.tiers[1].record,
                            .ssd = metrics.tiers[2].record,
                            .hits = metrics.hit_tokens[1] + metrics.hit_tokens[2]};
    for (int t = 1; t < 3; t++) {
        const struct tier_record *tier = &metrics.tiers[t].record;
        assert_int_equal(tier->filled_bytes + tier->completed_bytes + tier->demoted_bytes + tier->promoted_bytes,
                         tier->written_bytes);
    }
    metrics_destroy(&metrics);
    scenario_free(&scenario);
    unlink(path);
    return placed;
}

static void write_rules(void **state) {
    (void)state;
    struct placed fill = place(", write: fill", ", write: none"),
                  completion = place(", write: completion, promote: never", ", write: none"),
                  eviction = place(", write: eviction, promote: never", ", write: none");
    assert_true(fill.dram.filled_bytes > 0 && fill.dram.completed_bytes + fill.dram.demoted_bytes == 0);
    assert_true(completion.dram.completed_bytes == completion.dram.written_bytes && completion.dram.written_bytes > 0);
    assert_true(eviction.dram.demoted_bytes == eviction.dram.written_bytes && eviction.dram.written_bytes > 0);
    /* What HBM keeps to the end is never demoted. */
    assert_true(eviction.dram.written_bytes < fill.dram.written_bytes);
}

static void selective_writes_less(void **state) {
    (void)state;
    struct placed all = place(", write: fill", ", write: none"),
                  selective = place(", write: fill, admit: second-hit", ", write: none"),
                  on_eviction = place(", write: fill", ", write: eviction, admit: second-hit"),
                  demoted = place(", write: fill", ", write: eviction");
    assert_true(all.dram.refused_blocks == 0 && selective.dram.refused_blocks > 0);
    assert_true(selective.dram.written_bytes > 0 && selective.dram.written_bytes < all.dram.written_bytes);
    assert_true(on_eviction.ssd.refused_blocks > 0 && on_eviction.ssd.written_bytes < demoted.ssd.written_bytes);
}

static void promotion(void **state) {
    (void)state;
    struct placed automatic = place(", write: fill", ", write: eviction, write_buffer: 100 GB"),
                  never = place(", write: fill, promote: never", ", write: eviction, write_buffer: 100 GB"),
                  always = place(", write: none, promote: always", ", write: completion");
    assert_true(automatic.dram.promoted_bytes > 0 && never.dram.promoted_bytes == 0 && never.hits > 0);
    assert_true(always.dram.promoted_bytes == always.dram.written_bytes && always.dram.written_bytes > 0);
}

/* bf16 in HBM: fp8 is half, 4 bits with scales 9/32. The tier is large enough for either. */
static void formats(void **state) {
    (void)state;
    struct placed whole = place(", write: none, promote: never", ", write: fill"),
                  bf16 = place(", write: none, promote: never", ", write: fill, format: bf16"),
                  fp8 = place(", write: none, promote: never", ", write: fill, format: fp8"),
                  small = place(", write: none, promote: never", ", write: fill, format: 4bit");
    assert_int_equal(whole.ssd.written_bytes, bf16.ssd.written_bytes);
    double half = (double)fp8.ssd.written_bytes / (double)whole.ssd.written_bytes,
           bits = (double)small.ssd.written_bytes / (double)whole.ssd.written_bytes;
    /* Faster loads leave other blocks in HBM, so counts of blocks differ a little. */
    assert_true(half > 0.49 && half < 0.51);
    assert_true(bits > 0.275 && bits < 0.288);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_rules), cmocka_unit_test(selective_writes_less),
                                       cmocka_unit_test(promotion), cmocka_unit_test(formats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
