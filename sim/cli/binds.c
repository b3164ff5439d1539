/* What keeps a variant from carrying more load. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sim/cli/capacity.h"

static const char *name_link(const struct metrics_link *link, char *buffer, size_t size) {
    snprintf(buffer, size, "%s", link->name);
    return buffer;
}

/* The link that is under way nearly all the time and carries most of what it could; NULL: none is. Links that only wait
 * for a narrower one on the same path are busy too, and carry less. */
static const struct metrics_link *saturated_link(const struct outcome *outcome, double busy_share) {
    const struct metrics *m = &outcome->metrics;
    double simulated_s = result_simulated_s(&outcome->result), most = 0;
    const struct metrics_link *found = NULL;
    for (uint32_t i = 0; i < m->link_count; i++) {
        const struct metrics_link *link = &m->links[i];
        if (link->peak_bytes_per_s <= 0 || (double)link->busy_ns * 1e-9 < busy_share * simulated_s)
            continue;
        double used = (double)link->bytes / link->peak_bytes_per_s;
        if (used > most) {
            most = used;
            found = link;
        }
    }
    return found;
}

/* "HBM capacity": the tier above which nothing more can be kept, where contexts fall out. */
static const char *name_capacity(const struct variant *v, char *buffer, size_t size) {
    const struct tier_options *tiers = v->options.tiers.items;
    const char *name = tiers[v->options.tiers.count - 1].name;
    snprintf(buffer, size, "%s capacity", name);
    if (strlen(name) <= 4)
        for (char *c = buffer; *c && *c != ' '; c++)
            *c = (char)toupper((unsigned char)*c);
    return buffer;
}

/* Whether the lowest tier had to let anything go: otherwise what is lost is lost on its way there. */
static bool is_full(const struct variant *v, const struct metrics *m) {
    for (uint32_t i = 0; i < m->tier_count; i++)
        if (m->tiers[i].record.tier + 1 == v->options.tiers.count && m->tiers[i].record.evicted_blocks > 0)
            return true;
    return false;
}

/* Products of prompts keep the tensor cores busy, decoding keeps the memory busy. */
static const char *name_gpu(const struct variant *v, const struct outcome *outcome) {
    struct gpu_shares gpu = variant_gpu_shares(v, &outcome->metrics, &outcome->result);
    return gpu.flops > gpu.bandwidth ? "prefill compute" : "HBM bandwidth";
}

/* By why the requests of the nearest load that breaks the SLO are late: what was lost or loaded binds where the SLO
 * would be kept without it; otherwise what takes most of their time. What they waited for in the queue is others' work,
 * of the same kinds as everybody's. */
static const char *name_late(const struct variant *v, const struct outcome *broken, char *buffer, size_t size) {
    const struct metrics *m = &broken->metrics;
    const struct metrics_late *late = &m->late;
    double allowed = (1 - metrics_ttft_share(m)) * (double)m->measured;
    const struct metrics_link *link = saturated_link(broken, 0);
    bool full = is_full(v, m);
    if (full && (double)late->even_without_lost <= allowed)
        return name_capacity(v, buffer, size);
    if ((double)late->even_without_load <= allowed && link)
        return name_link(link, buffer, size);
    double lost_share = m->computed_tokens ? (double)m->lost_tokens / (double)m->computed_tokens : 0;
    if (lost_share > 1)
        lost_share = 1;
    double lost = late->lost_ns + late->queue_ns * lost_share;
    double fresh = late->prefill_ns - late->lost_ns + late->queue_ns * (1 - lost_share), load = 0;
    for (int t = 1; t < RECORD_TIERS_MAX; t++)
        load += late->load_ns[t];
    if (load >= lost && load >= fresh && link)
        return name_link(link, buffer, size);
    return full && lost > fresh ? name_capacity(v, buffer, size) : "prefill compute";
}

const char *verdict_binds(const struct variant *v, const struct verdict *verdict, const struct outcome *outcome,
                          char *buffer, size_t size) {
    const struct metrics_link *link = saturated_link(outcome, 0.9);
    if (link)
        return name_link(link, buffer, size);
    const struct outcome *broken = outcome->holds ? verdict->above : outcome;
    int which;
    if (v->options.has_slo && broken && metrics_tightest(&broken->metrics, &which) > 0) {
        if (which == 0 && broken->metrics.late.requests > 0)
            return name_late(v, broken, buffer, size);
        return name_gpu(v, broken);
    }
    /* Without a limit: whether requests wait for a place at all. */
    const struct metrics *m = &outcome->metrics;
    double all_ns = 0;
    for (int c = 0; c < CAUSE_COUNT; c++)
        all_ns += m->cause_ns[c];
    if (m->cause_ns[CAUSE_QUEUE] + m->cause_ns[CAUSE_PREEMPT] < 0.05 * all_ns)
        return "the clients";
    return is_full(v, m) && 2 * m->lost_tokens > m->computed_tokens ? name_capacity(v, buffer, size)
                                                                    : name_gpu(v, outcome);
}
