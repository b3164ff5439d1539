/* Do the research policies do what their papers say of them, on recorded agent sessions? Prefix semantics, 64-token
 * blocks. And do small worked examples come out? */
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
    static uint64_t ids[1 << 18];
    for (uint32_t r = 0; r < trace->count; r++) {
        const struct trace_request *request = &trace->requests[r];
        uint32_t count = 0;
        for (uint32_t s = 0; s < request->span_count; s++)
            for (uint32_t i = 0; i < trace->spans[request->first_span + s].count; i++)
                ids[count++] = trace->spans[request->first_span + s].first + i;
        struct replay_request added = {
            .at_ns = request->at_ns, .blocks = count, .tokens = request->prompt_tokens, .session = request->session};
        replay_trace_add(replay, &added, ids, NULL);
    }
    trace_free(trace);
    return replay;
}

static struct replay_result run(const struct replay_trace *trace, const int64_t *next_use, const char *name,
                                const void *options, uint64_t blocks) {
    struct error err = {0};
    const struct policy *found = policy_find(POLICY_EVICT, name, &err);
    assert_non_null(found);
    struct arena *arena = arena_create();
    struct replay_setup setup = {.trace = trace,
                                 .policy = (const struct evict_policy *)found,
                                 .policy_options = options ? options : default_options(found, arena),
                                 .next_use = next_use,
                                 .capacity_blocks = blocks,
                                 .prefix = true,
                                 .queue = QUEUE,
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
    }
    free(next_use);
    replay_trace_destroy(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_recorded_sessions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
