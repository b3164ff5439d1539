/* Agentic sessions (kv-cache-tester): one JSON file a session; requests with 64-token block hashes local to the file,
 * think times, and sub-agents nested where they were started. The tools + system prefix is shared between sessions in
 * production: its blocks get one identity for all files of the same model and sizes.
 *
 * A sub-agent runs beside its parent from the end of the parent's request before it; its first think time is what lay
 * between. The parent's own think time, as recorded, covers its wait for the sub-agent. */
#include <stdlib.h>
#include <string.h>

#include "sim/workload/format.h"

enum { AGENTIC_HASH_TOKENS = 64, AGENTS_MAX_DEPTH = 4 };

/* A file. */
struct reading {
    struct trace *trace;
    struct error *err;
    struct place place;
    uint32_t session, turn, agents, scope;
    uint64_t *ids;
    size_t room;
};

/* The session's own agent, or a sub-agent: with tools, a system prompt and a time of its own. */
struct agent {
    struct reading *reading;
    const struct agent *parent;
    uint32_t number, parent_request, last_request;
    uint64_t prefix_key; /* of the shared prefix: model, tools, system */
    int64_t shared_tokens, tool_tokens;
    double start_s, last_at_s, last_end_s; /* from the session's start */
    int depth;
};

static uint64_t hash_text(const char *text, size_t size, uint64_t hash) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

static bool read_requests(struct agent *agent, struct json_value value);

static bool read_sub_agent(struct agent *agent, struct json_value value, double at_s) {
    struct reading *reading = agent->reading;
    if (agent->depth >= AGENTS_MAX_DEPTH)
        return error_at(reading->err, reading->place, "agents nested more than %d deep\n  hint: flatten the file",
                        AGENTS_MAX_DEPTH) == 0;
    /* One that is started before its parent asks anything stands in the parent's place. */
    bool instead = agent->last_request == TRACE_NONE;
    struct agent inner = {.reading = reading,
                          .parent = instead ? agent->parent : agent,
                          .number = instead ? agent->number : ++reading->agents,
                          .parent_request = instead ? agent->parent_request : agent->last_request,
                          .last_request = TRACE_NONE,
                          .last_at_s = agent->last_at_s,
                          .depth = agent->depth + 1,
                          .start_s = agent->start_s + at_s};
    if (!read_requests(&inner, value))
        return false;
    if (instead) {
        agent->last_request = inner.last_request;
        agent->last_at_s = inner.last_at_s;
        agent->last_end_s = inner.last_end_s;
    }
    return true;
}

/* A time that may be left out; false: it is there, and no time. */
static bool read_time(struct json_value request, const char *key, double *out) {
    struct json_value field;
    *out = 0;
    if (!json_get(request, key, &field))
        return true;
    return json_real(field, out) && *out < 1e9;
}

/* The prompt's blocks as nodes, into reading->ids. */
static bool read_blocks(const struct agent *agent, struct json_value list, int64_t prompt, size_t *count) {
    struct reading *reading = agent->reading;
    *count = json_count(list);
    if (*count > reading->room) {
        reading->room = 2 * *count;
        free(reading->ids);
        reading->ids = malloc(reading->room * sizeof *reading->ids);
        MUST(reading->ids != NULL);
    }
    if (*count > (size_t)prompt / AGENTIC_HASH_TOKENS + 1 || !json_numbers(list, reading->ids))
        return error_at(reading->err, reading->place,
                        "request %u: %zu hash_ids for %lld tokens, or one that is no number\n  hint: there is one for "
                        "each 64 tokens",
                        reading->turn, *count, (long long)prompt) == 0;
    uint64_t node = TRACE_ROOT, shared = (uint64_t)agent->shared_tokens / AGENTIC_HASH_TOKENS;
    for (size_t i = 0; i < *count; i++) {
        bool common = i < shared;
        node = reading->ids[i] = trace_node(reading->trace, node, common ? 0 : reading->scope,
                                            common ? agent->prefix_key + i : reading->ids[i]);
    }
    return true;
}

