/* Random scenarios for tests: YAML text from a seed, loaded like any other. */
#ifndef TESTS_RANDOM_SCENARIO_H
#define TESTS_RANDOM_SCENARIO_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/scenario.h"

/* splitmix64: small, and nothing of ours, so that a defect in our streams cannot hide here. */
static inline uint64_t test_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static inline uint64_t test_below(uint64_t *state, uint64_t limit) {
    return test_random(state) % limit;
}
#define TEST_PICK(state, array) (array)[test_below(state, sizeof(array) / sizeof *(array))]

static inline void random_tiers(FILE *out, uint64_t *r) {
    static const char *const evicts[] = {"lru", "fifo", "radix-lfu", "priority"};
    static const char *const writes[] = {"fill", "completion", "eviction", "none"};
    static const char *const scopes[] = {"instance", "node", "pod"};
    static const char *const names[] = {"dram", "ssd", "flash"}, *const codecs[] = {"", ", codec: 100 GB/s",
                                                                                    ", codec: 1 GB/s"};
    fprintf(out, "tiers:\n  - {name: hbm, evict: %s}\n", TEST_PICK(r, evicts));
    for (int t = 0; t < 3; t++) {
        if (test_below(r, 2))
            continue;
        static const char *const admits[] = {"", ", admit: second-hit",
                                             ", admit: {name: second-hit, hits: 3, entries: 50}",
                                             ", admit: hicache-selective", ", admit: dynamo-frequency"},
                                 *const promotes[] = {"", ", promote: always, index_lookup: 1 ms, index_delay: 2 s",
                                                      ", promote: never"},
                                 *const formats[] = {", format_ratio: 1", ", format_ratio: 0.5", ", format: fp8",
                                                     ", format: 4bit"};
        fprintf(out, "  - {name: %s, scope: %s, capacity: %llu MB, write: %s, evict: %s%s%s%s%s}\n", names[t],
                TEST_PICK(r, scopes), (unsigned long long)(50 + test_below(r, 4000) * (t + 1)), TEST_PICK(r, writes),
                TEST_PICK(r, evicts), TEST_PICK(r, formats), TEST_PICK(r, admits), TEST_PICK(r, promotes),
                TEST_PICK(r, codecs));
    }
}

static inline void random_serving(FILE *out, uint64_t *r) {
    static const int blocks[] = {16, 32, 64, 128, 256, 512}, budgets[] = {256, 512, 2048, 8192};
    static const char *const batches[] = {"chunked", "prefill-first", "{name: chunked, chunk_limit: 200}"},
                             *const routes[] = {"round-robin", "least-loaded", "prefix-aware",
                                                "random",      "tier",         "predicted-ttft"};
    static const char *const prefetches[] = {"none",
                                             "on-arrival",
                                             "{name: on-arrival, to: below}",
                                             "queue-position",
                                             "{name: queue-position, first: 2, to: below}",
                                             "next-step",
                                             "{name: next-step, to: hbm}"};
    static const char *const reuses[] = {"fetch",
                                         "recompute",
                                         "{name: threshold, tokens: 600}",
                                         "cheapest",
                                         "{name: cheapest, others: 0}",
                                         "both-ends",
                                         "{name: both-ends, others: 0}",
                                         "layerwise",
                                         "deadline",
                                         "{name: deadline, seconds: 20 us}"};
    fprintf(out, "serving:\n  block_tokens: %d\n  token_budget: %d\n  max_sequences: %llu\n  kv_capacity: %llu MB\n",
            TEST_PICK(r, blocks), TEST_PICK(r, budgets), (unsigned long long)(1 + test_below(r, 40)),
            (unsigned long long)(500 + test_below(r, 3000)));
    fprintf(out, "  preemption: %s\n  batch: %s\n  route: %s\n  reuse: %s\n  prefetch: %s\n  route_snapshot_age: %s\n",
            test_below(r, 2) ? "swap" : "recompute", TEST_PICK(r, batches), TEST_PICK(r, routes), TEST_PICK(r, reuses),
            TEST_PICK(r, prefetches), test_below(r, 3) ? "0" : "2 s");
}

static inline void random_workload(FILE *out, uint64_t *r) {
    bool population = test_below(r, 2);
    fprintf(out,
            "workload:\n  generate:\n    duration: 20 s\n    arrivals: {process: %s, population: %llu, ramp: 3 s, "
            "rate: %llu/s}\n",
            population ? "population" : "poisson", (unsigned long long)(1 + test_below(r, 12)),
            (unsigned long long)(1 + test_below(r, 4)));
    fprintf(out, "    system_tokens: %llu\n    documents: %llu\n    document_tokens: 700\n",
            (unsigned long long)test_below(r, 2000), (unsigned long long)test_below(r, 4));
    fprintf(out,
            "    first_prompt: {median: %llu, sigma: 1, min: 1, max: 5000}\n    turn: {median: 100, sigma: 1, min: 1, "
            "max: 2000}\n",
            (unsigned long long)(20 + test_below(r, 1500)));
    fprintf(out,
            "    output: {median: %llu, sigma: 1, min: 1, max: 400}\n    turns: {kind: uniform, min: 1, max: 6}\n    "
            "think_time: {kind: exponential, mean: %s}\n",
            (unsigned long long)(1 + test_below(r, 100)), test_below(r, 2) ? "0.5" : "5");
    if (test_below(r, 3) == 0)
        fprintf(out, "    context_limit: 4000\n    compacts: %s\n    compact_tokens: 500\n",
                test_below(r, 2) ? "yes" : "no");
}

/* Loads random scenario number `seed`; its file is left at `path` for whoever wants to look. */
static inline int random_scenario(uint64_t seed, char *path, size_t path_size, struct scenario *out,
                                  struct error *err) {
    uint64_t r = seed * 7919 + 1;
    snprintf(path, path_size, "/tmp/tiersim-test-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    if (!file)
        return error_set(err, "cannot write %s\n  hint: is /tmp full?", path);
    fprintf(file, "name: random-%llu\nseed: %llu\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: %llu\nengine: %s\n",
            (unsigned long long)seed, (unsigned long long)(seed + 1), (unsigned long long)(1 + test_below(&r, 3)),
            test_below(&r, 2) ? "vllm" : "none");
    random_serving(file, &r);
    random_tiers(file, &r);
    random_workload(file, &r);
    fclose(file);
    return scenario_load(path, NULL, 0, NULL, out, err);
}

/* How many scenarios: a check takes some, check-long many. */
static inline uint64_t test_rounds(uint64_t some, uint64_t many) {
    return getenv("TIERSIM_LONG") ? many : some;
}

#endif
