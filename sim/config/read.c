#include "sim/config/read.h"

#include <math.h>
#include <string.h>

enum { KEYS_MAX = 128 };

static size_t table_count(const struct option *table) {
    size_t count = 0;
    while (table[count].name)
        count++;
    return count;
}

static const struct option *table_find(const struct option *table, const char *name) {
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

static int unknown_key(const struct node *node, size_t i, const struct option *table, struct error *err) {
    const char *names[KEYS_MAX] = {0};
    size_t count = table_count(table);
    MUST(count <= KEYS_MAX);
    for (size_t k = 0; k < count; k++)
        names[k] = table[k].name;
    const char *nearest = error_nearest(node->keys[i], names, count);
    if (nearest)
        return error_at(err, node->key_at[i], "unknown key '%s'\n  hint: did you mean '%s'?", node->keys[i], nearest);
    char known[512] = "";
    for (size_t k = 0; k < count; k++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", k ? ", " : "", names[k]);
    }
    return error_at(err, node->key_at[i], "unknown key '%s'\n  hint: known here: %s", node->keys[i], known);
}

static int wants(const struct node *node, const struct option *option, const char *what, struct error *err) {
    return error_at(err, node->at, "'%s' must be %s\n  hint: %s", option->name, what,
                    option->help ? option->help : "see docs/config.md");
}

static int in_range(double value, const struct node *node, const struct option *option, struct error *err) {
    if ((option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max))
        return 0;
    char low[64], high[64];
    unit_format(low, sizeof low, option->min, option->unit, 6);
    unit_format(high, sizeof high, option->max, option->unit, 6);
    return error_at(err, node->at, "'%s: %s' is out of range\n  hint: it goes from %s to %s", option->name, node->text,
                    low, high);
}

static int read_number(const struct node *node, const struct option *option, double *value, struct error *err) {
    if (node->kind != NODE_SCALAR)
        return wants(node, option, "a single value", err);
    struct error why = {0};
    if (unit_parse(node->text, option->unit, value, &why) != 0)
        return error_at(err, node->at, "'%s': %s", option->name, why.text);
    return in_range(*value, node, option, err);
}

static int read_figure(const struct node *node, const struct option *option, struct figure *figure, struct arena *arena,
                       struct error *err) {
    if (node->kind != NODE_MAPPING)
        return error_at(
            err, node->at,
            "'%s' needs its source\n  hint: write %s: {value: %s, source: \"where it is from\", basis: spec}",
            option->name, option->name, unit_example(option->unit));
    const struct node *value = node_get(node, "value"), *source = node_get(node, "source"),
                      *basis = node_get(node, "basis");
    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->keys[i], "value") && strcmp(node->keys[i], "source") && strcmp(node->keys[i], "basis") &&
            strcmp(node->keys[i], "note"))
            return error_at(err, node->key_at[i],
                            "unknown key '%s'\n  hint: a figure has value, source, basis and note", node->keys[i]);
    if (!value || !source || source->kind != NODE_SCALAR || !*source->text)
        return error_at(
            err, node->at,
            "'%s' needs a value and a source\n  hint: write %s: {value: %s, source: \"where it is from\", basis: spec}",
            option->name, option->name, unit_example(option->unit));
    if (read_number(value, option, &figure->value, err) != 0)
        return -1;
    figure->source = arena_strdup(arena, source->text);
    figure->basis = BASIS_SPEC;
    if (!basis)
        return 0;
    for (int b = 0; b < BASIS_COUNT; b++)
        if (basis->kind == NODE_SCALAR && strcmp(basis->text, basis_name((enum basis)b)) == 0) {
            figure->basis = (enum basis)b;
            return 0;
        }
    return error_at(err, basis->at, "unknown basis\n  hint: measured, extrapolated or spec");
}

