#include "sim/cli/policy.h"

#include <string.h>

#include "sim/config/read.h"

int policy_resolve(enum policy_kind kind, const struct node *node, const char *fallback, struct arena *arena,
                   const struct policy **policy, const void **options, struct error *err) {
    const char *name = fallback;
    struct place at = {0};
    const struct node *named = node;
    if (node && node->kind == NODE_MAPPING)
        named = node_get(node, "name");
    if (node && (!named || named->kind != NODE_SCALAR))
        return error_at(err, node->at,
                        "a %s policy is written NAME or {name: NAME, its options}\n  hint: see `tiersim list policies`",
                        policy_kind_names[kind]);
    if (named) {
        name = named->text;
        at = named->at;
    }
    struct error unknown = {0};
    *policy = policy_find(kind, name, &unknown);
    if (!*policy)
        return error_at(err, at, "%s", unknown.text);
    *options = NULL;
    bool has_options = (*policy)->options != NULL;
    const struct node *rest = node && node->kind == NODE_MAPPING ? node_without(node, "name", arena) : NULL;
    if (!has_options) {
        if (rest && rest->count > 0)
            return error_at(err, rest->key_at[0], "policy '%s' takes no options, found '%s'\n  hint: write just '%s'",
                            name, rest->keys[0], name);
        return 0;
    }
    void *out = arena_alloc(arena, (*policy)->options_size);
    *options = out;
    return options_read(rest, (*policy)->options, out, arena, err);
}

const char *policy_text(const struct node *node, const char *fallback, struct arena *arena) {
    if (!node)
        return fallback;
    if (node->kind == NODE_SCALAR)
        return node->text;
    const char *text = "";
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        bool mapping = node->kind == NODE_MAPPING;
        text = arena_printf(arena, "%s%s%s%s%s", text, i > 0 ? ", " : "", mapping ? node->keys[i] : "",
                            mapping ? ": " : "", policy_text(item, "", arena));
    }
    return arena_printf(arena, node->kind == NODE_MAPPING ? "{%s}" : "[%s]", text);
}
