/* Do critical paths sum to the latencies, to the ns, whatever happens to requests on the way? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/output/critical.h"
#include "tests/text_scenario.h"

#define TRAFFIC                                                                                                        \
    "workload:\n  generate:\n    arrivals: {process: poisson, rate: 3/s}\n    duration: 60 s\n"                        \
    "    system_tokens: 1024\n    first_prompt: {median: 3000, sigma: 0.8, min: 16, max: 20000}\n"                     \
    "    output: {median: 120, sigma: 0.8, min: 1, max: 1000}\n    turns: {kind: uniform, min: 1, max: 4}\n"           \
    "    think_time: {kind: exponential, mean: 4}\n"
#define TIERS                                                                                                          \
    "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 6 GB, write: fill}\n  - {name: ssd, capacity: 64 GB, write: " \
    "eviction}\n"

static struct critical *collected(const struct taken *taken) {
    static struct critical critical;
    critical_create(&critical, 5000000000, NULL);
    for (size_t i = 0; i < taken->count; i++)
        critical.sink.request(critical.sink.self, &taken->requests[i]);
    return &critical;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Each record by itself, then the paths against sums over a sorted list of latencies. */
static void check(const char *text) {
    struct taken taken = text_run("%s", text);
    struct critical *critical = collected(&taken);
    int64_t *latencies = malloc((taken.count + 1) * sizeof *latencies);
    assert_non_null(latencies);
    size_t n = 0;
    bool waited = false, preempted = false;
    for (size_t i = 0; i < taken.count; i++) {
        const struct request_record *r = &taken.requests[i];
        if (r->end == REQUEST_REJECTED)
            continue;
        int64_t first = 0, all = 0;
        for (int c = 0; c < CAUSE_COUNT; c++) {
            assert_true(r->first_ns[c] >= 0 && r->first_ns[c] <= r->cause_ns[c]);
            first += r->first_ns[c];
            all += r->cause_ns[c];
        }
        assert_true(first == r->first_token_ns - r->arrival_ns && all == r->end_ns - r->arrival_ns);
        waited |= r->first_ns[CAUSE_LOAD] > 0;
        preempted |= r->preemptions > 0;
        if (r->arrival_ns >= 5000000000)
            latencies[n++] = first;
    }
    assert_true(n > 50 && n == critical->count && waited);
    print_message("%zu requests%s\n", n, preempted ? ", some preempted" : "");
    qsort(latencies, n, sizeof *latencies, ascending);
    for (int percent = 1; percent <= 100; percent += 33) {
        struct critical_path path = critical_path(critical, CRITICAL_TTFT, percent / 100.0);
        size_t rank = (size_t)((percent * n + 99) / 100) - 1, first = rank > 5 ? rank - 5 : 0,
               last = rank + 5 < n ? rank + 5 : n - 1;
        int64_t sum = 0, causes = 0;
        for (size_t i = first; i <= last; i++)
            sum += latencies[i];
        for (int c = 0; c < CAUSE_COUNT; c++)
            causes += path.cause_ns[c];
        assert_true(path.requests == last - first + 1 && path.total_ns == sum && causes == sum);
        assert_true(path.low_ns == latencies[first] && path.high_ns == latencies[last]);
        assert_true(critical_percentile_s(critical, CRITICAL_TTFT, percent / 100.0) == (double)latencies[rank] * 1e-9);
    }
    critical_destroy(critical);
    free(latencies);
    taken_free(&taken);
}

static void loads_and_preemptions(void **state) {
    (void)state;
    check("name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
          "serving: {block_tokens: 64, kv_capacity: 3 GB}\n" TIERS TRAFFIC);
}
static void swaps(void **state) {
    (void)state;
    check("name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 2\n"
          "serving: {block_tokens: 64, kv_capacity: 3 GB, preemption: swap}\n" TIERS TRAFFIC);
}
static void hand_overs(void **state) {
    (void)state;
    check("name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 4\n"
          "serving: {block_tokens: 64, kv_capacity: 4 GB, prefill_instances: 2}\n" TIERS TRAFFIC);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_and_preemptions), cmocka_unit_test(swaps),
                                       cmocka_unit_test(hand_overs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
