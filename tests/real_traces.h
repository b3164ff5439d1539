/* The traces at hand as block accesses, for tests of replays. */
#ifndef TESTS_REAL_TRACES_H
#define TESTS_REAL_TRACES_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/base/arena.h"
#include "sim/cli/cache.h"

enum { REAL_TRACES = 3 };
static const char *const real_trace_names[REAL_TRACES] = {"mooncake/conversation_trace.jsonl", "agentic",
                                                          "blocks/cloudPhysicsIO.oracleGeneral.bin"};

/* NULL, saying so: it is not here. */
static inline struct replay_trace *real_trace(int number) {
    const char *root = getenv("TIERSIM_TRACES");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root && *root ? root : "../shared/traces", real_trace_names[number]);
    if (access(path, R_OK) != 0) {
        printf("no trace %s: set TIERSIM_TRACES to the traces' directory\n", path);
        return NULL;
    }
    struct arena *arena = arena_create();
    struct cache_arguments arguments = {.trace = path};
    struct replay_trace *trace = NULL;
    struct error err = {0};
    if (cache_read_trace(&arguments, arena, &trace, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    arena_destroy(arena);
    return trace;
}

#endif
