/* Does every request of a workload come, once, in order, and from nowhere else? */
#include <sys/stat.h>

#include "tests/workload.h"

struct seen {
    uint8_t *times; /* by request of the trace */
    uint32_t count;
    uint64_t ids;
};

static void note(void *self, const struct request_spec *spec) {
    struct seen *seen = self;
    assert_true(spec->cursor[0] < seen->count);
    seen->times[spec->cursor[0]]++;
    seen->ids++;
}

static void each_comes(const char *name, const char *more, uint8_t times) {
    struct arena *arena = arena_create();
    const char *path = need_trace(name, arena);
    struct trace *trace;
    struct error err = {0};
    assert_int_equal(trace_load(path, NULL, true, &trace, &err), 0);
    struct seen seen = {.times = calloc(trace->count, 1), .count = trace->count};
    uint64_t requests =
        stream_all(open_text(arena_printf(arena, "{trace: '%s'%s}", path, more), 1, 1, arena), 2, 0.05, note, &seen);
    assert_int_equal(requests, (uint64_t)trace->count * times);
    for (uint32_t i = 0; i < trace->count; i++)
        assert_int_equal(seen.times[i], times);
    free(seen.times);
    trace_free(trace);
    arena_destroy(arena);
}

static void open_loop_gives_all(void **state) {
    (void)state;
    each_comes("mooncake/conversation_trace.jsonl", "", 1);
}
static void copies_give_all(void **state) {
    (void)state;
    each_comes("mooncake/conversation_trace.jsonl", ", repeat: 4, stagger: 13 s", 4);
}
/* Sessions one after another, their sub-agents too, however many are going at a time. */
static void closed_loop_gives_all(void **state) {
    (void)state;
    each_comes("agentic", ", closed_loop: yes, sessions: 1", 1);
}
static void closed_loop_of_many_gives_all(void **state) {
    (void)state;
    each_comes("agentic", ", closed_loop: yes, sessions: 40, ramp: 60 s", 1);
}

/* Two sub-agents start when the request before them ends, and the parent goes on beside them. */
static const char family[] =
    "{\"id\": \"b\", \"block_size\": 64, \"hash_id_scope\": \"local\", \"tool_tokens\": 0, \"system_tokens\": 0, "
    "\"requests\": [\n"
    " {\"t\": 0.0, \"type\": \"n\", \"in\": 64, \"out\": 1, \"hash_ids\": [1], \"api_time\": 1, \"think_time\": 0},\n"
    " {\"t\": 2.0, \"type\": \"subagent\", \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [\n"
    "  {\"t\": 0.0, \"type\": \"n\", \"in\": 65, \"out\": 2, \"hash_ids\": [7, 8], \"api_time\": 1, \"think_time\": "
    "0},\n"
    "  {\"t\": 3.0, \"type\": \"n\", \"in\": 66, \"out\": 2, \"hash_ids\": [7, 9], \"api_time\": 1, \"think_time\": "
    "2}]},\n"
    " {\"t\": 2.5, \"type\": \"subagent\", \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [\n"
    "  {\"t\": 0.0, \"type\": \"n\", \"in\": 67, \"out\": 2, \"hash_ids\": [5, 6], \"api_time\": 1, \"think_time\": "
    "0}]},\n"
    " {\"t\": 9.0, \"type\": \"n\", \"in\": 128, \"out\": 1, \"hash_ids\": [1, 2], \"api_time\": 1, \"think_time\": "
    "8}]}\n";

struct order {
    uint32_t prompts[8], count;
    double at_s[8];
};
static void note_order(void *self, const struct request_spec *spec) {
    struct order *order = self;
    assert_true(order->count < 8);
    order->prompts[order->count] = spec->prompt_tokens;
    order->at_s[order->count++] = (double)spec->arrival_ns * 1e-9;
}

