/* The option tables as documentation: Markdown for people, JSON schema for editors. */
#include <string.h>

#include "sim/config/read.h"

static const char *kind_text(const struct option *option, char *buffer, size_t size) {
    switch (option->kind) {
    case OPTION_BOOL:
        return "true/false";
    case OPTION_INT:
        return option->unit == UNIT_TOKENS ? "tokens" : "whole number";
    case OPTION_REAL:
        return unit_name(option->unit);
    case OPTION_FIGURE:
        snprintf(buffer, size, "%s with source", unit_name(option->unit));
        return buffer;
    case OPTION_TEXT:
        return "text";
    case OPTION_CHOICE: {
        buffer[0] = 0;
        for (size_t i = 0; option->choices[i]; i++) {
            size_t used = strlen(buffer);
            snprintf(buffer + used, size - used, "%s`%s`", i ? ", " : "", option->choices[i]);
        }
        return buffer;
    }
    case OPTION_STRUCT:
        return "mapping, below";
    case OPTION_LIST:
        return "list of mappings, below";
    case OPTION_REALS:
        snprintf(buffer, size, "list: %s", unit_name(option->unit));
        return buffer;
    case OPTION_TEXTS:
        return "list of text";
    case OPTION_NODE:
        return "NAME or mapping";
    }
    return "";
}

static const char *default_text(const struct option *option) {
    if (option_is_required(option))
        return "**required**";
    return *option->fallback ? option->fallback : "none";
}

static void range_text(const struct option *option, char *buffer, size_t size) {
    buffer[0] = 0;
    if (option->min == 0 && option->max == 0)
        return;
    char low[64], high[64];
    unit_format(low, sizeof low, option->min, option->unit, 6);
    unit_format(high, sizeof high, option->max, option->unit, 6);
    snprintf(buffer, size, "%s to %s", low, high);
}

enum { TABLES_MAX = 64 };

static void print_tables(FILE *out, const char *title, const struct option *table, const struct option **done,
                         size_t *count) {
    for (size_t i = 0; i < *count; i++)
        if (done[i] == table)
            return;
    MUST(*count < TABLES_MAX);
    done[(*count)++] = table;
    fprintf(out, "## %s\n\n| key | what | default | range | meaning |\n|---|---|---|---|---|\n", title);
    for (const struct option *option = table; option->name; option++) {
        char kind[256], range[160];
        range_text(option, range, sizeof range);
        fprintf(out, "| `%s` | %s | %s | %s | %s |\n", option->name, kind_text(option, kind, sizeof kind),
                default_text(option), range, option->help ? option->help : "");
    }
    fputc('\n', out);
    for (const struct option *option = table; option->name; option++)
        if (option->kind == OPTION_STRUCT || option->kind == OPTION_LIST) {
            char below[256];
            snprintf(below, sizeof below, "%s.%s%s", title, option->name, option->kind == OPTION_LIST ? "[]" : "");
            print_tables(out, below, option->table, done, count);
        }
}

void options_print_markdown(FILE *out, const char *title, const struct option *table) {
    const struct option *done[TABLES_MAX];
    size_t count = 0;
    print_tables(out, title, table, done, &count);
}

static void print_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void schema_object(FILE *out, const struct option *table);

static void schema_type(FILE *out, const struct option *option) {
    switch (option->kind) {
    case OPTION_BOOL:
        fputs("\"enum\":[true,false,\"yes\",\"no\",\"on\",\"off\"]", out);
        break;
    case OPTION_INT:
    case OPTION_REAL:
        fputs("\"type\":[\"number\",\"string\"],\"examples\":[", out);
        print_string(out, unit_example(option->unit));
        fputc(']', out);
        break;
    case OPTION_FIGURE:
        fputs("\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"value\",\"source\"],\"properties\":{"
              "\"value\":{\"type\":[\"number\",\"string\"]},"
              "\"source\":{\"type\":\"string\"},\"basis\":{\"enum\":[\"measured\",\"extrapolated\",\"spec\"]},\"note\":"
              "{\"type\":\"string\"}}",
              out);
        break;
    case OPTION_TEXT:
        fputs("\"type\":\"string\"", out);
        break;
    case OPTION_CHOICE:
        fputs("\"enum\":[", out);
        for (size_t i = 0; option->choices[i]; i++) {
            if (i)
                fputc(',', out);
            print_string(out, option->choices[i]);
        }
        fputc(']', out);
        break;
    case OPTION_STRUCT:
        schema_object(out, option->table);
        break;
    case OPTION_LIST:
        fputs("\"type\":\"array\",\"items\":{", out);
        schema_object(out, option->table);
        fputc('}', out);
        break;
    case OPTION_REALS:
        fputs("\"type\":\"array\",\"items\":{\"type\":[\"number\",\"string\"]}", out);
        break;
    case OPTION_TEXTS:
        fputs("\"type\":\"array\",\"items\":{\"type\":\"string\"}", out);
        break;
    case OPTION_NODE:
        fputs("\"type\":[\"string\",\"object\",\"array\"]", out);
        break;
    }
}

static void schema_object(FILE *out, const struct option *table) {
    fputs("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"include\":{\"type\":[\"string\","
          "\"array\"]}",
          out);
    for (const struct option *option = table; option->name; option++) {
        fputc(',', out);
        print_string(out, option->name);
        fputs(":{", out);
        schema_type(out, option);
        if (option->help) {
            fputs(",\"description\":", out);
            print_string(out, option->help);
        }
        fputc('}', out);
    }
    fputc('}', out);
    bool first = true;
    for (const struct option *option = table; option->name; option++) {
        if (!option_is_required(option))
            continue;
        fputs(first ? ",\"required\":[" : ",", out);
        print_string(out, option->name);
        first = false;
    }
    if (!first)
        fputc(']', out);
}

void options_print_schema(FILE *out, const char *title, const struct option *table) {
    fputs("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":", out);
    print_string(out, title);
    fputc(',', out);
    schema_object(out, table);
    fputs("}\n", out);
}
