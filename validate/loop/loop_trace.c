/* The trace: a line a request, four keys, nothing else. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate/loop/loop.h"

enum { HASH_TOKENS = 512, TOKENS_MAX = 1 << 20, HASHES_MAX = TOKENS_MAX / HASH_TOKENS };

void loop_must_fail(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}
void *loop_grown(void *memory, size_t count, size_t size_bytes) {
    memory = realloc(memory, count * size_bytes);
    LOOP_MUST(memory != NULL);
    return memory;
}
void *loop_zeroed(size_t count, size_t size_bytes) {
    void *memory = calloc(count > 0 ? count : 1, size_bytes);
    LOOP_MUST(memory != NULL);
    return memory;
}

/* One line while it is read. */
struct line {
    const char *at, *why;
    double timestamp_ms;
    uint64_t input, output, hashes[HASHES_MAX];
    uint32_t hash_count;
    unsigned seen;
};

static void space(struct line *line) {
    while (*line->at == ' ' || *line->at == '\t')
        line->at++;
}
static bool symbol(struct line *line, char c) {
    space(line);
    if (*line->at != c)
        return false;
    line->at++;
    return true;
}
static bool whole(struct line *line, uint64_t *out) {
    space(line);
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)*line->at))
        return false;
    *out = strtoull(line->at, &end, 10);
    line->at = end;
    return errno == 0 && *end != '.' && *end != 'e' && *end != 'E';
}
static bool time_ms(struct line *line) {
    space(line);
    char *end;
    if (!isdigit((unsigned char)*line->at))
        return false;
    line->timestamp_ms = strtod(line->at, &end);
    line->at = end;
    return line->timestamp_ms <= 4e12;
}
static bool hash_list(struct line *line) {
    if (!symbol(line, '['))
        return false;
    if (symbol(line, ']'))
        return true;
    do {
        if (line->hash_count == HASHES_MAX || !whole(line, &line->hashes[line->hash_count++]))
            return false;
    } while (symbol(line, ','));
    return symbol(line, ']');
}

static const char *const keys[] = {"timestamp", "input_length", "output_length", "hash_ids"};
enum { KEYS = sizeof keys / sizeof *keys };

static bool value(struct line *line, int key) {
    bool fine = key == 0   ? time_ms(line)
                : key == 1 ? whole(line, &line->input)
                : key == 2 ? whole(line, &line->output)
                           : hash_list(line);
    static const char *const wrong[] = {"timestamp is no time in milliseconds", "input_length is no whole number",
                                        "output_length is no whole number",
                                        "hash_ids is no list of at most 2048 whole numbers"};
    if (!fine)
        line->why = wrong[key];
    return fine;
}

static bool pair(struct line *line) {
    line->why = "not the JSON object of a request";
    if (!symbol(line, '"'))
        return false;
    for (int key = 0; key < KEYS; key++) {
        size_t n = strlen(keys[key]);
        if (strncmp(line->at, keys[key], n) != 0 || line->at[n] != '"')
            continue;
        line->at += n + 1;
        if (line->seen & 1u << key) {
            line->why = "a key stands there twice";
            return false;
        }
        line->seen |= 1u << key;
        return symbol(line, ':') && value(line, key);
    }
    line->why = "an unknown key";
    return false;
}

static bool parse(struct line *line) {
    line->why = "not the JSON object of a request";
    if (!symbol(line, '{'))
        return false;
    do {
        if (!pair(line))
            return false;
    } while (symbol(line, ','));
    line->why = "not the JSON object of a request";
    if (!symbol(line, '}'))
        return false;
    space(line);
    if (*line->at != '\n' && *line->at != '\0')
        return false;
    line->why = "timestamp, input_length, output_length or hash_ids is missing";
    return line->seen == (1u << KEYS) - 1;
}

