/* --wide: everything that the sums hold, variant by variant. */
#include <stdlib.h>

#include "sim/cli/report.h"
#include "sim/cli/wear.h"
#include "sim/output/table.h"

static void print_times(const struct metrics *m, FILE *out) {
    fprintf(out,
            "  TTFT s p50 %.3g p90 %.3g p99 %.3g | TPOT ms p50 %.3g p90 %.3g p99 %.3g | ITL ms p99 %.3g | E2E s p50 "
            "%.3g p99 %.3g\n",
            metrics_percentile_s(m->ttft, 0.5), metrics_percentile_s(m->ttft, 0.9), metrics_percentile_s(m->ttft, 0.99),
            1e3 * metrics_percentile_s(m->tpot, 0.5), 1e3 * metrics_percentile_s(m->tpot, 0.9),
            1e3 * metrics_percentile_s(m->tpot, 0.99), 1e3 * metrics_percentile_s(itl_gaps(m->itl), 0.99),
            metrics_percentile_s(m->e2e, 0.5), metrics_percentile_s(m->e2e, 0.99));
    double total = 0;
    for (int c = 0; c < CAUSE_COUNT; c++)
        total += m->cause_ns[c];
    fputs("  time of requests:", out);
    for (int c = 0; c < CAUSE_COUNT; c++)
        if (m->cause_ns[c] > 0)
            fprintf(out, " %s %.1f %%", cause_name((enum cause)c), 100 * m->cause_ns[c] / total);
    fputc('\n', out);
}

/* What deciding between fetch and compute was worth: realised against the other way. */
static void print_decisions(const struct metrics_decisions *sums, FILE *out) {
    uint64_t settled = sums->fetched + sums->partial + sums->computed;
    if (settled == 0)
        return;
    double n = (double)settled;
    fprintf(
        out,
        "  %llu prefixes below HBM: %llu fetched, %llu in part, %llu computed; to the first token %.3g s predicted, "
        "%.3g s realised, %.3g s the other way (mean); the other way was earlier for %llu, by %.3g s together\n",
        (unsigned long long)settled, (unsigned long long)sums->fetched, (unsigned long long)sums->partial,
        (unsigned long long)sums->computed, sums->predicted_s / n, sums->realised_s / n, sums->alternative_s / n,
        (unsigned long long)sums->regretted, sums->regretted_s);
}

static void print_tiers(const struct metrics *m) {
    const char *const columns[] = {"<  tier", "capacity",       "used at most", "written",
                                   "read",    "blocks evicted", "dropped",      NULL};
    struct table *table = table_create(columns);
    for (uint32_t t = 0; t < m->tier_count; t++) {
        const struct tier_record *tier = &m->tiers[t].record;
        const uint64_t bytes[] = {tier->capacity_bytes, tier->peak_used_bytes, tier->written_bytes, tier->read_bytes};
        table_row(table);
        table_cell(table, "  %s", m->tiers[t].name);
        for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
            char text[32];
            table_cell(table, "%s", unit_format(text, sizeof text, (double)bytes[i], UNIT_BYTES, 3));
        }
        table_cell(table, "%llu", (unsigned long long)tier->evicted_blocks);
        table_cell(table, "%llu", (unsigned long long)tier->dropped_blocks);
    }
    table_print(table, stdout);
}

static void print_links(const struct outcome *o) {
    const char *const columns[] = {"<  link", "carried", "peak", "of peak", "busy", NULL};
    struct table *table = table_create(columns);
    double simulated_s = result_simulated_s(&o->result);
    for (uint32_t i = 0; i < o->metrics.link_count; i++) {
        const struct metrics_link *link = &o->metrics.links[i];
        char carried[32], peak[32];
        if (link->bytes == 0)
            continue;
        table_row(table);
        table_cell(table, "  %s", link->name);
        table_cell(table, "%s", unit_format(carried, sizeof carried, (double)link->bytes, UNIT_BYTES, 3));
        table_cell(table, "%s", unit_format(peak, sizeof peak, link->peak_bytes_per_s, UNIT_BYTES_PER_S, 3));
        table_cell(table, "%.1f%%", 100 * (double)link->bytes / (link->peak_bytes_per_s * simulated_s));
        table_cell(table, "%.1f%%", 100 * (double)link->busy_ns * 1e-9 / simulated_s);
    }
    table_print(table, stdout); /* nothing when there is no row */
}

static void print_text(const struct variant *v, const struct verdict *verdict, FILE *out) {
    const struct outcome *o = verdict_priced(verdict);
    const struct metrics *m = &o->metrics;
    struct gpu_shares gpu = variant_gpu_shares(v, m, &o->result);
    char bytes[32];
    fprintf(out, "\n%s%s: load %.4g, %llu requests (%llu rejected, %llu preempted), %llu measured", v->name,
            variant_sees_future(v) ? " (sees the future)" : "", o->load, (unsigned long long)o->result.arrived,
            (unsigned long long)o->result.rejected, (unsigned long long)m->preempted, (unsigned long long)m->measured);
    fprintf(out, "\n  %.1f s simulated, %llu steps in %llu runs, %llu events; %zu loads tried in %.2f s\n",
            result_simulated_s(&o->result), (unsigned long long)o->result.steps, (unsigned long long)o->result.runs,
            (unsigned long long)o->result.events, verdict->probe_count, verdict->wall_s);
    print_times(m, out);
    print_decisions(&m->decisions, out);
    if (v->options.has_slo)
        fprintf(out, "  %.2f %% of requests keep all limits\n", 100 * metrics_attainment(m));
    fprintf(out, "  GPUs busy %.0f %%, %.0f %% of HBM bandwidth, %.0f %% of FLOPS; %llu blocks of %s an instance\n",
            100 * gpu.busy, 100 * gpu.bandwidth, 100 * gpu.flops, (unsigned long long)o->result.hbm_blocks,
            unit_format(bytes, sizeof bytes, o->result.block_bytes, UNIT_BYTES, 3));
    wear_tell(v, o, out);
    fprintf(out, "  $%.2f/h: GPUs %.2f, tiers %.2f, wear %.2f, energy %.2f; %.0f W\n", o->cost.usd_per_hour,
            o->cost.gpu_usd_per_hour, o->cost.tier_usd_per_hour, o->cost.wear_usd_per_hour, o->cost.energy_usd_per_hour,
            o->cost.watts);
}

static void print_outcome(const struct variant *v, const struct verdict *verdict) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    MUST(out != NULL);
    print_text(v, verdict, out);
    fclose(out);
    print_wrapped(stdout, text, REPORT_COLUMNS, 4);
    free(text);
    print_tiers(&verdict_priced(verdict)->metrics);
    print_links(verdict_priced(verdict));
}

void report_wide(const struct scenario *scenario, const struct verdict *verdicts) {
    for (size_t i = 0; i < scenario->count; i++)
        if (!verdicts[i].failed)
            print_outcome(&scenario->variants[i], &verdicts[i]);
}
