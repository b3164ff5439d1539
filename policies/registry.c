#include "policies/registry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const char *const policy_kind_names[] = {"evict", "admit", "prefetch", "reuse", "batch", "route", "kernel", NULL};

enum { POLICIES_MAX = 128 };

/* Written by constructors before main() and by policy_load_plugin; read only afterwards. */
static struct {
    const struct policy *items[POLICIES_MAX];
    size_t count;
} registry[POLICY_KINDS];
static const char *refused; /* a policy of another ABI, seen while a plugin was loading */

void policy_register(enum policy_kind kind, const struct policy *policy) {
    MUST(kind >= 0 && kind < POLICY_KINDS && registry[kind].count < POLICIES_MAX);
    if (policy->abi != POLICY_ABI) {
        refused = "it was built for another version of the contracts";
        return;
    }
    size_t at = registry[kind].count;
    for (; at > 0 && strcmp(registry[kind].items[at - 1]->name, policy->name) > 0; at--)
        registry[kind].items[at] = registry[kind].items[at - 1];
    if (at > 0 && strcmp(registry[kind].items[at - 1]->name, policy->name) == 0) {
        refused = "a policy of that name is there already";
        memmove(&registry[kind].items[at], &registry[kind].items[at + 1],
                (registry[kind].count - at) * sizeof registry[kind].items[0]);
        return;
    }
    registry[kind].items[at] = policy;
    registry[kind].count++;
}

const struct policy *policy_find(enum policy_kind kind, const char *name, struct error *err) {
    const char *names[POLICIES_MAX];
    for (size_t i = 0; i < registry[kind].count; i++) {
        names[i] = registry[kind].items[i]->name;
        if (strcmp(names[i], name) == 0)
            return registry[kind].items[i];
    }
    const char *nearest = error_nearest(name, names, registry[kind].count);
    if (nearest)
        error_set(err, "unknown %s policy '%s'\n  hint: did you mean '%s'?", policy_kind_names[kind], name, nearest);
    else
        error_set(err, "unknown %s policy '%s'\n  hint: `tiersim list policies` names what there is",
                  policy_kind_names[kind], name);
    return NULL;
}

const struct policy *policy_at(enum policy_kind kind, size_t i) {
    return i < registry[kind].count ? registry[kind].items[i] : NULL;
}

char *policy_needs_text(unsigned needs, char *buffer, size_t size) {
    static const char *const names[] = {"future", "output length", "agent graph", "time", "tree",  "category", "length",
                                        "random", "session",       "queue",       "cost", "group", "hits"};
    size_t used = 0;
    MUST(size > 0);
    buffer[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && used < size; i++)
        if (needs >> i & 1)
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "", names[i]);
    return buffer;
}

int policy_load_plugin(const char *path, struct error *err) {
    refused = NULL;
    /* A name without a slash would be looked for in the system's library path. */
    char with_slash[4096];
    snprintf(with_slash, sizeof with_slash, "%s%s", strchr(path, '/') ? "" : "./", path);
    if (!dlopen(with_slash, RTLD_NOW | RTLD_LOCAL))
        return error_set(err,
                         "cannot load plugin '%s': %s\n  hint: build it with cc -shared -fPIC against policies/evict.h "
                         "of this version",
                         path, dlerror());
    if (refused)
        return error_set(err,
                         "plugin '%s' was refused: %s\n  hint: rebuild it against the headers of this version (ABI "
                         "%d), under a name of its own",
                         path, refused, POLICY_ABI);
    return 0;
}
