/* Reading JSON through simdjson (about 2.5 M trace lines a second). The only C++ of the house is behind this. */
#ifndef SIM_WORKLOAD_JSON_H
#define SIM_WORKLOAD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { JSON_PADDING = 64 }; /* bytes that must be readable after the text */

struct json_reader;
/* A value of the document last parsed; valid until the next json_parse. */
struct json_value {
    uint64_t opaque[2];
};
enum json_kind { JSON_OTHER, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_reader *json_create(void);
void json_destroy(struct json_reader *reader);
/* Parses one document of `size` bytes. false: not JSON, *why says in what way. */
bool json_parse(struct json_reader *reader, const char *text, size_t size, struct json_value *root, const char **why);
enum json_kind json_kind(struct json_value value);
/* false: not an object, or no such key. */
bool json_get(struct json_value object, const char *key, struct json_value *out);
bool json_int(struct json_value value, int64_t *out); /* whole numbers only */
bool json_real(struct json_value value, double *out);
bool json_text(struct json_value value, const char **text, size_t *size);
size_t json_count(struct json_value array); /* 0 for what is no array */
/* Calls item for each element until it returns false; returns whether all were seen. */
bool json_each(struct json_value array, bool (*item)(void *self, struct json_value value), void *self);
/* The first item. false: none, or no array. */
bool json_first(struct json_value array, struct json_value *out);
/* All items as whole non-negative numbers into out (room for json_count). false: one is not. */
bool json_numbers(struct json_value array, uint64_t *out);

#ifdef __cplusplus
}
#endif

#endif
