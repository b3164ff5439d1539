/* The question and the table of variants. */
#include "sim/cli/report.h"

#include "sim/cli/breakage.h"

#include <math.h>
#include <string.h>

#include "sim/output/table.h"

enum { BAR_WIDTH = 20 };

/* What share of the prompt tokens came from where, as a bar: a letter a tier, '#' computed again, '.' computed as new
 * text must be. */
static void source_bar(const struct variant *v, const struct metrics *m, char bar[BAR_WIDTH + 1]) {
    const struct tier_options *tiers = v->options.tiers.items;
    size_t count = v->options.tiers.count;
    double shares[RECORD_TIERS_MAX + 2], total = 0, seen = 0;
    char marks[RECORD_TIERS_MAX + 2];
    uint64_t again = report_again_tokens(v, m);
    for (size_t t = 0; t < count; t++) {
        shares[t] = (double)m->hit_tokens[t];
        marks[t] = (char)(tiers[t].name[0] - ('a' <= tiers[t].name[0] && tiers[t].name[0] <= 'z' ? 'a' - 'A' : 0));
    }
    shares[count] = (double)again;
    marks[count] = '#';
    shares[count + 1] = m->computed_tokens > again ? (double)(m->computed_tokens - again) : 0;
    marks[count + 1] = '.';
    for (size_t i = 0; i < count + 2; i++)
        total += shares[i];
    memset(bar, ' ', BAR_WIDTH);
    bar[BAR_WIDTH] = 0;
    int at = 0;
    for (size_t i = 0; i < count + 2 && total > 0; i++) {
        seen += shares[i];
        for (int until = (int)(seen / total * BAR_WIDTH + 0.5); at < until && at < BAR_WIDTH;)
            bar[at++] = marks[i];
    }
}

size_t report_cheapest(const struct scenario *scenario, const struct verdict *verdicts, size_t but) {
    size_t found = scenario->count;
    for (size_t i = 0; i < scenario->count; i++) {
        if (i == but || verdicts[i].failed || verdict_misses(&verdicts[i]))
            continue;
        double usd = verdict_priced(&verdicts[i])->cost.usd_per_million_tokens;
        if (usd > 0 &&
            (found == scenario->count || usd < verdict_priced(&verdicts[found])->cost.usd_per_million_tokens))
            found = i;
    }
    return found;
}

void report_figures(const struct variant *v, const struct verdict *verdict, double figures[FIGURES]) {
    const struct outcome *o = verdict_priced(verdict);
    const struct metrics *m = &o->metrics;
    double nodes = (double)v->options.nodes, sessions = variant_sessions(v, o->load), needed = nodes;
    if (verdict->best) /* as many fleets as the load takes, in whole nodes */
        needed =
            ceil((sessions > 0 ? variant_sessions(v, v->options.load) / sessions : v->options.load / o->load) * nodes -
                 1e-9);
    bool misses = verdict_misses(verdict);
    figures[FIGURE_CARRIES] =
        misses ? NAN : (sessions > 0 ? sessions : (double)m->measured / metrics_span_s(m)) / nodes;
    figures[FIGURE_GPUS] = misses ? NAN : needed * (double)v->node.gpus;
    figures[FIGURE_TTFT_P50] = metrics_percentile_s(m->ttft, 0.5);
    figures[FIGURE_TTFT_P99] = metrics_percentile_s(m->ttft, 0.99);
    figures[FIGURE_AGAIN] = m->prompt_tokens ? 100.0 * (double)report_again_tokens(v, m) / (double)m->prompt_tokens : 0;
    figures[FIGURE_USD] = o->cost.usd_per_million_tokens;
    figures[FIGURE_JOULES] = o->cost.joules_per_output_token;
}

/* Load a node carries, and GPUs for the scenario's own load. */
static void size_cells(struct table *table, const struct variant *v, const struct verdict *verdict,
                       const double figures[FIGURES]) {
    if (verdict_misses(verdict)) {
        table_cell(table, "none");
        table_cell(table, "-");
        return;
    }
    bool sessions = variant_sessions(v, verdict_priced(verdict)->load) > 0;
    table_cell(table, sessions ? "%.4g" : "%.3g/s", figures[FIGURE_CARRIES]);
    table_cell(table, "%.0f", figures[FIGURE_GPUS]);
}

static void variant_row(struct table *table, const struct variant *v, const struct verdict *verdict, bool cheapest) {
    char bar[BAR_WIDTH + 1], binds[METRICS_NAME_MAX];
    table_row(table);
    table_cell(table, "%s%s%s", cheapest ? "*" : " ", v->name, variant_sees_future(v) ? " ^" : "");
    if (verdict->failed) {
        table_cell(table, "failed");
        return;
    }
    const struct outcome *o = verdict_priced(verdict);
    double figures[FIGURES];
    report_figures(v, verdict, figures);
    size_cells(table, v, verdict, figures);
    table_cell(table, "%.3g", figures[FIGURE_TTFT_P50]);
    table_cell(table, "%.3g", figures[FIGURE_TTFT_P99]);
    source_bar(v, &o->metrics, bar);
    table_cell(table, "%s", bar);
    table_cell(table, "%.1f%%", figures[FIGURE_AGAIN]);
    table_cell(table, "%s", verdict_binds(v, verdict, o, binds, sizeof binds));
    table_cell(table, "%.3f", figures[FIGURE_USD]);
    table_cell(table, "%.3g", figures[FIGURE_JOULES]);
}

