#include "sim/config/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { INCLUDE_DEPTH_MAX = 16, NESTING_MAX = 64 };

/* One document being read. `including` leads back to the files that include it. */
struct reader {
    yaml_document_t document;
    struct arena *arena;
    const char *name;
    const struct reader *including;
    bool may_include;
    struct error *err;
};

static int read_document(struct reader *reader, yaml_parser_t *parser, struct node **out);

static struct place place_of(const struct reader *reader, yaml_mark_t mark) {
    return (struct place){reader->name, (int)mark.line + 1, (int)mark.column + 1};
}

static struct node *make_node(struct arena *arena, enum node_kind kind, struct place at, size_t room) {
    struct node *node = arena_alloc(arena, sizeof *node);
    *node = (struct node){.kind = kind, .at = at};
    if (room > 0)
        node->items = arena_alloc(arena, room * sizeof *node->items);
    if (room > 0 && kind == NODE_MAPPING) {
        node->keys = arena_alloc(arena, room * sizeof *node->keys);
        node->key_at = arena_alloc(arena, room * sizeof *node->key_at);
    }
    return node;
}

static void mapping_add(struct node *mapping, const char *key, struct place at, struct node *value) {
    mapping->keys[mapping->count] = key;
    mapping->key_at[mapping->count] = at;
    mapping->items[mapping->count++] = value;
}

static int include_files(struct reader *reader, const struct node *value, struct node *mapping, struct node **out);

static int convert(struct reader *reader, int index, int depth, struct node **out);

static int convert_mapping(struct reader *reader, yaml_node_t *from, int depth, struct node **out) {
    size_t pairs = (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start);
    struct node *mapping = make_node(reader->arena, NODE_MAPPING, place_of(reader, from->start_mark), pairs);
    const struct node *included = NULL;
    for (yaml_node_pair_t *pair = from->data.mapping.pairs.start; pair < from->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
        struct place at = place_of(reader, key->start_mark);
        if (key->type != YAML_SCALAR_NODE)
            return error_at(reader->err, at, "a key must be a plain word\n  hint: write 'name: value'");
        const char *name = arena_strdup(reader->arena, (const char *)key->data.scalar.value);
        struct node *value;
        if (convert(reader, pair->value, depth + 1, &value) != 0)
            return -1;
        if (strcmp(name, "include") == 0) {
            included = value;
            continue;
        }
        if (node_get(mapping, name))
            return error_at(reader->err, at, "key '%s' is given twice\n  hint: keep one of the two", name);
        mapping_add(mapping, name, at, value);
    }
    *out = mapping;
    return included ? include_files(reader, included, mapping, out) : 0;
}

static int convert(struct reader *reader, int index, int depth, struct node **out) {
    yaml_node_t *from = yaml_document_get_node(&reader->document, index);
    struct place at = place_of(reader, from->start_mark);
    /* An alias inside its own anchor would nest for ever. */
    if (depth > NESTING_MAX)
        return error_at(reader->err, at, "nested more than %d deep\n  hint: an alias may stand inside its own anchor",
                        NESTING_MAX);
    if (from->type == YAML_MAPPING_NODE)
        return convert_mapping(reader, from, depth, out);
    if (from->type == YAML_SEQUENCE_NODE) {
        size_t count = (size_t)(from->data.sequence.items.top - from->data.sequence.items.start);
        struct node *sequence = make_node(reader->arena, NODE_SEQUENCE, at, count);
        for (size_t i = 0; i < count; i++)
            if (convert(reader, from->data.sequence.items.start[i], depth + 1, &sequence->items[i]) != 0)
                return -1;
        sequence->count = count;
        *out = sequence;
        return 0;
    }
    struct node *scalar = make_node(reader->arena, NODE_SCALAR, at, 0);
    scalar->text = arena_strdup(reader->arena, (const char *)from->data.scalar.value);
    scalar->quoted = from->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                     from->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    *out = scalar;
    return 0;
}

