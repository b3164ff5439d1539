/* How fast does a trace load? Reads it again and again, from the file to the finished arrays. Prints JSON: median CPU
 * seconds a load, requests and blocks a second. Loads must all come out the same. Usage: trace_load [FILE [RUNS]] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"
#include "sim/workload/trace.h"

enum { RUNS_MAX = 99 };

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "mooncake/conversation_trace.jsonl";
    int runs = argc > 2 ? atoi(argv[2]) : 11;
    if (runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: trace_load [FILE [RUNS]]\n  hint: RUNS is 1 to %d\n", RUNS_MAX);
        return EXIT_BAD_INPUT;
    }
    struct arena *arena = arena_create();
    struct error err = {0};
    const char *path = trace_find(name, (struct place){0}, arena, &err);
    if (!path) { /* data that the project may not carry */
        printf("{\"benchmark\": \"trace_load\", \"trace\": \"%s\", \"skipped\": \"no such trace here\"}\n", name);
        arena_destroy(arena);
        return 0;
    }
    double seconds[RUNS_MAX];
    uint32_t requests = 0;
    uint64_t blocks = 0, nodes = 0;
    for (int i = 0; i < runs; i++) {
        struct trace *trace;
        double start = cpu_s();
        if (trace_load(path, NULL, true, &trace, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            arena_destroy(arena);
            return EXIT_BAD_INPUT;
        }
        seconds[i] = cpu_s() - start;
        MUST(i == 0 || (requests == trace->count && blocks == trace->block_refs && nodes == trace->nodes));
        requests = trace->count;
        blocks = trace->block_refs;
        nodes = trace->nodes;
        trace_free(trace);
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, ascending);
    double median = seconds[runs / 2];
    printf("{\"benchmark\": \"trace_load\", \"trace\": \"%s\", \"runs\": %d, \"requests\": %u, \"blocks\": %llu, "
           "\"cpu_s\": %.4f, \"cpu_s_min\": %.4f, \"cpu_s_max\": %.4f, \"requests_per_cpu_s\": %.0f, "
           "\"blocks_per_cpu_s\": %.0f}\n",
           name, runs, requests, (unsigned long long)blocks, median, seconds[0], seconds[runs - 1],
           (double)requests / median, (double)blocks / median);
    arena_destroy(arena);
    return 0;
}
