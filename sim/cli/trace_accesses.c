/* A workload's block accesses, for `tiersim cache`: copies of a trace, or what a generator makes. */
#include <stdlib.h>
#include <string.h>

#include "sim/cli/trace.h"
#include "sim/memory/replay.h"

struct gathering {
    struct replay_trace *trace;
    uint64_t *ids;
    uint32_t room;
};

/* A prompt's blocks, the last partial one too where the workload names it. */
static void gather(struct gathering *g, const struct request_spec *spec) {
    const struct span *spans = chain_spans(&spec->chain);
    uint32_t most = (spec->prompt_tokens + spec->chain.hash_tokens - 1) / spec->chain.hash_tokens, count = 0;
    if (most > g->room) {
        g->room = 2 * most;
        g->ids = realloc(g->ids, g->room * sizeof *g->ids);
        MUST(g->ids != NULL);
    }
    for (uint32_t s = 0; s < spec->chain.span_count; s++)
        for (uint32_t i = 0; i < spans[s].count && count < most; i++)
            g->ids[count++] = spans[s].first + i + spec->chain.salt;
    struct replay_request request = {.at_ns = spec->arrival_ns,
                                     .blocks = count,
                                     .tokens = spec->prompt_tokens,
                                     .tenant = spec->tenant,
                                     .session = (uint32_t)spec->session};
    replay_trace_add(g->trace, &request, g->ids, NULL);
}

int trace_write_accesses(struct workload *workload, const struct trace_pace *pace, const char *path,
                         struct error *err) {
    struct gathering g = {0};
    struct trace_stream *stream = trace_stream_open(workload, pace);
    for (struct request_spec spec; trace_stream_next(stream, &spec);) {
        if (spec.chain.hash_tokens == 0)
            break;
        if (!g.trace)
            g.trace = replay_trace_create(spec.chain.hash_tokens);
        gather(&g, &spec);
    }
    trace_stream_close(stream);
    free(g.ids);
    if (!g.trace)
        return error_set(err,
                         "the workload says nothing of what its prompts share\n  hint: one with block hashes, or a "
                         "generator");
    size_t length = strlen(path), ending = strlen(".blocks");
    bool oracle = length < ending || strcmp(path + length - ending, ".blocks") != 0;
    int failed = replay_write(g.trace, oracle, path, err);
    replay_trace_destroy(g.trace);
    return failed;
}
