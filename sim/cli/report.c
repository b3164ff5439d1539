#include "sim/cli/report.h"

#include <libsmartcols.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory/hierarchy.h"

enum { BAR_WIDTH = 20 };

static double percentile_s(const struct histogram *histogram, double share) { return (double)histogram_percentile(histogram, share) * 1e-9; }

const char *report_binds(const struct variant *v, const struct outcome *outcome, char *buffer, size_t size) {
    struct gpu_shares gpu = variant_gpu_shares(v, &outcome->metrics, &outcome->result);
    double simulated_s = (double)(outcome->result.last_end_ns - outcome->result.first_arrival_ns) * 1e-9, most = gpu.busy;
    snprintf(buffer, size, "%s", gpu.flops > gpu.bandwidth ? "prefill compute" : "HBM bandwidth");
    for (uint32_t i = 0; i < outcome->metrics.link_count; i++) {
        const struct metrics_link *link = &outcome->metrics.links[i];
        double busy = simulated_s > 0 ? (double)link->busy_ns * 1e-9 / simulated_s : 0, used = simulated_s > 0 && link->peak_bytes_per_s > 0 ? (double)link->bytes / link->peak_bytes_per_s / simulated_s : 0;
        /* A link that is always busy moving little is latency; what it could not do more of is bytes. */
        double binding = busy < used / 0.8 ? busy : used / 0.8;
        if (binding > most) {
            most = binding;
            snprintf(buffer, size, "%s", link->name);
        }
    }
    if (most < 0.3) snprintf(buffer, size, "the clients");
    return buffer;
}

/* Sessions at a time in the fleet at this load; 0 where the workload is not made of them. */
static double sessions_of(const struct variant *v, double load) {
    const struct workload_options *w = &v->workload;
    if (w->generates && w->generate.arrivals.process == ARRIVALS_POPULATION) return round((double)w->generate.arrivals.population * load);
    return !w->generates && w->closed_loop ? round((double)w->sessions * load) : 0;
}

static void source_bar(const struct variant *v, const struct metrics *m, char bar[BAR_WIDTH + 1]) {
    uint64_t shares[RECORD_TIERS_MAX + 2] = {0};
    char marks[RECORD_TIERS_MAX + 2];
    size_t count = v->options.tiers.count;
    const struct tier_options *tiers = v->options.tiers.items;
    for (size_t t = 0; t < count; t++) {
        shares[t] = m->hit_tokens[t];
        marks[t] = (char)(tiers[t].name[0] - 'a' + 'A');
    }
    uint64_t again = m->lost_tokens > m->recomputed_tokens ? m->lost_tokens : m->recomputed_tokens;
    shares[count] = again;
    marks[count] = '#';
    shares[count + 1] = m->computed_tokens > again ? m->computed_tokens - again : 0;
    marks[count + 1] = '.';
    double total = 0, seen = 0;
    for (size_t i = 0; i < count + 2; i++) total += (double)shares[i];
    int at = 0;
    for (size_t i = 0; i < count + 2 && total > 0; i++) {
        seen += (double)shares[i];
        int until = (int)(seen / total * BAR_WIDTH + 0.5);
        while (at < until && at < BAR_WIDTH) bar[at++] = marks[i];
    }
    while (at < BAR_WIDTH) bar[at++] = ' ';
    bar[BAR_WIDTH] = 0;
}

static size_t cheapest_of(const struct scenario *scenario, const struct verdict *verdicts) {
    size_t best = scenario->count;
    for (size_t i = 0; i < scenario->count; i++) {
        if (verdicts[i].failed || verdicts[i].cost.usd_per_million_tokens <= 0) continue;
        if (scenario->variants[i].options.has_slo && !verdicts[i].has_best) continue;
        if (best == scenario->count || verdicts[i].cost.usd_per_million_tokens < verdicts[best].cost.usd_per_million_tokens) best = i;
    }
    return best;
}

