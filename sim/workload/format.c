#include "sim/workload/format.h"

#include <string.h>

extern const struct trace_format format_mooncake, format_bailian, format_azure, format_agentic;
const struct trace_format *const trace_formats[] = {&format_bailian, &format_mooncake, &format_azure, &format_agentic,
                                                    NULL};

const struct trace_format *trace_format_find(const char *name) {
    for (size_t i = 0; trace_formats[i]; i++)
        if (strcmp(trace_formats[i]->name, name) == 0)
            return trace_formats[i];
    return NULL;
}

int each_line(const struct trace_text *text, int (*line)(void *self, const char *at, size_t size, int number),
              void *self) {
    const char *at = text->text, *end = text->text + text->size;
    for (int number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((newline ? newline : end) - at);
        size_t trimmed = size > 0 && at[size - 1] == '\r' ? size - 1 : size;
        if (trimmed > 0) {
            int failed = line(self, at, trimmed, number);
            if (failed)
                return failed;
        }
        at += size + 1;
    }
    return 0;
}

int json_field_int(struct json_value object, const char *key, int64_t min, int64_t max, struct place at, int64_t *out,
                   struct error *err) {
    struct json_value value;
    double real;
    if (!json_get(object, key, &value))
        return error_at(err, at, "'%s' is missing\n  hint: is the line cut off, or of another format?", key);
    if (!json_int(value, out)) {
        if (!json_real(value, &real) || !(real >= -9e15 && real <= 9e15) || real != (double)(int64_t)real)
            return error_at(err, at, "'%s' is not a whole number\n  hint: mend or drop the line", key);
        *out = (int64_t)real;
    }
    if (*out < min || *out > max)
        return error_at(err, at, "'%s' is %lld, outside %lld to %lld\n  hint: mend or drop the line", key,
                        (long long)*out, (long long)min, (long long)max);
    return 0;
}
