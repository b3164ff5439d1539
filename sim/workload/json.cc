#include "sim/workload/json.h"

#include <cstring>
#include <new>
#include <simdjson.h>

using simdjson::dom::element;

static_assert(sizeof(element) <= sizeof(json_value) && std::is_trivially_copyable<element>::value,
              "a value is a small plain thing");
static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "callers pad enough");

struct json_reader {
    simdjson::dom::parser parser;
};

static element unwrap(json_value value) {
    element out;
    std::memcpy(static_cast<void *>(&out), value.opaque, sizeof out);
    return out;
}
static json_value wrap(element value) {
    json_value out{};
    std::memcpy(out.opaque, static_cast<const void *>(&value), sizeof value);
    return out;
}

extern "C" {

json_reader *json_create(void) {
    return new (std::nothrow) json_reader;
}
void json_destroy(json_reader *reader) {
    delete reader;
}

bool json_parse(json_reader *reader, const char *text, size_t size, json_value *root, const char **why) {
    element value;
    simdjson::error_code code = reader->parser.parse(text, size, false).get(value);
    if (code) {
        *why = simdjson::error_message(code);
        return false;
    }
    *root = wrap(value);
    return true;
}

enum json_kind json_kind(json_value value) {
    element v = unwrap(value);
    if (v.is<double>() || v.is<int64_t>())
        return JSON_NUMBER;
    if (v.is<const char *>())
        return JSON_STRING;
    if (v.is<simdjson::dom::array>())
        return JSON_ARRAY;
    return v.is<simdjson::dom::object>() ? JSON_OBJECT : JSON_OTHER;
}

bool json_get(json_value object, const char *key, json_value *out) {
    element value;
    simdjson::dom::object fields;
    if (unwrap(object).get(fields) || fields.at_key(key).get(value))
        return false;
    *out = wrap(value);
    return true;
}

bool json_int(json_value value, int64_t *out) {
    return unwrap(value).get(*out) == simdjson::SUCCESS;
}
bool json_real(json_value value, double *out) {
    return unwrap(value).get(*out) == simdjson::SUCCESS;
}

bool json_text(json_value value, const char **text, size_t *size) {
    std::string_view view;
    if (unwrap(value).get(view))
        return false;
    *text = view.data();
    *size = view.size();
    return true;
}

size_t json_count(json_value array) {
    simdjson::dom::array items;
    if (unwrap(array).get(items))
        return 0;
    size_t count = 0;
    for (element item : items) {
        (void)item;
        count++;
    }
    return count;
}

bool json_each(json_value array, bool (*item)(void *self, json_value value), void *self) {
    simdjson::dom::array items;
    if (unwrap(array).get(items))
        return false;
    for (element value : items)
        if (!item(self, wrap(value)))
            return false;
    return true;
}

bool json_first(json_value array, json_value *out) {
    simdjson::dom::array items;
    element value;
    if (unwrap(array).get(items) || items.at(0).get(value))
        return false;
    *out = wrap(value);
    return true;
}

bool json_numbers(json_value array, uint64_t *out) {
    simdjson::dom::array items;
    if (unwrap(array).get(items))
        return false;
    for (element value : items)
        if (value.get(*out++))
            return false;
    return true;
}
}