static bool read_request(void *self, struct json_value value) {
    struct agent *agent = self;
    struct reading *reading = agent->reading;
    struct json_value list;
    double at_s, think_s, api_s;
    int64_t prompt, output;
    size_t count;
    if (!read_time(value, "t", &at_s) || at_s < 0 || !read_time(value, "think_time", &think_s) ||
        !read_time(value, "api_time", &api_s))
        return error_at(reading->err, reading->place,
                        "request %u: 't', 'think_time' or 'api_time' is not a time in seconds\n  hint: mend or drop it",
                        reading->turn) == 0;
    if (json_get(value, "requests", &list))
        return read_sub_agent(agent, value, at_s);
    if (json_field_int(value, "in", 1, TRACE_TOKENS_MAX, reading->place, &prompt, reading->err) != 0)
        return false;
    if (json_field_int(value, "out", 0, TRACE_TOKENS_MAX, reading->place, &output, reading->err) != 0)
        return false;
    if (!json_get(value, "hash_ids", &list) || json_kind(list) != JSON_ARRAY)
        return error_at(reading->err, reading->place,
                        "request %u has no hash_ids\n  hint: a list of block hashes, one for each 64 tokens",
                        reading->turn) == 0;
    if (!read_blocks(agent, list, prompt, &count))
        return false;
    at_s += agent->start_s;
    if (at_s < agent->last_at_s) /* nobody asks before what it follows: a closed loop would lose it */
        at_s = agent->last_at_s;
    bool forked = agent->number > 0 && agent->last_request == TRACE_NONE;
    if (forked)
        think_s = at_s - agent->parent->last_end_s;
    struct trace_request request = {
        .at_ns = (int64_t)(at_s * 1e9 + 0.5),
        .think_ns = think_s > 0 ? (int64_t)(think_s * 1e9 + 0.5) : 0,
        .session = reading->session,
        .turn = reading->turn++,
        .agent = agent->number,
        .fork = agent->parent_request,
        .prompt_tokens = (uint32_t)prompt,
        .output_tokens = (uint32_t)(output > 0 ? output : 1),
        .shared_tokens = (uint32_t)(agent->shared_tokens < prompt ? agent->shared_tokens : prompt),
        .tool_tokens = (uint32_t)(agent->tool_tokens < prompt ? agent->tool_tokens : prompt)};
    const char *stop;
    size_t stop_size;
    struct json_value ends;
    request.calls_tool = json_get(value, "stop", &ends) && json_text(ends, &stop, &stop_size) &&
                         stop_size == strlen("tool_use") && memcmp(stop, "tool_use", stop_size) == 0;
    agent->last_request = trace_add(reading->trace, &request, reading->ids, (uint32_t)count);
    agent->last_at_s = at_s;
    agent->last_end_s = at_s + (api_s > 0 ? api_s : 0);
    return true;
}

static bool read_requests(struct agent *agent, struct json_value value) {
    struct reading *reading = agent->reading;
    int64_t tools, system;
    struct json_value field, models, first;
    if (json_field_int(value, "tool_tokens", 0, TRACE_TOKENS_MAX, reading->place, &tools, reading->err) != 0)
        return false;
    if (json_field_int(value, "system_tokens", 0, TRACE_TOKENS_MAX, reading->place, &system, reading->err) != 0)
        return false;
    agent->shared_tokens = tools + system;
    agent->tool_tokens = tools;
    uint64_t key = hash_text((const char *)&tools, sizeof tools, UINT64_C(0xcbf29ce484222325));
    key = hash_text((const char *)&system, sizeof system, key);
    const char *model;
    size_t size;
    if (json_get(value, "models", &models) && json_first(models, &first) && json_text(first, &model, &size))
        key = hash_text(model, size, key);
    agent->prefix_key = key & ~UINT64_C(0xffffff); /* room for the blocks' numbers */
    if (!json_get(value, "requests", &field) || json_kind(field) != JSON_ARRAY)
        return error_at(reading->err, reading->place,
                        "'requests' is missing\n  hint: is the file cut off, or of another format?") == 0;
    return json_each(field, read_request, agent);
}

static int read(struct trace *trace, const struct trace_text *text, struct error *err) {
    struct reading reading = {
        .trace = trace, .err = err, .place = {text->name, 1, 1}, .session = text->file, .scope = text->file + 1};
    struct agent agent = {.reading = &reading, .parent_request = TRACE_NONE, .last_request = TRACE_NONE};
    struct json_reader *json = json_create();
    MUST(json != NULL);
    struct json_value root, size;
    const char *why;
    int64_t block;
    int failed = -1;
    if (!json_parse(json, text->text, text->size, &root, &why))
        error_at(err, reading.place, "not JSON: %s\n  hint: is the file cut off?", why);
    else if (json_get(root, "block_size", &size) && (!json_int(size, &block) || block != AGENTIC_HASH_TOKENS))
        error_at(err, reading.place, "block_size is not %d\n  hint: this reader takes %d-token blocks",
                 AGENTIC_HASH_TOKENS, AGENTIC_HASH_TOKENS);
    else
        failed = read_requests(&agent, root) ? 0 : -1;
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