static struct libscols_table *make_table(const char *const *columns) {
    struct libscols_table *table = scols_new_table();
    MUST(table != NULL);
    scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    for (size_t c = 0; columns[c]; c++) {
        bool left = columns[c][0] == '<';
        MUST(scols_table_new_column(table, left ? columns[c] + 1 : columns[c], 0, left ? 0 : SCOLS_FL_RIGHT) != NULL);
    }
    return table;
}

static void set_cell(struct libscols_line *line, size_t column, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void set_cell(struct libscols_line *line, size_t column, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    MUST(scols_line_set_data(line, column, text) == 0);
}

static void add_row(struct libscols_table *table, const struct variant *v, const struct verdict *verdict, bool cheapest) {
    struct libscols_line *line = scols_table_new_line(table, NULL);
    char bar[BAR_WIDTH + 1], binds[64];
    set_cell(line, 0, "%s%s", cheapest ? "*" : " ", v->name);
    if (verdict->failed) {
        set_cell(line, 1, "failed");
        return;
    }
    const struct outcome *o = verdict_priced(verdict);
    const struct metrics *m = &o->metrics;
    double sessions = sessions_of(v, o->load), wanted = sessions_of(v, v->options.load), nodes = (double)v->options.nodes;
    bool misses = v->options.has_slo && !verdict->has_best;
    if (misses)
        set_cell(line, 1, "none");
    else if (sessions > 0)
        set_cell(line, 1, "%.4g", sessions / nodes);
    else
        set_cell(line, 1, "%.3g/s", (double)m->measured / metrics_span_s(m) / nodes);
    double nodes_needed = misses ? INFINITY : ceil((sessions > 0 ? wanted / sessions : v->options.load / o->load) * nodes - 1e-9);
    set_cell(line, 2, isfinite(nodes_needed) ? "%.0f" : "-", nodes_needed * (double)v->node.gpus);
    set_cell(line, 3, "%.3g", percentile_s(m->ttft, 0.5));
    set_cell(line, 4, "%.3g", percentile_s(m->ttft, 0.99));
    source_bar(v, m, bar);
    set_cell(line, 5, "%s", bar);
    set_cell(line, 6, "%.0f%%", m->prompt_tokens ? 100.0 * (double)(m->lost_tokens > m->recomputed_tokens ? m->lost_tokens : m->recomputed_tokens) / (double)m->prompt_tokens : 0);
    set_cell(line, 7, "%s", report_binds(v, o, binds, sizeof binds));
    set_cell(line, 8, "%.3f", verdict->cost.usd_per_million_tokens);
    set_cell(line, 9, "%.3g", verdict->cost.joules_per_output_token);
}

static void print_main(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest) {
    const struct variant *first = &scenario->variants[0];
    bool sessions = sessions_of(first, 1) > 0;
    const char *const columns[] = {"<variant", sessions ? "agents/node" : "req/node", "GPUs", "TTFT p50", "p99 s", "<prompt tokens from", "again", "<binds", "$/Mtok", "J/tok", NULL};
    struct libscols_table *table = make_table(columns);
    for (size_t i = 0; i < scenario->count; i++) add_row(table, &scenario->variants[i], &verdicts[i], i == cheapest);
    scols_print_table(table);
    scols_unref_table(table);
    printf("* cheapest. H = HBM, D = DRAM, S = SSD, F = flash; . = new text, # = computed again (\"again\": its share)\n");
    if (first->options.has_slo) printf("Agents, TTFT, $ and J are at the highest load that keeps the SLO; GPUs: for the scenario's load.\n");
}

/* Prefill of `tokens` from nothing on an idle instance, in chunks of the token budget. */
static double prefill_s(const struct variant *v, int64_t tokens) {
    double seconds = 0;
    for (int64_t at = 0, q; at < tokens; at += q) {
        q = tokens - at < v->options.serving.token_budget ? tokens - at : v->options.serving.token_budget;
        struct step_shape shape = {.prefill_seqs = 1, .prefill_tokens = q, .prefill_context = at + q, .prefill_pairs = q * (at + q) - q * (q - 1) / 2, .prefill_squares = q * q, .logits = 1};
        seconds += step_cost(v->model, &shape).seconds;
    }
    return seconds;
}

static void nothing_loaded(void *self, uint32_t instance, uint64_t tag, const int64_t tier_ns[TIERS_MAX], sim_time now) { (void)self, (void)instance, (void)tag, (void)tier_ns, (void)now; }
static void nothing_free(void *self, uint32_t instance, sim_time now) { (void)self, (void)instance, (void)now; }
static void nothing_swapped(void *self, uint32_t instance, uint64_t tag, sim_time now) { (void)self, (void)instance, (void)tag, (void)now; }

/* Seconds to fetch `tokens` from each tier with all links idle. */
static bool fetch_times(const struct variant *v, int64_t tokens, double seconds[RECORD_TIERS_MAX]) {
    struct engine *engine = engine_create(ENGINE_WINNER_TREE);
    double block = (double)v->options.serving.block_tokens;
    struct hierarchy_setup setup = {.engine = engine, .node = &v->node, .tiers = &v->options.tiers, .instances = 1, .instances_per_node = v->instances_per_node, .tp = v->options.tp,
                                    .block_tokens = (uint32_t)v->options.serving.block_tokens, .hbm_block_bytes = block * arch_kv_bytes_per_token_all(v->arch, (enum dtype)v->options.kv_dtype, v->options.tp),
                                    .lower_block_bytes = block * arch_kv_bytes_per_token_stored(v->arch, (enum dtype)v->options.kv_dtype), .hbm_blocks = 1024, .connector = v->connector, .prefix = true,
                                    .on_loaded = nothing_loaded, .on_space = nothing_free, .on_swapped = nothing_swapped};
    struct hierarchy *hierarchy;
    struct error error;
    bool fine = hierarchy_create(&setup, &hierarchy, &error) == 0;
    for (uint32_t t = 1; fine && t < v->options.tiers.count; t++) seconds[t] = kv_predict_fetch_s(hierarchy, 0, t, (uint32_t)(tokens / v->options.serving.block_tokens));
    if (fine) hierarchy_destroy(hierarchy);
    engine_destroy(engine);
    return fine;
}

static void print_miss(const struct scenario *scenario, const struct verdict *verdicts) {
    size_t widest = 0;
    for (size_t i = 0; i < scenario->count; i++)
        if (!verdicts[i].failed && scenario->variants[i].options.tiers.count > scenario->variants[widest].options.tiers.count) widest = i;
    const struct variant *v = &scenario->variants[widest];
    if (verdicts[widest].failed) return;
    int64_t tokens = histogram_percentile(verdict_priced(&verdicts[widest])->metrics.context, 0.5);
    double compute_s = prefill_s(v, tokens), bytes = (double)tokens * arch_kv_bytes_per_token_stored(v->arch, (enum dtype)v->options.kv_dtype), fetch_s[RECORD_TIERS_MAX];
    char size[32], text[32];
    printf("\nOne missed context (%lld tokens, %s of KV) costs %.2f s of prefill on an idle instance.", (long long)tokens, unit_format(size, sizeof size, bytes, UNIT_BYTES, 3), compute_s);
    if (v->options.tiers.count > 1 && fetch_times(v, tokens, fetch_s)) {
        const struct tier_options *tiers = v->options.tiers.items;
        printf(" Fetching it:\n ");
        for (size_t t = 1; t < v->options.tiers.count; t++)
            printf(" %s %s (%.0fx less)%s", tiers[t].name, unit_format(text, sizeof text, fetch_s[t], UNIT_SECONDS, 3), compute_s / fetch_s[t], t + 1 < v->options.tiers.count ? "," : "");
    }
    putchar('\n');
}

/* Which other variant comes next in price, and what must change for it to win. */
static void print_flip(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest) {
    size_t next = scenario->count;
    for (size_t i = 0; i < scenario->count; i++) {
        if (i == cheapest || verdicts[i].failed || (scenario->variants[i].options.has_slo && !verdicts[i].has_best)) continue;
        if (next == scenario->count || verdicts[i].cost.usd_per_million_tokens < verdicts[next].cost.usd_per_million_tokens) next = i;
    }
    if (cheapest == scenario->count || next == scenario->count) return;
    const struct cost *best = &verdicts[cheapest].cost, *other = &verdicts[next].cost;
    double spare = best->usd_per_hour * (other->usd_per_million_tokens / best->usd_per_million_tokens - 1);
    printf("What would flip it: '%s' stays ahead of '%s' until it costs $%.2f/h more (%.0f %% of its $%.2f/h)", scenario->variants[cheapest].name, scenario->variants[next].name, spare,
           100 * spare / best->usd_per_hour, best->usd_per_hour);
    const struct outcome *a = verdict_priced(&verdicts[cheapest]), *b = verdict_priced(&verdicts[next]);
    if (a->load > b->load)
        printf(",\n  or carries %.0f %% less load than now.\n", 100 * (1 - best->usd_per_million_tokens / other->usd_per_million_tokens));
    else
        printf(".\n");
}

static void print_basis(const struct scenario *scenario, const struct verdict *verdicts) {
    const struct variant *v = &scenario->variants[0];
    if (verdicts[0].failed) return;
    int64_t context = histogram_percentile(verdict_priced(&verdicts[0])->metrics.context, 0.5);
    struct step_shape decode = {.decode_seqs = 8, .decode_context = 8 * context, .decode_longest = context, .logits = 8};
    struct step_shape prefill = {.prefill_seqs = 1, .prefill_tokens = v->options.serving.token_budget, .prefill_context = context, .logits = 1};
    prefill.prefill_pairs = prefill.prefill_tokens * context - prefill.prefill_tokens * (prefill.prefill_tokens - 1) / 2;
    struct step_cost d = step_cost(v->model, &decode), p = step_cost(v->model, &prefill);
    printf("Rests on: step times %s (90 %%: decode %+.0f/%+.0f %%, prefill %+.0f/%+.0f %%), prices of %s (%s), one seed (%lld).\n", basis_name(basis_weaker(d.basis, p.basis)), 100 * (d.low_s / d.seconds - 1),
           100 * (d.high_s / d.seconds - 1), 100 * (p.low_s / p.seconds - 1), 100 * (p.high_s / p.seconds - 1), v->prices.date, basis_name(verdicts[0].cost.basis), (long long)v->options.seed);
}

static void print_wear(const struct scenario *scenario, const struct verdict *verdicts) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        if (verdicts[i].failed) continue;
        const struct outcome *o = verdict_priced(&verdicts[i]);
        double days = (double)(o->result.last_end_ns - o->result.first_arrival_ns) * 1e-9 / 86400;
        const struct tier_options *tiers = v->options.tiers.items;
        for (uint32_t t = 0; t < o->metrics.tier_count && days > 0; t++) {
            const struct tier_record *tier = &o->metrics.tiers[t].record;
            double dwpd = (double)tier->written_bytes / (double)tier->capacity_bytes / days, limit = tiers[tier->tier].endurance_dwpd;
            if (limit > 0 && dwpd > limit)
                printf("warning: %s: %s is written %.1f times a day and endures %.1f: it lasts %.1f of its 5 years\n", v->name, o->metrics.tiers[t].name, dwpd, limit, 5 * limit / dwpd);
        }
    }
}

