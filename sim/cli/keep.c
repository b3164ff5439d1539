#include "sim/cli/keep.h"

#include <stdlib.h>

#include "version.h"

static void add_variant(struct keeper *keeper, const struct scenario *scenario, size_t i) {
    const struct variant *v = &scenario->variants[i];
    const struct scenario_options *o = &v->options;
    struct database_variant row = {.run = keeper->run,
                                   .name = v->name,
                                   .model = o->model,
                                   .gpu = v->gpu->name,
                                   .weight_dtype = dtype_names[o->weight_dtype],
                                   .kv_dtype = dtype_names[o->kv_dtype],
                                   .nodes = o->nodes,
                                   .tp = o->tp,
                                   .instances = v->instances,
                                   .config = v->resolved};
    keeper->variants[i] = database_variant(keeper->database, &row);
    for (size_t k = 0; k < v->input_count; k++)
        database_input(keeper->database, keeper->variants[i], v->inputs[k].role, v->inputs[k].path,
                       v->inputs[k].is_text);
    for (int at_slo = 0; at_slo < 2; at_slo++)
        database_stream(&keeper->streams[2 * i + (size_t)at_slo], keeper->database, keeper->variants[i],
                        at_slo ? "slo" : "load", o->output.requests == OUTPUT_ALL, o->output.runs, o->output.transfers);
}

int keeper_open(struct keeper *keeper, const char *path, const struct scenario *scenario, bool exact_steps,
                struct error *err) {
    *keeper = (struct keeper){0};
    if (database_open(path, &keeper->database, err) != 0)
        return -1;
    struct database_run run = {.scenario = scenario->options.name,
                               .path = scenario->path,
                               .semantics = "prefix",
                               .version = TIERSIM_VERSION,
                               .seed = scenario->options.seed,
                               .exact_steps = exact_steps};
    keeper->run = database_run(keeper->database, &run);
    keeper->variants = calloc(scenario->count, sizeof *keeper->variants);
    keeper->streams = calloc(2 * scenario->count, sizeof *keeper->streams);
    MUST(keeper->variants != NULL && keeper->streams != NULL);
    for (size_t i = 0; i < scenario->count; i++)
        add_variant(keeper, scenario, i);
    return 0;
}

struct sink *keeper_sink(struct keeper *keeper, const struct scenario *scenario, size_t variant, bool at_slo) {
    const struct output_options *output = &scenario->variants[variant].options.output;
    bool wanted = output->requests == OUTPUT_ALL || output->runs || output->transfers;
    return keeper->database && wanted ? &keeper->streams[2 * variant + at_slo].sink : NULL;
}

void keeper_abandon(struct keeper *keeper) {
    database_abandon(keeper->database);
    free(keeper->variants);
    free(keeper->streams);
    *keeper = (struct keeper){0};
}

static void add_outcome(struct keeper *keeper, const struct variant *v, int64_t variant, const struct verdict *verdict,
                        const struct outcome *o, const char *at) {
    const struct tier_options *tiers = v->options.tiers.items;
    const char *names[RECORD_TIERS_MAX];
    char binds[METRICS_NAME_MAX];
    for (size_t t = 0; t < v->options.tiers.count; t++)
        names[t] = tiers[t].name;
    struct database_outcome row = {.variant = variant,
                                   .at = at,
                                   .load = o->load,
                                   .holds_slo = o->holds,
                                   .metrics = &o->metrics,
                                   .tier_names = names,
                                   .tier_count = (uint32_t)v->options.tiers.count,
                                   .arrived = o->result.arrived,
                                   .events = o->result.events,
                                   .order_hash = o->result.order_hash,
                                   .simulated_s = result_simulated_s(&o->result),
                                   .binds = verdict_binds(v, verdict, o, binds, sizeof binds),
                                   .usd_per_hour = o->cost.usd_per_hour,
                                   .usd_per_million_tokens = o->cost.usd_per_million_tokens,
                                   .usd_per_million_output_tokens = o->cost.usd_per_million_output_tokens,
                                   .watts = o->cost.watts,
                                   .joules_per_output_token = o->cost.joules_per_output_token};
    database_outcome(keeper->database, &row);
}

int keeper_commit(struct keeper *keeper, const struct scenario *scenario, const struct verdict *verdicts,
                  struct error *err) {
    for (size_t i = 0; i < scenario->count; i++) {
        const struct verdict *verdict = &verdicts[i];
        const struct variant *v = &scenario->variants[i];
        if (verdict->failed) {
            database_failed(keeper->database, keeper->variants[i], verdict->error.text);
        } else {
            add_outcome(keeper, v, keeper->variants[i], verdict, verdict->base, "load");
            if (verdict->best)
                add_outcome(keeper, v, keeper->variants[i], verdict, verdict->best, "slo");
        }
        database_wall(keeper->database, keeper->variants[i], verdict->wall_s);
    }
    int failed = database_commit(keeper->database, err);
    free(keeper->variants);
    free(keeper->streams);
    *keeper = (struct keeper){0};
    return failed;
}
