/* tiersim why: where the time of requests goes, and what a little more of each thing would give. */
#include "sim/cli/args.h"
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(_OPENMP) && __has_include(<omp.h>) /* an analyser may know the pragmas, but have no such header */
#include <omp.h>
#define HAS_OMP 1
#endif

#include "sim/cli/policy.h"
#include "sim/cli/verbs.h"
#include "sim/cli/why.h"

enum {
    SETS_MAX = 256,
    SEEDS_MAX = 1000,
    KEY_SET = 256,
    KEY_SEED,
    KEY_SEEDS,
    KEY_SENSITIVITY,
    KEY_SEARCH,
    KEY_VARIANT,
    KEY_JSON,
    KEY_PLUGIN
};
struct why_arguments {
    const char *path, *variant;
    const char *sets[SETS_MAX];
    size_t set_count;
    int64_t seed, seeds;
    double change; /* 0: no sensitivities */
    bool has_seed, json, search;
    int jobs;
    struct error error;
};

static const struct argp_option why_options[] = {
    {"sensitivity", KEY_SENSITIVITY, "PERCENT", OPTION_ARG_OPTIONAL,
     "what so much more (default 10) of each thing would give: FLOPS, bandwidth and capacity of HBM, capacity of each "
     "tier, bandwidth of each link, speed of the engine's host and of the connector; one run each",
     0},
    {"search", KEY_SEARCH, NULL, 0, "requests/s and $/Mtok at the highest load that keeps the SLO (many runs each)", 0},
    {"seeds", KEY_SEEDS, "N", 0, "N seeds, the same for every run: means, and from 3 on their 90 % intervals", 0},
    {"variant", KEY_VARIANT, "NAME", 0, "this one alone", 0},
    {"set", KEY_SET, "A.B=C", 0, "replace one value of the scenario (may be given many times)", 0},
    {"seed", KEY_SEED, "N", 0, "the first seed", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on stdout", 0},
    {"plugin", KEY_PLUGIN, "FILE.so", 0, "load policies built outside", 0},
    {"jobs", 'j', "N", 0, "simulations at a time (default: one a core)", 0},
    {0}};

static int64_t whole(const char *text, int64_t least, int64_t most, const char *what, struct argp_state *state) {
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*end || !*text || value < least || value > most)
        argp_error(state, "%s takes a whole number from %lld to %lld, not '%s'", what, (long long)least,
                   (long long)most, text);
    return value;
}

static double percent(const char *text, struct argp_state *state) {
    char *end;
    double value = strtod(text, &end);
    if (*end == '%')
        end++;
    if (*end || end == text || !(value >= -50 && value <= 1000) || value == 0)
        argp_error(state,
                   "--sensitivity takes a change from -50 to 1000 percent, not '%s'\n  hint: --sensitivity=10 asks "
                   "what a tenth more would give",
                   text);
    return value / 100;
}

static error_t why_parse(int key, char *value, struct argp_state *state) {
    struct why_arguments *a = state->input;
    switch (key) {
    case KEY_SENSITIVITY:
        a->change = value ? percent(value, state) : 0.1;
        return 0;
    case KEY_SEARCH:
        a->search = true;
        return 0;
    case KEY_SEEDS:
        a->seeds = whole(value, 1, SEEDS_MAX, "--seeds", state);
        return 0;
    case KEY_VARIANT:
        a->variant = value;
        return 0;
    case KEY_SET:
        if (a->set_count == SETS_MAX)
            argp_error(state, "more than %d --set", SETS_MAX);
        a->sets[a->set_count++] = value;
        return 0;
    case KEY_SEED:
        a->seed = whole(value, 0, INT64_MAX, "--seed", state);
        a->has_seed = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_PLUGIN:
        if (policy_load_plugin(value, &a->error) != 0)
            argp_error(state, "%s", a->error.text);
        return 0;
    case 'j':
        a->jobs = (int)whole(value, 1, 4096, "-j", state);
        return 0;
    case ARGP_KEY_ARG:
        if (a->path)
            argp_error(state, "one scenario at a time; found '%s' too", value);
        a->path = value;
        return 0;
    case ARGP_KEY_END:
        if (!a->path)
            argp_error(state, "which scenario?\n  hint: tiersim why configs/scenarios/mooncake-conversation.yaml");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct reach reach_of(const struct why_arguments *a, const struct variant *variant, size_t seed,
                             struct progress *progress) {
    return (struct reach){.variant = variant,
                          .seed = (uint64_t)variant->options.seed + seed,
                          .search = a->search,
                          .threads = 1,
                          .progress = progress};
}

/* The runs as they are; the first seed's accounts and verdict are kept. */
static void run_bases(const struct why_arguments *a, const struct scenario *scenario, struct why *whys, int threads) {
    size_t seeds = (size_t)a->seeds, count = scenario->count * seeds;
    struct progress *progress = progress_create((uint32_t)count);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        struct why *why = &whys[i / seeds];
        size_t seed = i % seeds;
        struct verdict verdict;
        struct reach reach = reach_of(a, why->variant, seed, progress);
        if (!why->wanted)
            continue;
        knob_run(&reach, NULL, 0, seed ? NULL : &why->critical, seed ? &verdict : &why->verdict, &why->base[seed]);
        if (seed)
            verdict_free(&verdict);
    }
    progress_destroy(progress);
}

static void run_knobs(const struct why_arguments *a, const struct scenario *scenario, struct why *whys, int threads) {
    size_t seeds = (size_t)a->seeds, each = KNOBS_MAX * seeds, count = scenario->count * each;
    struct progress *progress = progress_create((uint32_t)count);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        struct why *why = &whys[i / each];
        size_t knob = i % each / seeds, seed = i % seeds;
        if (knob >= why->knob_count || why->knobs[knob].idle || why->verdict.failed)
            continue;
        struct verdict verdict;
        struct reach reach = reach_of(a, why->variant, seed, progress);
        knob_run(&reach, &why->knobs[knob], a->change, NULL, &verdict, &why->turned[knob * seeds + seed]);
        verdict_free(&verdict);
    }
    progress_destroy(progress);
}

