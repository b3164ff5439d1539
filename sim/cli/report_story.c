/* What the table means: the price of a miss, what would flip the answer, what wears out, what it all rests on. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/breakage.h"
#include "sim/cli/report.h"
#include "sim/memory/hierarchy.h"
#include "sim/output/table.h"

/* Prefill of `tokens` from nothing on an idle instance, in chunks of the token budget. */
static double prefill_s(const struct variant *v, int64_t tokens) {
    double seconds = 0;
    for (int64_t at = 0, q; at < tokens; at += q) {
        q = tokens - at < v->options.serving.token_budget ? tokens - at : v->options.serving.token_budget;
        struct step_shape shape = {.prefill_seqs = 1,
                                   .prefill_tokens = q,
                                   .prefill_context = at + q,
                                   .prefill_pairs = q * (at + q) - q * (q - 1) / 2,
                                   .prefill_squares = q * q,
                                   .logits = 1};
        seconds += step_cost(v->model, &shape).seconds;
    }
    return seconds;
}

static void nothing_loaded(void *self, uint32_t instance, uint64_t tag, const int64_t tier_ns[TIERS_MAX],
                           sim_time now) {
    (void)self, (void)instance, (void)tag, (void)tier_ns, (void)now;
}
static void nothing_free(void *self, uint32_t instance, sim_time now) {
    (void)self, (void)instance, (void)now;
}
static void nothing_swapped(void *self, uint32_t instance, uint64_t tag, sim_time now) {
    (void)self, (void)instance, (void)tag, (void)now;
}

/* Seconds to fetch `tokens` from each tier with all links idle, by the same network that the run used. */
static bool fetch_times(const struct variant *v, int64_t tokens, double seconds[RECORD_TIERS_MAX]) {
    const struct scenario_options *o = &v->options;
    struct engine *engine = engine_create(ENGINE_WINNER_TREE);
    double block = (double)o->serving.block_tokens;
    enum dtype kv = (enum dtype)o->kv_dtype;
    struct hierarchy_setup setup = {.engine = engine,
                                    .node = &v->node,
                                    .tiers = &o->tiers,
                                    .instances = 1,
                                    .instances_per_node = v->instances_per_node,
                                    .tp = o->tp,
                                    .block_tokens = (uint32_t)o->serving.block_tokens,
                                    .hbm_block_bytes = block * arch_kv_bytes_per_token_all(v->arch, kv, o->tp),
                                    .lower_block_bytes = block * arch_kv_bytes_per_token_stored(v->arch, kv),
                                    .hbm_blocks = 1024,
                                    .connector = v->connector,
                                    .prefix = true,
                                    .on_loaded = nothing_loaded,
                                    .on_space = nothing_free,
                                    .on_swapped = nothing_swapped};
    struct hierarchy *hierarchy;
    struct error error;
    bool fine = hierarchy_create(&setup, &hierarchy, &error) == 0;
    uint32_t blocks = (uint32_t)(tokens / o->serving.block_tokens);
    for (uint32_t t = 1; fine && t < o->tiers.count; t++)
        seconds[t] = kv_predict_fetch_s(hierarchy, 0, t, blocks ? blocks : 1);
    if (fine)
        hierarchy_destroy(hierarchy);
    engine_destroy(engine);
    return fine;
}

/* ", flash 0.2 s (30x faster)" for each tier that was not there before. */
static void tell_fetches(const struct scenario *scenario, const struct verdict *verdicts, int64_t tokens,
                         double compute_s, FILE *out) {
    const char *told[RECORD_TIERS_MAX * 2];
    size_t count = 0;
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        const struct tier_options *tiers = v->options.tiers.items;
        double fetch_s[RECORD_TIERS_MAX];
        if (verdicts[i].failed || v->options.tiers.count < 2 || !fetch_times(v, tokens, fetch_s))
            continue;
        for (size_t t = 1; t < v->options.tiers.count; t++) {
            char text[32];
            bool new = count < sizeof told / sizeof *told;
            for (size_t k = 0; k < count && new; k++)
                new = strcmp(told[k], tiers[t].name) != 0;
            if (!new)
                continue;
            double gain = compute_s / fetch_s[t];
            fprintf(out, "%s %s %s (%.*fx %s)", count ? "," : " Fetching it takes from", tiers[t].name,
                    unit_format(text, sizeof text, fetch_s[t], UNIT_SECONDS, 3), gain < 10 && gain > 0.1,
                    gain < 1 ? 1 / gain : gain, gain < 1 ? "slower" : "faster");
            told[count++] = tiers[t].name;
        }
    }
    if (count > 0)
        fputs(".", out);
}

