/* `tiersim validate PROFILE DIR`: what the models predict against what was measured, op by op. */
#include <string.h>

#include "sim/cli/args.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/memory/lone_copy.h"
#include "sim/output/json.h"
#include "sim/output/table.h"
#include "validate/timings.h"

enum { KEY_JSON = 256, KEY_NODE, COPY_OPS = 3, OPS = KERNEL_OPS + COPY_OPS, COLUMNS = 98 };

struct arguments {
    const char *profile, *directory, *gpu, *node;
    bool json;
};
static const struct argp_option choices[] = {
    {"gpu", 'g', "NAME", 0, "the GPU that was measured: a name of configs/hardware (default: the profile's own)", 0},
    {"node", KEY_NODE, "NAME", 0, "its node, of configs/nodes: copies are held against its links too", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'g':
        a->gpu = text;
        return 0;
    case KEY_NODE:
        a->node = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->directory)
            argp_error(state, "'%s' belongs to no option", text);
        *(a->profile ? &a->directory : &a->profile) = text;
        return 0;
    case ARGP_KEY_END:
        if (!a->directory)
            argp_error(state, "which profile, and which directory of rows?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* One row of group copies through the node's links; of rows that no path knows (pageable, duplex), nothing. */
static int predict_copy(const struct measured *row, const struct node_options *node, enum copy_kind kind,
                        double *seconds, struct error *err) {
    double block, blocks, ctas;
    bool up = measured_is(row, "dir=h2d");
    if (measured_number(row, "block", &block, err) != 0 || measured_number(row, "blocks", &blocks, err) != 0 ||
        measured_number(row, "ctas", &ctas, err) != 0)
        return -1;
    struct lone_copy copy = {.node = node,
                             .from = up ? "dram" : "hbm",
                             .to = up ? "hbm" : "dram",
                             .bytes = (uint64_t)(block * blocks),
                             .blocks = (uint32_t)blocks,
                             .kind = kind,
                             .ctas = (uint32_t)(ctas < blocks ? ctas : blocks)};
    struct lone_result result;
    if (lone_copy_time(&copy, &result, err) != 0)
        return -1;
    *seconds = result.seconds;
    return 0;
}

static int predict_copies(const struct measured_rows *rows, const char *name, struct arena *arena,
                          struct points out[COPY_OPS], struct error *err) {
    struct node_options node = {0};
    struct node *tree;
    const char *path;
    if (catalogue_find("nodes", name, (struct place){0}, arena, &path, err) != 0 ||
        node_read_file(path, arena, &tree, err) != 0 || options_read(tree, node_options_table, &node, arena, err) != 0)
        return -1;
    for (int kind = 0; kind < COPY_OPS; kind++) {
        out[kind] = (struct points){.op = arena_printf(arena, "copy, %s", copy_kind_names[kind]),
                                    .items = arena_alloc(arena, (rows->count + 1) * sizeof *out->items)};
        for (size_t i = 0; i < rows->count; i++) {
            const struct measured *row = &rows->rows[i];
            if (strcmp(row->group, "copies") != 0 || strcmp(row->variant, copy_kind_names[kind]) != 0)
                continue;
            struct point *point = &out[kind].items[out[kind].count++];
            point->row = row;
            if (predict_copy(row, &node, (enum copy_kind)kind, &point->predicted_s, err) != 0)
                return -1;
        }
    }
    return 0;
}

static void print_json(const struct arguments *a, const struct gpu *gpu, const struct points *points, size_t failed,
                       struct arena *arena) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "profile", a->profile);
    json_string(&json, "gpu", gpu->name);
    json_integer(&json, "failed_rows", (int64_t)failed);
    json_array(&json, "ops");
    for (int op = 0; op < OPS; op++) {
        if (points[op].count == 0)
            continue;
        struct point_errors errors = point_errors(&points[op], POINTS_ALL, arena);
        json_object(&json, NULL);
        json_string(&json, "name", points[op].op);
        json_integer(&json, "points", (int64_t)points[op].count);
        json_number(&json, "median_error", errors.median);
        json_number(&json, "p90_error", errors.p90);
        json_number(&json, "worst_error", errors.worst);
        json_number(&json, "bias", errors.bias);
        json_string(&json, "worst_at", errors.worst_at->row->params);
        json_number(&json, "worst_predicted_s", errors.worst_at->predicted_s);
        json_number(&json, "worst_measured_s", errors.worst_at->row->seconds);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void print_people(const struct arguments *a, const struct gpu *gpu, const struct kernel_profile *profile,
                         const struct points *points, size_t failed, struct arena *arena) {
    const char *const columns[] = {"<op", "points", "median", "p90", "worst", "bias", NULL};
    struct table *table = table_create(columns);
    printf("%s (fitted on %s) against rows measured on %s: |predicted / measured - 1|\n\n", a->profile,
           profile->gpu ? profile->gpu : "?", gpu->name);
    for (int op = 0; op < OPS; op++) {
        if (points[op].count == 0)
            continue;
        struct point_errors errors = point_errors(&points[op], POINTS_ALL, arena);
        table_row(table);
        table_cell(table, "%s", points[op].op);
        table_cell(table, "%zu", points[op].count);
        table_cell(table, "%.1f %%", 100 * errors.median);
        table_cell(table, "%.1f %%", 100 * errors.p90);
        table_cell(table, "%.1f %%", 100 * errors.worst);
        table_cell(table, "%+.1f %%", 100 * errors.bias);
    }
    table_print(table, stdout);
    puts("");
    for (int op = 0; op < OPS; op++)
        if (points[op].count > 0) {
            struct point_errors errors = point_errors(&points[op], POINTS_ALL, arena);
            const struct measured *row = errors.worst_at->row;
            print_wrapped(stdout,
                          arena_printf(arena, "worst of %s: %s: predicted %.4g us, measured %.4g us (%s:%d)\n",
                                       points[op].op, row->params, errors.worst_at->predicted_s * 1e6,
                                       row->seconds * 1e6, row->at.file, row->at.line),
                          COLUMNS, 4);
        }
    if (failed > 0)
        printf("%zu rows say that they failed: left out\n", failed);
}

static int validate(const struct arguments *a, struct arena *arena, struct error *err) {
    struct kernel_profile *profile;
    struct timing_source source;
    struct points points[OPS] = {0};
    struct gpu *gpu;
    if (load_profile_named(a->profile, (struct place){0}, arena, &profile, err) != 0 ||
        load_gpu(a->gpu ? a->gpu : profile->gpu, (struct place){0}, arena, &gpu, err) != 0 ||
        timings_open(a->directory, arena, &source, err) != 0 ||
        predict_kernels(&source, gpu, profile, arena, points, err) != 0 ||
        (a->node && predict_copies(&source.rows, a->node, arena, points + KERNEL_OPS, err) != 0))
        return -1;
    if (a->json)
        print_json(a, gpu, points, source.rows.failed, arena);
    else
        print_people(a, gpu, profile, points, source.rows.failed, arena);
    return 0;
}

int verb_validate(int argc, char **argv) {
    static const struct argp argp = {
        choices,
        parse,
        "PROFILE DIR",
        "Holds the kernel models against what `tiersim-calibrate` measured (DIR/rows.csv). "
        "Of several kernels for the same work, the fastest counts.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = validate(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