static int read_choice(const struct node *node, const struct option *option, int *out, struct error *err) {
    size_t count = 0;
    char known[256] = "";
    if (node->kind != NODE_SCALAR)
        return wants(node, option, "one word", err);
    for (; option->choices[count]; count++) {
        if (strcmp(option->choices[count], node->text) == 0) {
            *out = (int)count;
            return 0;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", count ? ", " : "", option->choices[count]);
    }
    const char *nearest = error_nearest(node->text, option->choices, count);
    return error_at(err, node->at, "'%s: %s' is not known\n  hint: %s%s%sone of %s", option->name, node->text,
                    nearest ? "did you mean '" : "", nearest ? nearest : "", nearest ? "'? " : "", known);
}

static int read_list(const struct node *node, const struct option *option, struct list *list, struct arena *arena,
                     struct error *err) {
    if (node->kind != NODE_SEQUENCE)
        return wants(node, option, "a list", err);
    size_t size = option->kind == OPTION_LIST    ? option->item_size
                  : option->kind == OPTION_REALS ? sizeof(double)
                                                 : sizeof(char *);
    list->count = node->count;
    list->items = node->count ? arena_alloc(arena, node->count * size) : NULL;
    for (size_t i = 0; i < node->count; i++) {
        char *item = (char *)list->items + i * size;
        const struct node *from = node->items[i];
        if (option->kind == OPTION_LIST) {
            if (options_read(from, option->table, item, arena, err) != 0)
                return -1;
        } else if (option->kind == OPTION_REALS) {
            if (read_number(from, option, (double *)(void *)item, err) != 0)
                return -1;
        } else {
            if (from->kind != NODE_SCALAR)
                return wants(from, option, "a list of words", err);
            *(const char **)(void *)item = arena_strdup(arena, from->text);
        }
    }
    return 0;
}

static int read_bool(const struct node *node, const struct option *option, bool *out, struct error *err) {
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; node->kind == NODE_SCALAR && i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(node->text, yes[i]) == 0)
            return *out = true, 0;
        if (strcmp(node->text, no[i]) == 0)
            return *out = false, 0;
    }
    return wants(node, option, "true or false", err);
}

static int read_int(const struct node *node, const struct option *option, int64_t *out, struct error *err) {
    double value;
    if (read_number(node, option, &value, err) != 0)
        return -1;
    if (value != floor(value) || fabs(value) > 9e15)
        return wants(node, option, "a whole number", err);
    *out = (int64_t)value;
    return 0;
}

static int read_field(const struct node *node, const struct option *option, char *out, struct arena *arena,
                      struct error *err) {
    void *field = out + option->offset;
    switch (option->kind) {
    case OPTION_BOOL:
        return read_bool(node, option, field, err);
    case OPTION_INT:
        return read_int(node, option, field, err);
    case OPTION_REAL:
        return read_number(node, option, field, err);
    case OPTION_FIGURE:
        return read_figure(node, option, field, arena, err);
    case OPTION_TEXT:
        if (node->kind != NODE_SCALAR)
            return wants(node, option, "one word or text", err);
        *(const char **)field = arena_strdup(arena, node->text);
        if (option->place_follows)
            *(struct place *)(void *)((char *)field + sizeof(char *)) = node->at;
        return 0;
    case OPTION_CHOICE:
        return read_choice(node, option, field, err);
    case OPTION_STRUCT:
        return options_read(node, option->table, field, arena, err);
    case OPTION_LIST:
    case OPTION_REALS:
    case OPTION_TEXTS:
        return read_list(node, option, field, arena, err);
    case OPTION_NODE:
        *(const struct node **)field = node;
        if (option->place_follows)
            *(struct place *)(void *)((char *)field + sizeof(char *)) = node->at;
        return 0;
    }
    MUST(false);
    return -1;
}

static int read_mapping(const struct node *node, struct place at, const struct option *table, void *out,
                        struct arena *arena, struct error *err);

