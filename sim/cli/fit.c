/* `tiersim fit DIR -o PROFILE.yaml`: constants of models/ from timings. */
#include <errno.h>
#include <string.h>

#include "sim/cli/args.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/shared_rows.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/output/json.h"
#include "validate/fit.h"
#include "validate/fit_engine.h"
#include "validate/op_timings.h"

struct arguments {
    const char *directory, *output, *report, *gpu, *base, *links, *shared, *node, *engine;
    bool json;
};
enum { KEY_JSON = 256, KEY_SHARED, KEY_NODE };

static const struct argp_option choices[] = {
    {"output", 'o', "FILE", 0, "the profile to write (default: standard output)", 0},
    {"report", 'r', "FILE", 0, "the accuracy table to write, as Markdown", 0},
    {"links", 'l', "FILE", 0, "the copy engine's link to write, for a node file to include", 0},
    {"shared", KEY_SHARED, "PREFIX", 0,
     "what GPUs share (switches, sockets, drives), from rows of several at once: PREFIX-LINK.yaml for each link of "
     "--node that the rows determine, for the node file to include",
     0},
    {"node", KEY_NODE, "NAME", 0, "the node that was measured, for --shared: a name of configs/nodes, or a path", 0},
    {"gpu", 'g', "NAME", 0, "the GPU that was measured (default h100-sxm)", 0},
    {"base", 'b', "PROFILE", 0, "the profile that gives what DIR has no timings of, scaled by the datasheets", 0},
    {"engine", 'e', "NAME", 0,
     "an engine profile instead, of the steps of its loop in DIR/steps_NAME.csv (validate/fit_engine.h has its "
     "columns)",
     0},
    {"json", KEY_JSON, NULL, 0, "the accuracy as one JSON document on standard output (with -o)", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case 'o':
        arguments->output = text;
        return 0;
    case 'r':
        arguments->report = text;
        return 0;
    case 'g':
        arguments->gpu = text;
        return 0;
    case 'l':
        arguments->links = text;
        return 0;
    case KEY_SHARED:
        arguments->shared = text;
        return 0;
    case KEY_NODE:
        arguments->node = text;
        return 0;
    case 'e':
        arguments->engine = text;
        return 0;
    case 'b':
        arguments->base = text;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->directory)
            argp_error(state, "one directory of timings, not two");
        arguments->directory = text;
        return 0;
    case ARGP_KEY_END:
        if (!arguments->directory)
            argp_error(state, "which directory of timings?");
        if (!arguments->shared != !arguments->node)
            argp_error(state, "--shared and --node go together\n  hint: --shared PREFIX --node NAME");
        if (arguments->json && !arguments->output)
            argp_error(state, "--json needs standard output for itself\n  hint: -o PROFILE.yaml");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int write_to(const char *path, void (*write)(FILE *, const void *), const void *what, struct error *err) {
    FILE *out = path ? fopen(path, "w") : stdout;
    if (!out)
        return error_set(err, "cannot write '%s': %s\n  hint: give a path in a directory that exists", path,
                         strerror(errno));
    write(out, what);
    bool bad = ferror(out) != 0;
    if (path)
        bad |= fclose(out) != 0;
    return bad ? error_set(err, "writing '%s' failed: %s\n  hint: is the disk full?", path ? path : "standard output",
                           strerror(errno))
               : 0;
}

static void write_profile(FILE *out, const void *profile) {
    fprintf(out, "# Written by `tiersim fit`; change validate/, not this file.\n");
    profile_write(out, profile);
}
static void write_links(FILE *out, const void *fits) {
    fprintf(out, "# Written by `tiersim fit --links`; change validate/, not this file.\n");
    copies_write(out, fits);
}
static void write_report(FILE *out, const void *report) {
    fit_report_write(out, report);
}

static void print_json(const struct arguments *arguments, const struct fit_report *report) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "gpu", arguments->gpu);
    json_string(&json, "profile", arguments->output);
    json_array(&json, "ops");
    for (size_t i = 0; i < report->count; i++) {
        const struct fit_accuracy *op = &report->ops[i];
        json_object(&json, NULL);
        json_string(&json, "name", op->op);
        json_string(&json, "rows_are", op->held_out ? "held out" : "fitted");
        json_integer(&json, "rows", (int64_t)op->rows);
        json_number(&json, "median_error", op->median);
        json_number(&json, "p90_error", op->p90);
        json_number(&json, "worst_error", op->worst);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

struct shared_stage_out {
    const struct shared_fits *fits;
    size_t stage;
};
static void write_shared(FILE *out, const void *what) {
    const struct shared_stage_out *one = what;
    fprintf(out, "# Written by `tiersim fit --shared`; measure again rather than change it.\n");
    shared_write(out, one->fits, one->stage);
}

static int fit_node(const struct arguments *arguments, const struct fit_input *in, struct error *err) {
    struct node_options node;
    struct node *tree;
    const char *path;
    struct shared_fits fits;
    if (catalogue_find("nodes", arguments->node, (struct place){0}, in->arena, &path, err) != 0 ||
        node_read_file(path, in->arena, &tree, err) != 0 ||
        options_read(tree, node_options_table, &node, in->arena, err) != 0 || fit_shared(in, &node, &fits, err) != 0)
        return -1;
    for (size_t i = 0; i < fits.count; i++) {
        struct shared_stage_out one = {&fits, i};
        const char *file = arena_printf(in->arena, "%s-%s.yaml", arguments->shared, fits.stages[i].link->name);
        if (write_to(file, write_shared, &one, err) != 0)
            return -1;
    }
    return 0;
}

static int fit(const struct arguments *arguments, struct arena *arena, struct error *err) {
    struct gpu *gpu;
    struct kernel_profile profile, *base = NULL;
    struct fit_report report;
    struct timing_source source;
    if (load_gpu(arguments->gpu, (struct place){0}, arena, &gpu, err) != 0 ||
        (arguments->base && load_profile_named(arguments->base, (struct place){0}, arena, &base, err) != 0) ||
        timings_open(arguments->directory, arena, &source, err) != 0)
        return -1;
    const char *ignored = source.format == TIMINGS_OWN ? op_timings_ignored(arguments->directory, arena) : NULL;
    if (ignored)
        fprintf(stderr, "tiersim: %s/timings.csv: columns left out: %s\n", arguments->directory, ignored);
    struct fit_input in = {
        .source = &source, .gpu = gpu, .base = base, .finder = {load_arch}, .arena = arena, .report = &report};
    if (fit_profile(&in, &profile, err) != 0)
        return -1;
    struct copy_fits copies;
    if (arguments->links && fit_copies(&in, &copies, err) != 0)
        return -1;
    if (arguments->shared && fit_node(arguments, &in, err) != 0)
        return -1;
    if (write_to(arguments->output, write_profile, &profile, err) != 0 ||
        (arguments->links && write_to(arguments->links, write_links, &copies, err) != 0))
        return -1;
    if (arguments->report && write_to(arguments->report, write_report, &report, err) != 0)
        return -1;
    if (arguments->json)
        print_json(arguments, &report);
    else if (!arguments->report)
        fit_report_write(stderr, &report);
    return 0;
}

static void write_engine(FILE *out, const void *fit) {
    engine_fit_write(out, fit);
}

static void print_engine_json(const struct arguments *arguments, const struct engine_fit *fit) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "engine", fit->profile.name);
    json_string(&json, "profile", arguments->output);
    json_integer(&json, "steps", (int64_t)fit->steps);
    json_boolean(&json, "asynchronous", fit->profile.asynchronous);
    json_number(&json, "step_s", fit->profile.step_s.value);
    json_number(&json, "per_sequence_s", fit->profile.per_sequence_s.value);
    json_number(&json, "median_error", fit->median_error);
    json_number(&json, "p90_error", fit->p90_error);
    json_number(&json, "worst_error", fit->worst_error);
    json_object_end(&json);
    json_end(&json);
}

