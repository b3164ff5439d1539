/* Bailian JSONL ("KVCache in the Wild", arXiv 2506.02634): {"chat_id", "parent_chat_id" (-1: first turn), "timestamp":
 * s, "input_length", "output_length", "type", "turn", "hash_ids": [one a 16-token block]}. A follow-up belongs to its
 * parent's session; its think time is not recorded, so it is replayed open loop. */
#include <stdlib.h>
#include <string.h>

#include "sim/base/int_map.h"
#include "sim/workload/format.h"

enum { BAILIAN_HASH_TOKENS = 16 };

struct reading {
    struct trace *trace;
    const struct trace_text *text;
    struct json_reader *json;
    struct error *err;
    struct int_map *session_of; /* chat_id -> session */
    uint32_t sessions;
    uint64_t *ids;
    size_t room;
};

static uint32_t session_of(struct reading *reading, int64_t chat, int64_t parent) {
    uint32_t session = parent >= 0 ? int_map_get(reading->session_of, (uint64_t)parent) : INT_MAP_NONE;
    if (session == INT_MAP_NONE)
        session = reading->sessions++;
    int_map_put(reading->session_of, (uint64_t)chat, session);
    return session;
}

static int read_line(void *self, const char *at, size_t size, int number) {
    struct reading *reading = self;
    struct place place = {reading->text->name, number, 1};
    struct json_value root, value;
    const char *why;
    int64_t chat, parent, prompt, output, turn;
    double time_s;
    struct error *err = reading->err;
    if (!json_parse(reading->json, at, size, &root, &why))
        return error_at(err, place, "not a JSON line: %s\n  hint: mend or drop the line; is the file cut off?", why);
    if (json_field_int(root, "chat_id", 0, INT64_MAX / 2, place, &chat, err) != 0)
        return -1;
    if (json_field_int(root, "parent_chat_id", -1, INT64_MAX / 2, place, &parent, err) != 0)
        return -1;
    if (json_field_int(root, "input_length", 1, TRACE_TOKENS_MAX, place, &prompt, err) != 0)
        return -1;
    if (json_field_int(root, "output_length", 0, TRACE_TOKENS_MAX, place, &output, err) != 0)
        return -1;
    if (json_field_int(root, "turn", 0, 1000000, place, &turn, err) != 0)
        return -1;
    if (!json_get(root, "timestamp", &value) || !json_real(value, &time_s) || time_s < 0 || time_s > 4e9)
        return error_at(err, place, "'timestamp' is not a time in seconds\n  hint: mend or drop the line");
    if (!json_get(root, "hash_ids", &value) || json_kind(value) != JSON_ARRAY)
        return error_at(err, place, "'hash_ids' is missing\n  hint: a list of block hashes, one for each 16 tokens");
    size_t count = json_count(value);
    if (count > (size_t)(prompt + BAILIAN_HASH_TOKENS - 1) / BAILIAN_HASH_TOKENS)
        return error_at(err, place, "%zu hash_ids for %lld input tokens\n  hint: there is one for each 16 tokens",
                        count, (long long)prompt);
    if (count > reading->room) {
        reading->room = 2 * count;
        free(reading->ids);
        reading->ids = malloc(reading->room * sizeof *reading->ids);
        MUST(reading->ids != NULL);
    }
    if (!json_numbers(value, reading->ids))
        return error_at(err, place,
                        "'hash_ids' holds something that is not a whole number\n  hint: mend or drop the line");
    uint64_t node = TRACE_ROOT;
    for (size_t i = 0; i < count; i++)
        node = reading->ids[i] = trace_node(reading->trace, node, 0, reading->ids[i]);
    struct trace_request request = {.at_ns = (int64_t)(time_s * 1e9 + 0.5),
                                    .session = session_of(reading, chat, parent),
                                    .turn = (uint32_t)turn,
                                    .prompt_tokens = (uint32_t)prompt,
                                    .output_tokens = (uint32_t)(output > 0 ? output : 1)};
    trace_add(reading->trace, &request, reading->ids, (uint32_t)count);
    return 0;
}

static int read(struct trace *trace, const struct trace_text *text, struct error *err) {
    struct reading reading = {
        .trace = trace, .text = text, .json = json_create(), .err = err, .session_of = int_map_create()};
    MUST(reading.json != NULL);
    int failed = each_line(text, read_line, &reading);
    json_destroy(reading.json);
    int_map_destroy(reading.session_of);
    free(reading.ids);
    return failed;
}

static bool sniff(const char *text, size_t size) {
    return size > 0 && text[0] == '{' && memmem(text, size < 512 ? size : 512, "\"parent_chat_id\"", 16) != NULL;
}

extern const struct trace_format format_bailian;
const struct trace_format format_bailian = {.name = "bailian",
                                            .describes = "Bailian JSONL, 16-token block hashes",
                                            .hash_tokens = BAILIAN_HASH_TOKENS,
                                            .sniff = sniff,
                                            .read = read};
