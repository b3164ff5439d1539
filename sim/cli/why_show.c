/* `tiersim why` as tables and as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/report.h"
#include "sim/cli/why.h"
#include "sim/output/table.h"

static const double shares[] = {0.5, 0.9, 0.99};
static const char *const share_names[] = {"p50", "p90", "p99"};
static const char *const latency_names[CRITICAL_LATENCIES] = {"TTFT", "E2E"};
enum { QUANTILES = sizeof shares / sizeof *shares, NO_EFFECT_PER_MILLE = 1 };

/* A column of the table: a cause, loads by tier. */
struct column {
    int cause, tier;
    char heading[64];
};
enum { COLUMNS_MAX = CAUSE_COUNT + RECORD_TIERS_MAX + 1 };

static int64_t cell_ns(const struct critical_path *path, const struct column *column) {
    return column->cause == CAUSE_LOAD ? path->load_ns[column->tier] : path->cause_ns[column->cause];
}

static void heading_of(const struct variant *v, struct column *column) {
    const struct tier_options *tiers = v->options.tiers.items;
    if (column->cause != CAUSE_LOAD)
        snprintf(column->heading, sizeof column->heading, "%s", cause_name((enum cause)column->cause));
    else if (column->tier == RECORD_TIERS_MAX)
        snprintf(column->heading, sizeof column->heading, "hand-over");
    else
        snprintf(column->heading, sizeof column->heading, "from %s", tiers[column->tier].name);
}

/* Those that any of the paths spent time on. */
static size_t columns_of(const struct variant *v, struct critical_path paths[CRITICAL_LATENCIES][QUANTILES],
                         struct column columns[COLUMNS_MAX]) {
    size_t count = 0;
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        for (int tier = 0; tier <= (cause == CAUSE_LOAD ? RECORD_TIERS_MAX : 0); tier++) {
            struct column column = {.cause = cause, .tier = tier};
            bool any = false;
            for (int l = 0; l < CRITICAL_LATENCIES; l++)
                for (int s = 0; s < QUANTILES; s++)
                    any |= cell_ns(&paths[l][s], &column) > 0;
            if (!any)
                continue;
            heading_of(v, &column);
            columns[count++] = column;
        }
    return count;
}

static void find_paths(struct why *why, struct critical_path paths[CRITICAL_LATENCIES][QUANTILES]) {
    for (int l = 0; l < CRITICAL_LATENCIES; l++)
        for (int s = 0; s < QUANTILES; s++)
            paths[l][s] = critical_path(&why->critical, (enum critical_latency)l, shares[s]);
}

static void print_paths(const struct variant *v, struct critical_path paths[CRITICAL_LATENCIES][QUANTILES]) {
    struct column columns[COLUMNS_MAX];
    size_t count = columns_of(v, paths, columns);
    const char *headings[COLUMNS_MAX + 4] = {"<mean of", "requests", "s"};
    for (size_t c = 0; c < count; c++)
        headings[3 + c] = columns[c].heading;
    struct table *table = table_create(headings);
    for (int l = 0; l < CRITICAL_LATENCIES; l++)
        for (int s = 0; s < QUANTILES; s++) {
            const struct critical_path *path = &paths[l][s];
            double n = (double)path->requests;
            table_row(table);
            table_cell(table, "%s about %s", latency_names[l], share_names[s]);
            table_cell(table, "%zu", path->requests);
            table_cell(table, "%.4g", (double)path->total_ns * 1e-9 / n);
            for (size_t c = 0; c < count; c++) {
                double s_each = (double)cell_ns(path, &columns[c]) * 1e-9 / n;
                if (s_each > 0)
                    table_cell(table, "%.3g (%.0f %%)", s_each, 100 * s_each * n / ((double)path->total_ns * 1e-9));
                else
                    table_cell(table, "-");
            }
        }
    table_print(table, stdout);
}

/* The cause that takes most of a path. */
static const char *largest(const struct variant *v, const struct critical_path *path, double *share, char buffer[64]) {
    struct column best = {0};
    int64_t most = -1;
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        for (int tier = 0; tier <= (cause == CAUSE_LOAD ? RECORD_TIERS_MAX : 0); tier++) {
            struct column column = {.cause = cause, .tier = tier};
            if (cell_ns(path, &column) > most) {
                most = cell_ns(path, &column);
                best = column;
            }
        }
    heading_of(v, &best);
    *share = path->total_ns > 0 ? (double)most / (double)path->total_ns : 0;
    snprintf(buffer, 64, "%s", best.heading);
    return buffer;
}

