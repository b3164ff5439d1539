/* Laying one tree over another, setting single values, printing: what include, variants, --set and a kept config do. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/config/node.h"

static struct node *copy_room(const struct node *mapping, size_t more, struct arena *arena) {
    struct node *out = arena_alloc(arena, sizeof *out);
    *out = *mapping;
    size_t room = mapping->count + more;
    out->items = arena_alloc(arena, room * sizeof *out->items);
    out->keys = arena_alloc(arena, room * sizeof *out->keys);
    out->key_at = arena_alloc(arena, room * sizeof *out->key_at);
    for (size_t i = 0; i < mapping->count; i++) {
        out->items[i] = mapping->items[i];
        out->keys[i] = mapping->keys[i];
        out->key_at[i] = mapping->key_at[i];
    }
    return out;
}

static struct node *copy_tree(const struct node *from, size_t more, struct arena *arena) {
    struct node *out;
    if (from->kind == NODE_MAPPING) {
        out = copy_room(from, more, arena);
    } else {
        out = arena_alloc(arena, sizeof *out);
        *out = *from;
        out->items = arena_alloc(arena, from->count * sizeof *out->items);
    }
    for (size_t i = 0; i < from->count; i++)
        out->items[i] = copy_tree(from->items[i], 0, arena);
    return out;
}

struct node *node_merge(const struct node *base, const struct node *over, struct arena *arena) {
    if (base->kind != NODE_MAPPING || over->kind != NODE_MAPPING)
        return copy_tree(over, 0, arena);
    struct node *out = copy_tree(base, over->count, arena);
    out->at = over->at;
    for (size_t i = 0; i < over->count; i++) {
        size_t k = 0;
        while (k < out->count && strcmp(out->keys[k], over->keys[i]) != 0)
            k++;
        struct node *value =
            k < out->count ? node_merge(out->items[k], over->items[i], arena) : copy_tree(over->items[i], 0, arena);
        out->keys[k] = over->keys[i];
        out->key_at[k] = over->key_at[i];
        out->items[k] = value;
        if (k == out->count)
            out->count++;
    }
    return out;
}

/* The item of a sequence that a path's part names: its number, or the `name` of a mapping in it. */
static struct node **sequence_item(struct node *sequence, const char *part) {
    size_t digits = strspn(part, "0123456789");
    if (digits > 0 && !part[digits]) {
        size_t index = digits < 10 ? strtoul(part, NULL, 10) : SIZE_MAX;
        return index < sequence->count ? &sequence->items[index] : NULL;
    }
    for (size_t i = 0; i < sequence->count; i++) {
        const struct node *name = node_get(sequence->items[i], "name");
        if (name && name->kind == NODE_SCALAR && strcmp(name->text, part) == 0)
            return &sequence->items[i];
    }
    return NULL;
}

/* The place of key `part` in a mapping; made when missing. */
static struct node **mapping_item(struct node *mapping, const char *part, struct place at, struct arena *arena) {
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i], part) == 0)
            return &mapping->items[i];
    *mapping = *copy_room(mapping, 1, arena);
    mapping->keys[mapping->count] = arena_strdup(arena, part);
    mapping->key_at[mapping->count] = at;
    mapping->items[mapping->count] = NULL;
    return &mapping->items[mapping->count++];
}

/* The value of an assignment, whose messages begin with `label`. */
static int set_value(const char *text, const char *label, struct arena *arena, struct node **value, struct error *err) {
    if (node_read_text(text, strlen(text), label, arena, value, err) != 0)
        return -1;
    if (!text[strspn(text, " ")]) {
        *value = arena_alloc(arena, sizeof **value);
        **value = (struct node){.kind = NODE_SCALAR, .text = ""};
    }
    (*value)->at = (struct place){label, 0, 0};
    return 0;
}