static bool sensible(struct line *line, double before_ms) {
    uint64_t wanted = (line->input + HASH_TOKENS - 1) / HASH_TOKENS;
    line->why = line->input < 1 || line->input > TOKENS_MAX     ? "input_length is not 1 to 1048576"
                : line->output < 1 || line->output > TOKENS_MAX ? "output_length is not 1 to 1048576"
                : line->hash_count != wanted                    ? "not one of hash_ids for each 512 tokens of input"
                : line->timestamp_ms < before_ms                ? "timestamp lies before that of the line above"
                                                                : NULL;
    return line->why == NULL;
}

/* A block is the same block only behind the same prefix: its name is mixed from its own hash and its parent's name. */
static uint64_t mixed(uint64_t parent, uint64_t hash) {
    uint64_t x = (parent ^ UINT64_C(0x9e3779b97f4a7c15)) + hash * UINT64_C(0xd1342543de82ef95);
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static void name_blocks(const struct line *line, uint32_t block_tokens, struct loop_spec *out) {
    uint32_t per_hash = HASH_TOKENS / block_tokens;
    uint64_t name = 0;
    out->id_count = out->input_tokens / block_tokens;
    out->ids = (uint64_t *)loop_zeroed(out->id_count, sizeof *out->ids);
    for (uint32_t i = 0; i < out->id_count; i++) {
        if (i % per_hash == 0)
            name = mixed(name, line->hashes[i / per_hash]);
        /* Not as a hash of the trace: those may be as small as the block's number. */
        out->ids[i] = i % per_hash == 0 ? name : mixed(~name, i % per_hash);
    }
}

static void refuse(char *text, const char *path, uint32_t number, const char *why) {
    snprintf(text, LOOP_TEXT, "%s:%u: %s\n  hint: Mooncake JSONL, as `tiersim trace generate` writes it", path, number,
             why);
}

static bool read_lines(FILE *file, const char *path, uint32_t block_tokens, double rate_scale, struct loop_trace *out,
                       struct line *line, char *text) {
    char *buffer = NULL;
    size_t size = 0;
    uint32_t room = 0;
    double first_ms = 0, before_ms = 0;
    bool fine = true;
    while (fine && getline(&buffer, &size, file) >= 0) {
        line->at = buffer;
        line->hash_count = 0;
        line->seen = 0;
        fine = parse(line) && sensible(line, before_ms);
        if (!fine) {
            refuse(text, path, out->count + 1, line->why);
            break;
        }
        if (out->count == room) {
            room = room ? 2 * room : 256;
            out->items = (struct loop_spec *)loop_grown(out->items, room, sizeof *out->items);
        }
        if (out->count == 0)
            first_ms = line->timestamp_ms;
        before_ms = line->timestamp_ms;
        struct loop_spec *spec = &out->items[out->count++];
        spec->arrival_s = (before_ms - first_ms) * 1e-3 / rate_scale;
        spec->input_tokens = (uint32_t)line->input;
        spec->output_tokens = (uint32_t)line->output;
        name_blocks(line, block_tokens, spec);
    }
    free(buffer);
    if (fine && out->count == 0)
        refuse(text, path, 1, "no request");
    return fine && out->count > 0;
}

bool loop_trace_read(const char *path, uint32_t block_tokens, double rate_scale, struct loop_trace *out, char *text) {
    memset(out, 0, sizeof *out);
    LOOP_MUST(block_tokens > 0 && HASH_TOKENS % block_tokens == 0 && rate_scale > 0);
    FILE *file = fopen(path, "r");
    if (!file) {
        snprintf(text, LOOP_TEXT, "%s: %s\n  hint: run from the project's folder", path, strerror(errno));
        return false;
    }
    struct line *line = (struct line *)loop_zeroed(1, sizeof *line);
    bool fine = read_lines(file, path, block_tokens, rate_scale, out, line, text);
    free(line);
    fclose(file);
    if (!fine)
        loop_trace_free(out);
    return fine;
}

void loop_trace_free(struct loop_trace *trace) {
    for (uint32_t i = 0; i < trace->count; i++)
        free(trace->items[i].ids);
    free(trace->items);
    memset(trace, 0, sizeof *trace);
}
