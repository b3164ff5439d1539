#include "sim/workload/trace.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/workload/format.h"
#include "sim/workload/trace_impl.h"

static uint32_t dense_of(struct trace_build *build, uint32_t scope, uint64_t hash) {
    /* The key is a hash of both; two of 10^7 ids meet with a chance of 10^-5. */
    uint64_t key = hash * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)scope * UINT64_C(0xc2b2ae3d27d4eb4f);
    key ^= key >> 29;
    uint32_t number = int_map_get(build->dense, key);
    if (number != INT_MAP_NONE)
        return number;
    number = build->dense_count++;
    int_map_put(build->dense, key, number);
    return number;
}

uint64_t trace_node(struct trace *trace, uint64_t parent, uint32_t scope, uint64_t hash) {
    struct trace_build *build = trace->build;
    uint32_t small =
        scope == 0 && hash < (UINT32_C(1) << 31) ? (uint32_t)hash : dense_of(build, scope, hash) | UINT32_C(1) << 31;
    uint64_t key = (uint64_t)(uint32_t)(parent + 1) << 32 | small;
    uint32_t node = int_map_get(build->nodes, key);
    if (node != INT_MAP_NONE)
        return node;
    MUST(trace->nodes < INT_MAP_NONE);
    int_map_put(build->nodes, key, (uint32_t)trace->nodes);
    return trace->nodes++;
}

void *trace_grown(void *memory, uint32_t count, uint32_t *room, size_t size_bytes) {
    if (count < *room)
        return memory;
    *room = *room ? 2 * *room : 1024;
    memory = realloc(memory, *room * size_bytes);
    MUST(memory != NULL);
    return memory;
}

uint32_t trace_add(struct trace *trace, const struct trace_request *request, const uint64_t *nodes, uint32_t count) {
    struct trace_build *build = trace->build;
    trace->requests = trace_grown(trace->requests, trace->count, &build->request_room, sizeof *trace->requests);
    struct trace_request *added = &trace->requests[trace->count];
    *added = *request;
    added->next = trace->count;
    if (added->agent == 0)
        added->fork = TRACE_NONE;
    added->first_span = trace->span_count;
    for (uint32_t i = 0; i < count; i++) {
        struct span *last = trace->span_count > added->first_span ? &trace->spans[trace->span_count - 1] : NULL;
        if (last && last->first + last->count == nodes[i]) {
            last->count++;
            continue;
        }
        trace->spans = trace_grown(trace->spans, trace->span_count, &build->span_room, sizeof *trace->spans);
        trace->spans[trace->span_count++] = (struct span){nodes[i], 1};
    }
    added->span_count = trace->span_count - added->first_span;
    return trace->count++;
}

/* ---- loading ---- */

static const struct trace_format *find_format(const struct trace_text *source, const char *wanted, struct error *err) {
    if (wanted) {
        const struct trace_format *format = trace_format_find(wanted);
        if (!format)
            error_set(err, "unknown trace format '%s'\n  hint: mooncake, bailian, azure or agentic", wanted);
        return format;
    }
    for (size_t i = 0; trace_formats[i]; i++)
        if (trace_formats[i]->sniff(source->text, source->size))
            return trace_formats[i];
    error_at(
        err, (struct place){source->name, 1, 1},
        "no known trace format begins like this\n  hint: Mooncake or Bailian JSONL, Azure CSV, agentic JSON, plain "
        "or .zst; or give format:");
    return NULL;
}

static int read_source(struct trace *trace, const struct trace_text *source, const char *wanted, struct error *err) {
    const struct trace_format *format = find_format(source, wanted, err);
    if (!format)
        return -1;
    trace->format = format->name;
    trace->hash_tokens = format->hash_tokens;
    trace->has_sessions = format->has_sessions;
    return format->read(trace, source, err);
}

static int read_file(struct trace *trace, const char *path, const char *wanted, uint32_t file, struct error *err) {
    struct trace_text source = {.name = path, .file = file};
    char *text = trace_text_read(path, &source.size, err);
    if (!text)
        return -1;
    source.text = text;
    int failed = read_source(trace, &source, wanted, err);
    free(text);
    return failed;
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* Only session files make one trace together: others have a clock and hashes that say nothing of each other. */
static int read_directory(struct trace *trace, const char *path, const char *wanted, struct error *err) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_hidden, alphasort), failed = 0;
    if (count <= 0)
        failed = error_set(err,
                           "trace directory '%s' is empty or cannot be read\n  hint: it should hold one JSON file a "
                           "session",
                           path);
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (!failed)
            failed = read_file(trace, file, wanted, (uint32_t)i, err);
        if (!failed && !trace->has_sessions)
            failed = error_at(err, (struct place){file, 1, 1},
                              "a directory holds agentic sessions, and this is %s\n  hint: name the file itself",
                              trace->format);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

static struct trace *begin(const char *path) {
    struct trace *trace = calloc(1, sizeof *trace);
    struct trace_build *build = calloc(1, sizeof *build);
    MUST(trace != NULL && build != NULL);
    *build = (struct trace_build){.nodes = int_map_create(), .dense = int_map_create()};
    trace->path = strdup(path);
    trace->build = build;
    return trace;
}

static void end_build(struct trace *trace) {
    if (!trace->build)
        return;
    int_map_destroy(trace->build->nodes);
    int_map_destroy(trace->build->dense);
    free(trace->build);
    trace->build = NULL;
}

static int complete(struct trace *trace, int failed, bool dedupe, struct trace **out, struct error *err) {
    if (!failed && trace->count == 0)
        failed = error_at(err, (struct place){trace->path, 1, 1},
                          "the trace holds no request\n  hint: is the file empty or cut off?");
    end_build(trace);
    if (failed) {
        trace_free(trace);
        return -1;
    }
    if (dedupe && trace->has_sessions)
        trace_drop_repeats(trace);
    trace_finish(trace);
    *out = trace;
    return 0;
}

int trace_load(const char *path, const char *format, bool dedupe, struct trace **out, struct error *err) {
    struct trace *trace = begin(path);
    struct stat status;
    bool directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    int failed = directory ? read_directory(trace, path, format, err) : read_file(trace, path, format, 0, err);
    return complete(trace, failed, dedupe, out, err);
}

int trace_read_text(const char *text, size_t size, const char *name, const char *format, bool dedupe,
                    struct trace **out, struct error *err) {
    struct trace *trace = begin(name);
    char *padded = calloc(1, size + JSON_PADDING);
    MUST(padded != NULL);
    memcpy(padded, text, size);
    struct trace_text source = {.name = name, .text = padded, .size = size};
    int failed = read_source(trace, &source, format, err);
    free(padded);
    return complete(trace, failed, dedupe, out, err);
}

void trace_free(struct trace *trace) {
    if (!trace)
        return;
    end_build(trace);
    free(trace->requests);
    free(trace->spans);
    free(trace->sessions);
    free((char *)trace->path);
    free(trace);
}

const char *trace_find(const char *name, struct place at, struct arena *arena, struct error *err) {
    if (access(name, R_OK) == 0)
        return arena_strdup(arena, name);
    const char *roots[] = {getenv("TIERSIM_TRACES"), "../shared/traces"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (!roots[i] || !*roots[i])
            continue;
        const char *path = arena_printf(arena, "%s/%s", roots[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    error_at(err, at,
             "no trace '%s' here, in $TIERSIM_TRACES or in ../shared/traces\n  hint: check the name, or set "
             "TIERSIM_TRACES to the traces' directory",
             name);
    return NULL;
}
