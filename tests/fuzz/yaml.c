/* YAML: whatever the bytes are, they become a tree or are refused at their place with a remedy; the tree is read onto a
 * table of every kind, is printed to text that reads back the same, merges with itself into itself, and takes --set.
 * What stands behind the last line "--set" is assignments, one a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/config/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
    double latency_s;
    const char *name;
};
struct fields {
    bool flag;
    int64_t count, tokens;
    double bytes, ratio, usd_per_byte;
    struct figure figure;
    const char *text;
    struct place text_at;
    int choice;
    struct inner inner;
    struct list list, reals, texts;
    const struct node *node;
    struct place node_at;
};

static const char *const choices[] = {"red", "green", "blue", NULL};
#define AT(member) offsetof(struct fields, member)
static const struct option inner_table[] = {
    {.name = "latency",
     .kind = OPTION_REAL,
     .offset = offsetof(struct inner, latency_s),
     .unit = UNIT_SECONDS,
     .fallback = "5 us",
     .max = 1},
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct inner, name), .fallback = "x"},
    OPTION_END};
static const struct option table[] = {
    {.name = "flag", .kind = OPTION_BOOL, .offset = AT(flag), .fallback = "yes"},
    {.name = "count", .kind = OPTION_INT, .offset = AT(count), .fallback = "1", .min = -5, .max = 100},
    {.name = "tokens", .kind = OPTION_INT, .offset = AT(tokens), .unit = UNIT_TOKENS, .fallback = "60k"},
    {.name = "bytes", .kind = OPTION_REAL, .offset = AT(bytes), .unit = UNIT_BYTES, .fallback = "1 GB"},
    {.name = "ratio", .kind = OPTION_REAL, .offset = AT(ratio), .unit = UNIT_RATIO, .fallback = "45 %", .max = 1},
    {.name = "price",
     .kind = OPTION_REAL,
     .offset = AT(usd_per_byte),
     .unit = UNIT_USD_PER_BYTE,
     .fallback = "$0.1/GB"},
    {.name = "figure", .kind = OPTION_FIGURE, .offset = AT(figure), .unit = UNIT_BYTES_PER_S, .fallback = "1 GB/s"},
    {.name = "text", .kind = OPTION_TEXT, .offset = AT(text), .fallback = "", .place_follows = true},
    {.name = "choice", .kind = OPTION_CHOICE, .offset = AT(choice), .fallback = "red", .choices = choices},
    {.name = "inner", .kind = OPTION_STRUCT, .offset = AT(inner), .fallback = "", .table = inner_table},
    {.name = "list",
     .kind = OPTION_LIST,
     .offset = AT(list),
     .fallback = "",
     .table = inner_table,
     .item_size = sizeof(struct inner)},
    {.name = "reals", .kind = OPTION_REALS, .offset = AT(reals), .unit = UNIT_SECONDS, .fallback = ""},
    {.name = "texts", .kind = OPTION_TEXTS, .offset = AT(texts), .fallback = ""},
    {.name = "node", .kind = OPTION_NODE, .offset = AT(node), .fallback = "", .place_follows = true},
    OPTION_END};
#undef AT

static void refused(const struct error *err) {
    MUST(err->exit_code == EXIT_BAD_INPUT && strstr(err->text, "\n  hint: "));
    MUST(strlen(err->text) < sizeof err->text);
}

/* Equal but for places and the way that text was written; null is null. */
static bool same(const struct node *a, const struct node *b) {
    if (a->kind != b->kind || a->count != b->count || node_is_null(a) != node_is_null(b))
        return false;
    if (a->kind == NODE_SCALAR)
        return strcmp(a->text, b->text) == 0;
    for (size_t i = 0; i < a->count; i++)
        if ((a->kind == NODE_MAPPING && strcmp(a->keys[i], b->keys[i]) != 0) || !same(a->items[i], b->items[i]))
            return false;
    return true;
}

static size_t tree_size(const struct node *node) {
    size_t size = 1;
    for (size_t i = 0; i < node->count; i++)
        size += tree_size(node->items[i]);
    return size;
}

static void use(const struct node *root, struct arena *arena) {
    struct fields fields;
    struct error err = {0};
    memset(&fields, 0xa5, sizeof fields);
    if (options_read(root, table, &fields, arena, &err) != 0) {
        refused(&err);
    } else {
        MUST(fields.count >= -5 && fields.count <= 100 && fields.ratio >= 0 && fields.ratio <= 1);
        MUST(fields.choice >= 0 && fields.choice < 3 && fields.figure.source && fields.inner.name);
        for (size_t i = 0; i < fields.list.count; i++)
            MUST(((const struct inner *)fields.list.items)[i].name != NULL);
        for (size_t i = 0; i < fields.texts.count; i++)
            MUST(((const char *const *)fields.texts.items)[i] != NULL);
    }
    if (tree_size(root) > 5000)
        return;
    const char *text = node_print(root, arena);
    struct node *again;
    MUST(node_read_text(text, strlen(text), "printed", arena, &again, &err) == 0);
    MUST(same(root, again));
    MUST(same(root, node_merge(root, again, arena)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char mark[] = "\n--set\n";
    const char *text = (const char *)data, *sets = size ? memmem(text, size, mark, sizeof mark - 1) : NULL;
    struct arena *arena = arena_create();
    struct node *root;
    struct error err = {0};
    if (node_read_text(text, sets ? (size_t)(sets + 1 - text) : size, "fuzz", arena, &root, &err) != 0) {
        refused(&err);
    } else {
        use(root, arena);
        char *lines = NULL;
        if (sets) {
            size_t skip = (size_t)(sets - text) + sizeof mark - 1;
            lines = arena_printf(arena, "%.*s", (int)(size - skip), text + skip);
        }
        for (char *line; (line = strsep(&lines, "\n"));)
            if (node_set(root, line, arena, &err) != 0)
                refused(&err);
        use(root, arena);
    }
    arena_destroy(arena);
    return 0;
}
