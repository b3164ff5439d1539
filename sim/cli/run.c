/* tiersim run: a scenario, every variant of it, at its load and at the highest load that keeps the SLO. */
#include "sim/cli/args.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(_OPENMP) && __has_include(<omp.h>) /* an analyser may know the pragmas, but have no such header */
#include <omp.h>
#define HAS_OMP 1
#endif

#include "sim/cli/keep.h"
#include "sim/cli/policy.h"
#include "sim/cli/report.h"
#include "sim/cli/verbs.h"
#include "sim/memory/access_log.h"
#include "sim/output/timeline.h"

enum {
    SETS_MAX = 256,
    KEY_SET = 256,
    KEY_SEED,
    KEY_DB,
    KEY_JSON,
    KEY_WIDE,
    KEY_MINUTES,
    KEY_EXACT,
    KEY_AUDIT,
    KEY_PLUGIN,
    KEY_NO_SEARCH,
    KEY_DRAWS,
    KEY_TIMELINE,
    KEY_ACCESS_LOG
};
enum { DRAWS_MAX = 10000 };

struct run_arguments {
    const char *path, *database, *timeline, *access_log;
    const char *sets[SETS_MAX];
    size_t set_count;
    int64_t seed, draws;
    bool has_seed, json, wide, minutes, exact_steps, audit, no_search;
    int jobs;
    struct error error;
};