/* The letters of the bar, for every tier that some variant has. */
static void print_legend(const struct scenario *scenario) {
    const char *seen[RECORD_TIERS_MAX * 2];
    size_t count = 0;
    fputs("from: ", stdout);
    for (size_t i = 0; i < scenario->count; i++) {
        const struct list *tiers = &scenario->variants[i].options.tiers;
        for (size_t t = 0; t < tiers->count; t++) {
            const char *name = ((const struct tier_options *)tiers->items)[t].name;
            bool new = count < sizeof seen / sizeof *seen;
            for (size_t k = 0; k < count && new; k++)
                new = strcmp(seen[k], name) != 0;
            if (!new)
                continue;
            seen[count++] = name;
            printf("%c %s, ", name[0] - ('a' <= name[0] && name[0] <= 'z' ? 'a' - 'A' : 0), name);
        }
    }
    puts(". computed (new text), # computed again (share: `again`)");
    bool any = false;
    for (size_t i = 0; i < scenario->count; i++)
        any = any || variant_sees_future(&scenario->variants[i]);
    if (any)
        puts("^ has a policy that sees the trace's future: a yardstick, not to be had");
}

/* At what load the rows are. */
static void print_at(const struct variant *v, bool searched) {
    double sessions = variant_sessions(v, v->options.load);
    fputs(sessions > 0 ? "agents: a node's" : "requests: a node's, a second", stdout);
    if (searched && sessions > 0)
        printf("; rows are at the highest load that keeps the SLO; GPUs: for %.0f agents.\n", sessions);
    else if (searched)
        printf("; rows are at the highest load that keeps the SLO; GPUs: for load %.4g.\n", v->options.load);
    else
        puts(".");
}

static void print_slo(const struct slo_options *slo) {
    const struct {
        const char *name;
        double limit_s;
    } limits[] = {{"TTFT p50", slo->ttft_p50_s}, {"TTFT p90", slo->ttft_p90_s}, {"TTFT p99", slo->ttft_p99_s},
                  {"TPOT p50", slo->tpot_p50_s}, {"TPOT p90", slo->tpot_p90_s}, {"TPOT p99", slo->tpot_p99_s},
                  {"E2E p50", slo->e2e_p50_s},   {"E2E p90", slo->e2e_p90_s},   {"E2E p99", slo->e2e_p99_s}};
    const char *before = "\nSLO:";
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char text[32];
        if (limits[i].limit_s <= 0)
            continue;
        printf("%s %s <= %s", before, limits[i].name,
               unit_format(text, sizeof text, limits[i].limit_s, UNIT_SECONDS, 3));
        before = ",";
    }
    if (slo->attainment > 0)
        printf("%s %.4g %% of requests", before, 100 * slo->attainment);
}

static void print_failure(const char *name, const char *why) {
    char text[sizeof(((struct error *)0)->text) + 256];
    snprintf(text, sizeof text, "%s failed: %s\n", name, why);
    print_wrapped(stdout, text, REPORT_COLUMNS, 4);
}

static void print_variants(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest) {
    const struct variant *first = &scenario->variants[0];
    const char *const columns[] = {"<variant", variant_sessions(first, 1) > 0 ? "agents" : "requests",
                                   "GPUs",     "TTFT p50",
                                   "p99 s",    "<prompt tokens from",
                                   "again",    "<binds",
                                   "$/Mtok",   "J/tok",
                                   NULL};
    struct table *table = table_create(columns);
    for (size_t i = 0; i < scenario->count; i++)
        variant_row(table, &scenario->variants[i], &verdicts[i], i == cheapest && scenario->count > 1);
    table_print(table, stdout);
    for (size_t i = 0; i < scenario->count; i++)
        if (verdicts[i].failed)
            print_failure(scenario->variants[i].name, verdicts[i].error.text);
    if (scenario->count > 1 && cheapest < scenario->count)
        puts("* the cheapest. $/Mtok: of prompt (hits included) and output tokens; J/tok: of output tokens.");
    print_legend(scenario);
    bool searched = false;
    for (size_t i = 0; i < scenario->count; i++)
        searched |= verdicts[i].searched;
    print_at(first, searched);
    for (size_t i = 0; i < scenario->count; i++)
        if (verdict_misses(&verdicts[i])) {
            puts("none: no load keeps the SLO; that row is at the scenario's load.");
            break;
        }
}

void report_table(const struct scenario *scenario, const struct verdict *verdicts, const struct draws *draws,
                  bool wide) {
    const struct variant *v = &scenario->variants[0];
    const struct scenario_options *o = &v->options;
    size_t cheapest = report_cheapest(scenario, verdicts, scenario->count);
    printf("%s\n", scenario->options.title ? scenario->options.title : scenario->options.name);
    printf("%s %s, tp %lld, %u instance%s on %lld node%s of %lld %s", o->model, dtype_names[o->weight_dtype],
           (long long)o->tp, v->instances, v->instances == 1 ? "" : "s", (long long)o->nodes, o->nodes == 1 ? "" : "s",
           (long long)v->node.gpus, v->gpu->name);
    if (o->has_slo)
        print_slo(&o->slo);
    puts("\n");
    print_variants(scenario, verdicts, cheapest);
    if (draws)
        report_draws(scenario, verdicts, draws, cheapest);
    breakage_table(scenario, verdicts);
    report_story(scenario, verdicts, cheapest);
    if (wide)
        report_wide(scenario, verdicts);
}