/* The code point that UTF-8 text begins with, and its length in bytes; length 0: it begins with none. */
static unsigned long code_point(const char *text, int *length) {
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text;
    int bytes = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 0;
    unsigned long code = bytes < 2 ? at[0] : at[0] & (0xffu >> (bytes + 1));
    *length = 0;
    for (int i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code >= least[bytes] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
        *length = bytes;
    return code;
}

/* Whether a code point stands for itself between double quotes: no control, line break, byte order mark or half of a
 * pair. */
static bool is_printable(unsigned long code) {
    return (code >= 0x20 && code < 0x7f) ||
           (code >= 0xa0 && code != 0x2028 && code != 0x2029 && code != 0xfeff && code != 0xfffe && code != 0xffff);
}

/* Whether the path of an assignment has parts, not too many, that can be keys: seen before anything is made on its way.
 */
static bool is_path(const char *path, size_t size) {
    enum { PARTS_MAX = 32, PATH_MAX_BYTES = 500 };
    int parts = 1, length;
    for (size_t i = 0; i < size; i += (size_t)length) {
        if (!is_printable(code_point(path + i, &length)) || length == 0)
            return false;
        parts += path[i] == '.';
        if (path[i] == '.' && (i == 0 || i + 1 == size || path[i + 1] == '.'))
            return false;
    }
    return size > 0 && size <= PATH_MAX_BYTES && parts <= PARTS_MAX;
}

int node_set(struct node *root, const char *assignment, struct arena *arena, struct error *err) {
    const char *equals = strchr(assignment, '=');
    if (!equals || !is_path(assignment, (size_t)(equals - assignment)))
        return error_set(err, "--set '%s' is not PATH=VALUE\n  hint: --set serving.block_tokens=64", assignment);
    const char *label = arena_printf(arena, "--set %s", assignment);
    struct place at = {label, 0, 0};
    struct node *value;
    const char *framed = arena_printf(arena, ".%.*s.", (int)(equals - assignment), assignment);
    if (strstr(framed, ".include."))
        return error_at(err, at, "include is not possible here\n  hint: put it into a file");
    if (set_value(equals + 1, label, arena, &value, err) != 0)
        return -1;
    char *rest = arena_strdup(arena, assignment);
    rest[equals - assignment] = 0;
    struct node **slot = &root;
    for (char *part; (part = strsep(&rest, "."));) {
        if (!*slot || node_is_null(*slot)) {
            *slot = arena_alloc(arena, sizeof **slot);
            **slot = (struct node){.kind = NODE_MAPPING, .at = at};
        }
        if ((*slot)->kind == NODE_SEQUENCE) {
            slot = sequence_item(*slot, part);
            if (!slot)
                return error_at(
                    err, at, "the list has no item '%s'\n  hint: use its number from 0, or the name of the item", part);
        } else if ((*slot)->kind == NODE_MAPPING) {
            slot = mapping_item(*slot, part, at, arena);
        } else {
            return error_at(err, at, "'%s' stands under a plain value\n  hint: check the path", part);
        }
    }
    *slot = value;
    return 0;
}

static void print_quoted(FILE *out, const char *text) {
    fputc('"', out);
    int length;
    for (const char *at = text; *at; at += length) {
        unsigned long code = code_point(at, &length);
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (is_printable(code))
            fprintf(out, "%.*s", length, at);
        else
            fprintf(out, "\\u%04lx", code);
    }
    fputc('"', out);
}

/* Whether text needs no quotes: words that begin no YAML construct and hold nothing that ends one. */
static bool is_plain(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || text[0] == ' ' || text[length - 1] == ' ' || strpbrk(text, ":#{}[],&*!|>'\"%@`\\"))
        return false;
    if (text[0] == '?' || text[0] == '=' || text[0] == '<' ||
        (text[0] == '-' && (!text[1] || !strchr("0123456789.", text[1]))) || strncmp(text, "...", 3) == 0)
        return false;
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            return false;
    return true;
}

/* YAML reads a key before its colon up to 1024 characters; a longer one needs its question mark. */
static void print_key(FILE *out, const char *key, int indent) {
    bool is_long = strlen(key) > 1000 / strlen("\\u0009");
    fputs(is_long ? "? " : "", out);
    if (is_plain(key))
        fputs(key, out);
    else
        print_quoted(out, key);
    if (is_long)
        fprintf(out, "\n%*s", indent, "");
    fputc(':', out);
}

static void print_node(FILE *out, const struct node *node, int indent) {
    if (node->kind == NODE_SCALAR) {
        bool null = node_is_null(node) && !*node->text;
        fputs(null ? "" : " ", out);
        if (null || (!node->quoted && is_plain(node->text)))
            fputs(node->text, out);
        else
            print_quoted(out, node->text);
        fputc('\n', out);
    } else if (node->count == 0) {
        fputs(node->kind == NODE_MAPPING ? " {}\n" : " []\n", out);
    } else {
        if (indent > 0)
            fputc('\n', out);
        for (size_t i = 0; i < node->count; i++) {
            fprintf(out, "%*s", indent, "");
            if (node->kind == NODE_SEQUENCE) {
                fputc('-', out);
            } else {
                print_key(out, node->keys[i], indent);
            }
            print_node(out, node->items[i], indent + 2);
        }
    }
}

char *node_print(const struct node *root, struct arena *arena) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    MUST(out != NULL);
    print_node(out, root, 0);
    fclose(out);
    char *kept = arena_strdup(arena, text);
    free(text);
    return kept;
}
