/* For tests of workloads: the traces where there are any, workloads from YAML text, and their streams. */
#ifndef TESTS_WORKLOAD_H
#define TESTS_WORKLOAD_H

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

#include "sim/cli/trace.h"
#include "sim/config/read.h"
#include "sim/workload/info.h"
#include "sim/workload/trace.h"

/* The trace's path, or the test is skipped, saying so. */
static inline const char *need_trace(const char *name, struct arena *arena) {
    struct error err = {0};
    const char *path = trace_find(name, (struct place){0}, arena, &err);
    if (!path) {
        print_message("no trace %s here: skipped\n", name);
        arena_destroy(arena);
        skip();
    }
    return path;
}

/* Opens the workload that YAML text describes; fails the test when it cannot be. */
static inline struct workload *open_text(const char *text, double load, uint64_t seed, struct arena *arena) {
    struct workload_options *options = arena_alloc(arena, sizeof *options);
    struct workload *workload;
    struct node *node;
    struct error err = {0};
    if (node_read_text(text, strlen(text), "test", arena, &node, &err) != 0 ||
        load_workload(node, arena, options, &err) != 0 || workload_open(options, load, seed, &workload, &err) != 0)
        fail_msg("%s", err.text);
    return workload;
}

/* Streams the workload through `take` and closes it; returns how many requests came. */
static inline uint64_t stream_all(struct workload *workload, double ttft_s, double tpot_s,
                                  void (*take)(void *self, const struct request_spec *spec), void *self) {
    struct trace_pace pace = {.load = 1, .ttft_s = ttft_s, .tpot_s = tpot_s};
    struct trace_stream *stream = trace_stream_open(workload, &pace);
    struct request_spec spec;
    uint64_t count = 0;
    sim_time before = 0;
    for (; trace_stream_next(stream, &spec); count++) {
        assert_true(spec.arrival_ns >= before);
        before = spec.arrival_ns;
        if (take)
            take(self, &spec);
    }
    trace_stream_close(stream);
    workload_close(workload);
    return count;
}

static inline void info_take(void *self, const struct request_spec *spec) {
    struct info_builder **builder = self;
    if (!*builder)
        *builder = info_begin(spec->chain.hash_tokens);
    info_add(*builder, spec);
}

/* What the workload of `text` is like. */
static inline struct workload_info info_of(const char *text, double load, uint64_t seed) {
    struct arena *arena = arena_create();
    struct info_builder *builder = NULL;
    stream_all(open_text(text, load, seed, arena), 0.5, 0.02, info_take, &builder);
    struct workload_info info;
    assert_non_null(builder);
    info_end(builder, &info);
    arena_destroy(arena);
    return info;
}

#endif
