/* Do the research policies do what their papers say of them, on recorded agent sessions? Prefix semantics, 64-token
 * blocks. And do small worked examples come out? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/memory/replay.h"
#include "sim/workload/trace.h"
#include "tests/policies_world.h"

enum { TAIL_TOKENS = 4096, QUEUE = 64 };

/* NULL: there is no such trace here. */
static struct replay_trace *sessions(void) {
    char path[4096];
    const char *root = getenv("TIERSIM_TRACES");
    snprintf(path, sizeof path, "%s/agentic", root && *root ? root : "../shared/traces");
    FILE *there = fopen(path, "rb");
    if (!there) {
        print_message("no trace %s: set TIERSIM_TRACES to the traces' directory\n", path);
        return NULL;
    }
    fclose(there);
    struct error err = {0};
    struct trace *trace;
    if (trace_load(path, "agentic", false, &trace, &err) != 0)
        fail_msg("%s", err.text);
    struct replay_trace *replay = replay_trace_create(trace->hash_tokens);
    replay->stated = calloc((size_t)trace->count + 1, sizeof *replay->stated);
    assert_non_null(replay->stated);
    static uint64_t ids[1 << 18];
    for (uint32_t r = 0; r < trace->count; r++) {
        const struct trace_request *request = &trace->requests[r];
        uint32_t count = 0;
        for (uint32_t s = 0; s < request->span_count; s++)
            for (uint32_t i = 0; i < trace->spans[request->first_span + s].count; i++)
                ids[count++] = trace->spans[request->first_span + s].first + i;
        struct replay_request added = {
            .at_ns = request->at_ns, .blocks = count, .tokens = request->prompt_tokens, .session = request->session};
        replay->stated[r].calls_tool = request->calls_tool;
        replay_trace_add(replay, &added, ids, NULL);
    }
    trace_free(trace);
    return replay;
}

/* A token costs 0.1 ms. */
static double token_s(const void *world, uint64_t from, uint32_t tokens) {
    (void)world, (void)from;
    return 1e-4 * tokens;
}
static double lost(const void *world, uint32_t blocks) {
    (void)world, (void)blocks;
    return HUGE_VAL;
}

static struct replay_result run(const struct replay_trace *trace, const int64_t *next_use, const char *name,
                                const void *options, uint64_t blocks) {
    struct error err = {0};
    const struct policy *found = policy_find(POLICY_EVICT, name, &err);
    assert_non_null(found);
    struct arena *arena = arena_create();
    struct evict_costs costs = {.compute_s = token_s, .fetch_s = lost, .block_bytes = 1};
    struct replay_setup setup = {.trace = trace,
                                 .policy = (const struct evict_policy *)found,
                                 .policy_options = options ? options : default_options(found, arena),
                                 .next_use = next_use,
                                 .capacity_blocks = blocks,
                                 .prefix = true,
                                 .queue = QUEUE,
                                 .costs = &costs,
                                 .tail_tokens = TAIL_TOKENS,
                                 .seed = 1};
    struct replay_result result;
    replay_run(&setup, &result);
    print_message("%-20s %6llu blocks: %.2f %% of tokens hit, %llu requests compute more than %d\n", name,
                  (unsigned long long)blocks, 100.0 * (double)result.hit_tokens / (double)result.tokens,
                  (unsigned long long)result.late, TAIL_TOKENS);
    arena_destroy(arena);
    return result;
}

static void on_recorded_sessions(void **unused) {
    (void)unused;
    struct replay_trace *trace = sessions();
    if (!trace)
        skip();
    int64_t *next_use = replay_foresee(trace, true);
    static const uint64_t sizes[] = {10000, 20000, 40000, 60000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct replay_result lru = run(trace, next_use, "lru", NULL, sizes[i]);
        struct replay_result clairvoyant = run(trace, next_use, "belady", NULL, sizes[i]);
        struct replay_result flow = run(trace, next_use, "kvflow", NULL, sizes[i]);
        struct replay_result window = run(trace, next_use, "queue-window", NULL, sizes[i]);
        static const struct { double noise; } sure = {0}, blind = {1};
        struct replay_result good = run(trace, next_use, "continuation", &sure, sizes[i]);
        struct replay_result bad = run(trace, next_use, "continuation", &blind, sizes[i]);
        /* Knowing when agents run beats recency, and does not beat knowing when blocks are used. */
        assert_true(flow.hit_tokens > lru.hit_tokens && flow.hit_tokens < clairvoyant.hit_tokens * 1.01);
        assert_true(window.hit_tokens > lru.hit_tokens);
        /* A right prediction helps, one that is always wrong hurts. */
        assert_true(good.hit_tokens >= lru.hit_tokens && bad.hit_tokens <= lru.hit_tokens);
        /* Keeping contexts over tool calls, where there is not room for all, helps those that come back. */
        struct replay_result pins = run(trace, next_use, "continuum", NULL, sizes[i]);
        assert_true(sizes[i] > 20000 || pins.hit_tokens > lru.hit_tokens);
    }
    free(next_use);
    replay_trace_destroy(trace);
}

