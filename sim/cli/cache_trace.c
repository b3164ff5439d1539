/* The trace of `tiersim cache`: prompts as chains of blocks, or objects. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/cli/cache.h"
#include "sim/workload/trace.h"

static int read_objects(const char *path, bool oracle, struct replay_trace **out, struct error *err) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
        if (file)
            fclose(file);
        return error_set(err, "cannot read trace '%s'\n  hint: is it a plain file?", path);
    }
    size_t size = (size_t)status.st_size;
    char *bytes = malloc(size + 1);
    MUST(bytes != NULL);
    bool whole_file = fread(bytes, 1, size, file) == size;
    fclose(file);
    int failed;
    if (!whole_file)
        failed = error_set(err, "reading trace '%s' failed\n  hint: is it being written?", path);
    else if (oracle)
        failed = replay_read_oracle(bytes, size, path, out, err);
    else
        failed = replay_read_lines(bytes, size, path, out, err);
    free(bytes);
    return failed;
}

/* A request's chain at the trace's own block size, the last partial block included. */
static void add_request(struct replay_trace *replay, const struct trace *trace, const struct trace_request *request,
                        uint64_t **ids, uint32_t *room) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < request->span_count; s++) {
        struct span span = trace->spans[request->first_span + s];
        if (!*ids || span.count > *room - count) {
            *room = 2 * (count + span.count);
            *ids = realloc(*ids, *room * sizeof **ids);
            MUST(*ids != NULL);
        }
        for (uint32_t i = 0; i < span.count; i++)
            (*ids)[count++] = span.first + i;
    }
    struct replay_request added = {.at_ns = request->at_ns,
                                   .blocks = count,
                                   .tokens = request->prompt_tokens,
                                   .tenant = request->tenant,
                                   .session = request->session};
    replay_trace_add(replay, &added, *ids, NULL);
}

/* What the trace says of how its prompts begin and its answers end, if it says anything. */
static void keep_stated(struct replay_trace *replay, const struct trace *trace) {
    bool any = false;
    for (uint32_t i = 0; i < trace->count && !any; i++)
        any = trace->requests[i].shared_tokens > 0 || trace->requests[i].calls_tool;
    if (!any)
        return;
    replay->stated = calloc((size_t)trace->count + 1, sizeof *replay->stated);
    MUST(replay->stated != NULL);
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct trace_request *request = &trace->requests[i];
        uint32_t tools = request->tool_tokens < request->shared_tokens ? request->tool_tokens : request->shared_tokens;
        replay->stated[i] = (struct replay_stated){tools, request->shared_tokens - tools, request->calls_tool};
    }
}

/* Takes the trace's chains over, and frees it. */
static int take_prompts(struct trace *trace, const char *path, struct replay_trace **out, struct error *err) {
    if (trace->hash_tokens == 0) {
        error_set(err,
                  "%s: %s traces say nothing of what their prompts share\n  hint: a trace with block hashes: mooncake, "
                  "bailian, agentic",
                  path, trace->format);
        trace_free(trace);
        return -1;
    }
    struct replay_trace *replay = replay_trace_create(trace->hash_tokens);
    uint64_t *ids = NULL;
    uint32_t room = 0;
    for (uint32_t i = 0; i < trace->count; i++)
        add_request(replay, trace, &trace->requests[i], &ids, &room);
    keep_stated(replay, trace);
    free(ids);
    trace_free(trace);
    *out = replay;
    return 0;
}

static int read_prompts(const struct cache_arguments *a, const char *path, struct replay_trace **out,
                        struct error *err) {
    struct trace *trace;
    return trace_load(path, a->format, a->dedupe, &trace, err) != 0 ? -1 : take_prompts(trace, path, out, err);
}

/* Everything on standard input, with what the JSON reader wants behind it. */
static char *read_input(size_t *size) {
    enum { PADDING = 65, PIECE = 1 << 16 };
    size_t room = PIECE, used = 0, got;
    char *bytes = malloc(room + PADDING);
    MUST(bytes != NULL);
    while ((got = fread(bytes + used, 1, room - used, stdin)) > 0) {
        used += got;
        if (used < room)
            continue;
        room *= 2;
        bytes = realloc(bytes, room + PADDING);
        MUST(bytes != NULL);
    }
    memset(bytes + used, 0, PADDING);
    *size = used;
    return bytes;
}

/* `-`: lines id[,size] when it begins with a digit and no format is named, else what the format says. */
static int read_standard_input(const struct cache_arguments *a, struct replay_trace **out, struct error *err) {
    static const char name[] = "standard input";
    size_t size;
    char *bytes = read_input(&size);
    bool oracle = a->format && strcmp(a->format, "oracle") == 0;
    bool lines = a->format ? strcmp(a->format, "lines") == 0 : size == 0 || (bytes[0] >= '0' && bytes[0] <= '9');
    int failed;
    struct trace *trace;
    if ((oracle || lines) && a->prefix)
        failed = error_set(err, "objects have no prefix\n  hint: --semantics flat");
    else if (oracle)
        failed = replay_read_oracle(bytes, size, name, out, err);
    else if (lines)
        failed = replay_read_lines(bytes, size, name, out, err);
    else if (trace_read_text(bytes, size, name, a->format, a->dedupe, &trace, err) != 0)
        failed = -1;
    else
        failed = take_prompts(trace, name, out, err);
    free(bytes);
    return failed;
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* Is it of this project's own form? */
static bool is_blocks(const char *path) {
    char beginning[8];
    FILE *file = fopen(path, "rb");
    bool is = file && fread(beginning, 1, sizeof beginning, file) == sizeof beginning &&
              replay_is_file(beginning, sizeof beginning);
    if (file)
        fclose(file);
    return is;
}

bool cache_is_target(const char *path) {
    return ends_with(path, ".blocks") || ends_with(path, "oracleGeneral.bin") || ends_with(path, ".oracleGeneral");
}

int cache_convert(const char *source, const char *format, bool dedupe, const char *path, struct arena *arena,
                  struct error *err) {
    struct cache_arguments arguments = {.trace = source, .format = format, .dedupe = dedupe};
    struct replay_trace *trace;
    if (cache_read_trace(&arguments, arena, &trace, err) != 0)
        return -1;
    int failed = replay_write(trace, !ends_with(path, ".blocks"), path, err);
    replay_trace_destroy(trace);
    return failed;
}

int cache_read_trace(const struct cache_arguments *a, struct arena *arena, struct replay_trace **out,
                     struct error *err) {
    if (strcmp(a->trace, "-") == 0)
        return read_standard_input(a, out, err);
    const char *path = trace_find(a->trace, (struct place){0}, arena, err);
    if (!path)
        return -1;
    if (is_blocks(path)) {
        if (replay_map(path, out, err) != 0)
            return -1;
        if (!a->prefix || (*out)->block_tokens > 0)
            return 0;
        replay_trace_destroy(*out);
        return error_set(err, "objects have no prefix\n  hint: --semantics flat");
    }
    bool oracle = a->format ? strcmp(a->format, "oracle") == 0 : strstr(path, "oracleGeneral") != NULL;
    bool lines = a->format ? strcmp(a->format, "lines") == 0 : ends_with(path, ".txt");
    if (!oracle && !lines)
        return read_prompts(a, path, out, err);
    if (a->prefix)
        return error_set(err, "objects have no prefix\n  hint: --semantics flat");
    return read_objects(path, oracle, out, err);
}
