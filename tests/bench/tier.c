/* How fast is a tier? One instance's HBM at 16-token blocks: a request asks for 475 blocks, finds 175 of them, inserts
 * 300 and has 300 others evicted, while 32 requests are live. Prints JSON: us a request, medians of several runs.
 * Usage: tier [blocks [requests [runs]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/base/error.h"
#include "sim/memory/tier.h"

enum { FOUND = 175, NEW = 300, ALL = FOUND + NEW, LIVE = 32, RUNS_MAX = 99 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct request {
    uint32_t slots[ALL];
    uint32_t count;
};

static uint64_t draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Sessions whose shared beginnings stay warm: each request takes up one of `sessions` and adds a text of its own. */
static double run(const char *policy_name, uint32_t blocks, uint32_t requests) {
    struct error err = {0};
    const struct policy *policy = policy_find(POLICY_EVICT, policy_name, &err);
    MUST(policy != NULL);
    struct tier_setup setup = {.name = "hbm",
                               .capacity_blocks = blocks,
                               .prefix = true,
                               .policy = (const struct evict_policy *)policy,
                               .seed = 1};
    struct tier *tier = tier_create(&setup);
    static struct request live[LIVE];
    memset(live, 0, sizeof live);
    uint64_t ids[ALL], state = 88172645463325252u, next_id = 1 << 20;
    uint32_t sessions = blocks / (4 * FOUND) > 1 ? blocks / (4 * FOUND) : 1;
    double start = 0;
    uint32_t warm = 4 * (blocks / NEW) + LIVE;
    for (uint32_t r = 0; r < requests + warm; r++) {
        if (r == warm)
            start = now_s();
        struct request *request = &live[r % LIVE];
        tier_release_all(tier, request->slots, request->count, r);
        uint64_t session = draw(&state) % sessions;
        for (uint32_t i = 0; i < ALL; i++)
            ids[i] = i < FOUND ? session * 256 + i : next_id + i;
        next_id += 512;
        uint32_t found = tier_match(tier, ids, ALL, request->slots);
        tier_use_all(tier, request->slots, found, NULL, NULL, r);
        MUST(tier_take(tier, ALL - found, r));
        struct block_new first = {
            .parent = found ? request->slots[found - 1] : SLOT_NONE, .depth = found, .tokens = 16, .priority = 35};
        uint32_t inserted =
            tier_insert_all(tier, &first, ids + found, NULL, ALL - found, SLOT_RESIDENT, request->slots + found, r);
        tier_give(tier, ALL - found - inserted); /* what is there behind a gap */
        request->count = ALL;
    }
    double seconds = now_s() - start;
    tier_audit(tier);
    tier_destroy(tier);
    return 1e6 * seconds / requests;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(uint32_t blocks, uint32_t requests, int runs, const char *separator) {
    static const char *const names[] = {"lru", "fifo", "radix-lfu"};
    enum { NAMES = sizeof names / sizeof *names };
    double times[NAMES][RUNS_MAX];
    for (int i = 0; i < runs; i++) /* interleaved: what disturbs the machine disturbs all */
        for (int n = 0; n < NAMES; n++)
            times[n][i] = run(names[n], blocks, requests);
    printf("  {\"blocks\": %u, \"requests\": %u, \"runs\": %d", blocks, requests, runs);
    for (int n = 0; n < NAMES; n++) {
        qsort(times[n], (size_t)runs, sizeof times[n][0], ascending);
        printf(", \"%s_us\": %.2f", names[n], times[n][runs / 2]);
    }
    printf("}%s\n", separator);
}

int main(int argc, char **argv) {
    uint32_t blocks = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    uint32_t requests = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 5000;
    int runs = argc > 3 ? atoi(argv[3]) : 5;
    if (requests == 0 || runs < 1 || runs > RUNS_MAX || (blocks && blocks < 2 * LIVE * ALL)) {
        fprintf(stderr, "usage: tier [BLOCKS [REQUESTS [RUNS]]]\n  hint: BLOCKS is at least %d, RUNS 1 to %d\n",
                2 * LIVE * ALL, RUNS_MAX);
        return EXIT_BAD_INPUT;
    }
    static const uint32_t sizes[] = {40000, 400000, 4000000};
    int count = sizeof sizes / sizeof *sizes;
    printf("{\"benchmark\": \"tier\", \"found\": %d, \"new\": %d, \"results\": [\n", FOUND, NEW);
    if (blocks)
        compare(blocks, requests, runs, "");
    for (int i = 0; i < count && !blocks; i++)
        compare(sizes[i], requests, runs, i + 1 < count ? "," : "");
    printf("]}\n");
    return 0;
}