static void sub_agents_fork(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = arena_printf(arena, "/tmp/tiersim-family-%d.json", (int)getpid());
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(family, out);
    assert_int_equal(fclose(out), 0);
    struct order order = {0};
    /* Served ten times slower than recorded: what follows a request waits for its end. */
    stream_all(open_text(arena_printf(arena, "{trace: '%s', closed_loop: yes, sessions: 1}", path), 1, 1, arena), 10, 0,
               note_order, &order);
    /* 64 ends at 10 s; its sub-agents come 1 s and 1.5 s later, as recorded; 65's next 2 s after it ended at 21 s. */
    const uint32_t prompts[] = {64, 65, 67, 128, 66};
    const double at_s[] = {0, 11, 11.5, 18, 23};
    assert_int_equal(order.count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(order.prompts[i], prompts[i]);
        assert_float_equal(order.at_s[i], at_s[i], 1e-9);
    }
    unlink(path);
    arena_destroy(arena);
}

/* A sub-agent that begins with a sub-agent, and one whose clock runs before its parent's: none is lost. */
static const char odd_family[] =
    "{\"id\": \"b\", \"block_size\": 64, \"hash_id_scope\": \"local\", \"tool_tokens\": 0, \"system_tokens\": 0, "
    "\"requests\": [\n"
    " {\"t\": 9.0, \"type\": \"n\", \"in\": 60, \"out\": 1, \"hash_ids\": [1], \"api_time\": 1},\n"
    " {\"t\": 2.0, \"type\": \"subagent\", \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [\n"
    "  {\"t\": 0.0, \"type\": \"subagent\", \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [\n"
    "   {\"t\": 0.0, \"type\": \"n\", \"in\": 61, \"out\": 1, \"hash_ids\": [7], \"api_time\": 1}]},\n"
    "  {\"t\": 1.0, \"type\": \"n\", \"in\": 62, \"out\": 1, \"hash_ids\": [8], \"api_time\": 1}]},\n"
    " {\"t\": 3.0, \"type\": \"n\", \"in\": 63, \"out\": 1, \"hash_ids\": [2], \"api_time\": 1}]}\n";

static void odd_families_are_whole(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    const char *path = arena_printf(arena, "/tmp/tiersim-odd-%d.json", (int)getpid());
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(odd_family, out);
    assert_int_equal(fclose(out), 0);
    struct order order = {0};
    stream_all(open_text(arena_printf(arena, "{trace: '%s', closed_loop: yes, sessions: 1}", path), 1, 1, arena), 1, 0,
               note_order, &order);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < order.count; i++)
        seen |= 1u << (order.prompts[i] - 60);
    assert_int_equal(order.count, 4);
    assert_int_equal(seen, 15);
    unlink(path);
    arena_destroy(arena);
}

/* A directory that holds one session twice: it counts once, unless repeats are asked for. */
static void repeats_count_once(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    char folder[64], first[96], again[96];
    snprintf(folder, sizeof folder, "/tmp/tiersim-repeats-%d", (int)getpid());
    snprintf(first, sizeof first, "%s/a.json", folder);
    snprintf(again, sizeof again, "%s/b.json", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (int i = 0; i < 2; i++) {
        FILE *out = fopen(i ? again : first, "w");
        assert_non_null(out);
        fputs(family, out);
        assert_int_equal(fclose(out), 0);
    }
    for (int keep = 0; keep < 2; keep++) {
        struct trace *trace;
        struct error err = {0};
        assert_int_equal(trace_load(folder, NULL, !keep, &trace, &err), 0);
        assert_int_equal(trace->session_count, keep ? 2 : 1);
        assert_int_equal(trace->dropped_sessions, keep ? 0 : 1);
        assert_int_equal(trace->count, keep ? 10 : 5);
        trace_free(trace);
    }
    unlink(first);
    unlink(again);
    rmdir(folder);
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_loop_gives_all),    cmocka_unit_test(copies_give_all),
        cmocka_unit_test(closed_loop_gives_all),  cmocka_unit_test(closed_loop_of_many_gives_all),
        cmocka_unit_test(sub_agents_fork),        cmocka_unit_test(repeats_count_once),
        cmocka_unit_test(odd_families_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
