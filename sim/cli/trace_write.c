/* A workload as one stream in order of arrival, and that stream as a Mooncake JSONL trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/int_map.h"
#include "sim/cli/trace.h"
#include "sim/serve/timers.h"

enum { ID_TOKENS = 512 };

struct trace_stream {
    struct workload *workload;
    struct trace_pace pace;
    struct timers later; /* what sessions will ask next */
    struct request_spec first;
    bool has_first;
};

struct trace_stream *trace_stream_open(struct workload *workload, const struct trace_pace *pace) {
    struct trace_stream *stream = calloc(1, sizeof *stream);
    MUST(stream != NULL);
    stream->workload = workload;
    stream->pace = *pace;
    stream->has_first = workload_next(workload, &stream->first);
    return stream;
}

bool trace_stream_next(struct trace_stream *stream, struct request_spec *out) {
    sim_time later = timers_next(&stream->later);
    if (stream->has_first && stream->first.arrival_ns <= later) {
        *out = stream->first;
        stream->has_first = workload_next(stream->workload, &stream->first);
    } else if (later != SIM_NEVER) {
        int32_t unused;
        timers_pop(&stream->later, out, &unused);
    } else {
        return false;
    }
    struct request_spec after[WORKLOAD_AFTER_MAX];
    double service_s =
        stream->pace.ttft_s + stream->pace.tpot_s * (out->output_tokens > 0 ? out->output_tokens - 1 : 0);
    sim_time end = out->arrival_ns + (sim_time)(service_s * 1e9 + 0.5);
    size_t count = workload_after(stream->workload, out, end, after, WORKLOAD_AFTER_MAX);
    for (size_t i = 0; i < count; i++)
        timers_set(&stream->later, after[i].arrival_ns, &after[i], -1);
    return true;
}

void trace_stream_close(struct trace_stream *stream) {
    timers_destroy(&stream->later);
    free(stream);
}

struct writing {
    FILE *out;
    struct int_map *known; /* the workload's ids -> ours */
    uint32_t next_id;
    uint64_t *ids;
    size_t room;
};

/* The ids of the request's 512-token blocks; what has no identity, the partial block at the end too, gets new ones. */
static void write_ids(struct writing *writing, const struct request_spec *spec) {
    uint32_t count = (spec->prompt_tokens + ID_TOKENS - 1) / ID_TOKENS, known = 0;
    if (count > writing->room) {
        writing->room = 2 * (size_t)count;
        free(writing->ids);
        writing->ids = malloc(writing->room * sizeof *writing->ids);
        MUST(writing->ids != NULL);
    }
    struct chain chain = spec->chain;
    if (chain.hash_tokens == ID_TOKENS && chain.spans) { /* its own last id may stand for a partial block */
        uint64_t ids = 0;
        for (uint32_t s = 0; s < chain.span_count; s++)
            ids += chain.spans[s].count;
        chain.tokens = (uint32_t)(ids * ID_TOKENS);
    }
    if (chain.hash_tokens > 0)
        known = chain_expand(&chain, ID_TOKENS, chain.tokens, 0, writing->ids, count);
    fputs("\"hash_ids\": [", writing->out);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = i < known ? int_map_get(writing->known, writing->ids[i]) : INT_MAP_NONE;
        if (id == INT_MAP_NONE) {
            id = writing->next_id++;
            if (i < known)
                int_map_put(writing->known, writing->ids[i], id);
        }
        fprintf(writing->out, "%s%u", i ? ", " : "", id);
    }
    fputs("]}\n", writing->out);
}

/* Milliseconds without trailing zeros; the reader's clock is ns. */
static void write_time(FILE *out, sim_time at) {
    char text[40];
    int length = snprintf(text, sizeof text, "%lld.%06lld", (long long)(at / 1000000), (long long)(at % 1000000));
    while (text[length - 1] == '0')
        length--;
    length -= text[length - 1] == '.';
    fprintf(out, "%.*s", length, text);
}

static void write_all(FILE *out, struct workload *workload, const struct trace_pace *pace) {
    struct writing writing = {.out = out, .known = int_map_create()};
    struct trace_stream *stream = trace_stream_open(workload, pace);
    for (struct request_spec spec; trace_stream_next(stream, &spec);) {
        fputs("{\"timestamp\": ", out);
        write_time(out, spec.arrival_ns);
        fprintf(out, ", \"input_length\": %u, \"output_length\": %u, ", spec.prompt_tokens, spec.output_tokens);
        write_ids(&writing, &spec);
    }
    trace_stream_close(stream);
    int_map_destroy(writing.known);
    free(writing.ids);
}

int trace_write(struct workload *workload, const struct trace_pace *pace, const char *path, struct error *err) {
    if (workload_block_tokens_fit(workload, ID_TOKENS, err) != 0)
        return -1;
    if (strcmp(path, "-") == 0) {
        write_all(stdout, workload, pace);
        return 0;
    }
    size_t size = strlen(path) + sizeof ".new";
    char *beside = malloc(size);
    MUST(beside != NULL);
    snprintf(beside, size, "%s.new", path);
    FILE *out = fopen(beside, "w");
    bool whole = out != NULL;
    if (out) {
        write_all(out, workload, pace);
        whole = !ferror(out);
        whole = fclose(out) == 0 && whole && rename(beside, path) == 0;
    }
    int failed = 0;
    if (!whole) {
        failed = error_set(err, "cannot write '%s': %s\n  hint: is there room, and may you write there?", path,
                           strerror(errno));
        remove(beside);
    }
    free(beside);
    return failed;
}
