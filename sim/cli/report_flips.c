/* What would flip the answer: computed from the outcomes, by solving for the price, the rent and the length of context
 * at which another variant would be the cheapest. */
#include <math.h>
#include <string.h>

#include "sim/cli/report.h"

/* A variant's price a token is usd_per_hour x this (Mtok and hours). */
static double per_dollar(const struct cost *cost) {
    return cost->usd_per_million_tokens / cost->usd_per_hour;
}

/* Bytes of a device that the variant has in the fleet, paid beside the rent or not. */
static double device_bytes(const struct variant *v, const struct cost *cost, const char *device, bool paid) {
    const struct tier_options *tiers = v->options.tiers.items;
    double bytes = 0;
    for (size_t t = 1; t < v->options.tiers.count; t++)
        if (strcmp(tier_device(&tiers[t]), device) == 0)
            bytes += tiers[t].capacity_bytes * variant_tier_units(v, t) - (paid ? cost->tiers[t - 1].bundled_bytes : 0);
    return bytes;
}

struct pair {
    const struct variant *best, *next;
    const struct cost *a, *b; /* of the cheapest, and of who comes next */
};

/* The price of a device, $ a byte, at which both cost the same; what either has within the rent is taken as bought at
 * that price when nothing of the device is paid for. Not positive or not finite: there is none. */
static double price_of_tie(const struct pair *pair, const struct price_tier *price, bool *bundled) {
    double life_h = price->life_s.value / 3600, now = price->usd_per_byte.value;
    double paid_a = device_bytes(pair->best, pair->a, price->device, true),
           paid_b = device_bytes(pair->next, pair->b, price->device, true);
    *bundled = paid_a <= 0 && paid_b <= 0;
    if (*bundled) {
        paid_a = device_bytes(pair->best, pair->a, price->device, false);
        paid_b = device_bytes(pair->next, pair->b, price->device, false);
        now = 0;
    }
    double slope = (per_dollar(pair->a) * paid_a - per_dollar(pair->b) * paid_b) / life_h;
    double gap = pair->b->usd_per_million_tokens - pair->a->usd_per_million_tokens;
    return fabs(slope) > 0 ? now + gap / slope : -1;
}

static void tell_prices(const struct pair *pair, FILE *out) {
    const struct price_tier *prices = pair->best->prices.tiers.items;
    for (size_t i = 0; i < pair->best->prices.tiers.count; i++) {
        bool bundled;
        double now = prices[i].usd_per_byte.value, tie = price_of_tie(pair, &prices[i], &bundled);
        if (!(tie > 0) || tie > 1000 * now)
            continue;
        if (bundled)
            fprintf(out, " %s that had to be bought above $%.3g/GB (it comes with the nodes; market $%.3g);",
                    prices[i].device, tie * 1e9, now * 1e9);
        else
            fprintf(out, " %s %s $%.3g/GB (now $%.3g);", prices[i].device, tie > now ? "above" : "below", tie * 1e9,
                    now * 1e9);
    }
    /* The GPUs: both pay for as many a fleet, but not a token. */
    double gpus_a = (double)(pair->best->node.gpus * pair->best->options.nodes),
           gpus_b = (double)(pair->next->node.gpus * pair->next->options.nodes);
    double now = pair->a->gpu_usd_per_hour / gpus_a,
           slope = per_dollar(pair->a) * gpus_a - per_dollar(pair->b) * gpus_b;
    double gap = pair->b->usd_per_million_tokens - pair->a->usd_per_million_tokens;
    double tie = fabs(slope) > 0 ? now + gap / slope : -1;
    if (tie > 0 && tie < 100 * now && pair->a->gpu_usd_per_hour > 0)
        fprintf(out, " GPUs %s $%.3g/h (now $%.3g);", tie > now ? "above" : "below", tie, now);
}

/* KV tokens that the tiers down to `last` of a node keep. */
static double tokens_kept(const struct variant *v, const struct outcome *outcome, size_t last) {
    const struct tier_options *tiers = v->options.tiers.items;
    double nodes = (double)v->options.nodes, tokens = 0;
    double token_bytes = arch_kv_bytes_per_token_stored(v->arch, (enum dtype)v->options.kv_dtype);
    tokens += (double)outcome->result.hbm_blocks * (double)v->options.serving.block_tokens * v->instances / nodes;
    for (size_t t = 1; t <= last; t++)
        tokens += tiers[t].capacity_bytes * variant_tier_units(v, t) / nodes / (token_bytes * tiers[t].format_ratio);
    return tokens;
}

/* Sessions of a length at which fewer tiers hold all that the cheapest variant serves. */
static void tell_contexts(const struct variant *v, const struct outcome *outcome, FILE *out) {
    double sessions = variant_sessions(v, outcome->load) / (double)v->options.nodes;
    const struct tier_options *tiers = v->options.tiers.items;
    if (sessions <= 0 || v->options.tiers.count < 2)
        return;
    for (size_t t = 0; t + 1 < v->options.tiers.count; t++) {
        char length[32], now[32];
        fprintf(out, " contexts below about %s tokens",
                unit_format(length, sizeof length, tokens_kept(v, outcome, t) / sessions, UNIT_TOKENS, 2));
        if (t == 0)
            fprintf(out, " (median now %s), which HBM alone would hold for all %.0f agents of a node",
                    unit_format(now, sizeof now, (double)histogram_percentile(outcome->metrics.context, 0.5),
                                UNIT_TOKENS, 2),
                    sessions);
        else
            fprintf(out, ", with %s", tiers[t].name);
        fputc(t + 2 < v->options.tiers.count ? ',' : ';', out);
    }
}

void report_flips(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest, FILE *out) {
    size_t next = report_cheapest(scenario, verdicts, cheapest);
    if (cheapest == scenario->count || next == scenario->count)
        return;
    const struct outcome *best = verdict_priced(&verdicts[cheapest]), *other = verdict_priced(&verdicts[next]);
    struct pair pair = {&scenario->variants[cheapest], &scenario->variants[next], &best->cost, &other->cost};
    double lead = 1 - best->cost.usd_per_million_tokens / other->cost.usd_per_million_tokens;
    fprintf(out, "'%s' leads '%s' by %.2g %%, or $%.2f/h. What would flip that:", pair.best->name, pair.next->name,
            100 * lead,
            best->cost.usd_per_hour * other->cost.usd_per_million_tokens / best->cost.usd_per_million_tokens -
                best->cost.usd_per_hour);
    tell_prices(&pair, out);
    tell_contexts(pair.best, best, out);
    fprintf(out, " %.2g %% less load at the SLO.\n", 100 * lead);
}
