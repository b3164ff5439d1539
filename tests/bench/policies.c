/* How fast is a flat replay, policy by policy? A Zipf(0.9) stream of 5 M accesses to 1 M ids at a capacity of 100,000.
 * Prints JSON: million accesses a second, medians of interleaved runs, reading of the trace not included.
 * Usage: policies [accesses [runs [policy ...]]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/base/arena.h"
#include "sim/config/read.h"
#include "sim/memory/replay.h"

enum { IDS = 1000000, CAPACITY = 100000, RUNS_MAX = 99, POLICIES_MAX = 64 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Draws by the inverse of the cumulated weights 1 / rank^0.9; ranks are spread over the ids. */
static struct replay_trace *zipf(uint32_t accesses) {
    double *upto = malloc((IDS + 1) * sizeof *upto);
    MUST(upto != NULL);
    upto[0] = 0;
    for (int i = 0; i < IDS; i++)
        upto[i + 1] = upto[i] + pow(i + 1, -0.9);
    struct replay_trace *trace = replay_trace_create(0);
    uint64_t state = 88172645463325252u;
    for (uint32_t a = 0; a < accesses; a++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        double draw = (double)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 11) * 0x1p-53 * upto[IDS];
        uint32_t low = 0, high = IDS;
        while (high - low > 1) {
            uint32_t middle = (low + high) / 2;
            *(upto[middle] <= draw ? &low : &high) = middle;
        }
        struct replay_request request = {.at_ns = (int64_t)a * 1000, .blocks = 1};
        uint64_t id = (uint64_t)low * UINT64_C(0x9e3779b97f4a7c15);
        replay_trace_add(trace, &request, &id, NULL);
    }
    free(upto);
    return trace;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    uint32_t accesses = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 5000000;
    int runs = argc > 2 ? atoi(argv[2]) : 5;
    MUST(accesses > 0 && runs > 0 && runs <= RUNS_MAX);
    static const char *const usual[] = {"lru",  "fifo", "clock",  "sieve",    "arc",  "lirs",   "lfu", "lfuda",
                                        "slru", "2q",   "s3fifo", "wtinylfu", "gdsf", "belady", "lhd", "hyperbolic"};
    size_t count = argc > 3 ? (size_t)(argc - 3) : sizeof usual / sizeof *usual;
    MUST(count <= POLICIES_MAX);
    struct arena *arena = arena_create();
    struct replay_trace *trace = zipf(accesses);
    int64_t *next_use = replay_foresee(trace, false);
    static double rates[POLICIES_MAX][RUNS_MAX];
    struct replay_result results[POLICIES_MAX];
    for (int run = 0; run < runs; run++)
        for (size_t p = 0; p < count; p++) {
            struct error err = {0};
            const struct policy *found = policy_find(POLICY_EVICT, argc > 3 ? argv[p + 3] : usual[p], &err);
            MUST(found != NULL);
            void *options = found->options ? arena_alloc(arena, found->options_size) : NULL;
            MUST(!options || options_read(NULL, found->options, options, arena, &err) == 0);
            struct replay_setup setup = {.trace = trace,
                                         .policy = (const struct evict_policy *)found,
                                         .policy_options = options,
                                         .next_use = next_use,
                                         .capacity_blocks = CAPACITY,
                                         .seed = 1};
            double start = now_s();
            replay_run(&setup, &results[p]);
            rates[p][run] = 1e-6 * accesses / (now_s() - start);
        }
    printf("{\"accesses\": %u, \"unique\": %llu, \"capacity\": %d, \"runs\": %d, \"million_accesses_per_s\": {",
           accesses, (unsigned long long)trace->unique, CAPACITY, runs);
    for (size_t p = 0; p < count; p++) {
        qsort(rates[p], (size_t)runs, sizeof rates[p][0], ascending);
        printf("%s\"%s\": %.1f", p ? ", " : "", argc > 3 ? argv[p + 3] : usual[p], rates[p][runs / 2]);
    }
    printf("}}\n");
    free(next_use);
    replay_trace_destroy(trace);
    arena_destroy(arena);
}
