/* Prefill and decode apart: is the hand-over what the arithmetic says, to the ns, and is nothing lost or sent twice? */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/scenario.h"

enum { ROOM = 4096 };
struct seen {
    struct sink sink;
    struct request_record requests[ROOM];
    uint32_t count;
    uint64_t moved_bytes, hbm_read, hbm_written;
};

static void note_request(void *self, const struct request_record *record) {
    struct seen *seen = self;
    assert_true(seen->count < ROOM);
    seen->requests[seen->count++] = *record;
}
static void note_transfer(void *self, const struct transfer_record *record) {
    struct seen *seen = self;
    if (record->from_tier == 0 && record->to_tier == 0)
        seen->moved_bytes += record->bytes;
}
static void note_tier(void *self, const struct tier_record *record) {
    struct seen *seen = self;
    seen->hbm_read += record->tier == 0 ? record->read_bytes : 0;
    seen->hbm_written += record->tier == 0 ? record->written_bytes : 0;
}

static struct cluster_result run(const char *text, bool exact_steps, struct seen *seen) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-handover-%d.yaml", (int)getpid());
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    memset(seen, 0, sizeof *seen);
    seen->sink = (struct sink){.self = seen, .request = note_request, .transfer = note_transfer, .tier = note_tier};
    struct variant_run run = {.variant = &scenario.variants[0],
                              .load = 1,
                              .seed = 1,
                              .exact_steps = exact_steps,
                              .audit = true,
                              .every_record = true,
                              .also = &seen->sink};
    struct metrics metrics;
    struct cluster_result result;
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    metrics_destroy(&metrics);
    scenario_free(&scenario);
    unlink(path);
    return result;
}

/* One conversation at t = 0 (and, with `again`, its repetition a minute later) on one prefill and one decode instance.
 */
static struct cluster_result run_one(const char *serving, bool again, struct seen *seen) {
    char trace[64], text[1024];
    snprintf(trace, sizeof trace, "/tmp/tiersim-handover-%d.jsonl", (int)getpid());
    FILE *out = fopen(trace, "w");
    assert_non_null(out);
    for (int i = 0; i < 1 + again; i++)
        fprintf(out,
                "{\"timestamp\": %d, \"input_length\": 4096, \"output_length\": 9, \"hash_ids\": [1,2,3,4,5,6,7,8]}\n",
                i * 60000);
    fclose(out);
    snprintf(text, sizeof text,
             "name: pd\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 2\nengine: none\nworkload: {trace: %s}\n"
             "serving: {block_tokens: 512, prefill_instances: 1, %s}\n",
             trace, serving);
    struct cluster_result result = run(text, false, seen);
    unlink(trace);
    return result;
}

/* Llama-3.1-8B: 2 x 32 layers x 8 heads x 128 x 2 bytes a token. Both ends: the NIC's 49.5 GB/s and 12 us; NVLink's 388
 * GB/s and 10 us. */
static const double token_bytes = 131072, nic_bytes_per_s = 49.5e9, nic_s = 12e-6, nvlink_bytes_per_s = 388e9,
                    nvlink_s = 10e-6;

static double load_s(const struct seen *seen, int i) {
    return (double)seen->requests[i].cause_ns[CAUSE_LOAD] * 1e-9;
}

static void at_end_waits_for_all_of_it(void **state) {
    (void)state;
    static struct seen seen;
    struct cluster_result result = run_one("handover: at-end", false, &seen);
    assert_int_equal(result.handed_over, 1);
    assert_int_equal(seen.requests[0].instance, 1);
    assert_true(result.handed_bytes == (uint64_t)(4096 * token_bytes));
    assert_true(seen.moved_bytes == result.handed_bytes);
    assert_float_equal(load_s(&seen, 0), 2 * nic_s + 4096 * token_bytes / nic_bytes_per_s, 3e-9);
    run_one("handover: at-end, handover_path: nvlink", false, &seen);
    assert_float_equal(load_s(&seen, 0), 2 * nvlink_s + 4096 * token_bytes / nvlink_bytes_per_s, 3e-9);
}