static int fit_steps(const struct arguments *arguments, struct arena *arena, struct error *err) {
    struct timing_source source;
    struct error ignored;
    struct engine_fit engine;
    const char *path = arena_printf(arena, "%s/steps_%s.csv", arguments->directory, arguments->engine);
    bool measured =
        timings_open(arguments->directory, arena, &source, &ignored) == 0 && source.format == TIMINGS_CALIBRATE;
    const char *from = measured ? source.source : "its loop";
    from = arena_printf(arena, "steps_%s.csv: %s", arguments->engine, from);
    if (fit_engine(path, arguments->engine, from, arena, &engine, err) != 0 ||
        write_to(arguments->output, write_engine, &engine, err) != 0)
        return -1;
    if (arguments->json)
        print_engine_json(arguments, &engine);
    return 0;
}

int verb_fit(int argc, char **argv) {
    static const struct argp argp = {
        choices,
        parse,
        "DIR",
        "Fits kernel constants to the timings in DIR and writes them as a profile.\v"
        "DIR holds the rows.csv of tiersim-calibrate or a timings.csv of your own (docs/own-measurements.md), of which "
        "every third row is held out to judge the fit; or the "
        "published tables h100_gemm.csv, h100_decode_attn.csv, h100_prefill_attn.csv and h100_comm.csv.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {.gpu = "h100-sxm"};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int failed = arguments.engine ? fit_steps(&arguments, arena, &err) : fit(&arguments, arena, &err);
    int status = failed ? (int)err.exit_code : EXIT_FINE;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
