#include "sim/cli/catalogue.h"

#include <string.h>

#include "models/hf.h"
#include "sim/config/read.h"

/* The profile that others are scaled from. */
static const char reference_profile[] = "h100-sxm";

static int read_entry(const char *folder, const char *name, struct place at, struct arena *arena, struct node **node,
                      struct error *err) {
    const char *path;
    if (catalogue_find(folder, name, at, arena, &path, err) != 0)
        return -1;
    return node_read_file(path, arena, node, err);
}

static int load(const char *folder, const char *name, struct place at, const struct option *table, size_t size,
                struct arena *arena, void **out, struct error *err) {
    struct node *node;
    if (read_entry(folder, name, at, arena, &node, err) != 0)
        return -1;
    *out = arena_alloc(arena, size);
    return options_read(node, table, *out, arena, err);
}

static bool is_null(const struct node *node) {
    return node->kind == NODE_SCALAR && !node->quoted &&
           (strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0);
}

/* A mapping of only those keys of a config.json that its table knows; null stands for absent. */
static struct node *known_keys(const struct node *root, struct arena *arena) {
    struct node *kept = arena_alloc(arena, sizeof *kept);
    *kept = *root;
    kept->items = arena_alloc(arena, (root->count + 1) * sizeof *kept->items);
    kept->keys = arena_alloc(arena, (root->count + 1) * sizeof *kept->keys);
    kept->key_at = arena_alloc(arena, (root->count + 1) * sizeof *kept->key_at);
    kept->count = 0;
    for (size_t i = 0; i < root->count; i++) {
        bool known = false;
        for (const struct option *option = hf_options; option->name; option++)
            known |= strcmp(option->name, root->keys[i]) == 0;
        if (!known || is_null(root->items[i]))
            continue;
        kept->items[kept->count] = root->items[i];
        kept->keys[kept->count] = root->keys[i];
        kept->key_at[kept->count++] = root->key_at[i];
    }
    return kept;
}

static int read_hf(const struct node *root, const char *name, struct arena *arena, struct arch *arch,
                   struct error *err) {
    const struct node *text = node_get(root, "text_config"); /* models of several modalities nest the decoder */
    if (text && text->kind == NODE_MAPPING)
        root = text;
    struct hf_config config;
    if (options_read(known_keys(root, arena), hf_options, &config, arena, err) != 0)
        return -1;
    return hf_translate(&config, arena_strdup(arena, name), arch, err);
}

int load_arch(const char *name, struct place at, struct arena *arena, struct arch **out, struct error *err) {
    struct node *node;
    if (read_entry("models", name, at, arena, &node, err) != 0)
        return -1;
    struct arch *arch = arena_alloc(arena, sizeof *arch);
    *out = arch;
    if (node->kind == NODE_MAPPING && (node_get(node, "model_type") || node_get(node, "architectures")))
        return read_hf(node, name, arena, arch, err);
    if (options_read(node, arch_options, arch, arena, err) != 0)
        return -1;
    return arch_check(arch, err);
}

int load_gpu(const char *name, struct place at, struct arena *arena, struct gpu **out, struct error *err) {
    return load("hardware", name, at, gpu_options, sizeof **out, arena, (void **)out, err);
}

int load_gpu_changed(const struct node *node, struct arena *arena, struct gpu **out, const char **name,
                     struct error *err) {
    const struct node *base = node->kind == NODE_MAPPING ? node_get(node, "base") : node;
    if (!base || base->kind != NODE_SCALAR)
        return error_at(
            err, node->at,
            "a GPU is a name, or a mapping with a base: NAME\n  hint: {base: h200-sxm, hbm_bandwidth: {value: "
            "9.6 TB/s, source: a what-if}}");
    *name = arena_strdup(arena, base->text);
    struct node *tree;
    if (base == node)
        return load_gpu(*name, node->at, arena, out, err);
    if (read_entry("hardware", *name, base->at, arena, &tree, err) != 0)
        return -1;
    tree = node_merge(tree, node_without(node, "base", arena), arena);
    *out = arena_alloc(arena, sizeof **out);
    if (options_read(tree, gpu_options, *out, arena, err) != 0)
        return -1;
    if (!node_get(node, "name"))
        (*out)->name = arena_printf(arena, "%s*", (*out)->name);
    return 0;
}

int load_profile_named(const char *name, struct place at, struct arena *arena, struct kernel_profile **out,
                       struct error *err) {
    return load("profiles", name, at, kernel_profile_options, sizeof **out, arena, (void **)out, err);
}

int load_kernel_profile(const struct gpu *gpu, struct place at, struct arena *arena, struct kernel_profile **out,
                        struct error *err) {
    return load_profile_named(gpu->profile ? gpu->profile : reference_profile, at, arena, out, err);
}

int load_engine_profile(const char *name, struct place at, struct arena *arena, struct engine_profile **out,
                        struct error *err) {
    return load("engines", name, at, engine_profile_options, sizeof **out, arena, (void **)out, err);
}

int load_connector_profile(const char *name, struct place at, struct arena *arena, struct connector_profile **out,
                           struct error *err) {
    return load("connectors", name, at, connector_profile_options, sizeof **out, arena, (void **)out, err);
}
