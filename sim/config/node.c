#include "sim/config/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum { INCLUDE_DEPTH_MAX = 16, NESTING_MAX = 64, NODES_MAX = 1000000, KEY_MAX = 512, FILE_MAX = 256 << 20 };

/* One document being read. `including` leads back to the files that include it. */
struct reader {
    yaml_document_t document;
    struct arena *arena;
    const char *name;
    const struct reader *including;
    struct stat file; /* tells whether it includes itself; of text in memory: unused */
    bool may_include;
    size_t nodes; /* made so far: aliases of aliases can make any number */
    struct error *err;
};

static int read_text(struct reader *reader, const char *text, size_t size, struct node **out);

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

/* The text of a scalar, which may hold anything but the end of a C string. */
static int scalar_text(struct reader *reader, const yaml_node_t *from, const char **out) {
    const char *text = (const char *)from->data.scalar.value;
    if (strlen(text) != from->data.scalar.length)
        return error_at(reader->err, place_of(reader, from->start_mark),
                        "text with a zero byte\n  hint: leave the \\0 out");
    *out = arena_strdup(reader->arena, text);
    return 0;
}

static int include_files(struct reader *reader, const struct node *value, struct node *mapping, struct node **out);

static int convert(struct reader *reader, int index, int depth, struct node **out);

static int convert_mapping(struct reader *reader, yaml_node_t *from, int depth, struct node **out) {
    size_t pairs = (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start);
    struct node *mapping = make_node(reader->arena, NODE_MAPPING, place_of(reader, from->start_mark), pairs);
    struct node *included = NULL;
    for (yaml_node_pair_t *pair = from->data.mapping.pairs.start; pair < from->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
        struct place at = place_of(reader, key->start_mark);
        if (key->type != YAML_SCALAR_NODE || key->data.scalar.length > KEY_MAX)
            return error_at(reader->err, at, "a key must be a plain word\n  hint: write 'name: value'");
        const char *name = NULL;
        if (scalar_text(reader, key, &name) != 0)
            return -1;
        bool includes = strcmp(name, "include") == 0;
        if (includes ? included != NULL : node_get(mapping, name) != NULL)
            return error_at(reader->err, at, "key '%s' is given twice\n  hint: keep one of the two", name);
        struct node *value;
        if (convert(reader, pair->value, depth + 1, &value) != 0)
            return -1;
        if (includes)
            included = value;
        else
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
    if (++reader->nodes > NODES_MAX)
        return error_at(reader->err, at, "more than %d values\n  hint: aliases of aliases multiply; write less of them",
                        NODES_MAX);
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
    scalar->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = scalar;
    return scalar_text(reader, from, &scalar->text);
}

/* The whole of a file in memory that the caller frees; NULL: errno says why. */
static char *slurp(FILE *file, size_t *size) {
    char *text = NULL;
    for (size_t room = 1 << 16;; room *= 2) {
        char *more = room <= FILE_MAX ? realloc(text, room) : NULL;
        if (!more) {
            free(text);
            errno = room <= FILE_MAX ? ENOMEM : EFBIG;
            return NULL;
        }
        text = more;
        *size += fread(text + *size, 1, room - *size, file);
        if (*size < room)
            break;
    }
    if (!ferror(file))
        return text;
    free(text);
    return NULL;
}

/* Whether `reader` or a file that includes it is the file that it reads. */
static bool reads_itself(const struct reader *reader) {
    int depth = 0;
    for (const struct reader *up = reader->including; up; up = up->including)
        if (++depth > INCLUDE_DEPTH_MAX ||
            (up->file.st_dev == reader->file.st_dev && up->file.st_ino == reader->file.st_ino))
            return true;
    return false;
}

static int read_file(const char *path, struct place from, const struct reader *including, struct arena *arena,
                     struct node **out, struct error *err) {
    struct reader reader = {
        .arena = arena, .name = arena_strdup(arena, path), .including = including, .may_include = true, .err = err};
    FILE *file = fopen(path, "rb");
    size_t size = 0;
    char *text = NULL;
    int failed;
    if (file && fstat(fileno(file), &reader.file) == 0 && reads_itself(&reader))
        failed = error_at(err, from, "'%s' includes itself, directly or through another file\n  hint: break the cycle",
                          path);
    else if (!file || !(text = slurp(file, &size)))
        failed = error_at(err, from, "cannot read '%s': %s\n  hint: check the path; relative ones count from the %s",
                          path, strerror(errno), including ? "file that names them" : "working directory");
    else
        failed = read_text(&reader, text, size, out);
    free(text);
    if (file)
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

/* libyaml gives no mark for bytes that are not text, but how many stand before them. */
static struct place offset_place(const struct reader *reader, const char *text, size_t size, size_t offset) {
    struct place at = {reader->name, 1, 1};
    for (size_t i = 0; i < size && i < offset; i++) {
        at.column = text[i] == '\n' ? 1 : at.column + ((text[i] & 0xc0) != 0x80);
        at.line += text[i] == '\n';
    }
    return at;
}

static void not_yaml(const struct reader *reader, const yaml_parser_t *parser, const char *text, size_t size) {
    struct place at = parser->error == YAML_READER_ERROR ? offset_place(reader, text, size, parser->problem_offset)
                                                         : place_of(reader, parser->problem_mark);
    error_at(reader->err, at, "this is not YAML: %s%s%s\n  hint: check indentation, quotes and colons there",
             parser->context ? parser->context : "", parser->context ? ": " : "",
             parser->problem ? parser->problem : "it cannot be read");
}

static bool is_empty(yaml_node_t *root) {
    return !root || (root->type == YAML_SCALAR_NODE && root->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                     root->data.scalar.length == 0);
}

/* The first document, and that there is no other. */
static int read_documents(struct reader *reader, yaml_parser_t *parser, const char *text, size_t size,
                          struct node **out) {
    if (!yaml_parser_load(parser, &reader->document)) {
        not_yaml(reader, parser, text, size);
        return -1;
    }
    int failed = 0;
    if (is_empty(yaml_document_get_root_node(&reader->document)))
        *out = make_node(reader->arena, NODE_MAPPING, (struct place){reader->name, 1, 1}, 0);
    else
        failed = convert(reader, 1, 0, out);
    yaml_document_delete(&reader->document);
    if (failed)
        return -1;
    if (!yaml_parser_load(parser, &reader->document)) {
        not_yaml(reader, parser, text, size);
        return -1;
    }
    yaml_node_t *next = yaml_document_get_root_node(&reader->document);
    if (next)
        failed = error_at(reader->err, place_of(reader, next->start_mark),
                          "a second document begins here\n  hint: one a file; remove the --- before it");
    yaml_document_delete(&reader->document);
    return failed;
}

static int read_text(struct reader *reader, const char *text, size_t size, struct node **out) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set(reader->err, "out of memory while reading '%s'\n  hint: close other programs", reader->name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    int failed = read_documents(reader, &parser, text, size, out);
    yaml_parser_delete(&parser);
    return failed;
}

int node_read_file(const char *path, struct arena *arena, struct node **out, struct error *err) {
    return read_file(path, (struct place){0}, NULL, arena, out, err);
}

int node_read_text(const char *text, size_t size, const char *name, struct arena *arena, struct node **out,
                   struct error *err) {
    struct reader reader = {.arena = arena, .name = arena_strdup(arena, name), .err = err};
    return read_text(&reader, text, size, out);
}

bool node_is_null(const struct node *node) {
    return node->kind == NODE_SCALAR && !node->quoted &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
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