/* The variant that figures are shown of: the cheapest, or the first that runs; scenario->count: none. */
static size_t shown_variant(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest) {
    size_t i = cheapest < scenario->count ? cheapest : 0;
    while (i < scenario->count && verdicts[i].failed)
        i++;
    return i;
}

static void tell_miss(const struct scenario *scenario, const struct verdict *verdicts, size_t shown, FILE *out) {
    const struct variant *v = &scenario->variants[shown];
    int64_t tokens = histogram_percentile(verdict_priced(&verdicts[shown])->metrics.context, 0.5);
    if (tokens <= 0)
        return;
    double compute_s = prefill_s(v, tokens);
    double bytes = (double)tokens * arch_kv_bytes_per_token_stored(v->arch, (enum dtype)v->options.kv_dtype);
    char size[32], context[32], time[32];
    fprintf(out, "One missed context (median: %s tokens, %s of KV) costs %s of prefill on an idle instance.",
            unit_format(context, sizeof context, (double)tokens, UNIT_TOKENS, 3),
            unit_format(size, sizeof size, bytes, UNIT_BYTES, 3),
            unit_format(time, sizeof time, compute_s, UNIT_SECONDS, 3));
    tell_fetches(scenario, verdicts, tokens, compute_s, out);
    fputc('\n', out);
}

static void tell_wear(const struct scenario *scenario, const struct verdict *verdicts, FILE *out) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        const struct tier_options *tiers = v->options.tiers.items;
        for (size_t t = 1; !verdicts[i].failed && t < v->options.tiers.count; t++) {
            const struct cost_wear *wear = &verdict_priced(&verdicts[i])->cost.tiers[t - 1];
            if (wear->usd_per_hour <= 0)
                continue;
            char lasts[32];
            fprintf(
                out,
                "Warning: '%s' writes its %s %.1f times a day, and that endures %.3g: it lasts %s. New drives are in "
                "the price: $%.2f/h.\n",
                v->name, tiers[t].name, wear->dwpd, tiers[t].endurance_dwpd,
                unit_format(lasts, sizeof lasts, wear->lasts_s, UNIT_SECONDS, 3), wear->usd_per_hour);
        }
    }
}

static void tell_rejected(const struct scenario *scenario, const struct verdict *verdicts, FILE *out) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        if (verdicts[i].failed || verdict_priced(&verdicts[i])->result.rejected == 0)
            continue;
        const struct outcome *o = verdict_priced(&verdicts[i]);
        int64_t given = v->options.serving.max_context_tokens, room = v->options.serving.block_tokens;
        char fits[32], context[32];
        fprintf(out,
                "Warning: '%s' rejects %llu of %llu requests: longer than its HBM can hold (%s tokens) or its context "
                "(%s), or empty.\n",
                v->name, (unsigned long long)o->result.rejected, (unsigned long long)o->result.arrived,
                unit_format(fits, sizeof fits, (double)o->result.hbm_blocks * (double)room, UNIT_TOKENS, 4),
                unit_format(context, sizeof context, (double)(given ? given : v->arch->max_context), UNIT_TOKENS, 4));
    }
}

