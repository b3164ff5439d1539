/* Writing JSON to a stream: the commas, the nesting and the escapes. Numbers are printed so that they read back the
 * same, in as few digits as that takes. What is opened must be closed by its own kind, and keys stand in objects only:
 * anything else is a defect (MUST). */
#ifndef SIM_OUTPUT_JSON_H
#define SIM_OUTPUT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH_MAX = 32 };
struct json {
    FILE *out;
    int depth;
    bool has_items[JSON_DEPTH_MAX], is_array[JSON_DEPTH_MAX];
};
struct json json_begin(FILE *out);
/* Ends the line; everything opened must be closed. */
void json_end(struct json *json);
/* `key` NULL: an element of an array, or the document itself. */
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_string(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, double value); /* not finite: null */
void json_integer(struct json *json, const char *key, int64_t value);
void json_boolean(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
