#include "sim/cli/sensitivity.h"

#include <stdlib.h>
#include <string.h>

const char *const effect_names[EFFECTS] = {
    [EFFECT_TTFT_MEAN] = "ttft_mean", [EFFECT_TTFT_P50] = "ttft_p50", [EFFECT_TTFT_P99] = "ttft_p99",
    [EFFECT_TPOT_P99] = "tpot_p99",   [EFFECT_E2E_MEAN] = "e2e_mean", [EFFECT_CARRIES] = "requests_per_s",
    [EFFECT_USD] = "usd_per_mtok"};

static struct knob *add(struct knob knobs[KNOBS_MAX], size_t *count, enum knob_kind kind, size_t index,
                        const char *name, const char *of) {
    MUST(*count < KNOBS_MAX);
    struct knob *knob = &knobs[(*count)++];
    *knob = (struct knob){.kind = kind, .index = index};
    snprintf(knob->name, sizeof knob->name, "%s%s", name, of);
    return knob;
}

/* Links are repeated a node or a GPU: "pcie[3] read" is one of "pcie". */
static bool carried(const struct metrics *metrics, const char *link) {
    size_t length = strlen(link);
    for (uint32_t i = 0; i < metrics->link_count; i++) {
        const struct metrics_link *one = &metrics->links[i];
        if (one->bytes > 0 && strncmp(one->name, link, length) == 0 &&
            (one->name[length] == '[' || one->name[length] == ' ' || one->name[length] == 0))
            return true;
    }
    return false;
}

/* Whether any unit of the tier had to let go of, or turn away, a block. */
static bool was_full(const struct metrics *metrics, size_t tier) {
    for (uint32_t i = 0; i < metrics->tier_count; i++) {
        const struct tier_record *record = &metrics->tiers[i].record;
        if (record->tier == tier && (record->evicted_blocks > 0 || record->dropped_blocks > 0))
            return true;
    }
    return false;
}

size_t knobs_of(const struct variant *v, const struct outcome *outcome, struct knob knobs[KNOBS_MAX]) {
    const struct tier_options *tiers = v->options.tiers.items;
    const struct node_link *links = v->node.links.items;
    size_t count = 0;
    add(knobs, &count, KNOB_FLOPS, 0, "FLOPS", "");
    add(knobs, &count, KNOB_HBM_BANDWIDTH, 0, "HBM bandwidth", "");
    add(knobs, &count, KNOB_HBM_CAPACITY, 0,
        v->options.serving.kv_capacity_bytes > 0 ? "KV capacity in HBM" : "HBM capacity", "");
    if (v->options.tp > 1)
        add(knobs, &count, KNOB_NVLINK, 0, "NVLink bandwidth", "");
    for (size_t i = 1; i < v->options.tiers.count; i++)
        if (!was_full(&outcome->metrics, i))
            add(knobs, &count, KNOB_TIER_CAPACITY, i, tiers[i].name, " capacity")->idle = KNOB_NEVER_FULL;
        else
            add(knobs, &count, KNOB_TIER_CAPACITY, i, tiers[i].name, " capacity");
    for (size_t i = 0; i < v->node.links.count && count + 2 < KNOBS_MAX; i++)
        if (!carried(&outcome->metrics, links[i].name))
            add(knobs, &count, KNOB_LINK, i, links[i].name, " bandwidth")->idle = KNOB_UNUSED;
        else
            add(knobs, &count, KNOB_LINK, i, links[i].name, " bandwidth");
    if (v->engine)
        add(knobs, &count, KNOB_HOST, 0, v->engine->name, " host speed");
    if (v->connector)
        add(knobs, &count, KNOB_CONNECTOR, 0, v->connector->name, " connector speed");
    return count;
}

/* A variant with something of its own; it shares everything else. */
struct turned {
    struct variant variant;
    struct gpu gpu;
    struct engine_profile engine;
    struct connector_profile connector;
    struct node_link *links;
    struct tier_options *tiers;
};

static void turn_link(struct link_options *link, double by) {
    struct link_direction *const ways[] = {&link->read, &link->write};
    for (int i = 0; i < 2; i++) {
        ways[i]->bandwidth_bytes_per_s *= by;
        ways[i]->bandwidth_small_bytes_per_s *= by;
        ways[i]->iops *= by;
    }
    link->duplex_bytes_per_s *= by;
    link->peak_bytes_per_s *= by;
    link->fresh_bytes_per_s *= by;
}

static void *copied(const void *items, size_t bytes) {
    void *copy = calloc(1, bytes + 1);
    MUST(copy != NULL);
    if (bytes > 0)
        memcpy(copy, items, bytes);
    return copy;
}