/* Blocks that a tier could have kept, but whose write would have had to wait too long. */
static void tell_dropped(const struct scenario *scenario, const struct verdict *verdicts, FILE *out) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        const struct tier_options *tiers = v->options.tiers.items;
        for (size_t t = 1; !verdicts[i].failed && t < v->options.tiers.count; t++) {
            const struct metrics *m = &verdict_priced(&verdicts[i])->metrics;
            uint64_t dropped = 0, inserted = 0;
            for (uint32_t u = 0; u < m->tier_count; u++)
                if (m->tiers[u].record.tier == t) {
                    dropped += m->tiers[u].record.dropped_blocks;
                    inserted += m->tiers[u].record.inserted_blocks;
                }
            if (dropped == 0 || 100 * dropped < dropped + inserted)
                continue;
            char buffer[32];
            fprintf(out,
                    "Warning: '%s' drops %.0f %% of what its %s could have taken: its write buffer is full (%s).\n  "
                    "hint: tiers: write_buffer\n",
                    v->name, 100.0 * (double)dropped / (double)(dropped + inserted), tiers[t].name,
                    unit_format(buffer, sizeof buffer, tiers[t].write_buffer_bytes, UNIT_BYTES, 3));
        }
    }
}

/* Seconds for 1 GB from a tier to HBM on an idle node. */
static double idle_read_s(const struct variant *v, uint32_t tier) {
    const struct tier_options *options = (const struct tier_options *)v->options.tiers.items + tier;
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    uint32_t count = topology_hops(&v->node, &v->options.tiers, tier, 0, hops, NULL);
    double latency_s = 0, slowest_s = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct link_options *link = &hops[i].link->link;
        bool writes = hops[i].direction == NETWORK_WRITE && link->write.bandwidth_bytes_per_s > 0;
        const struct link_direction *way = writes ? &link->write : &link->read;
        double links = hops[i].link->scope == SCOPE_GPU ? (double)v->options.tp : 1,
               s = 1e9 * options->format_ratio / (way->bandwidth_bytes_per_s * links);
        latency_s += way->latency_s;
        slowest_s = s > slowest_s ? s : slowest_s;
    }
    return latency_s + slowest_s;
}

/* Tiers stand in order, the fastest first: a block is read from the first that holds it. */
static void tell_slower(const struct scenario *scenario, const struct verdict *verdicts, FILE *out) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct variant *v = &scenario->variants[i];
        const struct tier_options *tiers = v->options.tiers.items;
        for (uint32_t t = 1; !verdicts[i].failed && t + 1 < v->options.tiers.count; t++) {
            double above_s = idle_read_s(v, t), below_s = idle_read_s(v, t + 1);
            if (above_s > 1.05 * below_s)
                fprintf(out,
                        "Warning: '%s' has its %s above its %s, and reads from it take %.1f times as long (idle).\n  "
                        "hint: tiers: the fastest first\n",
                        v->name, tiers[t].name, tiers[t + 1].name, above_s / below_s);
        }
    }
}

/* "  - decode steps: 91 % of their time measured, 9 % extrapolated; 90 % interval -6/+6 %" */
static void tell_step(const struct variant *v, const char *kind, const struct step_shape *shape, FILE *out) {
    struct step_cost cost = step_cost(v->model, shape);
    struct step_op ops[STEP_OPS_MAX];
    double by_basis[BASIS_COUNT] = {0}, all = 0;
    for (int i = 0, count = step_ops(v->model, shape, ops); i < count; i++) {
        by_basis[ops[i].basis] += ops[i].seconds;
        all += ops[i].seconds;
    }
    fprintf(out, "  - %s steps: ", kind);
    const char *between = "";
    for (int b = 0; b < BASIS_COUNT; b++)
        if (by_basis[b] >= 0.005 * all) {
            fprintf(out, "%s%.0f %%%s %s", between, 100 * by_basis[b] / all, *between ? "" : " of their time",
                    basis_name((enum basis)b));
            between = ", ";
        }
    fprintf(out, "; 90 %% interval %+.0f/%+.0f %%\n", 100 * (cost.low_s / cost.seconds - 1),
            100 * (cost.high_s / cost.seconds - 1));
}

