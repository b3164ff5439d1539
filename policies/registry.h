/* How a policy makes itself known. A policy is one file with one constant struct and one line:
 *
 *     POLICY_REGISTER(evict, lru)
 *
 * which files it under its kind before main() runs. Registration order does not matter: look-up is by name, listing
 * is sorted. A plugin (--plugin mine.so) does the same when it is loaded. Every policy struct begins with
 * struct policy. */
#ifndef POLICIES_REGISTRY_H
#define POLICIES_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "sim/base/error.h"
#include "sim/base/option.h"

/* Raised when any contract in policies/ changes meaning; a plugin of another version is refused. */
enum { POLICY_ABI = 4 };

enum policy_kind {
    POLICY_EVICT,
    POLICY_ADMIT,
    POLICY_PREFETCH,
    POLICY_REUSE,
    POLICY_BATCH,
    POLICY_ROUTE,
    POLICY_KERNEL,
    POLICY_KINDS
};
extern const char *const policy_kind_names[];

/* What a policy declares it needs to see; nobody sees what they did not declare. */
enum policy_need {
    NEED_NOTHING = 0,
    NEED_FUTURE = 1 << 0,        /* next_use: clairvoyant, marked in every table */
    NEED_OUTPUT_LENGTH = 1 << 1, /* clairvoyant too */
    NEED_AGENT_GRAPH = 1 << 2,
    NEED_TIME = 1 << 3, /* a clock: leases, durations, decay */
    NEED_TREE = 1 << 4, /* parent and children */
    NEED_CATEGORY = 1 << 5,
    NEED_LENGTH = 1 << 6, /* tokens, sizes, prompt length */
    NEED_RANDOM = 1 << 7,
    NEED_SESSION = 1 << 8, /* which session asks, and news of sessions */
    NEED_QUEUE = 1 << 9,   /* what waiting requests will ask for */
    NEED_COST = 1 << 10,   /* predicted cost of computing and fetching */
    NEED_GROUP = 1 << 11,  /* which blocks were stored together */
    NEED_HITS = 1 << 12    /* admission: look-ups that found the block where it comes from */
};
/* The declared needs that are the future: a table marks such a policy as clairvoyant. */
enum { NEEDS_CLAIRVOYANT = NEED_FUTURE | NEED_OUTPUT_LENGTH };

/* Two cache semantics, never mixed; and how a policy lifts to prefix semantics. */
enum policy_lift {
    LIFT_NONE = 0,        /* flat only */
    LIFT_LEAF = 1 << 0,   /* evicts leaves only */
    LIFT_ORPHAN = 1 << 1, /* descendants stay, unreachable until refilled */
    LIFT_CASCADE = 1 << 2 /* descendants go too */
};

struct policy {
    int abi;                      /* POLICY_ABI */
    const char *name;             /* "lru" */
    const char *rule;             /* one sentence */
    const char *source;           /* paper or engine file */
    unsigned needs;               /* enum policy_need */
    const struct option *options; /* typed options, or NULL */
    size_t options_size;          /* of the struct that `options` describes */
};

void policy_register(enum policy_kind kind, const struct policy *policy);
/* NULL and an error with the nearest names when there is none. */
const struct policy *policy_find(enum policy_kind kind, const char *name, struct error *err);
/* Writes the names of `needs`, comma separated ("future, tree"), "" for none. Returns buffer. */
char *policy_needs_text(unsigned needs, char *buffer, size_t size);
/* Policy number i of a kind in order of name; NULL past the end. */
const struct policy *policy_at(enum policy_kind kind, size_t i);
/* Loads a plugin built outside; its constructors register. */
int policy_load_plugin(const char *path, struct error *err);

#define POLICY_REGISTER(kind_word, symbol)                                                                             \
    __attribute__((constructor)) static void register_##symbol(void) {                                                 \
        policy_register(POLICY_KIND_##kind_word, &symbol.policy);                                                      \
    }
#define POLICY_KIND_evict POLICY_EVICT
#define POLICY_KIND_admit POLICY_ADMIT
#define POLICY_KIND_prefetch POLICY_PREFETCH
#define POLICY_KIND_reuse POLICY_REUSE
#define POLICY_KIND_batch POLICY_BATCH
#define POLICY_KIND_route POLICY_ROUTE
#define POLICY_KIND_kernel POLICY_KERNEL

#endif
