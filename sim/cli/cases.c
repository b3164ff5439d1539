/* `tiersim cases`: runs the published cases of configs/cases and holds each published figure against the prediction. A
 * case is a scenario with `claims:`, and a claim asks the run's database, in SQL, for the figure that was published; or
 * it is a trace with hit ratios (cases_hits.c). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/args.h"
#include "sim/cli/cases.h"
#include "sim/cli/keep.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/output/json.h"

enum { CASES_MAX = 64, KEY_JSON = 256 };

struct arguments {
    const char *cases[CASES_MAX], *output;
    size_t count;
    bool json;
};
static const struct argp_option choices[] = {
    {"output", 'o', "FILE", 0, "the page to write, as Markdown (default: standard output)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output instead", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        a->output = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->count == CASES_MAX)
            argp_error(state, "more than %d cases", CASES_MAX);
        a->cases[a->count++] = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Within the factor either way. A published 0 has no ratio. */
static double ratio_of(const struct answer *a) {
    return a->published == 0 ? a->predicted == 0 ? 1 : INFINITY : a->predicted / a->published;
}
static bool holds(const struct answer *a) {
    double ratio = ratio_of(a), slack = 1 + 1e-9;
    return ratio <= a->within * slack && ratio * a->within * slack >= 1;
}

/* Every variant at its load, or at the highest that keeps its SLO, into a database of its own. */
static int simulate(const struct scenario *scenario, const char *database, struct error *err) {
    struct keeper keeper;
    if (keeper_open(&keeper, database, scenario, false, err) != 0)
        return -1;
    struct verdict *verdicts = calloc(scenario->count, sizeof *verdicts);
    MUST(verdicts != NULL);
    for (size_t i = 0; i < scenario->count; i++) {
        struct reach reach = {.variant = &scenario->variants[i],
                              .seed = (uint64_t)scenario->variants[i].options.seed,
                              .search = true,
                              .threads = 1,
                              .base_records = keeper_sink(&keeper, scenario, i, false),
                              .best_records = keeper_sink(&keeper, scenario, i, true)};
        verdict_reach(&reach, &verdicts[i]);
    }
    int failed = keeper_commit(&keeper, scenario, verdicts, err);
    for (size_t i = 0; i < scenario->count; i++) {
        if (!failed && verdicts[i].failed)
            failed = error_set(err, "variant '%s': %s", scenario->variants[i].name, verdicts[i].error.text);
        verdict_free(&verdicts[i]);
    }
    free(verdicts);
    return failed;
}

static int ask(const struct scenario *scenario, const char *database, struct arena *arena, struct told *told,
               struct error *err) {
    const struct claim *claims = scenario->options.claims.items;
    told->count = scenario->options.claims.count;
    told->answers = arena_alloc(arena, told->count * sizeof *told->answers);
    struct error why;
    for (size_t i = 0; i < told->count; i++) {
        told->answers[i] = (struct answer){.claim = arena_strdup(arena, claims[i].claim),
                                           .published = claims[i].published,
                                           .within = claims[i].within,
                                           .why = claims[i].why ? arena_strdup(arena, claims[i].why) : NULL};
        if (database_ask(database, claims[i].query, &told->answers[i].predicted, &why) != 0)
            return error_at(err, claims[i].query_at, "%s", why.text);
    }
    return 0;
}

static int tell_scenario(const char *path, struct arena *arena, struct told *told, struct error *err) {
    char database[] = "/tmp/tiersim-case-XXXXXX";
    struct scenario scenario;
    if (scenario_load(path, NULL, 0, NULL, &scenario, err) != 0)
        return -1;
    *told = (struct told){.name = arena_strdup(arena, scenario.options.name),
                          .title = arena_strdup(arena, scenario.options.title ? scenario.options.title : "")};
    bool claims = scenario.options.claims.count > 0;
    int file = mkstemp(database), failed;
    if (!claims)
        failed = error_set(err, "%s claims nothing\n  hint: claims: [{claim, published, query}]", path);
    else if (file < 0)
        failed = error_set(err, "cannot write below /tmp: %s\n  hint: is it full?", strerror(errno));
    else
        failed = simulate(&scenario, database, err) != 0 || ask(&scenario, database, arena, told, err) != 0 ? -1 : 0;
    if (file >= 0) {
        close(file);
        unlink(database);
    }
    scenario_free(&scenario);
    return failed;
}