static int read_file(const char *path, struct place from, const struct reader *including, struct arena *arena,
                     struct node **out, struct error *err) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_at(
            err, from,
            "cannot read '%s': %s\n  hint: check the path; relative ones count from the file that names them", path,
            strerror(errno));
    yaml_parser_t parser;
    struct reader reader = {
        .arena = arena, .name = arena_strdup(arena, path), .including = including, .may_include = true, .err = err};
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return error_set(err, "out of memory while reading '%s'\n  hint: close other programs", path);
    }
    yaml_parser_set_input_file(&parser, file);
    int failed = read_document(&reader, &parser, out);
    yaml_parser_delete(&parser);
    fclose(file);
    return failed;
}

static int include_one(struct reader *reader, const struct node *value, struct node **mapping) {
    struct error *err = reader->err;
    if (value->kind != NODE_SCALAR)
        return error_at(err, value->at, "include takes a file name or a list of them\n  hint: include: ../base.yaml");
    if (!reader->may_include)
        return error_at(err, value->at, "include is not possible here\n  hint: put it into a file");
    const char *slash = strrchr(reader->name, '/');
    const char *path =
        value->text[0] == '/' || !slash
            ? value->text
            : arena_printf(reader->arena, "%.*s/%s", (int)(slash - reader->name), reader->name, value->text);
    int depth = 0;
    for (const struct reader *up = reader; up; up = up->including, depth++)
        if (strcmp(up->name, path) == 0 || depth > INCLUDE_DEPTH_MAX)
            return error_at(err, value->at,
                            "'%s' includes itself, directly or through another file\n  hint: break the cycle",
                            value->text);
    struct node *base;
    if (read_file(path, value->at, reader, reader->arena, &base, err) != 0)
        return -1;
    if (base->kind != NODE_MAPPING)
        return error_at(err, value->at, "'%s' is not a mapping\n  hint: an included file holds 'key: value' lines",
                        value->text);
    *mapping = node_merge(base, *mapping, reader->arena);
    return 0;
}

/* Later files of a list win over earlier ones, and the including file over all. */
static int include_files(struct reader *reader, const struct node *value, struct node *mapping, struct node **out) {
    *out = mapping;
    if (value->kind != NODE_SEQUENCE)
        return include_one(reader, value, out);
    for (size_t i = value->count; i-- > 0;)
        if (include_one(reader, value->items[i], out) != 0)
            return -1;
    return 0;
}

static int read_document(struct reader *reader, yaml_parser_t *parser, struct node **out) {
    if (!yaml_parser_load(parser, &reader->document)) {
        struct place at = {reader->name, (int)parser->problem_mark.line + 1, (int)parser->problem_mark.column + 1};
        return error_at(reader->err, at, "this is not YAML: %s\n  hint: check indentation, quotes and colons there",
                        parser->problem ? parser->problem : "it cannot be read");
    }
    int failed = 0;
    if (yaml_document_get_root_node(&reader->document))
        failed = convert(reader, 1, 0, out);
    else
        *out = make_node(reader->arena, NODE_MAPPING, (struct place){reader->name, 1, 1}, 0);
    yaml_document_delete(&reader->document);
    return failed;
}

int node_read_file(const char *path, struct arena *arena, struct node **out, struct error *err) {
    return read_file(path, (struct place){0}, NULL, arena, out, err);
}

int node_read_text(const char *text, size_t size, const char *name, struct arena *arena, struct node **out,
                   struct error *err) {
    yaml_parser_t parser;
    struct reader reader = {.arena = arena, .name = arena_strdup(arena, name), .err = err};
    if (!yaml_parser_initialize(&parser))
        return error_set(err, "out of memory while reading '%s'\n  hint: close other programs", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    int failed = read_document(&reader, &parser, out);
    yaml_parser_delete(&parser);
    return failed;
}

struct node *node_get(const struct node *mapping, const char *key) {
    if (!mapping || mapping->kind != NODE_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i], key) == 0)
            return mapping->items[i];
    return NULL;
}

struct node *node_without(const struct node *mapping, const char *key, struct arena *arena) {
    struct node *out = make_node(arena, NODE_MAPPING, mapping->at, mapping->count);
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i], key) != 0)
            mapping_add(out, mapping->keys[i], mapping->key_at[i], mapping->items[i]);
    return out;
}
