/* Trace formats. One file a format: it says how to recognise its text and how to read it. To add one, write
 * format_NAME.c with a `const struct trace_format` and put it into the list in format.c. */
#ifndef SIM_WORKLOAD_FORMAT_H
#define SIM_WORKLOAD_FORMAT_H

#include "sim/workload/json.h"
#include "sim/workload/trace.h"

struct trace_text {
    const char *name; /* for messages */
    const char *text; /* JSON_PADDING readable bytes follow */
    size_t size;
    uint32_t file; /* number of the file in a directory */
};

struct trace_format {
    const char *name, *describes;
    uint32_t hash_tokens;
    bool has_sessions;
    /* Whether the text's beginning looks like this format. */
    bool (*sniff)(const char *text, size_t size);
    /* Adds the text's requests to the trace. */
    int (*read)(struct trace *trace, const struct trace_text *text, struct error *err);
};
extern const struct trace_format *const trace_formats[]; /* NULL-ended */
const struct trace_format *trace_format_find(const char *name);

/* Calls `line` for each line that is not empty; the first non-zero return ends it. Lines are numbered from 1. */
int each_line(const struct trace_text *text, int (*line)(void *self, const char *at, size_t size, int number),
              void *self);
/* A whole number of an object, within limits; errors name the key and its line. */
int json_field_int(struct json_value object, const char *key, int64_t min, int64_t max, struct place at, int64_t *out,
                   struct error *err);

enum { TRACE_TOKENS_MAX = 100000000 };

#endif
