#include "sim/output/json.h"

#include <math.h>
#include <stdlib.h>

#include "sim/base/error.h"

struct json json_begin(FILE *out) {
    return (struct json){.out = out};
}

void json_end(struct json *json) {
    MUST(json->depth == 0);
    fputc('\n', json->out);
}

static void escaped(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void begin_item(struct json *json, const char *key) {
    MUST((key != NULL) == (json->depth > 0 && !json->is_array[json->depth - 1]));
    if (json->depth > 0) {
        if (json->has_items[json->depth - 1])
            fputc(',', json->out);
        json->has_items[json->depth - 1] = true;
    }
    if (!key)
        return;
    escaped(json->out, key);
    fputc(':', json->out);
}

static void open_nest(struct json *json, const char *key, char bracket) {
    begin_item(json, key);
    MUST(json->depth < JSON_DEPTH_MAX);
    json->is_array[json->depth] = bracket == '[';
    json->has_items[json->depth++] = false;
    fputc(bracket, json->out);
}

static void close_nest(struct json *json, char bracket) {
    MUST(json->depth > 0 && json->is_array[json->depth - 1] == (bracket == ']'));
    json->depth--;
    fputc(bracket, json->out);
}

void json_object(struct json *json, const char *key) {
    open_nest(json, key, '{');
}
void json_object_end(struct json *json) {
    close_nest(json, '}');
}
void json_array(struct json *json, const char *key) {
    open_nest(json, key, '[');
}
void json_array_end(struct json *json) {
    close_nest(json, ']');
}

void json_string(struct json *json, const char *key, const char *text) {
    begin_item(json, key);
    escaped(json->out, text);
}

void json_number(struct json *json, const char *key, double value) {
    begin_item(json, key);
    if (!isfinite(value)) {
        fputs("null", json->out);
        return;
    }
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, json->out);
}

void json_integer(struct json *json, const char *key, int64_t value) {
    begin_item(json, key);
    fprintf(json->out, "%lld", (long long)value);
}

void json_boolean(struct json *json, const char *key, bool value) {
    begin_item(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key) {
    begin_item(json, key);
    fputs("null", json->out);
}
