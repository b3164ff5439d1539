/* Agentic sessions (kv-cache-tester): one JSON file a session; requests with 64-token block hashes local to the file,
 * think times, and sub-agents nested where they were started. The tools + system prefix is shared between sessions in
 * production: its blocks get one identity for all files of the same model and sizes. A sub-agent's requests run before
 * its parent goes on. */
#include <stdlib.h>
#include <string.h>

#include "sim/workload/format.h"

enum { AGENTIC_HASH_TOKENS = 64, AGENTS_MAX_DEPTH = 4 };

struct reading {
    struct trace *trace;
    const struct trace_text *text;
    struct error *err;
    struct place place;
    uint32_t session, turn, scope;
    uint64_t prefix_key; /* of the shared prefix: model, tools, system */
    int64_t shared_tokens;
    double start_s; /* of the (sub-)agent, from the session's start */
    int depth;
    uint64_t *ids;
    size_t room;
    bool failed;
};

static uint64_t hash_text(const char *text, size_t size, uint64_t hash) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

static bool read_requests(struct reading *reading, struct json_value agent);

static bool fail(struct reading *reading) {
    reading->failed = true;
    return false;
}

/* A sub-agent has tools, a system prompt and a time of its own. */
static bool read_sub_agent(struct reading *reading, struct json_value value, double at_s) {
    if (reading->depth >= AGENTS_MAX_DEPTH) {
        error_at(reading->err, reading->place, "agents nested more than %d deep\n  hint: flatten the file",
                 AGENTS_MAX_DEPTH);
        return fail(reading);
    }
    struct reading inner = *reading;
    inner.depth++;
    inner.start_s = reading->start_s + at_s;
    bool fine = read_requests(&inner, value);
    reading->turn = inner.turn;
    reading->ids = inner.ids;
    reading->room = inner.room;
    reading->failed = inner.failed;
    return fine;
}

static bool read_request(void *self, struct json_value value) {
    struct reading *reading = self;
    struct json_value field;
    double at_s = 0, think_s = 0;
    if (json_get(value, "t", &field))
        json_real(field, &at_s);
    if (json_get(value, "requests", &field))
        return read_sub_agent(reading, value, at_s);
    int64_t prompt, output;
    if (json_field_int(value, "in", 1, TRACE_TOKENS_MAX, reading->place, &prompt, reading->err) != 0)
        return fail(reading);
    if (json_field_int(value, "out", 0, TRACE_TOKENS_MAX, reading->place, &output, reading->err) != 0)
        return fail(reading);
    if (json_get(value, "think_time", &field))
        json_real(field, &think_s);
    if (!(at_s >= 0 && at_s < 1e9 && think_s < 1e9) || !json_get(value, "hash_ids", &field) ||
        json_kind(field) != JSON_ARRAY) {
        error_at(reading->err, reading->place,
                 "request %u has no hash_ids, or a time out of range\n  hint: mend or drop it", reading->turn);
        return fail(reading);
    }
    size_t count = json_count(field);
    if (count > reading->room) {
        reading->room = 2 * count;
        free(reading->ids);
        reading->ids = malloc(reading->room * sizeof *reading->ids);
        MUST(reading->ids != NULL);
    }
    if (count > (size_t)prompt / AGENTIC_HASH_TOKENS + 1 || !json_numbers(field, reading->ids)) {
        error_at(reading->err, reading->place,
                 "request %u: %zu hash_ids for %lld tokens, or one that is no number\n  hint: there is one for each 64 "
                 "tokens",
                 reading->turn, count, (long long)prompt);
        return fail(reading);
    }
    uint64_t node = TRACE_ROOT, shared = (uint64_t)reading->shared_tokens / AGENTIC_HASH_TOKENS;
    for (size_t i = 0; i < count; i++)
        node = reading->ids[i] = i < shared ? trace_node(reading->trace, node, 0, reading->prefix_key + i)
                                            : trace_node(reading->trace, node, reading->scope, reading->ids[i]);
    struct trace_request request = {.at_ns = (int64_t)((reading->start_s + at_s) * 1e9 + 0.5),
                                    .think_ns = think_s > 0 ? (int64_t)(think_s * 1e9 + 0.5) : 0,
                                    .session = reading->session,
                                    .turn = reading->turn++,
                                    .prompt_tokens = (uint32_t)prompt,
                                    .output_tokens = (uint32_t)(output > 0 ? output : 1),
                                    .shared_tokens = (uint32_t)reading->shared_tokens};
    if (request.shared_tokens > request.prompt_tokens)
        request.shared_tokens = request.prompt_tokens;
    trace_add(reading->trace, &request, reading->ids, (uint32_t)count);
    return true;
}

static bool read_requests(struct reading *reading, struct json_value agent) {
    int64_t tools, system;
    struct json_value field, models;
    if (json_field_int(agent, "tool_tokens", 0, TRACE_TOKENS_MAX, reading->place, &tools, reading->err) != 0)
        return fail(reading);
    if (json_field_int(agent, "system_tokens", 0, TRACE_TOKENS_MAX, reading->place, &system, reading->err) != 0)
        return fail(reading);
    reading->shared_tokens = tools + system;
    uint64_t key = hash_text((const char *)&tools, sizeof tools, UINT64_C(0xcbf29ce484222325));
    key = hash_text((const char *)&system, sizeof system, key);
    const char *model;
    size_t size;
    struct json_value first = {{0}};
    if (json_get(agent, "models", &models) && json_first(models, &first) && json_text(first, &model, &size))
        key = hash_text(model, size, key);
    reading->prefix_key = key & ~UINT64_C(0xfffff); /* room for the blocks' numbers */
    if (!json_get(agent, "requests", &field) || json_kind(field) != JSON_ARRAY) {
        error_at(reading->err, reading->place,
                 "'requests' is missing\n  hint: is the file cut off, or of another format?");
        return fail(reading);
    }
    return json_each(field, read_request, reading) && !reading->failed;
}

static int read(struct trace *trace, const struct trace_text *text, struct error *err) {
    struct reading reading = {.trace = trace,
                              .text = text,
                              .err = err,
                              .place = {text->name, 1, 1},
                              .session = text->file,
                              .scope = text->file + 1};
    struct json_reader *json = json_create();
    MUST(json != NULL);
    struct json_value root, size;
    const char *why;
    int64_t block;
    int failed = -1;
    if (!json_parse(json, text->text, text->size, &root, &why))
        error_at(err, reading.place, "not JSON: %s\n  hint: is the file cut off?", why);
    else if (json_get(root, "block_size", &size) && json_int(size, &block) && block != AGENTIC_HASH_TOKENS)
        error_at(err, reading.place, "block_size is %lld\n  hint: this reader takes 64-token blocks", (long long)block);
    else
        failed = read_requests(&reading, root) ? 0 : -1;
    free(reading.ids);
    json_destroy(json);
    return failed;
}

static bool sniff(const char *text, size_t size) {
    return size > 0 && text[0] == '{' && memmem(text, size < 512 ? size : 512, "\"hash_id_scope\"", 15) != NULL;
}

extern const struct trace_format format_agentic;
const struct trace_format format_agentic = {.name = "agentic",
                                            .describes = "agentic sessions, one JSON file each, 64-token block hashes",
                                            .hash_tokens = AGENTIC_HASH_TOKENS,
                                            .has_sessions = true,
                                            .sniff = sniff,
                                            .read = read};