static int tell(const char *path, struct arena *arena, struct told *told, struct error *err) {
    struct node *root;
    if (node_read_file(path, arena, &root, err) != 0)
        return -1;
    return case_is_hits(root) ? case_hits(root, arena, told, err) : tell_scenario(path, arena, told, err);
}

/* ---- the page ---- */

static void page_begin(FILE *out) {
    fputs(
        "# Published results, predicted\n\n"
        "Written by `tiersim cases -o results/cases.md`; the cases are scenarios in `configs/cases`, with their "
        "setups, sources "
        "and what was\nassumed. Constants come from datasheets, measurements and profiles, none from the case that it "
        "predicts. A claim holds where its ratio\nis within 1.5 either way (hit ratios: 1.01), unless it says "
        "otherwise.\n",
        out);
}

static void page_case(FILE *out, const char *path, const struct told *told) {
    fprintf(out, "\n## %s\n\n%s (`%s`)\n\n| claim | published | predicted | ratio | verdict |\n|---|---|---|---|---|\n",
            told->name, told->title ? told->title : "", path);
    for (size_t i = 0; i < told->count; i++) {
        const struct answer *a = &told->answers[i];
        bool why = !holds(a) && a->why && *a->why;
        fprintf(out, "| %s | %.3g | %.3g | %.2f | %s%s%s |\n", a->claim, a->published, a->predicted, ratio_of(a),
                holds(a) ? "holds" : "missed", why ? ": " : "", why ? a->why : "");
    }
}

static void json_case(struct json *json, const char *path, const struct told *told) {
    json_object(json, NULL);
    json_string(json, "name", told->name);
    json_string(json, "path", path);
    json_array(json, "claims");
    for (size_t i = 0; i < told->count; i++) {
        const struct answer *a = &told->answers[i];
        json_object(json, NULL);
        json_string(json, "claim", a->claim);
        json_number(json, "published", a->published);
        json_number(json, "predicted", a->predicted);
        json_number(json, "ratio", ratio_of(a));
        json_boolean(json, "holds", holds(a));
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static int tell_all(const struct arguments *a, struct arena *arena, FILE *out, struct error *err) {
    struct list names = a->count > 0 ? (struct list){(void *)a->cases, a->count} : catalogue_names("cases", arena);
    const char *const *paths = names.items;
    struct json json;
    if (a->json) {
        json = json_begin(out);
        json_object(&json, NULL);
        json_array(&json, "cases");
    } else {
        page_begin(out);
    }
    for (size_t i = 0; i < names.count; i++) {
        struct told told = {0};
        const char *path;
        if (catalogue_find("cases", paths[i], (struct place){0}, arena, &path, err) != 0 ||
            tell(path, arena, &told, err) != 0)
            return -1;
        if (a->json)
            json_case(&json, path, &told);
        else
            page_case(out, path, &told);
    }
    if (a->json) {
        json_array_end(&json);
        json_object_end(&json);
        json_end(&json);
    }
    return 0;
}

int verb_cases(int argc, char **argv) {
    static const struct argp argp = {
        choices,
        parse,
        "[CASE...]",
        "Runs published cases (names of configs/cases, or files; default: all) and holds each "
        "published figure against the prediction.",
        NULL,
        NULL,
        NULL};
    struct arguments arguments = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *page = open_memstream(&text, &size); /* nothing half told is written */
    MUST(page != NULL);
    int failed = tell_all(&arguments, arena, page, &err);
    MUST(fclose(page) == 0);
    FILE *out = failed ? NULL : arguments.output && !arguments.json ? fopen(arguments.output, "w") : stdout;
    if (!failed && (!out || fwrite(text, 1, size, out) != size || (out != stdout && fclose(out) != 0)))
        failed = error_set(&err, "cannot write '%s': %s\n  hint: give a path in a directory that exists",
                           arguments.output, strerror(errno));
    if (failed)
        fprintf(stderr, "tiersim: %s\n", err.text);
    free(text);
    arena_destroy(arena);
    return failed ? (int)err.exit_code : EXIT_FINE;
}