/* The prefill is slower than the link, so only the last of 32 layers is waited for; its first token comes as early. */
static void layerwise_waits_for_the_last_layer(void **state) {
    (void)state;
    static struct seen late, early;
    run_one("handover: at-end", false, &late);
    struct cluster_result result = run_one("handover: layerwise", false, &early);
    assert_int_equal(early.requests[0].first_token_ns, late.requests[0].first_token_ns);
    assert_true(result.handed_bytes == (uint64_t)(4096 * token_bytes) && early.moved_bytes == result.handed_bytes);
    assert_true((double)early.requests[0].first_token_ns * 1e-9 > 4096 * token_bytes / nic_bytes_per_s);
    assert_float_equal(load_s(&early, 0), 2 * nic_s + 4096 * token_bytes / 32 / nic_bytes_per_s, 3e-9);
    int64_t won_ns = late.requests[0].cause_ns[CAUSE_LOAD] - early.requests[0].cause_ns[CAUSE_LOAD];
    assert_int_equal(late.requests[0].end_ns - early.requests[0].end_ns, won_ns);
}

/* In chunks of 1024 the same: a chunk is long gone when the next one ends. */
static void chunks_go_one_by_one(void **state) {
    (void)state;
    static struct seen seen;
    run_one("token_budget: 1024", false, &seen);
    assert_true(seen.moved_bytes == (uint64_t)(4096 * token_bytes));
    assert_float_equal(load_s(&seen, 0), 2 * nic_s + 1024 * token_bytes / 32 / nic_bytes_per_s, 3e-9);
}

/* What is cached where it is decoded is not sent again. */
static void held_blocks_stay(void **state) {
    (void)state;
    static struct seen seen;
    struct cluster_result result = run_one("handover: at-end", true, &seen);
    assert_int_equal(result.handed_over, 2);
    assert_true(result.handed_bytes == (uint64_t)(4096 * token_bytes) && seen.moved_bytes == result.handed_bytes);
    assert_int_equal(seen.requests[1].cause_ns[CAUSE_LOAD], 0);
    assert_int_equal(seen.requests[1].hit_tokens[0], 4096 - 512);
}

static const char crowd[] =
    "name: crowd\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 4\nengine: %s\n"
    "serving: {block_tokens: 32, prefill_instances: %d, handover: %s, kv_capacity: %d MB, preemption: %s, route: %s, "
    "reuse: %s, token_budget: %d}\n"
    "tiers: [{name: hbm}, {name: dram, scope: node, capacity: 4 GB, write: fill}]\n"
    "workload: {generate: {duration: 20 s, arrivals: {process: poisson, rate: 8/s}, turns: {kind: uniform, min: 1, "
    "max: "
    "5}, first_prompt: {median: 1500, sigma: 1, min: 1, max: 5000}, output: {median: 60, sigma: 1, min: 1, max: 400}, "
    "think_time: {kind: exponential, mean: 2}}}\n";

/* Crowded: decode instances without room, requests that give way, prompts in pieces. Runs of steps are what single
 * steps are, a repetition is the same, and every byte of a prompt that is decoded elsewhere got there. */
