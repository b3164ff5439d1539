/* Mooncake JSONL (FAST'25 release): {"timestamp": ms, "input_length", "output_length", "hash_ids": [one a 512-token
 * block]}. The last id stands for a partial block. */
#include <stdlib.h>
#include <string.h>

#include "sim/workload/format.h"

enum { MOONCAKE_HASH_TOKENS = 512 };

struct reading {
    struct trace *trace;
    const struct trace_text *text;
    struct json_reader *json;
    struct error *err;
    uint64_t *ids;
    size_t room;
};

static int read_line(void *self, const char *at, size_t size, int number) {
    struct reading *reading = self;
    struct place place = {reading->text->name, number, 1};
    struct json_value root, ids, time;
    const char *why;
    int64_t prompt, output;
    double time_ms;
    struct error *err = reading->err;
    if (!json_parse(reading->json, at, size, &root, &why))
        return error_at(err, place, "not a JSON line: %s\n  hint: mend or drop the line; is the file cut off?", why);
    if (!json_get(root, "timestamp", &time) || !json_real(time, &time_ms) || !(time_ms >= 0 && time_ms <= 4e12))
        return error_at(err, place, "'timestamp' is not a time in milliseconds\n  hint: mend or drop the line");
    if (json_field_int(root, "input_length", 1, TRACE_TOKENS_MAX, place, &prompt, err) != 0)
        return -1;
    if (json_field_int(root, "output_length", 0, TRACE_TOKENS_MAX, place, &output, err) != 0)
        return -1;
    if (!json_get(root, "hash_ids", &ids) || json_kind(ids) != JSON_ARRAY)
        return error_at(err, place, "'hash_ids' is missing\n  hint: a list of block hashes, one for each 512 tokens");
    size_t count = json_count(ids);
    if (count > reading->room) {
        reading->room = 2 * count;
        free(reading->ids);
        reading->ids = malloc(reading->room * sizeof *reading->ids);
        MUST(reading->ids != NULL);
    }
    if (!json_numbers(ids, reading->ids))
        return error_at(err, place,
                        "'hash_ids' holds something that is not a whole number\n  hint: mend or drop the line");
    if (count != (size_t)(prompt + MOONCAKE_HASH_TOKENS - 1) / MOONCAKE_HASH_TOKENS)
        return error_at(
            err, place,
            "%zu hash_ids for %lld input tokens\n  hint: there is one for each 512 tokens, the last may be partial",
            count, (long long)prompt);
    uint64_t parent = TRACE_ROOT;
    for (size_t i = 0; i < count; i++)
        parent = reading->ids[i] = trace_node(reading->trace, parent, 0, reading->ids[i]);
    struct trace_request request = {.at_ns = (int64_t)(time_ms * 1e6 + 0.5),
                                    .session = TRACE_NONE,
                                    .prompt_tokens = (uint32_t)prompt,
                                    .output_tokens = (uint32_t)(output > 0 ? output : 1)};
    trace_add(reading->trace, &request, reading->ids, (uint32_t)count);
    return 0;
}

static int read(struct trace *trace, const struct trace_text *text, struct error *err) {
    struct reading reading = {.trace = trace, .text = text, .json = json_create(), .err = err};
    MUST(reading.json != NULL);
    int failed = each_line(text, read_line, &reading);
    json_destroy(reading.json);
    free(reading.ids);
    return failed;
}

static bool sniff(const char *text, size_t size) {
    return size > 0 && text[0] == '{' && memmem(text, size < 512 ? size : 512, "\"input_length\"", 14) &&
           memmem(text, size < 512 ? size : 512, "\"timestamp\"", 11);
}

extern const struct trace_format format_mooncake;
const struct trace_format format_mooncake = {.name = "mooncake",
                                             .describes = "Mooncake JSONL, 512-token block hashes",
                                             .hash_tokens = MOONCAKE_HASH_TOKENS,
                                             .sniff = sniff,
                                             .read = read};
