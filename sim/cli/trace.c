/* tiersim trace: what a trace or a workload is like, and traces out of either. */
#include "sim/cli/args.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/cache.h"
#include "sim/cli/trace.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/workload/trace.h"

enum { KEY_JSON = 256, KEY_FORMAT, KEY_KEEP_REPEATS, KEY_SET, KEY_SEED, KEY_LOAD, KEY_TTFT, KEY_TPOT, SETS_MAX = 64 };
static const struct argp_option choices[] = {
    {"output", 'o', "FILE", 0,
     "convert, generate: the JSONL file to write; - is standard output; FILE.blocks or FILE.oracleGeneral.bin: block "
     "accesses for `tiersim cache`",
     0},
    {"json", KEY_JSON, NULL, 0, "info: one JSON document on standard output", 0},
    {"format", KEY_FORMAT, "NAME", 0, "mooncake, bailian, azure or agentic (default: by its beginning)", 0},
    {"keep-repeats", KEY_KEEP_REPEATS, NULL, 0, "keep sessions that repeat an earlier one", 0},
    {"set", KEY_SET, "A.B=C", 0, "replace one value of the workload (may be given many times)", 0},
    {"seed", KEY_SEED, "N", 0, "seed of a generator (default 1)", 0},
    {"load", KEY_LOAD, "X", 0, "multiply the rate, or the sessions (default 1)", 0},
    {"ttft", KEY_TTFT, "TIME", 0, "closed loops: a first token comes so long after its request (default 500 ms)", 0},
    {"tpot", KEY_TPOT, "TIME", 0, "closed loops: and each further token so long after (default 20 ms)", 0},
    {0}};

struct arguments {
    const char *mode, *source, *output, *format;
    bool json, keep_repeats;
    const char *sets[SETS_MAX];
    size_t set_count;
    uint64_t seed;
    struct trace_pace pace;
};

static double parse_number(const char *option, const char *text, enum unit unit, struct argp_state *state) {
    struct error err;
    double value = 0;
    if (unit_parse(text, unit, &value, &err) != 0)
        argp_error(state, "--%s: %s", option, err.text);
    if (!(value >= 0 && value <= 1e9))
        argp_error(state, "--%s '%s' is not from 0 to 10^9", option, text);
    return value;
}

static void take_word(struct arguments *a, char *text, struct argp_state *state) {
    if (!a->mode) {
        if (strcmp(text, "info") != 0 && strcmp(text, "convert") != 0 && strcmp(text, "generate") != 0)
            argp_error(state, "'%s' is none of info, convert, generate", text);
        a->mode = text;
    } else if (!a->source) {
        a->source = text;
    } else {
        argp_error(state, "'%s' belongs to no option", text);
    }
}

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    char *end;
    switch (key) {
    case 'o':
        a->output = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_FORMAT:
        a->format = text;
        return 0;
    case KEY_KEEP_REPEATS:
        a->keep_repeats = true;
        return 0;
    case KEY_SET:
        if (a->set_count == SETS_MAX)
            argp_error(state, "more than %d --set", SETS_MAX);
        a->sets[a->set_count++] = text;
        return 0;
    case KEY_SEED:
        errno = 0;
        a->seed = strtoull(text, &end, 10);
        if (errno || end == text || *end || text[0] == '-')
            argp_error(state, "--seed '%s' is not a whole number", text);
        return 0;
    case KEY_LOAD:
        a->pace.load = parse_number("load", text, UNIT_NONE, state);
        if (a->pace.load <= 0)
            argp_error(state, "--load must be above 0");
        return 0;
    case KEY_TTFT:
        a->pace.ttft_s = parse_number("ttft", text, UNIT_SECONDS, state);
        return 0;
    case KEY_TPOT:
        a->pace.tpot_s = parse_number("tpot", text, UNIT_SECONDS, state);
        return 0;
    case ARGP_KEY_ARG:
        take_word(a, text, state);
        return 0;
    case ARGP_KEY_END:
        if (!a->source)
            argp_error(state, "what, and of which?\n  hint: tiersim trace info mooncake/conversation_trace.jsonl");
        else if (strcmp(a->mode, "info") == 0 ? a->output != NULL : !a->output)
            argp_error(state, "%s", a->output ? "info writes no file" : "-o FILE is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* Sets a key to a text, whatever stands in it. */
static int set_text(struct node *node, const char *key, const char *text, struct arena *arena, struct error *err) {
    char *quoted = arena_alloc(arena, strlen(key) + 2 * strlen(text) + 4), *at = quoted;
    at += sprintf(at, "%s='", key);
    for (; *text; *at++ = *text++)
        if (*text == '\'')
            *at++ = '\'';
    *at++ = '\'';
    *at = 0;
    return node_set(node, quoted, arena, err);
}

/* A workload file or entry of configs/workloads; anything else is a trace. */
static bool is_workload(const struct arguments *a, struct arena *arena, const char **path) {
    struct error ignored;
    return ends_with(a->source, ".yaml") || ends_with(a->source, ".yml") ||
           (access(a->source, F_OK) != 0 &&
            catalogue_find("workloads", a->source, (struct place){0}, arena, path, &ignored) == 0);
}

static int load_source(const struct arguments *a, struct arena *arena, struct workload_options *out,
                       struct error *err) {
    const char *path = NULL;
    struct place nowhere = {0};
    struct node *node;
    bool named = is_workload(a, arena, &path);
    if (!named && !(path = trace_find(a->source, nowhere, arena, err)))
        return -1;
    if (node_read_text("{}", 2, a->source, arena, &node, err) != 0 ||
        set_text(node, named ? "base" : "trace", named ? a->source : path, arena, err) != 0 ||
        (!named && a->format && set_text(node, "format", a->format, arena, err) != 0) ||
        (!named && a->keep_repeats && set_text(node, "dedupe", "no", arena, err) != 0))
        return -1;
    for (size_t i = 0; i < a->set_count; i++)
        if (node_set(node, a->sets[i], arena, err) != 0)
            return -1;
    return load_workload(node, arena, out, err);
}

static int trace(const struct arguments *a, struct arena *arena, struct error *err) {
    struct workload_options options = {0};
    struct workload *workload;
    bool accesses = strcmp(a->mode, "info") != 0 && cache_is_target(a->output);
    const char *path;
    if (accesses && !is_workload(a, arena, &path))
        return cache_convert(a->source, a->format, !a->keep_repeats, a->output, arena, err);
    if (load_source(a, arena, &options, err) != 0 ||
        workload_open(&options, a->pace.load, a->seed, &workload, err) != 0)
        return -1;
    int failed = 0;
    if (strcmp(a->mode, "info") == 0)
        trace_tell(workload, &a->pace, a->source, a->json);
    else if (accesses)
        failed = trace_write_accesses(workload, &a->pace, a->output, err);
    else
        failed = trace_write(workload, &a->pace, a->output, err);
    workload_close(workload);
    return failed;
}

int verb_trace(int argc, char **argv) {
    static const struct argp argp = {
        choices,
        parse,
        "info|convert|generate SOURCE",
        "Says what a stream of requests is like, or writes it as a Mooncake JSONL trace.\v"
        "SOURCE is a trace (a file, plain or .zst, or a directory of sessions; looked for in $TIERSIM_TRACES and "
        "../shared/traces too) or a workload (a name of configs/workloads, or a .yaml file). Closed loops need to know "
        "how fast they are served: --ttft and --tpot stand for the fleet.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {.seed = 1, .pace = {.load = 1, .ttft_s = 0.5, .tpot_s = 0.02}};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = trace(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
