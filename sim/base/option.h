/* Option tables: one table describes a struct once, and drives parsing, ranges, defaults, --help, the
 * config reference and the JSON schema. A room declares tables; sim/config reads YAML onto them.
 *
 * A table is an array of `struct option` ended by one with name NULL. Offsets are into the struct that the
 * table describes. See sim/config/README.md for how each kind is written in YAML. */
#ifndef SIM_BASE_OPTION_H
#define SIM_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/base/error.h"
#include "sim/base/unit.h"

enum option_kind {
    OPTION_BOOL,   /* bool */
    OPTION_INT,    /* int64_t; `unit` UNIT_NONE or UNIT_TOKENS */
    OPTION_REAL,   /* double in SI units of `unit` */
    OPTION_FIGURE, /* struct figure: a mapping {value, source, basis, note?}; a bare value is refused */
    OPTION_TEXT,   /* const char * */
    OPTION_CHOICE, /* int: index into `choices` (NULL-ended) */
    OPTION_STRUCT, /* nested struct described by `table`, stored in place */
    OPTION_LIST,   /* struct list of structs described by `table`, each `item_size` bytes */
    OPTION_REALS,  /* struct list of double; a YAML sequence of numbers with `unit` */
    OPTION_TEXTS,  /* struct list of const char * */
    OPTION_NODE    /* const struct node *: kept as read, for whoever knows its table (policy options, variants) */
};

/* How well a figure is known, weakest last: a result takes the weakest of what went into it. */
enum basis { BASIS_MEASURED, BASIS_EXTRAPOLATED, BASIS_SPEC, BASIS_COUNT };
const char *basis_name(enum basis basis); /* "measured", "extrapolated", "spec" */
static inline enum basis basis_weaker(enum basis a, enum basis b) {
    return a > b ? a : b;
}

/* A figure with the place it comes from. `source` is never NULL after reading. */
struct figure {
    double value;
    enum basis basis;
    const char *source;
};

struct list {
    void *items;
    size_t count;
};

struct node; /* one YAML node: sim/config/node.h */

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
    enum unit unit;
    const char *fallback;       /* default as the user would write it; NULL: required; "" with TEXT, NODE,
                                   STRUCT and LISTs: may be absent (NULL, each field's default, empty) */
    double min, max;            /* inclusive; both 0: any finite value */
    const char *const *choices; /* CHOICE */
    const struct option *table; /* STRUCT, LIST */
    size_t item_size;           /* LIST */
    const char *help;           /* one sentence, no full stop needed */
    bool place_follows;         /* a `struct place` stands right after the value (TEXT, NODE): where it was written */
};

#define OPTION_END                                                                                                     \
    { .name = NULL }

#endif
