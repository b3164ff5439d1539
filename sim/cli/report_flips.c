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

/* A price so far from today's tells nobody anything. */
static bool worth_telling(double tie, double now) {
    return tie > 0 && tie < 20 * now && tie > now / 20;
}

static void tell_prices(const struct pair *pair, FILE *out) {
    const struct price_tier *prices = pair->best->prices.tiers.items;
    for (size_t i = 0; i < pair->best->prices.tiers.count; i++) {
        bool bundled;
        double now = prices[i].usd_per_byte.value, tie = price_of_tie(pair, &prices[i], &bundled);
        if (!worth_telling(tie, now))
            continue;
        if (bundled)
            fprintf(out, "  - %s at more than $%.3g/GB, were it not in the nodes' rent (market: $%.3g)\n",
                    prices[i].device, tie * 1e9, now * 1e9);
        else
            fprintf(out, "  - %s at %s than $%.3g/GB (now $%.3g)\n", prices[i].device, tie > now ? "more" : "less",
                    tie * 1e9, now * 1e9);
    }
    /* The GPUs: both pay for as many a fleet, but not a token. */
    double gpus_a = (double)(pair->best->node.gpus * pair->best->options.nodes),
           gpus_b = (double)(pair->next->node.gpus * pair->next->options.nodes);
    double now = pair->a->gpu_usd_per_hour / gpus_a,
           slope = per_dollar(pair->a) * gpus_a - per_dollar(pair->b) * gpus_b;
    double gap = pair->b->usd_per_million_tokens - pair->a->usd_per_million_tokens;
    double tie = fabs(slope) > 0 ? now + gap / slope : -1;
    if (worth_telling(tie, now))
        fprintf(out, "  - GPUs at %s than $%.3g/h (now $%.3g)\n", tie > now ? "more" : "less", tie, now);
}

/* KV tokens that the tiers down to `last` of a node keep. What is written at fill or at completion is kept twice, so
 * the larger of the two counts. */
static double tokens_kept(const struct variant *v, const struct outcome *outcome, size_t last) {
    const struct tier_options *tiers = v->options.tiers.items;
    double nodes = (double)v->options.nodes;
    double token_bytes = arch_kv_bytes_per_token_stored(v->arch, (enum dtype)v->options.kv_dtype);
    double tokens = (double)outcome->result.hbm_blocks * (double)v->options.serving.block_tokens * v->instances / nodes;
    for (size_t t = 1; t <= last; t++) {
        double own = tiers[t].capacity_bytes * variant_tier_units(v, t) / nodes / (token_bytes * tiers[t].format_ratio);
        tokens = tiers[t].write == WRITE_EVICTION ? tokens + own : fmax(tokens, own);
    }
    return tokens;
}

/* Lengths at which fewer tiers hold the contexts of all sessions that the cheapest variant serves. */
static void tell_contexts(const struct variant *v, const struct outcome *outcome, FILE *out) {
    double sessions = variant_sessions(v, outcome->load) / (double)v->options.nodes;
    double mean = histogram_mean(outcome->metrics.context);
    const struct tier_options *tiers = v->options.tiers.items;
    char length[32], now[32];
    if (sessions <= 0)
        return;
    for (size_t t = 0; t + 1 < v->options.tiers.count; t++) {
        double kept = tokens_kept(v, outcome, t) / sessions;
        if (kept < mean) /* longer ones are there already, and it is the cheapest all the same */
            fprintf(out, "  - contexts below about %s tokens (now %s on average): %s%s would hold those of all %.0f\n",
                    unit_format(length, sizeof length, kept, UNIT_TOKENS, 2),
                    unit_format(now, sizeof now, mean, UNIT_TOKENS, 2), t ? "HBM and " : "HBM alone",
                    t ? tiers[t].name : "", sessions);
    }
}

void report_flips(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest, FILE *out) {
    size_t next = report_cheapest(scenario, verdicts, cheapest);
    if (cheapest == scenario->count || next == scenario->count)
        return;
    if (!verdicts[cheapest].searched) {
        fprintf(
            out,
            "All variants carry the same load, so the price says nothing of how much more each could: %s to compare "
            "them at the highest load that keeps it.\n",
            scenario->variants[cheapest].options.has_slo ? "leave out --no-search" : "give an `slo:`");
        return;
    }
    const struct outcome *best = verdict_priced(&verdicts[cheapest]), *other = verdict_priced(&verdicts[next]);
    struct pair pair = {&scenario->variants[cheapest], &scenario->variants[next], &best->cost, &other->cost};
    double ratio = other->cost.usd_per_million_tokens / best->cost.usd_per_million_tokens;
    fprintf(out, "'%s' is cheaper than '%s', the next, by %.2g %%. What would flip that:\n", pair.best->name,
            pair.next->name, 100 * (1 - 1 / ratio));
    fprintf(out, "  - $%.2g more an hour for '%s' (now $%.2f)\n", best->cost.usd_per_hour * (ratio - 1),
            pair.best->name, best->cost.usd_per_hour);
    tell_prices(&pair, out);
    fprintf(out, "  - %.2g %% less load on '%s' at the SLO\n", 100 * (1 - 1 / ratio), pair.best->name);
    tell_contexts(pair.best, best, out);
}