static double getting_back_s; /* of a context, whatever it is */
static double compute_s(const void *world, uint64_t from, uint32_t tokens) {
    (void)world, (void)from, (void)tokens;
    return getting_back_s;
}

/* An agent of 4 blocks calls a tool that takes 10 s, again and again; each second a stranger brings 2 blocks that
 * nobody asks for again. There is room for 12. LRU has lost the agent's context whenever it returns. A third of the
 * cache for 10 s is worth getting 4 s back (12 s of it are), and not 1 s (3 s). */
static void a_tool_call(void **unused) {
    (void)unused;
    enum { CALLS = 40, SECONDS = 10 };
    struct replay_trace *trace = replay_trace_create(1);
    trace->stated = calloc(CALLS * SECONDS, sizeof *trace->stated);
    assert_non_null(trace->stated);
    for (uint32_t s = 0; s < CALLS * SECONDS; s++) {
        bool agent = s % SECONDS == 0;
        uint64_t ids[4] = {1, 2, 3, 4}, stranger[2] = {100 + 2 * s, 101 + 2 * s};
        struct replay_request request = {.at_ns = s * INT64_C(1000000000), .session = agent ? 0 : s};
        request.blocks = request.tokens = agent ? 4 : 2;
        trace->stated[s].calls_tool = agent;
        replay_trace_add(trace, &request, agent ? ids : stranger, NULL);
    }
    struct evict_costs costs = {.compute_s = compute_s, .fetch_s = lost, .block_bytes = 1};
    static const struct {
        const char *name;
        double back_s;
        uint64_t hits;
    } cases[] = {{"lru", 4, 0}, {"continuum", 4, 4 * (CALLS - 1)}, {"continuum", 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        const struct policy *found = policy_find(POLICY_EVICT, cases[i].name, &err);
        assert_non_null(found);
        struct arena *arena = arena_create();
        getting_back_s = cases[i].back_s;
        struct replay_setup setup = {.trace = trace,
                                     .policy = (const struct evict_policy *)found,
                                     .policy_options = default_options(found, arena),
                                     .costs = &costs,
                                     .capacity_blocks = 12,
                                     .prefix = true,
                                     .seed = 1};
        struct replay_result result;
        replay_run(&setup, &result);
        if (result.hits != cases[i].hits)
            fail_msg("%s, %g s to get back: %llu hits, not %llu", cases[i].name, cases[i].back_s,
                     (unsigned long long)result.hits, (unsigned long long)cases[i].hits);
        arena_destroy(arena);
    }
    replay_trace_destroy(trace);
}

/* Agents of 4 blocks come back every 40 s; each second a stranger asks for 2 blocks, once. There is room for 40. LRU
 * has lost every agent's context when it returns. Who learns that later turns come back and first ones do not keeps
 * them: all that agents ask for after a time of learning, but for a tenth. */
static void turns_tell(void **unused) {
    (void)unused;
    enum { AGENTS = 4, PERIOD = 40, SECONDS = 4000, LEARNING = 1000 };
    struct replay_trace *trace = replay_trace_create(1);
    uint32_t agents = 0, skip = 0;
    for (uint32_t s = 0; s < SECONDS; s++) {
        uint32_t number = s % PERIOD / (PERIOD / AGENTS);
        bool agent = s % (PERIOD / AGENTS) == 0;
        uint64_t ids[4] = {4 * number, 4 * number + 1, 4 * number + 2, 4 * number + 3};
        uint64_t stranger[2] = {100 + 2 * s, 101 + 2 * s};
        struct replay_request request = {.at_ns = s * INT64_C(1000000000), .session = agent ? number : 100 + s};
        request.blocks = request.tokens = agent ? 4 : 2;
        replay_trace_add(trace, &request, agent ? ids : stranger, NULL);
        skip += s < LEARNING;
        agents += agent && s >= LEARNING;
    }
    static const char *const names[] = {"lru", "reuse-curve"};
    uint64_t hits[2];
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        const struct policy *found = policy_find(POLICY_EVICT, names[i], &err);
        assert_non_null(found);
        struct replay_setup setup = {.trace = trace,
                                     .policy = (const struct evict_policy *)found,
                                     .capacity_blocks = 40,
                                     .prefix = true,
                                     .skip = skip,
                                     .seed = 1};
        struct replay_result result;
        replay_run(&setup, &result);
        hits[i] = result.hits;
    }
    print_message("turns: LRU hits %llu, reuse-curve %llu of %u\n", (unsigned long long)hits[0],
                  (unsigned long long)hits[1], 4 * agents);
    assert_true(hits[0] == 0 && hits[1] > 4 * agents * 9 / 10);
    replay_trace_destroy(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_recorded_sessions), cmocka_unit_test(a_tool_call),
                                       cmocka_unit_test(turns_tell)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
