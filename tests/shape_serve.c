/* Does serving move the way it must when routing, budgets and preemption change? Each scenario is a few requests of a
 * trace written here, so that what must come out can be said beforehand. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/scenario.h"

enum { REQUESTS_MAX = 64 };

struct seen {
    struct sink sink;
    struct request_record requests[REQUESTS_MAX];
    uint32_t count;
};

static void note_request(void *self, const struct request_record *record) {
    struct seen *seen = self;
    assert_true(seen->count < REQUESTS_MAX);
    seen->requests[seen->count++] = *record;
}

struct asked {
    int64_t at_ms;
    int prompt_tokens, output_tokens, first_id; /* ids first_id, first_id + 1, ... of 512 tokens each */
};

/* Runs `asked` on Llama-3.1-8B with the YAML lines `more`; fills seen. */
static struct cluster_result run(const struct asked *asked, int count, const char *more, struct seen *seen) {
    char trace[64], path[64];
    snprintf(trace, sizeof trace, "/tmp/tiersim-serve-%d.jsonl", (int)getpid());
    snprintf(path, sizeof path, "/tmp/tiersim-serve-%d.yaml", (int)getpid());
    FILE *out = fopen(trace, "w");
    assert_non_null(out);
    for (int i = 0; i < count; i++) {
        fprintf(out, "{\"timestamp\": %lld, \"input_length\": %d, \"output_length\": %d, \"hash_ids\": [",
                (long long)asked[i].at_ms, asked[i].prompt_tokens, asked[i].output_tokens);
        for (int b = 0; b < (asked[i].prompt_tokens + 511) / 512; b++)
            fprintf(out, "%s%d", b ? ", " : "", asked[i].first_id + b);
        fputs("]}\n", out);
    }
    fclose(out);
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "name: serve\nmodel: llama-3.1-8b\nnode: hgx-h100\nworkload: {trace: %s}\n%s", trace, more);
    fclose(out);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    *seen = (struct seen){.sink = {.request = note_request}};
    seen->sink.self = seen;
    struct variant_run run = {
        .variant = &scenario.variants[0], .load = 1, .seed = 1, .audit = true, .also = &seen->sink};
    struct metrics metrics;
    struct cluster_result result;
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    metrics_destroy(&metrics);
    scenario_free(&scenario);
    unlink(path);
    unlink(trace);
    assert_int_equal(result.arrived, count);
    return result;
}

static void count_by_instance(const struct seen *seen, int counts[8]) {
    memset(counts, 0, 8 * sizeof *counts);
    for (uint32_t i = 0; i < seen->count; i++)
        counts[seen->requests[i].instance]++;
}

static int most(const int counts[8]) {
    int largest = 0;
    for (int i = 0; i < 8; i++)
        largest = counts[i] > largest ? counts[i] : largest;
    return largest;
}

/* Sixteen equal, unrelated requests at one instant: two an instance, whoever looks at load; whoever looks at what was
 * there two seconds ago sends them all one way. */
static void simultaneous_requests_spread(void **state) {
    (void)state;
    struct asked asked[16];
    for (int i = 0; i < 16; i++)
        asked[i] = (struct asked){1000, 4096, 8, 100 * (i + 1)};
    static const char *const even[] = {"serving: {route: least-loaded}\n", "serving: {route: prefix-aware}\n",
                                       "serving: {route: round-robin}\n", "serving: {route: tier}\n",
                                       "serving: {route: predicted-ttft}\n"};
    struct seen seen;
    int counts[8];
    for (size_t r = 0; r < sizeof even / sizeof *even; r++) {
        run(asked, 16, even[r], &seen);
        count_by_instance(&seen, counts);
        for (int i = 0; i < 8; i++)
            assert_int_equal(counts[i], 2);
    }
    run(asked, 16, "serving: {route: least-loaded, route_snapshot_age: 2 s}\n", &seen);
    count_by_instance(&seen, counts);
    assert_int_equal(most(counts), 16);
}

/* A conversation's second turn goes where its first one is cached, even past an idle instance; a router that does not
 * look at caches sends it on. */
static void prefixes_draw_requests(void **state) {
    (void)state;
    const struct asked asked[] = {{0, 8192, 4, 1}, {0, 8192, 4, 101}, {60000, 10240, 4, 101}, {120000, 12288, 4, 101}};
    struct seen seen;
    static const char *const drawn[] = {"serving: {route: prefix-aware}\n", "serving: {route: tier}\n",
                                        "serving: {route: predicted-ttft}\n"};
    for (int d = 0; d < 3; d++) {
        run(asked, 4, drawn[d], &seen);
        uint16_t home = UINT16_MAX;
        for (uint32_t i = 0; i < seen.count; i++)
            if (seen.requests[i].id == 1)
                home = seen.requests[i].instance;
        for (uint32_t i = 0; i < seen.count; i++)
            if (seen.requests[i].id >= 2) {
                assert_int_equal(seen.requests[i].instance, home);
                assert_true(seen.requests[i].hit_tokens[0] >= 8192 - 512);
            }
    }
    run(asked, 4, "serving: {route: round-robin}\n", &seen);
    int counts[8];
    count_by_instance(&seen, counts);
    assert_int_equal(most(counts), 1);
}