static void print_wide(const struct scenario *scenario, const struct verdict *verdicts) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        if (verdicts[i].failed) continue;
        const struct outcome *o = verdict_priced(&verdicts[i]);
        const struct metrics *m = &o->metrics;
        struct gpu_shares gpu = variant_gpu_shares(v, m, &o->result);
        printf("\n%s: load %.4g, %llu requests (%llu rejected, %llu preempted), %llu measured; %.1f s simulated, %llu steps in %llu runs, %.2f s of computing\n", v->name, o->load,
               (unsigned long long)o->result.arrived, (unsigned long long)o->result.rejected, (unsigned long long)m->preempted, (unsigned long long)m->measured,
               (double)(o->result.last_end_ns - o->result.first_arrival_ns) * 1e-9, (unsigned long long)o->result.steps, (unsigned long long)o->result.runs, verdicts[i].wall_s);
        printf("  TTFT s p50 %.3g p90 %.3g p99 %.3g | TPOT ms p50 %.3g p90 %.3g p99 %.3g | E2E s p50 %.3g p99 %.3g\n", percentile_s(m->ttft, 0.5), percentile_s(m->ttft, 0.9), percentile_s(m->ttft, 0.99),
               1e3 * percentile_s(m->tpot, 0.5), 1e3 * percentile_s(m->tpot, 0.9), 1e3 * percentile_s(m->tpot, 0.99), percentile_s(m->e2e, 0.5), percentile_s(m->e2e, 0.99));
        printf("  GPUs busy %.0f %%, %.0f %% of HBM bandwidth, %.0f %% of FLOPS; $%.2f/h, %.0f W\n", 100 * gpu.busy, 100 * gpu.bandwidth, 100 * gpu.flops, verdicts[i].cost.usd_per_hour, verdicts[i].cost.watts);
        printf("  time of requests:");
        double total = 0;
        for (int c = 0; c < CAUSE_COUNT; c++) total += m->cause_ns[c];
        for (int c = 0; c < CAUSE_COUNT; c++)
            if (m->cause_ns[c] > 0) printf(" %s %.1f %%", cause_name((enum cause)c), 100 * m->cause_ns[c] / total);
        putchar('\n');
        for (uint32_t t = 0; t < m->tier_count; t++) {
            char capacity[32], used[32], written[32], read[32];
            const struct tier_record *tier = &m->tiers[t].record;
            printf("  %-10s %s, %s used at most, %s written, %s read, %llu blocks evicted\n", m->tiers[t].name, unit_format(capacity, sizeof capacity, (double)tier->capacity_bytes, UNIT_BYTES, 3),
                   unit_format(used, sizeof used, (double)tier->peak_used_bytes, UNIT_BYTES, 3), unit_format(written, sizeof written, (double)tier->written_bytes, UNIT_BYTES, 3),
                   unit_format(read, sizeof read, (double)tier->read_bytes, UNIT_BYTES, 3), (unsigned long long)tier->evicted_blocks);
        }
        for (uint32_t l = 0; l < m->link_count; l++)
            if (m->links[l].bytes > 0) printf("  %-16s %5.1f %% busy\n", m->links[l].name, 100 * (double)m->links[l].busy_ns / (double)(o->result.last_end_ns - o->result.first_arrival_ns));
    }
}

void report_table(const struct scenario *scenario, const struct verdict *verdicts, bool wide) {
    const struct variant *v = &scenario->variants[0];
    size_t cheapest = cheapest_of(scenario, verdicts);
    printf("%s\n", scenario->options.title ? scenario->options.title : scenario->options.name);
    printf("%s %s, tp %lld, %u instance%s on %lld node%s of %lld %s\n\n", v->options.model, dtype_names[v->options.weight_dtype], (long long)v->options.tp, v->instances, v->instances == 1 ? "" : "s",
           (long long)v->options.nodes, v->options.nodes == 1 ? "" : "s", (long long)v->node.gpus, v->options.gpu ? v->options.gpu : v->node.gpu);
    print_main(scenario, verdicts, cheapest);
    print_miss(scenario, verdicts);
    print_flip(scenario, verdicts, cheapest);
    print_basis(scenario, verdicts);
    print_wear(scenario, verdicts);
    if (wide) print_wide(scenario, verdicts);
}