bool option_is_required(const struct option *option) {
    if (!option->fallback)
        return true;
    for (const struct option *inner = option->kind == OPTION_STRUCT ? option->table : NULL; inner && inner->name;
         inner++)
        if (option_is_required(inner))
            return true;
    return false;
}

/* How a missing key would be written. */
static const char *example_of(const struct option *option) {
    switch (option->kind) {
    case OPTION_BOOL:
        return "true or false";
    case OPTION_TEXT:
    case OPTION_NODE:
        return "text";
    case OPTION_CHOICE:
        return option->choices[0];
    case OPTION_FIGURE:
        return "{value: ..., source: ...}";
    case OPTION_STRUCT:
        return "a mapping";
    case OPTION_LIST:
    case OPTION_REALS:
    case OPTION_TEXTS:
        return "a list";
    default:
        return unit_example(option->unit);
    }
}

static int read_default(const struct option *option, struct place at, char *out, struct arena *arena,
                        struct error *err) {
    if (option_is_required(option))
        return error_at(err, at, "'%s' is missing\n  hint: add it: %s (%s)", option->name,
                        option->help ? option->help : option->name, example_of(option));
    if (option->kind == OPTION_STRUCT)
        return read_mapping(NULL, at, option->table, out + option->offset, arena, err);
    if (!*option->fallback)
        return 0;
    struct node node = {.kind = NODE_SCALAR, .text = option->fallback, .at = {"built-in default", 0, 0}};
    if (option->kind == OPTION_FIGURE) {
        struct figure *figure = (struct figure *)(void *)(out + option->offset);
        *figure = (struct figure){.basis = BASIS_SPEC, .source = "default"};
        return read_number(&node, option, &figure->value, err);
    }
    if (option->kind == OPTION_LIST || option->kind == OPTION_REALS || option->kind == OPTION_TEXTS ||
        option->kind == OPTION_NODE) {
        struct node *list;
        if (node_read_text(option->fallback, strlen(option->fallback), "built-in default", arena, &list, err) != 0)
            return -1;
        return read_field(list, option, out, arena, err);
    }
    return read_field(&node, option, out, arena, err);
}

static size_t field_size(const struct option *option) {
    switch (option->kind) {
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_INT:
        return sizeof(int64_t);
    case OPTION_REAL:
        return sizeof(double);
    case OPTION_FIGURE:
        return sizeof(struct figure);
    case OPTION_CHOICE:
        return sizeof(int);
    case OPTION_LIST:
    case OPTION_REALS:
    case OPTION_TEXTS:
        return sizeof(struct list);
    case OPTION_TEXT:
    case OPTION_NODE:
        return sizeof(char *) + (option->place_follows ? sizeof(struct place) : 0);
    case OPTION_STRUCT:
        return 0; /* its own reading zeroes it */
    }
    return 0;
}

/* `at`: where the mapping stands, or would stand if it were there. */
static int read_mapping(const struct node *node, struct place at, const struct option *table, void *out,
                        struct arena *arena, struct error *err) {
    if (node && node->kind != NODE_MAPPING)
        return error_at(err, at, "a mapping is expected here\n  hint: write 'key: value' lines; the first key is '%s'",
                        table->name);
    for (size_t i = 0; node && i < node->count; i++)
        if (!table_find(table, node->keys[i]))
            return unknown_key(node, i, table, err);
    for (const struct option *option = table; option->name; option++) {
        memset((char *)out + option->offset, 0, field_size(option));
        const struct node *value = node_get(node, option->name);
        if (value && node_is_null(value))
            value = NULL;
        int failed = value ? read_field(value, option, out, arena, err) : read_default(option, at, out, arena, err);
        if (failed)
            return -1;
    }
    return 0;
}

int options_read(const struct node *node, const struct option *table, void *out, struct arena *arena,
                 struct error *err) {
    return read_mapping(node, node ? node->at : (struct place){0}, table, out, arena, err);
}