static double worst_ttft_s(const struct seen *seen, double *e2e_s) {
    double worst = 0;
    *e2e_s = 0;
    for (uint32_t i = 0; i < seen->count; i++) {
        const struct request_record *r = &seen->requests[i];
        double ttft = (double)(r->first_token_ns - r->arrival_ns) * 1e-9,
               e2e = (double)(r->end_ns - r->arrival_ns) * 1e-9;
        worst = ttft > worst ? ttft : worst;
        *e2e_s = e2e > *e2e_s ? e2e : *e2e_s;
    }
    return worst;
}

/* One place in the batch makes requests wait for each other; many places share the weights' reads. */
static void places_shorten_the_whole(void **state) {
    (void)state;
    struct asked asked[12];
    for (int i = 0; i < 12; i++)
        asked[i] = (struct asked){0, 1024, 100, 100 * (i + 1)};
    struct seen seen;
    double e2e_1, e2e_4, e2e_12;
    run(asked, 12, "instances: 1\nserving: {max_sequences: 1}\n", &seen);
    double ttft_1 = worst_ttft_s(&seen, &e2e_1);
    run(asked, 12, "instances: 1\nserving: {max_sequences: 4}\n", &seen);
    double ttft_4 = worst_ttft_s(&seen, &e2e_4);
    run(asked, 12, "instances: 1\nserving: {max_sequences: 12}\n", &seen);
    double ttft_12 = worst_ttft_s(&seen, &e2e_12);
    assert_true(ttft_1 > 2.5 * ttft_4 && ttft_4 > 2 * ttft_12);
    assert_true(e2e_1 > 2.5 * e2e_4 && e2e_4 > 1.5 * e2e_12);
}

/* A smaller token budget lets decodes wait less for the prompts beside them, and prompts take longer. */
static void budget_trades_tpot_for_ttft(void **state) {
    (void)state;
    const struct asked asked[] = {{0, 512, 200, 1}, {100, 32768, 2, 1001}};
    struct seen seen;
    double gap_s[2], ttft_s[2];
    static const char *const budgets[] = {"instances: 1\nserving: {token_budget: 512}\n",
                                          "instances: 1\nserving: {token_budget: 16384}\n"};
    for (int b = 0; b < 2; b++) {
        run(asked, 2, budgets[b], &seen);
        for (uint32_t i = 0; i < seen.count; i++) {
            const struct request_record *r = &seen.requests[i];
            if (r->id == 0)
                gap_s[b] = (double)(r->end_ns - r->first_token_ns) * 1e-9;
            else
                ttft_s[b] = (double)(r->first_token_ns - r->arrival_ns) * 1e-9;
        }
    }
    assert_true(ttft_s[0] > ttft_s[1]);
    assert_true(gap_s[0] < gap_s[1] || gap_s[0] < 200 * 0.1);
}

/* Too little KV for all: who gives way by swapping computes nothing twice, who does so by recomputation does. */
static void swapping_computes_nothing_twice(void **state) {
    (void)state;
    struct asked asked[8];
    for (int i = 0; i < 8; i++)
        asked[i] = (struct asked){i * 10, 2000, 1500, 100 * (i + 1)};
    struct seen seen;
    uint64_t computed[2] = {0}, preemptions[2];
    static const char *const ways[] = {"instances: 1\nserving: {kv_capacity: 2.2 GB, preemption: recompute}\n"
                                       "tiers: [{name: hbm}, {name: dram, capacity: 50 GB, write: none}]\n",
                                       "instances: 1\nserving: {kv_capacity: 2.2 GB, preemption: swap}\n"
                                       "tiers: [{name: hbm}, {name: dram, capacity: 50 GB, write: none}]\n"};
    for (int w = 0; w < 2; w++) {
        preemptions[w] = run(asked, 8, ways[w], &seen).preemptions;
        for (uint32_t i = 0; i < seen.count; i++) {
            computed[w] += seen.requests[i].computed_tokens;
            assert_true(w == 0 || seen.requests[i].recomputed_tokens == 0);
        }
    }
    assert_true(preemptions[0] > 0 && preemptions[1] > 0);
    assert_int_equal(computed[1], 8 * 2000);
    assert_true(computed[0] > computed[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simultaneous_requests_spread),    cmocka_unit_test(prefixes_draw_requests),
        cmocka_unit_test(places_shorten_the_whole),        cmocka_unit_test(budget_trades_tpot_for_ttft),
        cmocka_unit_test(swapping_computes_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
