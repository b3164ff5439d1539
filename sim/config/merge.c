/* Laying one tree over another, and setting single values: what include, variants and --set do. */
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

struct node *node_merge(const struct node *base, const struct node *over, struct arena *arena) {
    if (base->kind != NODE_MAPPING || over->kind != NODE_MAPPING) {
        struct node *out = arena_alloc(arena, sizeof *out);
        *out = *over;
        return out;
    }
    struct node *out = copy_room(base, over->count, arena);
    out->at = over->at;
    for (size_t i = 0; i < over->count; i++) {
        size_t k = 0;
        while (k < out->count && strcmp(out->keys[k], over->keys[i]) != 0)
            k++;
        struct node *value = k < out->count ? node_merge(out->items[k], over->items[i], arena) : over->items[i];
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
    char *end;
    unsigned long index = strtoul(part, &end, 10);
    if (*part && !*end)
        return index < sequence->count ? &sequence->items[index] : NULL;
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

int node_set(struct node *root, const char *assignment, struct arena *arena, struct error *err) {
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return error_set(err, "--set '%s' is not PATH=VALUE\n  hint: --set serving.block_tokens=64", assignment);
    const char *label = arena_printf(arena, "--set %s", assignment);
    struct node *value;
    if (node_read_text(equals + 1, strlen(equals + 1), label, arena, &value, err) != 0)
        return -1;
    char *path = arena_printf(arena, "%.*s", (int)(equals - assignment), assignment);
    struct place at = {label, 1, 1};
    struct node **slot = &root;
    char *rest = path;
    for (char *part; (part = strsep(&rest, "."));) {
        if (!*slot) {
            *slot = arena_alloc(arena, sizeof **slot);
            **slot = (struct node){.kind = NODE_MAPPING, .at = at};
        }
        if ((*slot)->kind == NODE_SEQUENCE) {
            slot = sequence_item(*slot, part);
            if (!slot)
                return error_at(err, (struct place){label, 0, 0},
                                "the list has no item '%s'\n  hint: use its number from 0, or the name of the item",
                                part);
        } else if ((*slot)->kind == NODE_MAPPING) {
            slot = mapping_item(*slot, part, at, arena);
        } else {
            return error_at(err, (struct place){label, 0, 0}, "'%s' stands under a plain value\n  hint: check the path",
                            part);
        }
    }
    *slot = value;
    return 0;
}

static void print_text(FILE *out, const struct node *scalar) {
    bool plain = !scalar->quoted && *scalar->text && !strpbrk(scalar->text, ":#{}[],&*!|>'\"%@`\n\\");
    if (plain) {
        fputs(scalar->text, out);
        return;
    }
    fputc('"', out);
    for (const char *c = scalar->text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(out, "\\x%02x", (unsigned char)*c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void print_node(FILE *out, const struct node *node, int indent) {
    if (node->kind == NODE_SCALAR) {
        fputc(' ', out);
        print_text(out, node);
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
                struct node key = {.kind = NODE_SCALAR, .text = node->keys[i]};
                print_text(out, &key);
                fputc(':', out);
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