/* Mean over the seeds of the relative change, and how far on either side its 90 % interval reaches; seeds that failed
 * are left out. */
struct effect why_effect(const struct why *why, size_t knob, int which) {
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t s = 0; s < why->seeds; s++) {
        const struct effects *base = &why->base[s], *turned = &why->turned[knob * why->seeds + s];
        if (base->failed || turned->failed || base->values[which] == 0)
            continue;
        double change = turned->values[which] / base->values[which] - 1;
        sum += change;
        squares += change * change;
        n++;
    }
    if (n == 0)
        return (struct effect){NAN, NAN};
    double mean = sum / (double)n, variance = n > 1 ? (squares - sum * mean) / (double)(n - 1) : 0;
    double reach = n > 2 ? gsl_cdf_tdist_Pinv(0.95, (double)(n - 1)) * sqrt(fmax(variance, 0) / (double)n) : NAN;
    return (struct effect){mean, reach};
}

static int select_variants(const struct why_arguments *a, const struct scenario *scenario, struct why *whys,
                           struct error *err) {
    const char **names = arena_alloc(scenario->arena, scenario->count * sizeof *names);
    bool found = false;
    for (size_t i = 0; i < scenario->count; i++) {
        names[i] = scenario->variants[i].name;
        whys[i].wanted = !a->variant || strcmp(a->variant, names[i]) == 0;
        found |= whys[i].wanted;
    }
    if (found)
        return 0;
    const char *nearest = error_nearest(a->variant, names, scenario->count);
    return error_set(err, "no variant '%s'\n  hint: %s%s%s", a->variant,
                     nearest ? "did you mean '" : "the scenario's first is '", nearest ? nearest : names[0], "'?");
}

static struct why *whys_create(const struct why_arguments *a, const struct scenario *scenario) {
    struct why *whys = calloc(scenario->count, sizeof *whys);
    MUST(whys != NULL);
    for (size_t i = 0; i < scenario->count; i++) {
        struct why *why = &whys[i];
        why->variant = &scenario->variants[i];
        why->seeds = (size_t)a->seeds;
        why->change = a->change;
        why->searched = a->search;
        why->base = calloc(why->seeds, sizeof *why->base);
        why->turned = calloc(KNOBS_MAX * why->seeds, sizeof *why->turned);
        MUST(why->base != NULL && why->turned != NULL);
    }
    return whys;
}

static void whys_free(struct why *whys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        verdict_free(&whys[i].verdict);
        critical_destroy(&whys[i].critical);
        free(whys[i].base);
        free(whys[i].turned);
    }
    free(whys);
}

static int explain(const struct why_arguments *a, const struct scenario *scenario, struct error *err) {
    struct why *whys = whys_create(a, scenario);
    int threads = 1, code = EXIT_FINE;
#ifdef HAS_OMP
    threads = a->jobs > 0 ? a->jobs : omp_get_max_threads();
#endif
    if (select_variants(a, scenario, whys, err) != 0) {
        fprintf(stderr, "%s\n", err->text);
        whys_free(whys, scenario->count);
        return EXIT_BAD_INPUT;
    }
    run_bases(a, scenario, whys, threads);
    for (size_t i = 0; i < scenario->count; i++) {
        if (!whys[i].wanted)
            continue;
        if (whys[i].base[0].failed) {
            fprintf(stderr, "variant '%s': %s\n", whys[i].variant->name, whys[i].base[0].error.text);
            code = (int)whys[i].base[0].error.exit_code;
        } else if (a->change != 0) {
            whys[i].knob_count = knobs_of(whys[i].variant, whys[i].verdict.base, whys[i].knobs);
        }
    }
    if (a->change != 0)
        run_knobs(a, scenario, whys, threads);
    if (a->json)
        why_json(scenario, whys);
    else
        why_print(scenario, whys);
    whys_free(whys, scenario->count);
    return code;
}

int verb_why(int argc, char **argv) {
    static const struct argp argp = {why_options,
                                     why_parse,
                                     "SCENARIO.yaml",
                                     "Where the time of requests goes at the scenario's load, exactly: those about "
                                     "the median, the 90th and the 99th percentile of TTFT and of E2E, by cause. And "
                                     "what would change it.",
                                     0,
                                     0,
                                     0};
    struct why_arguments a = {.seeds = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct scenario scenario;
    struct error error = {0};
    if (scenario_load(a.path, a.sets, a.set_count, a.has_seed ? &a.seed : NULL, &scenario, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return error.exit_code;
    }
    int code = explain(&a, &scenario, &error);
    scenario_free(&scenario);
    return code;
}
