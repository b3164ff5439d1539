#include "sim/workload/trace.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "sim/base/int_map.h"
#include "sim/workload/format.h"

/* What is needed only while a trace is read. */
struct trace_build {
    struct int_map *nodes; /* (parent, dense hash) -> node */
    struct int_map *dense; /* wide or scoped hashes -> small numbers */
    uint32_t dense_count, request_room, span_room;
};

/* ---- text ---- */

static char *read_whole(const char *path, size_t *size, struct error *err) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        error_set(err, "cannot read trace '%s': %s\n  hint: check the path, or set TIERSIM_TRACES", path,
                  strerror(errno));
        return NULL;
    }
    size_t room = 1 << 16, used = 0;
    char *text = malloc(room + JSON_PADDING);
    MUST(text != NULL);
    for (size_t got; (got = fread(text + used, 1, room - used, file)) > 0;) {
        used += got;
        if (used < room)
            continue;
        room *= 2;
        text = realloc(text, room + JSON_PADDING);
        MUST(text != NULL);
    }
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        error_set(err, "reading trace '%s' failed: %s\n  hint: is it a plain file?", path, strerror(errno));
        free(text);
        return NULL;
    }
    memset(text + used, 0, JSON_PADDING);
    *size = used;
    return text;
}

/* Expands zstd text; frees `packed`. */
static char *unpack(const char *path, char *packed, size_t packed_size, size_t *size, struct error *err) {
    ZSTD_DStream *stream = ZSTD_createDStream();
    size_t room = packed_size * 8 + (1 << 16);
    char *text = malloc(room + JSON_PADDING);
    MUST(stream != NULL && text != NULL);
    ZSTD_inBuffer in = {packed, packed_size, 0};
    ZSTD_outBuffer out = {text, room, 0};
    size_t left = 1;
    while (in.pos < in.size || left > 0) {
        size_t before = out.pos, read_before = in.pos;
        left = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(left))
            break;
        if (out.pos == out.size) {
            room *= 2;
            text = realloc(text, room + JSON_PADDING);
            MUST(text != NULL);
            out.dst = text;
            out.size = room;
        } else if (out.pos == before && in.pos == read_before) {
            break;
        }
    }
    ZSTD_freeDStream(stream);
    free(packed);
    if (ZSTD_isError(left) || left > 0) {
        error_set(err, "%s:1:1: not whole zstd data%s%s\n  hint: is the file cut off?", path,
                  ZSTD_isError(left) ? ": " : "", ZSTD_isError(left) ? ZSTD_getErrorName(left) : "");
        free(text);
        return NULL;
    }
    memset(text + out.pos, 0, JSON_PADDING);
    *size = out.pos;
    return text;
}

static char *read_text(const char *path, size_t *size, struct error *err) {
    char *text = read_whole(path, size, err);
    bool zstd = text && *size >= 4 && memcmp(text, "\x28\xb5\x2f\xfd", 4) == 0;
    return zstd ? unpack(path, text, *size, size, err) : text;
}

/* ---- building ---- */

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

static void *grown(void *memory, uint32_t count, uint32_t *room, size_t size_bytes) {
    if (count < *room)
        return memory;
    *room = *room ? 2 * *room : 1024;
    memory = realloc(memory, *room * size_bytes);
    MUST(memory != NULL);
    return memory;
}

void trace_add(struct trace *trace, const struct trace_request *request, const uint64_t *nodes, uint32_t count) {
    struct trace_build *build = trace->build;
    trace->requests = grown(trace->requests, trace->count, &build->request_room, sizeof *trace->requests);
    struct trace_request *added = &trace->requests[trace->count++];
    *added = *request;
    added->first_span = trace->span_count;
    for (uint32_t i = 0; i < count; i++) {
        struct span *last = trace->span_count > added->first_span ? &trace->spans[trace->span_count - 1] : NULL;
        if (last && last->first + last->count == nodes[i]) {
            last->count++;
            continue;
        }
        trace->spans = grown(trace->spans, trace->span_count, &build->span_room, sizeof *trace->spans);
        trace->spans[trace->span_count++] = (struct span){nodes[i], 1};
    }
    added->span_count = trace->span_count - added->first_span;
    trace->block_refs += count;
    uint32_t tokens = request->prompt_tokens + request->output_tokens;
    if (tokens > trace->longest_tokens)
        trace->longest_tokens = tokens;
}

/* ---- finishing ---- */

static int by_time(const void *a, const void *b) {
    const struct trace_request *ra = a, *rb = b;
    if (ra->at_ns != rb->at_ns)
        return ra->at_ns < rb->at_ns ? -1 : 1;
    return ra->first_span < rb->first_span ? -1 : ra->first_span > rb->first_span; /* as they stood */
}

/* Two sessions are the same when all their requests ask for the same tokens at the same times. */
static bool same_session(const struct trace *trace, uint32_t a, uint32_t count_a, uint32_t b, uint32_t count_b) {
    if (count_a != count_b)
        return false;
    for (uint32_t i = 0; i < count_a; i++) {
        const struct trace_request *ra = &trace->requests[a + i], *rb = &trace->requests[b + i];
        if (ra->prompt_tokens != rb->prompt_tokens || ra->output_tokens != rb->output_tokens || ra->at_ns != rb->at_ns)
            return false;
    }
    return true;
}