static void tell_binds(const struct why *why, struct critical_path paths[CRITICAL_LATENCIES][QUANTILES], FILE *out) {
    const struct variant *v = why->variant;
    const struct outcome *base = why->verdict.base;
    struct gpu_shares gpu = variant_gpu_shares(v, &base->metrics, &base->result);
    char buffer[64], cause[64];
    double share;
    const char *what = largest(v, &paths[CRITICAL_TTFT][QUANTILES - 1], &share, cause);
    fprintf(out, "What binds: %s. TTFT about p99 is %.0f %% %s",
            verdict_binds(v, &why->verdict, base, buffer, sizeof buffer), 100 * share, what);
    what = largest(v, &paths[CRITICAL_E2E][QUANTILES - 1], &share, cause);
    fprintf(out, ", E2E about p99 %.0f %% %s.", 100 * share, what);
    fprintf(out, " GPUs busy %.0f %%, %.0f %% of HBM bandwidth, %.0f %% of FLOPS.\n", 100 * gpu.busy,
            100 * gpu.bandwidth, 100 * gpu.flops);
}

/* The largest change of any figure. */
static double size_of(const struct why *why, size_t knob) {
    double most = 0;
    for (int e = 0; e < EFFECTS; e++) {
        struct effect effect = why_effect(why, knob, e);
        if (isfinite(effect.mean) && fabs(effect.mean) > most)
            most = fabs(effect.mean);
    }
    return most;
}

/* Knobs that were run, the one that changes most first. */
static size_t order(const struct why *why, size_t rank[KNOBS_MAX]) {
    size_t count = 0;
    for (size_t k = 0; k < why->knob_count; k++) {
        if (why->knobs[k].idle)
            continue;
        size_t at = count++;
        for (; at > 0 && size_of(why, rank[at - 1]) < size_of(why, k); at--)
            rank[at] = rank[at - 1];
        rank[at] = k;
    }
    return count;
}

static void put_effect(struct table *table, struct effect effect) {
    if (!isfinite(effect.mean))
        table_cell(table, "-");
    else if (isfinite(effect.reach))
        table_cell(table, "%+.1f +- %.1f", 100 * effect.mean, 100 * effect.reach);
    else
        table_cell(table, "%+.1f", 100 * effect.mean);
}

/* Those that change nothing: run and found so, or known beforehand. */
static void print_without(const struct why *why, const char *found) {
    static const char *const reasons[] = {KNOB_UNUSED, KNOB_NEVER_FULL};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    MUST(out != NULL);
    if (*found)
        fprintf(out, "Less than a thousandth: %s.\n", found);
    for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++) {
        bool first = true;
        for (size_t k = 0; k < why->knob_count; k++)
            if (why->knobs[k].idle && strcmp(why->knobs[k].idle, reasons[r]) == 0) {
                fprintf(out, "%s%s", first ? "Not run: " : ", ", why->knobs[k].name);
                first = false;
            }
        if (!first)
            fprintf(out, " (%s).\n", reasons[r]);
    }
    fclose(out);
    print_wrapped(stdout, text, REPORT_COLUMNS, 2);
    free(text);
}

static void print_effects(const struct why *why) {
    static const char *const short_names[EFFECTS] = {"TTFT mean", "p50",   "p99",   "TPOT p99",
                                                     "E2E mean",  "req/s", "$/Mtok"};
    char first[64];
    snprintf(first, sizeof first, "<%+g %% of", 100 * why->change);
    const char *headings[EFFECTS + 2] = {first};
    for (int e = 0; e < EFFECTS; e++)
        headings[1 + e] = short_names[e];
    struct table *table = table_create(headings);
    size_t rank[KNOBS_MAX], count = order(why, rank), size;
    char *found = NULL;
    FILE *none = open_memstream(&found, &size);
    MUST(none != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct knob *knob = &why->knobs[rank[i]];
        if (size_of(why, rank[i]) < NO_EFFECT_PER_MILLE * 1e-3 && !why->turned[rank[i] * why->seeds].failed) {
            fprintf(none, "%s%s", ftell(none) > 0 ? ", " : "", knob->name);
            continue;
        }
        table_row(table);
        table_cell(table, "%s", knob->name);
        for (int e = 0; e < EFFECTS; e++)
            put_effect(table, why_effect(why, rank[i], e));
    }
    fclose(none);
    printf("\nChange in %%%s%s:\n",
           why->searched ? "; req/s and $/Mtok at the highest load that keeps the SLO" : ", at the same load",
           why->seeds > 2 ? ", with 90 % intervals" : "; of one seed: chance is in it, --seeds 5 says how much");
    table_print(table, stdout);
    print_without(why, found);
    free(found);
}