static const struct argp_option run_options[] = {
    {"set", KEY_SET, "A.B=C", 0, "replace one value of the scenario (may be given many times)", 0},
    {"seed", KEY_SEED, "N", 0, "seed of everything random", 0},
    {"db", KEY_DB, "FILE", 0, "keep the results in a SQLite database", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on stdout", 0},
    {"wide", KEY_WIDE, NULL, 0, "everything, not only the story", 0},
    {"minutes", KEY_MINUTES, NULL, 0,
     "the worst minute's p99s, and each regime of the traffic; with --wide every minute", 0},
    {"timeline", KEY_TIMELINE, "FILE", 0,
     "every step, transfer, request and rate of a link at the scenario's load, as JSON for ui.perfetto.dev", 0},
    {"access-log", KEY_ACCESS_LOG, "FILE", 0,
     "what each tier's eviction policy saw at the scenario's load, for `tiersim cache --replay-log`; of several "
     "variants "
     "FILE.1, FILE.2, ...",
     0},
    {"exact-steps", KEY_EXACT, NULL, 0,
     "take every step by itself (slow; the reference that must give the same results)", 0},
    {"audit", KEY_AUDIT, NULL, 0, "recount every tier and link at every step boundary (slow)", 0},
    {"no-search", KEY_NO_SEARCH, NULL, 0, "only the scenario's load, whatever the SLO", 0},
    {"draws", KEY_DRAWS, "N", 0,
     "N more whole runs of each variant, each with how wrong the models may be drawn anew: 90 % intervals of every "
     "output (19 or more; the database keeps the undrawn)",
     0},
    {"plugin", KEY_PLUGIN, "FILE.so", 0, "load policies built outside", 0},
    {"jobs", 'j', "N", 0, "simulations at a time (default: one a core)", 0},
    {0}};

static error_t run_parse(int key, char *value, struct argp_state *state) {
    struct run_arguments *a = state->input;
    char *end;
    switch (key) {
    case KEY_SET:
        if (a->set_count == SETS_MAX)
            argp_error(state, "more than %d --set", SETS_MAX);
        a->sets[a->set_count++] = value;
        return 0;
    case KEY_SEED:
        a->seed = strtoll(value, &end, 10);
        a->has_seed = true;
        if (*end || !*value || a->seed < 0)
            argp_error(state, "--seed takes a whole number from 0, not '%s'", value);
        return 0;
    case KEY_DB:
        a->database = value;
        return 0;
    case KEY_TIMELINE:
        a->timeline = value;
        return 0;
    case KEY_ACCESS_LOG:
        a->access_log = value;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_WIDE:
        a->wide = true;
        return 0;
    case KEY_MINUTES:
        a->minutes = true;
        return 0;
    case KEY_EXACT:
        a->exact_steps = true;
        return 0;
    case KEY_AUDIT:
        a->audit = true;
        return 0;
    case KEY_NO_SEARCH:
        a->no_search = true;
        return 0;
    case KEY_DRAWS:
        a->draws = strtoll(value, &end, 10);
        if (*end || !*value || a->draws < 2 || a->draws > DRAWS_MAX)
            argp_error(state, "--draws takes a whole number from 2 to %d, not '%s'", DRAWS_MAX, value);
        return 0;
    case KEY_PLUGIN:
        if (policy_load_plugin(value, &a->error) != 0)
            argp_error(state, "%s", a->error.text);
        return 0;
    case 'j':
        a->jobs = (int)strtol(value, &end, 10);
        if (*end || a->jobs < 1 || a->jobs > 4096)
            argp_error(state, "-j takes a number from 1, not '%s'", value);
        return 0;
    case ARGP_KEY_ARG:
        if (a->path)
            argp_error(state, "one scenario at a time; found '%s' too", value);
        a->path = value;
        return 0;
    case ARGP_KEY_END:
        if (!a->path)
            argp_error(state, "which scenario?\n  hint: tiersim run configs/scenarios/long-context-agents.yaml");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Who takes the single records of a variant's run at the scenario's load. */
static struct sink *base_sink(const struct scenario *scenario, size_t i, struct keeper *keeper,
                              struct timeline *timeline) {
    const struct variant *v = &scenario->variants[i];
    struct sink *kept = keeper_sink(keeper, scenario, i, false);
    if (!timeline)
        return kept;
    const struct tier_options *tiers = v->options.tiers.items;
    const char *names[RECORD_TIERS_MAX];
    for (size_t t = 0; t < v->options.tiers.count; t++)
        names[t] = tiers[t].name;
    return timeline_sink(timeline, i, v->name, names, (uint32_t)v->options.tiers.count, kept);
}

static void run_variants(const struct scenario *scenario, const struct run_arguments *a, struct keeper *keeper,
                         struct timeline *timeline, struct access_log **logs, struct verdict *verdicts,
                         struct draws *draws) {
    int variants = (int)scenario->count, count = variants * (1 + (int)a->draws), threads = 1;
#ifdef HAS_OMP
    threads = a->jobs > 0 ? a->jobs : omp_get_max_threads();
    omp_set_max_active_levels(2);
#endif
    int at_once = threads < count ? threads : count;
    struct progress *progress = progress_create((uint32_t)count);
#pragma omp parallel for num_threads(at_once) schedule(dynamic, 1)
    for (int i = 0; i < count; i++) {
        const struct variant *variant = &scenario->variants[i % variants];
        struct reach reach = {.variant = variant,
                              .seed = (uint64_t)variant->options.seed,
                              .exact_steps = a->exact_steps,
                              .audit = a->audit,
                              .search = !a->no_search,
                              .threads = threads / at_once,
                              .progress = progress};
        if (i < variants) {
            reach.every_base_record = timeline != NULL;
            reach.access_log = logs[i];
            reach.base_records = base_sink(scenario, (size_t)i, keeper, timeline);
            reach.best_records = keeper_sink(keeper, scenario, (size_t)i, true);
            verdict_reach(&reach, &verdicts[i]);
        } else if (draws) {
            size_t number = (size_t)(i / variants - 1);
            draw_run(&reach, (uint64_t)scenario->options.seed, number,
                     &draws->drawn[(size_t)(i % variants) * draws->count + number]);
        }
    }
    progress_destroy(progress);
}

/* Exit code of the verdicts. Whether the fault is the input's or the run's: when nothing is left it is as the error has
 * it; otherwise the others stand. What failed is said on stderr, unless the table says it beside the others. */
static int tell_failures(const struct scenario *scenario, const struct verdict *verdicts, bool tabled) {
    int code = EXIT_FINE;
    size_t failures = 0;
    for (size_t i = 0; i < scenario->count; i++) {
        if (!verdicts[i].failed)
            continue;
        failures++;
        code = (int)verdicts[i].error.exit_code;
        if (!tabled)
            fprintf(stderr, "variant '%s': %s\n", scenario->variants[i].name, verdicts[i].error.text);
    }
    return failures == scenario->count ? code : failures > 0 ? EXIT_RUN_FAILED : EXIT_FINE;
}

/* The access log of each variant; none where no path is given. What was opened is the caller's, whatever came. */
static int open_logs(const char *path, const struct scenario *scenario, struct access_log ***out, struct error *err) {
    struct access_log **logs = *out = calloc(scenario->count, sizeof(struct access_log *));
    MUST(logs != NULL);
    for (size_t i = 0; path && i < scenario->count; i++) {
        const struct list *tiers = &scenario->variants[i].options.tiers;
        const char **texts = arena_alloc(scenario->arena, tiers->count * sizeof(char *));
        for (size_t t = 0; t < tiers->count; t++)
            texts[t] = policy_text(((const struct tier_options *)tiers->items)[t].evict, "lru", scenario->arena);
        const char *own = scenario->count == 1 ? path : arena_printf(scenario->arena, "%s.%zu", path, i + 1);
        if (access_log_open(own, texts, (uint32_t)tiers->count, &logs[i], err) != 0)
            return -1;
    }
    return 0;
}

static int close_logs(const struct scenario *scenario, struct access_log **logs, struct error *err) {
    int failed = 0;
    for (size_t i = 0; i < scenario->count; i++)
        if (access_log_close(logs[i], err) != 0)
            failed = -1;
    free(logs);
    return failed;
}

static int run_scenario(const struct run_arguments *a, const struct scenario *scenario, struct error *err) {
    struct keeper keeper = {0};
    if (a->database && keeper_open(&keeper, a->database, scenario, a->exact_steps, err) != 0) {
        fprintf(stderr, "%s\n", err->text);
        return (int)err->exit_code;
    }
    struct timeline *timeline = NULL;
    struct access_log **logs = NULL;
    if (open_logs(a->access_log, scenario, &logs, err) != 0 ||
        (a->timeline && timeline_open(a->timeline, scenario->count, &timeline, err) != 0)) {
        struct error ignored;
        close_logs(scenario, logs, &ignored);
        keeper_abandon(&keeper);
        fprintf(stderr, "%s\n", err->text);
        return (int)err->exit_code;
    }
    struct verdict *verdicts = calloc(scenario->count, sizeof *verdicts);
    MUST(verdicts != NULL);
    struct draws *draws = a->draws > 0 ? draws_create(scenario->count, (size_t)a->draws) : NULL;
    run_variants(scenario, a, &keeper, timeline, logs, verdicts, draws);
    bool tabled = !a->json && (scenario->count > 1 || !verdicts[0].failed);
    int code = tell_failures(scenario, verdicts, tabled);
    if (a->json)
        report_json(scenario, verdicts, draws);
    if (tabled)
        report_table(scenario, verdicts, draws, a->wide);
    if (tabled && a->minutes)
        report_minutes(scenario, verdicts, a->wide);
    if (a->database && keeper_commit(&keeper, scenario, verdicts, err) != 0) {
        fprintf(stderr, "%s\n", err->text);
        code = EXIT_RUN_FAILED;
    }
    if (timeline && timeline_close(timeline, err) != 0) {
        fprintf(stderr, "%s\n", err->text);
        code = EXIT_RUN_FAILED;
    }
    if (close_logs(scenario, logs, err) != 0) {
        fprintf(stderr, "%s\n", err->text);
        code = EXIT_RUN_FAILED;
    }
    if (draws)
        draws_free(draws, scenario->count);
    for (size_t i = 0; i < scenario->count; i++)
        verdict_free(&verdicts[i]);
    free(verdicts);
    return code;
}

int verb_run(int argc, char **argv) {
    static const struct argp argp = {
        run_options,
        run_parse,
        "SCENARIO.yaml",
        "Simulates a what-if: how fast a fleet answers and what it costs. SCENARIO.yaml is a file, or a name "
        "of `tiersim list scenarios`.",
        0,
        0,
        0};
    struct run_arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(a.path, a.sets, a.set_count, a.has_seed ? &a.seed : NULL, &scenario, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return error.exit_code;
    }
    int code = run_scenario(&a, &scenario, &error);
    scenario_free(&scenario);
    return code;
}