static void turn_software(struct turned *t, const struct knob *knob, double by) {
    struct figure *const host[] = {&t->engine.step_s, &t->engine.per_sequence_s, &t->engine.request_s};
    struct figure *const connector[] = {&t->connector.load_s, &t->connector.load_per_token_s, &t->connector.store_s,
                                        &t->connector.store_per_token_s};
    if (knob->kind == KNOB_HOST)
        for (size_t i = 0; i < sizeof host / sizeof *host; i++)
            host[i]->value /= by;
    else
        for (size_t i = 0; i < sizeof connector / sizeof *connector; i++)
            connector[i]->value /= by;
}

static void turn(struct turned *t, const struct knob *knob, double by) {
    struct scenario_options *o = &t->variant.options;
    switch (knob->kind) {
    case KNOB_FLOPS:
        t->gpu.bf16_flops.value *= by;
        t->gpu.fp8_flops.value *= by;
        break;
    case KNOB_HBM_BANDWIDTH:
        t->gpu.hbm_bandwidth_bytes_per_s.value *= by;
        break;
    case KNOB_HBM_CAPACITY:
        if (o->serving.kv_capacity_bytes > 0)
            o->serving.kv_capacity_bytes *= by;
        else
            t->gpu.hbm_capacity_bytes.value *= by;
        break;
    case KNOB_NVLINK:
        t->gpu.nvlink_bytes_per_s.value *= by;
        break;
    case KNOB_TIER_CAPACITY:
        t->tiers[knob->index].capacity_bytes *= by;
        break;
    case KNOB_LINK:
        turn_link(&t->links[knob->index].link, by);
        break;
    case KNOB_HOST:
    case KNOB_CONNECTOR:
        turn_software(t, knob, by);
        break;
    }
}

static int turned_create(const struct variant *v, const struct knob *knob, double change, struct turned *t,
                         struct error *err) {
    *t = (struct turned){.variant = *v, .gpu = *v->gpu};
    t->variant.gpu = &t->gpu;
    if (v->engine) {
        t->engine = *v->engine;
        t->variant.engine = &t->engine;
    }
    if (v->connector) {
        t->connector = *v->connector;
        t->variant.connector = &t->connector;
    }
    t->links = copied(v->node.links.items, v->node.links.count * sizeof *t->links);
    t->tiers = copied(v->options.tiers.items, v->options.tiers.count * sizeof *t->tiers);
    t->variant.node.links.items = t->links;
    t->variant.options.tiers.items = t->tiers;
    turn(t, knob, 1 + change);
    t->variant.model = NULL;
    return variant_model(&t->variant, NULL, &t->variant.model, err);
}

static void turned_free(struct turned *t) {
    step_model_destroy(t->variant.model);
    free(t->links);
    free(t->tiers);
}

static void note(const struct verdict *verdict, struct critical *critical, struct effects *effects) {
    const struct outcome *priced = verdict_priced(verdict);
    double *values = effects->values, span_s = metrics_span_s(&priced->metrics);
    values[EFFECT_TTFT_MEAN] = critical_mean_s(critical, CRITICAL_TTFT);
    values[EFFECT_TTFT_P50] = critical_percentile_s(critical, CRITICAL_TTFT, 0.5);
    values[EFFECT_TTFT_P99] = critical_percentile_s(critical, CRITICAL_TTFT, 0.99);
    values[EFFECT_TPOT_P99] = critical_tpot_percentile_s(critical, 0.99);
    values[EFFECT_E2E_MEAN] = critical_mean_s(critical, CRITICAL_E2E);
    values[EFFECT_CARRIES] = span_s > 0 ? (double)priced->metrics.measured / span_s : 0;
    values[EFFECT_USD] = priced->cost.usd_per_million_tokens;
}

void knob_run(const struct reach *reach, const struct knob *knob, double change, struct critical *critical,
              struct verdict *verdict, struct effects *effects) {
    struct reach own = *reach;
    struct turned turned;
    struct critical mine;
    *effects = (struct effects){0};
    *verdict = (struct verdict){0};
    if (knob && turned_create(reach->variant, knob, change, &turned, &effects->error) != 0) {
        turned_free(&turned);
        effects->failed = true;
        return;
    }
    critical_create(&mine, (int64_t)(reach->variant->options.warmup_s * 1e9), NULL);
    own.variant = knob ? &turned.variant : reach->variant;
    own.base_records = &mine.sink;
    verdict_reach(&own, verdict);
    effects->failed = verdict->failed;
    effects->error = verdict->error;
    if (!verdict->failed)
        note(verdict, &mine, effects);
    if (knob)
        turned_free(&turned);
    if (critical)
        *critical = mine;
    else
        critical_destroy(&mine);
}
