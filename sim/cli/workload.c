#include "sim/cli/workload.h"

#include "sim/config/read.h"
#include "sim/workload/format.h"

static int read_entry(const struct node *name, struct arena *arena, struct node **out, struct error *err) {
    const char *path;
    if (name->kind != NODE_SCALAR)
        return error_at(err, name->at, "a workload is named by one word\n  hint: `tiersim list workloads`");
    if (catalogue_find("workloads", name->text, name->at, arena, &path, err) != 0)
        return -1;
    return node_read_file(path, arena, out, err);
}

/* The format that is given, if it is one. */
static int check_format(const struct node *tree, const char *format, struct arena *arena, struct error *err) {
    const char **names, *all = "", *nearest;
    size_t count = 0;
    if (!format || trace_format_find(format))
        return 0;
    while (trace_formats[count])
        count++;
    names = arena_alloc(arena, count * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        names[i] = trace_formats[i]->name;
        all = arena_printf(arena, "%s%s%s", all, i == 0 ? "" : i + 1 == count ? " or " : ", ", names[i]);
    }
    nearest = error_nearest(format, names, count);
    return error_at(err, node_get(tree, "format")->at, "unknown trace format '%s'\n  hint: %s%s%s", format,
                    nearest ? "did you mean '" : all, nearest ? nearest : "", nearest ? "'?" : "");
}

int load_workload(const struct node *node, struct arena *arena, struct workload_options *out, struct error *err) {
    struct node *tree = NULL;
    const struct node *base = node->kind == NODE_MAPPING ? node_get(node, "base") : node;
    if (base && read_entry(base, arena, &tree, err) != 0)
        return -1;
    if (node->kind == NODE_MAPPING) {
        struct node *over = node_without(node, "base", arena);
        tree = tree ? node_merge(tree, over, arena) : over;
    }
    if (options_read(tree, workload_option_table, out, arena, err) != 0 ||
        check_format(tree, out->format, arena, err) != 0)
        return -1;
    if (!out->generate_node)
        return 0;
    if (out->trace_name)
        return error_at(err, out->generate_node->at,
                        "a workload is a trace or a generator, not both\n  hint: leave out trace: or generate:");
    out->generates = true;
    return options_read(out->generate_node, generator_option_table, &out->generate, arena, err);
}
