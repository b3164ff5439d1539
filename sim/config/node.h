/* YAML as a tree that remembers where each thing stood, with includes resolved and overrides applied.
 * `include: FILE` (or a list) at the top of a mapping merges that file's mapping beneath it: the including
 * file wins, mappings merge key by key, sequences and scalars are replaced. Cycles are an error. */
#ifndef SIM_CONFIG_NODE_H
#define SIM_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"
#include "sim/base/option.h"

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node {
    enum node_kind kind;
    struct place at;
    const char *text;     /* SCALAR */
    bool quoted;          /* SCALAR that is not plain: in quotes, or a block; never null */
    size_t count;         /* SEQUENCE: items; MAPPING: pairs */
    struct node **items;  /* values */
    const char **keys;    /* MAPPING */
    struct place *key_at; /* MAPPING */
};

/* Reads a YAML file. Anchors and aliases are supported (an alias is a copy); duplicate keys, several documents and
 * trees of more than a million nodes are errors. Empty files are an empty mapping. Missing file, syntax error, include
 * cycle: -1 with the place. */
int node_read_file(const char *path, struct arena *arena, struct node **out, struct error *err);
/* The same from memory; `name` stands for the file in messages. Includes are refused. */
int node_read_text(const char *text, size_t size, const char *name, struct arena *arena, struct node **out,
                   struct error *err);
/* The value under `key` of a mapping, or NULL. */
struct node *node_get(const struct node *mapping, const char *key);
/* A value that is written as nothing, `~` or `null`: as if its key were not there. */
bool node_is_null(const struct node *node);
/* A new tree that shares no node: `over` merged onto `base` (neither is changed). */
struct node *node_merge(const struct node *base, const struct node *over, struct arena *arena);
/* Sets "a.b.2.c=value" in the tree (value is YAML; nothing behind the = is null, the default); makes mappings that are
 * missing. An item of a list is named by its number from 0 or by its `name`. Messages name "--set". */
int node_set(struct node *root, const char *assignment, struct arena *arena, struct error *err);
/* Writes the tree as YAML text that reads back the same (for the resolved config kept with a run). */
char *node_print(const struct node *root, struct arena *arena);
/* A new mapping without `key`; its values are those of the old one. */
struct node *node_without(const struct node *mapping, const char *key, struct arena *arena);

#endif
