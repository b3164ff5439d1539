/* Reading a YAML tree onto option tables, and printing the tables as documentation. */
#ifndef SIM_CONFIG_READ_H
#define SIM_CONFIG_READ_H

#include <stdio.h>

#include "sim/base/option.h"
#include "sim/config/node.h"

/* Fills `out` (zeroed by the callee over the table's fields) from mapping `node` by `table`: defaults, ranges,
 * units, required keys, unknown keys (with the nearest name). node NULL: an empty mapping, defaults only.
 * Everything pointed to lives in `arena`. Returns 0, or -1 with file:line:column, what and the remedy. */
int options_read(const struct node *node, const struct option *table, void *out, struct arena *arena,
                 struct error *err);

/* Whether a mapping must hold the key: it has no default, or its default is a mapping that must hold one. */
bool option_is_required(const struct option *option);

/* A catalogue entry: finds `DIR/NAME.yaml` for NAME in the catalogues (the working directory's configs/,
 * $TIERSIM_CONFIGS, PREFIX/share/tiersim/configs), or NAME itself when it holds a '/' or ends in .yaml/.json.
 * `folder`: "hardware", "models", ... Unknown name: error listing the nearest. Returns the path in arena. */
int catalogue_find(const char *folder, const char *name, struct place at, struct arena *arena, const char **path,
                   struct error *err);
/* Names (without .yaml) of all entries of a folder over all catalogues, sorted, each once: list of const char *. */
struct list catalogue_names(const char *folder, struct arena *arena);

/* One heading's worth of Markdown: a table of name, type, default, range, help; nested tables follow under
 * their own headings, each once. */
void options_print_markdown(FILE *out, const char *title, const struct option *table);
/* The JSON schema (draft 2020-12) of a mapping read by `table`, as one JSON object. */
void options_print_schema(FILE *out, const char *title, const struct option *table);

#endif
