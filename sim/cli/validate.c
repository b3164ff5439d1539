/* `tiersim validate PROFILE DIR`: what the models predict against what was measured, op by op. With requests instead of
 * a directory: validate_requests.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/cli/args.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/shared_rows.h"
#include "sim/cli/validate.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/memory/lone_copy.h"
#include "sim/output/json.h"
#include "sim/output/table.h"
#include "validate/accuracy.h"
#include "validate/op_timings.h"

enum { KEY_JSON = 256, KEY_NODE, KEY_REQUESTS, KEY_VARIANT, KEY_SET, KEY_SEED };
/* The ops, in this order. */
enum {
    COPY_OPS = 6,
    SHARED_OPS = 3,
    STEPS_AT = KERNEL_OPS,
    COPIES_AT = STEPS_AT + STEP_OPS,
    SHARED_AT = COPIES_AT + COPY_OPS,
    OPS = SHARED_AT + SHARED_OPS
};

struct arguments {
    const char *first, *directory, *gpu, *node, *report;
    struct validate_requests requests;
    bool json;
};
static const struct argp_option choices[] = {
    {"gpu", 'g', "NAME", 0, "the GPU that was measured: a name of configs/hardware (default: the profile's own)", 0},
    {"node", KEY_NODE, "NAME", 0, "its node, of configs/nodes: copies are held against its links too", 0},
    {"report", 'r', "FILE", 0, "the accuracy table to write, as Markdown: fitted and held-out rows apart", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output, with every point", 0},
    {NULL, 0, NULL, 0, "With measured requests:", 1},
    {"requests", KEY_REQUESTS, "[VARIANT=]FILE.csv[@LOAD]", 0, "measured latencies, as the arguments after SCENARIO",
     1},
    {"variant", KEY_VARIANT, "NAME", 0, "the variant of files that name none (default: the scenario's first)", 1},
    {"set", KEY_SET, "A.B=C", 0, "replace one value of the scenario (may be given many times)", 1},
    {"seed", KEY_SEED, "N", 0, "seed of everything random", 1},
    {0}};

static void add_requests(struct arguments *a, const char *file, struct argp_state *state) {
    if (a->requests.file_count == VALIDATE_FILES_MAX)
        argp_error(state, "more than %d files", VALIDATE_FILES_MAX);
    a->requests.files[a->requests.file_count++] = file;
}

/* Measured requests rather than a directory of rows: a file, or what would be one. */
static bool is_requests(const char *text) {
    struct stat status;
    size_t length = strlen(text);
    if (stat(text, &status) == 0)
        return !S_ISDIR(status.st_mode);
    return strstr(text, ".csv@") || (length > 4 && strcmp(text + length - 4, ".csv") == 0);
}

static void parse_argument(struct arguments *a, char *text, struct argp_state *state) {
    if (!a->first)
        a->first = text;
    else if (!a->directory && is_requests(text))
        add_requests(a, text, state);
    else if (!a->directory && a->requests.file_count == 0)
        a->directory = text;
    else
        argp_error(state, "'%s' belongs to no option", text);
}

static void parse_end(const struct arguments *a, struct argp_state *state) {
    bool requests = a->requests.file_count > 0;
    if (!a->directory && !requests)
        argp_error(state, "which profile and which directory of rows, or which scenario and which measured requests?");
    if (a->directory && requests)
        argp_error(state, "requests are held against a scenario, not against the rows in '%s'", a->directory);
    if (requests && (a->gpu || a->node || a->report))
        argp_error(state, "--gpu, --node and --report are of a profile; a scenario names its own");
    if (!requests && (a->requests.variant || a->requests.set_count > 0 || a->requests.has_seed))
        argp_error(state, "--variant, --set and --seed are of a scenario");
}

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    char *end;
    switch (key) {
    case 'g':
        a->gpu = text;
        return 0;
    case 'r':
        a->report = text;
        return 0;
    case KEY_NODE:
        a->node = text;
        return 0;
    case KEY_JSON:
        a->json = a->requests.json = true;
        return 0;
    case KEY_REQUESTS:
        add_requests(a, text, state);
        return 0;
    case KEY_VARIANT:
        a->requests.variant = text;
        return 0;
    case KEY_SET:
        if (a->requests.set_count == VALIDATE_SETS_MAX)
            argp_error(state, "more than %d --set", VALIDATE_SETS_MAX);
        a->requests.sets[a->requests.set_count++] = text;
        return 0;
    case KEY_SEED:
        a->requests.seed = strtoll(text, &end, 10);
        a->requests.has_seed = true;
        if (*end || !*text || a->requests.seed < 0)
            argp_error(state, "--seed takes a whole number from 0, not '%s'", text);
        return 0;
    case ARGP_KEY_ARG:
        parse_argument(a, text, state);
        return 0;
    case ARGP_KEY_END:
        parse_end(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* One copy through the node's links. */
static int predict_copy(const struct timing *row, const struct node_options *node, struct point *point,
                        struct error *err) {
    static const enum copy_kind kinds[] = {
        [TIMING_COPY_LOOP] = COPY_LOOP, [TIMING_COPY_BATCH] = COPY_BATCH, [TIMING_COPY_KERNEL] = COPY_KERNEL};
    struct lone_copy copy = {.node = node,
                             .from = row->up ? "dram" : "hbm",
                             .to = row->up ? "hbm" : "dram",
                             .bytes = (uint64_t)(row->block_bytes * row->blocks),
                             .blocks = (uint32_t)row->blocks,
                             .kind = kinds[row->api],
                             .ctas = (uint32_t)(row->ctas < row->blocks ? row->ctas : row->blocks)};
    struct lone_result result;
    if (lone_copy_time(&copy, &result, err) != 0)
        return -1;
    point->predicted_s = result.seconds;
    if (result.spread > 0)
        error_interval(result.seconds, result.spread * result.seconds, &point->low_s, &point->high_s);
    return 0;
}

static int read_node(const char *name, struct arena *arena, struct node_options *node, struct error *err) {
    struct node *tree;
    const char *path;
    return catalogue_find("nodes", name, (struct place){0}, arena, &path, err) != 0 ||
                   node_read_file(path, arena, &tree, err) != 0 ||
                   options_read(tree, node_options_table, node, arena, err) != 0
               ? -1
               : 0;
}

static int predict_copies(const struct timing_source *source, const char *name, struct arena *arena,
                          struct points out[COPY_OPS], struct error *err) {
    /* The cliff of small blocks is a regime of its own: what a descriptor costs there depends on more than their size.
     */
    static const char *const names[COPY_OPS] = {"copy, loop",   "copy, loop, below 64 KiB",
                                                "copy, batch",  "copy, batch, below 64 KiB",
                                                "copy, kernel", "copy, kernel, below 64 KiB"};
    struct node_options node = {0};
    struct timings timings;
    if (read_node(name, arena, &node, err) != 0 || timings_read(source, TIMING_COPY, arena, &timings, err) != 0)
        return -1;
    for (int op = 0; op < COPY_OPS; op++) {
        out[op] =
            (struct points){.op = names[op], .items = arena_alloc(arena, (timings.count + 1) * sizeof *out->items)};
        for (size_t i = 0; i < timings.count; i++) {
            const struct timing *row = &timings.rows[i];
            if (row->api != op / 2 || (row->block_bytes < LONE_SMALL_BYTES) != (op % 2 == 1))
                continue;
            struct point *point = &out[op].items[out[op].count++];
            *point = (struct point){.row = row->row, .held_out = row->held_out};
            if (predict_copy(row, &node, point, err) != 0)
                return -1;
        }
    }
    return 0;
}

/* Several GPUs at once, by their number. */
static int predict_shared(const struct timing_source *source, const char *name, struct arena *arena,
                          struct points out[SHARED_OPS], struct error *err) {
    static const char *const names[SHARED_OPS] = {"copies of 2 GPUs at once", "copies of 4 GPUs at once",
                                                  "copies of other numbers of GPUs at once"};
    struct node_options node;
    struct shared_rows rows;
    struct shared_result result;
    struct shared_gpu *gpus = arena_alloc(arena, SHARED_GPUS_MAX * sizeof *gpus);
    if (read_node(name, arena, &node, err) != 0 || shared_rows_read(&source->rows, 2, arena, &rows, err) != 0)
        return -1;
    for (int op = 0; op < SHARED_OPS; op++)
        out[op] = (struct points){.op = names[op], .items = arena_alloc(arena, (rows.count + 1) * sizeof *out->items)};
    for (size_t i = 0; i < rows.count; i++) {
        const struct shared_row *row = &rows.items[i];
        struct points *op = &out[row->gpus == 2 ? 0 : row->gpus == 4 ? 1 : 2];
        struct point *point = &op->items[op->count++];
        *point = (struct point){.row = row->row, .held_out = row->held_out};
        if (shared_row_predict(row, &node, gpus, &result, &point->predicted_s, err) != 0)
            return -1;
    }
    return 0;
}

static void json_points(struct json *json, const struct points *points) {
    json_array(json, "rows");
    for (size_t i = 0; i < points->count; i++) {
        const struct point *point = &points->items[i];
        json_object(json, NULL);
        json_string(json, "group", point->row->group);
        json_string(json, "variant", point->row->variant);
        json_string(json, "params", point->row->params);
        json_integer(json, "line", point->row->at.line);
        json_boolean(json, "held_out", point->held_out);
        json_number(json, "measured_s", point->row->seconds);
        json_number(json, "predicted_s", point->predicted_s);
        if (point->high_s > 0) {
            json_number(json, "low_s", point->low_s);
            json_number(json, "high_s", point->high_s);
        }
        json_object_end(json);
    }
    json_array_end(json);
}

static void print_json(const struct arguments *a, const struct gpu *gpu, const struct kernel_profile *profile,
                       const struct points *points, size_t failed, struct arena *arena) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "profile", a->first);
    json_string(&json, "gpu", gpu->name);
    json_string(&json, "fitted_on", profile->gpu ? profile->gpu : "");
    json_number(&json, "hbm_bandwidth_bytes_per_s", gpu->hbm_bandwidth_bytes_per_s.value);
    json_number(&json, "bf16_flops", gpu->bf16_flops.value);
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
        json_points(&json, &points[op]);
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
    printf("%s (fitted on %s) against rows measured on %s: |predicted / measured - 1|\n\n", a->first,
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
                          VALIDATE_COLUMNS, 4);
        }
    if (failed > 0)
        printf("%zu rows say that they failed: left out\n", failed);
}