/* Drops sessions (runs of requests with one session number, as a directory's files give them) that repeat an earlier
 * one. */
static void drop_repeats(struct trace *trace) {
    uint32_t kept = 0, starts[1 << 12], sizes[1 << 12], sessions = 0;
    for (uint32_t i = 0; i < trace->count;) {
        uint32_t end = i;
        while (end < trace->count && trace->requests[end].session == trace->requests[i].session)
            end++;
        bool repeats = false;
        for (uint32_t s = 0; s < sessions && !repeats; s++)
            repeats = same_session(trace, starts[s], sizes[s], i, end - i);
        if (!repeats) {
            if (sessions < 1 << 12) {
                starts[sessions] = kept;
                sizes[sessions++] = end - i;
            }
            memmove(&trace->requests[kept], &trace->requests[i], (end - i) * sizeof *trace->requests);
            kept += end - i;
        }
        i = end;
    }
    trace->count = kept;
}

/* Numbers the sessions by first appearance, links their requests, and makes times relative. */
static void finish(struct trace *trace) {
    int64_t first_ns = INT64_MAX;
    for (uint32_t i = 0; i < trace->count; i++)
        if (trace->requests[i].at_ns < first_ns)
            first_ns = trace->requests[i].at_ns;
    for (uint32_t i = 0; i < trace->count; i++)
        trace->requests[i].at_ns -= first_ns;
    if (trace->count > 0)
        qsort(trace->requests, trace->count, sizeof *trace->requests, by_time);
    struct int_map *numbers = int_map_create(), *last = int_map_create();
    uint32_t room = 0;
    for (uint32_t i = 0; i < trace->count; i++) {
        struct trace_request *request = &trace->requests[i];
        uint32_t number = request->session == TRACE_NONE ? INT_MAP_NONE : int_map_get(numbers, request->session);
        if (number == INT_MAP_NONE) {
            number = trace->session_count;
            if (request->session != TRACE_NONE)
                int_map_put(numbers, request->session, number);
            trace->sessions = grown(trace->sessions, trace->session_count, &room, sizeof *trace->sessions);
            trace->sessions[trace->session_count++] = i;
        } else {
            trace->requests[int_map_get(last, number)].next = i;
        }
        request->session = number;
        request->next = TRACE_NONE;
        int_map_put(last, number, i);
    }
    int_map_destroy(numbers);
    int_map_destroy(last);
}

/* ---- loading ---- */

static int read_one(struct trace *trace, const char *path, const char *wanted, uint32_t file, struct error *err) {
    size_t size;
    char *text = read_text(path, &size, err);
    if (!text)
        return -1;
    const struct trace_format *format = wanted ? trace_format_find(wanted) : NULL;
    for (size_t i = 0; !wanted && trace_formats[i] && !format; i++)
        if (trace_formats[i]->sniff(text, size))
            format = trace_formats[i];
    int failed = -1;
    struct trace_text source = {.name = path, .text = text, .size = size, .file = file};
    if (!format && wanted)
        error_set(err, "unknown trace format '%s'\n  hint: mooncake, bailian, azure or agentic", wanted);
    else if (!format)
        error_at(err, (struct place){path, 1, 1},
                 "no known trace format begins like this\n  hint: Mooncake or Bailian JSONL, Azure CSV, agentic JSON, "
                 "plain or .zst; or give format:");
    else if (trace->format && strcmp(trace->format, format->name) != 0)
        error_at(err, (struct place){path, 1, 1},
                 "format %s among files of format %s\n  hint: keep one format in a directory", format->name,
                 trace->format);
    else
        failed = format->read(trace, &source, err);
    if (format) {
        trace->format = format->name;
        trace->hash_tokens = format->hash_tokens;
        trace->has_sessions = format->has_sessions;
    }
    free(text);
    return failed;
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int read_directory(struct trace *trace, const char *path, const char *wanted, struct error *err) {
    struct dirent **entries;
    int count = scandir(path, &entries, not_hidden, alphasort), failed = 0;
    if (count <= 0)
        return error_set(
            err, "trace directory '%s' is empty or cannot be read\n  hint: it should hold one JSON file a session",
            path);
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (!failed)
            failed = read_one(trace, file, wanted, (uint32_t)i, err);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int trace_load(const char *path, const char *format, bool dedupe, struct trace **out, struct error *err) {
    struct trace *trace = calloc(1, sizeof *trace);
    struct trace_build build = {.nodes = int_map_create(), .dense = int_map_create()};
    MUST(trace != NULL);
    trace->path = strdup(path);
    trace->build = &build;
    struct stat status;
    bool directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    int failed = directory ? read_directory(trace, path, format, err) : read_one(trace, path, format, 0, err);
    if (!failed && trace->count == 0)
        failed = error_at(err, (struct place){trace->path, 1, 1},
                          "the trace holds no request\n  hint: is the file empty or cut off?");
    if (!failed && dedupe && trace->has_sessions)
        drop_repeats(trace);
    int_map_destroy(build.nodes);
    int_map_destroy(build.dense);
    trace->build = NULL;
    if (failed) {
        trace_free(trace);
        return -1;
    }
    finish(trace);
    *out = trace;
    return 0;
}

void trace_free(struct trace *trace) {
    if (!trace)
        return;
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
