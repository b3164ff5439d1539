/* Traces of objects, as web-cache simulators have them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory/replay.h"

enum { RECORD_BYTES = 24 }; /* oracleGeneral: u32 time, u64 id, u32 size, i64 next, packed, little-endian */

int replay_read_oracle(const void *bytes, size_t size, const char *name, struct replay_trace **out, struct error *err) {
    if (size == 0 || size % RECORD_BYTES != 0)
        return error_at(
            err, (struct place){name, 0, 0},
            "%zu bytes are no whole number of oracleGeneral records (%d bytes each)\n  hint: is the file cut "
            "off, or of another format?",
            size, RECORD_BYTES);
    struct replay_trace *trace = replay_trace_create(0);
    uint32_t last = 0;
    for (size_t at = 0; at < size; at += RECORD_BYTES) {
        const unsigned char *record = (const unsigned char *)bytes + at;
        uint32_t time_s, object_bytes;
        uint64_t id;
        memcpy(&time_s, record, sizeof time_s);
        memcpy(&id, record + 4, sizeof id);
        memcpy(&object_bytes, record + 12, sizeof object_bytes);
        if (time_s < last) {
            replay_trace_destroy(trace);
            return error_at(err, (struct place){name, 0, 0},
                            "record %zu lies %u s before the one before it\n  hint: is it oracleGeneral?",
                            at / RECORD_BYTES + 1, last - time_s);
        }
        last = time_s;
        struct replay_request request = {
            .at_ns = (int64_t)time_s * SIM_SECOND, .blocks = 1, .session = trace->request_count};
        replay_trace_add(trace, &request, &id, &object_bytes);
    }
    *out = trace;
    return 0;
}

/* A whole number at *at, below the end; false: there is none, or it does not fit. */
static bool number(const char **at, const char *end, uint64_t most, uint64_t *out) {
    const char *start = *at;
    uint64_t value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return *at > start;
}

/* One line `id[,size]`. */
static bool read_object(const char *at, const char *end, uint64_t *id, uint32_t *bytes) {
    uint64_t size = 1;
    if (!number(&at, end, UINT64_MAX, id))
        return false;
    if (at < end && *at == ',') {
        at++;
        if (!number(&at, end, UINT32_MAX, &size) || size == 0)
            return false;
    }
    *bytes = (uint32_t)size;
    return at == end;
}

int replay_read_lines(const char *text, size_t size, const char *name, struct replay_trace **out, struct error *err) {
    struct replay_trace *trace = replay_trace_create(0);
    const char *at = text, *end = text + size;
    for (int line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end, *trimmed = stop;
        if (trimmed > at && trimmed[-1] == '\r')
            trimmed--;
        uint64_t id;
        uint32_t bytes;
        if (trimmed > at && !read_object(at, trimmed, &id, &bytes)) {
            replay_trace_destroy(trace);
            return error_at(
                err, (struct place){name, line, 1},
                "not an access: '%.*s'\n  hint: a line is ID or ID,SIZE, both whole numbers, SIZE at least 1",
                trimmed - at < 40 ? (int)(trimmed - at) : 40, at);
        }
        struct replay_request request = {.at_ns = line, .blocks = 1, .session = trace->request_count};
        if (trimmed > at)
            replay_trace_add(trace, &request, &id, &bytes);
        at = stop + 1;
    }
    if (trace->count == 0) {
        replay_trace_destroy(trace);
        return error_at(err, (struct place){name, 1, 1},
                        "no access in the trace\n  hint: is the file empty or cut off?");
    }
    *out = trace;
    return 0;
}