void why_print(const struct scenario *scenario, struct why *whys) {
    printf("%s\n", scenario->options.title ? scenario->options.title : scenario->path);
    for (size_t i = 0; i < scenario->count; i++) {
        struct why *why = &whys[i];
        if (!why->wanted || why->verdict.failed)
            continue;
        struct critical_path paths[CRITICAL_LATENCIES][QUANTILES];
        find_paths(why, paths);
        printf("\n%s: %zu requests at load %.4g, seed %lld%s\n", why->variant->name, why->critical.count,
               why->verdict.base->load, (long long)why->variant->options.seed,
               why->seeds > 1 ? ", and effects over more" : "");
        if (why->critical.count == 0) {
            puts("nothing was measured: no request arrived after the warm-up");
            continue;
        }
        print_paths(why->variant, paths);
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        MUST(out != NULL);
        tell_binds(why, paths, out);
        fclose(out);
        print_wrapped(stdout, text, REPORT_COLUMNS, 2);
        free(text);
        if (why->change != 0)
            print_effects(why);
    }
}

static void json_path(struct json *json, const struct variant *v, const struct critical_path *path,
                      const char *quantile) {
    const struct tier_options *tiers = v->options.tiers.items;
    json_object(json, NULL);
    json_string(json, "quantile", quantile);
    json_integer(json, "requests", (int64_t)path->requests);
    json_integer(json, "low_ns", path->low_ns);
    json_integer(json, "high_ns", path->high_ns);
    json_integer(json, "total_ns", path->total_ns);
    json_object(json, "cause_ns");
    for (int c = 0; c < CAUSE_COUNT; c++)
        json_integer(json, cause_name((enum cause)c), path->cause_ns[c]);
    json_object_end(json);
    json_object(json, "load_ns");
    for (size_t t = 1; t < v->options.tiers.count; t++)
        json_integer(json, tiers[t].name, path->load_ns[t]);
    json_integer(json, "hand_over", path->load_ns[RECORD_TIERS_MAX]);
    json_object_end(json);
    json_object_end(json);
}

static void json_effects(struct json *json, const struct why *why) {
    size_t rank[KNOBS_MAX], count = order(why, rank);
    json_array(json, "sensitivity");
    for (size_t i = 0; i < count; i++) {
        json_object(json, NULL);
        json_string(json, "knob", why->knobs[rank[i]].name);
        json_number(json, "change", why->change);
        for (int e = 0; e < EFFECTS; e++) {
            struct effect effect = why_effect(why, rank[i], e);
            json_object(json, effect_names[e]);
            json_number(json, "change", effect.mean);
            json_number(json, "interval", effect.reach);
            json_object_end(json);
        }
        json_object_end(json);
    }
    json_array_end(json);
    json_array(json, "idle");
    for (size_t k = 0; k < why->knob_count; k++)
        if (why->knobs[k].idle) {
            json_object(json, NULL);
            json_string(json, "knob", why->knobs[k].name);
            json_string(json, "why", why->knobs[k].idle);
            json_object_end(json);
        }
    json_array_end(json);
}

void why_json(const struct scenario *scenario, struct why *whys) {
    static const char *const keys[CRITICAL_LATENCIES] = {"ttft", "e2e"};
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "scenario", scenario->options.name);
    json_array(&json, "variants");
    for (size_t i = 0; i < scenario->count; i++) {
        struct why *why = &whys[i];
        if (!why->wanted || why->verdict.failed)
            continue;
        struct critical_path paths[CRITICAL_LATENCIES][QUANTILES];
        char buffer[64];
        find_paths(why, paths);
        json_object(&json, NULL);
        json_string(&json, "name", why->variant->name);
        json_number(&json, "load", why->verdict.base->load);
        json_integer(&json, "requests", (int64_t)why->critical.count);
        json_string(&json, "binds",
                    verdict_binds(why->variant, &why->verdict, why->verdict.base, buffer, sizeof buffer));
        for (int l = 0; l < CRITICAL_LATENCIES; l++) {
            json_array(&json, keys[l]);
            for (int s = 0; s < QUANTILES; s++)
                json_path(&json, why->variant, &paths[l][s], share_names[s]);
            json_array_end(&json);
        }
        if (why->change != 0)
            json_effects(&json, why);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}