static void crowds_agree_with_single_steps(void **state) {
    (void)state;
    static struct seen seen, steps;
    uint64_t preemptions = 0;
    for (int round = 0; round < 12; round++) {
        char text[1200];
        static const char *const reuses[] = {"fetch", "both-ends", "layerwise"}, *const routes[] = {"tier", "random"};
        snprintf(text, sizeof text, crowd, round % 2 ? "vllm" : "none", 1 + round % 3,
                 round / 2 % 2 ? "at-end" : "layerwise", 900 + 200 * (round % 5), round % 4 < 2 ? "recompute" : "swap",
                 routes[round % 2], reuses[round % 3], round % 5 ? 2048 : 512);
        struct cluster_result a = run(text, false, &seen), b = run(text, true, &steps);
        assert_int_equal(seen.count, steps.count);
        for (uint32_t i = 0; i < seen.count; i++)
            assert_memory_equal(&seen.requests[i], &steps.requests[i], sizeof seen.requests[i]);
        assert_int_equal(a.steps, b.steps);
        assert_int_equal(a.handed_over, b.handed_over);
        assert_true(a.handed_bytes == seen.moved_bytes && a.handed_bytes == b.handed_bytes);
        uint64_t leaves = 0;
        double most = 0;
        for (uint32_t i = 0; i < seen.count; i++) {
            leaves += seen.requests[i].end == REQUEST_FINISHED && seen.requests[i].output_tokens > 1;
            most += seen.requests[i].output_tokens > 1 ? seen.requests[i].prompt_tokens * token_bytes : 0;
            if (seen.requests[i].end == REQUEST_FINISHED)
                assert_true(seen.requests[i].output_tokens == 1 || seen.requests[i].instance >= 1 + round % 3);
        }
        assert_int_equal(a.handed_over, leaves);
        assert_true((double)a.handed_bytes <= most && a.handed_bytes > 0);
        preemptions += a.preemptions;
        struct cluster_result again = run(text, false, &steps);
        assert_true(again.order_hash == a.order_hash);
    }
    assert_true(preemptions > 10);
}

/* 576 values of bf16 in 61 layers: 70272 bytes a token, once or on each of 8 ranks. */
static void latents_once_or_per_rank(void **state) {
    (void)state;
    static const char text[] =
        "name: mla\nmodel: deepseek-v3\nweight_dtype: fp8\nnode: hgx-h200\ntp: 8\nnodes: 2\n"
        "engine: none\nserving: {block_tokens: 64, prefill_instances: 1, handover: at-end, "
        "mla_copies: %s, kv_capacity: 100 GB}\n"
        "workload: {generate: {duration: 9 s, arrivals: {process: poisson, rate: 1/s}, turns: "
        "{kind: uniform, min: 1, max: 1}, first_prompt: {median: 3000, sigma: 0, min: 3000, max: "
        "3000}, output: {median: 9, sigma: 0, min: 9, max: 9}}}\n";
    static struct seen seen;
    struct cluster_result result[2];
    double waited_s[2];
    for (int once = 0; once < 2; once++) {
        char filled[1024];
        snprintf(filled, sizeof filled, text, once ? "once" : "per-rank");
        result[once] = run(filled, false, &seen);
        assert_true(seen.count > 0 && result[once].handed_over > 0);
        waited_s[once] = load_s(&seen, 0);
    }
    assert_true(result[0].block_bytes == 8 * 64 * 70272. && result[1].block_bytes == 64 * 70272.);
    assert_int_equal(result[0].hbm_blocks, (uint64_t)(100e9 / (8 * 64 * 70272.)));
    assert_int_equal(result[1].hbm_blocks, (uint64_t)(100e9 / (64 * 70272.)));
    assert_true(result[0].handed_bytes == result[1].handed_bytes); /* each distinct byte, in either case */
    /* The receiver's links write it once, all eight together, or each writes all of it. */
    uint32_t prompt = seen.requests[0].prompt_tokens;
    assert_float_equal(waited_s[1], 2 * nic_s + prompt * 70272. / (8 * nic_bytes_per_s), 3e-9);
    assert_float_equal(waited_s[0], 2 * nic_s + prompt * 70272. / nic_bytes_per_s, 3e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_end_waits_for_all_of_it),     cmocka_unit_test(layerwise_waits_for_the_last_layer),
        cmocka_unit_test(chunks_go_one_by_one),           cmocka_unit_test(held_blocks_stay),
        cmocka_unit_test(crowds_agree_with_single_steps), cmocka_unit_test(latents_once_or_per_rank)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