/* Steps of the kinds that the run consists of: a batch of decodes, and a full chunk of prompt. */
static void tell_steps(const struct variant *v, const struct outcome *outcome, FILE *out) {
    int64_t context = histogram_percentile(outcome->metrics.context, 0.5), budget = v->options.serving.token_budget;
    if (context < 1)
        context = 1;
    int64_t chunk = budget < context ? budget : context;
    struct step_shape decode = {
        .decode_seqs = 8, .decode_context = 8 * context, .decode_longest = context, .logits = 8};
    struct step_shape prefill = {.prefill_seqs = 1,
                                 .prefill_tokens = chunk,
                                 .prefill_context = context,
                                 .prefill_pairs = chunk * context - chunk * (chunk - 1) / 2,
                                 .prefill_squares = chunk * chunk,
                                 .logits = 1};
    tell_step(v, "decode", &decode, out);
    tell_step(v, "prefill", &prefill, out);
    const struct engine_profile *e = v->engine;
    if (e)
        fprintf(out, "  - host work of %s: %s\n", e->name,
                basis_name(basis_weaker(e->step_s.basis, basis_weaker(e->per_sequence_s.basis, e->request_s.basis))));
    char text[256];
    if (*hardware_spread_text(v->kernels, v->gpu, text, sizeof text))
        fprintf(out, "  - %s\n", text);
}

/* "  - links: pcie measured, ssd spec": those that carried anything. */
static void tell_links(const struct variant *v, const struct outcome *outcome, FILE *out) {
    const struct node_link *links = v->node.links.items;
    bool any = false;
    for (size_t l = 0; l < v->node.links.count; l++) {
        size_t length = strlen(links[l].name);
        bool used = false;
        for (uint32_t i = 0; i < outcome->metrics.link_count && !used; i++) {
            const struct metrics_link *link = &outcome->metrics.links[i];
            used = link->bytes > 0 && strncmp(link->name, links[l].name, length) == 0 && link->name[length] == '[';
        }
        if (!used)
            continue;
        fprintf(out, "%s %s %s", any ? "," : "  - links:", links[l].name, basis_name((enum basis)links[l].link.basis));
        any = true;
    }
    if (any)
        fputc('\n', out);
    if (strcmp(v->gpu->name, v->node.gpu) != 0)
        fprintf(out, "  - a what-if: %s in node %s, which is made for %s\n", v->gpu->name, v->node.name, v->node.gpu);
}

static void tell_seed(const struct variant *v, const struct metrics *m, FILE *out) {
    double low_s, high_s;
    fprintf(out, "  - seed %lld, %llu requests measured of '%s'", (long long)v->options.seed,
            (unsigned long long)m->measured, v->name);
    if (m->measured >= 300) { /* the interval's ends are other requests than the last */
        metrics_percentile_interval_s(m->ttft, 0.99, &low_s, &high_s);
        fprintf(out, "; TTFT p99 90 %% interval: %.3g to %.3g s\n", low_s, high_s);
    } else {
        fputs(": too few for an interval of p99\n", out);
    }
}

static bool has_rent(const struct variant *v) {
    const struct price_node *nodes = v->prices.nodes.items;
    for (size_t i = 0; i < v->prices.nodes.count; i++)
        if (strcmp(nodes[i].gpu, v->gpu->name) == 0)
            return true;
    return false;
}

static void tell_basis(const struct variant *v, const struct verdict *verdict, FILE *out) {
    const struct outcome *o = verdict_priced(verdict);
    fputs("What it rests on:\n", out);
    tell_steps(v, o, out);
    tell_links(v, o, out);
    fprintf(out, "  - prices of %s: %s", v->prices.date, basis_name(o->cost.basis));
    if (!has_rent(v))
        fprintf(out, "; they have no rent for %s, so that of configs/hardware, which bundles no tier", v->gpu->name);
    fputc('\n', out);
    tell_seed(v, &o->metrics, out);
}

void report_story(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    MUST(out != NULL);
    fputc('\n', out);
    size_t shown = shown_variant(scenario, verdicts, cheapest);
    if (shown < scenario->count) {
        tell_miss(scenario, verdicts, shown, out);
        breakage_tell(scenario, verdicts, out);
        report_flips(scenario, verdicts, cheapest, out);
        tell_wear(scenario, verdicts, out);
        tell_slower(scenario, verdicts, out);
        tell_dropped(scenario, verdicts, out);
        tell_rejected(scenario, verdicts, out);
        tell_basis(&scenario->variants[shown], &verdicts[shown], out);
    }
    fclose(out);
    print_wrapped(stdout, text, REPORT_COLUMNS, 4);
    free(text);
}