static int write_report(const char *path, const struct points *points, bool own, struct arena *arena,
                        struct error *err) {
    FILE *out = fopen(path, "w");
    if (!out)
        return error_set(err, "cannot write '%s': %s\n  hint: give a path in a directory that exists", path,
                         strerror(errno));
    accuracy_write(out, points, OPS, own, arena);
    bool bad = ferror(out) != 0;
    bad |= fclose(out) != 0;
    return bad ? error_set(err, "writing '%s' failed: %s\n  hint: is the disk full?", path, strerror(errno)) : 0;
}

static bool any_point(const struct points *points) {
    for (int op = 0; op < OPS; op++)
        if (points[op].count > 0)
            return true;
    return false;
}

static int validate(const struct arguments *a, struct arena *arena, struct error *err) {
    struct kernel_profile *profile;
    struct timing_source source;
    struct points points[OPS] = {0};
    struct gpu *gpu;
    struct step_finder finder = {load_arch};
    if (load_profile_named(a->first, (struct place){0}, arena, &profile, err) != 0 ||
        load_gpu(a->gpu ? a->gpu : profile->gpu, (struct place){0}, arena, &gpu, err) != 0 ||
        timings_open(a->directory, arena, &source, err) != 0 ||
        predict_kernels(&source, gpu, profile, arena, points, err) != 0 ||
        predict_steps(&source.rows, gpu, profile, finder, arena, points + STEPS_AT, err) != 0 ||
        (a->node && (predict_copies(&source, a->node, arena, points + COPIES_AT, err) != 0 ||
                     predict_shared(&source, a->node, arena, points + SHARED_AT, err) != 0)))
        return -1;
    if (!any_point(points))
        return error_set(err, "'%s' has no row that the models price\n  hint: docs/calibrate.md says which rows are",
                         a->directory);
    const char *ignored = source.format == TIMINGS_OWN ? op_timings_ignored(a->directory, arena) : NULL;
    if (ignored)
        fprintf(stderr, "tiersim: %s/timings.csv: columns left out: %s\n", a->directory, ignored);
    bool own = profile->gpu && strcmp(profile->gpu, gpu->name) == 0;
    if (a->report && write_report(a->report, points, own, arena, err) != 0)
        return -1;
    if (a->json)
        print_json(a, gpu, profile, points, source.rows.failed, arena);
    else
        print_people(a, gpu, profile, points, source.rows.failed, arena);
    return 0;
}

int verb_validate(int argc, char **argv) {
    static const struct argp argp = {
        choices,
        parse,
        "PROFILE DIR\nSCENARIO [VARIANT=]REQUESTS.csv[@LOAD]...",
        "Holds predictions against measurements: the kernel models against timings in DIR (rows.csv of "
        "`tiersim-calibrate`, or timings.csv of your own), or a run of a scenario against measured TTFT and TPOT."
        "\vOf several kernels for the same work, the fastest counts. docs/own-measurements.md has the columns of "
        "timings.csv and REQUESTS.csv.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int failed;
    if (arguments.requests.file_count > 0) {
        arguments.requests.scenario = arguments.first;
        failed = validate_requests(&arguments.requests, &err);
    } else
        failed = validate(&arguments, arena, &err);
    int status = failed ? (int)err.exit_code : EXIT_FINE;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
