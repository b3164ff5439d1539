/* One variant at one load: the simulation, and what follows from its sums. */
#include <math.h>

#include "sim/cli/scenario.h"
#include "sim/workload/trace.h"

enum { REGIMES_MAX = 64 };

static struct cluster_setup setup_of(const struct variant_run *run, struct workload *workload) {
    const struct variant *v = run->variant;
    const struct scenario_options *o = &v->options;
    const struct list *faults = run->other_faults ? run->faults : &o->faults;
    return (struct cluster_setup){.serve = &o->serving,
                                  .model = v->model,
                                  .arch = v->arch,
                                  .engine = v->engine,
                                  .connector = v->connector,
                                  .batch = (const struct batch_policy *)v->batch,
                                  .route = (const struct route_policy *)v->route,
                                  .decode_route = (const struct route_policy *)v->decode_route,
                                  .decode_route_options = v->decode_route_options,
                                  .reuse = (const struct reuse_policy *)v->reuse,
                                  .prefetch = (const struct prefetch_policy *)v->prefetch,
                                  .prefetch_options = v->prefetch_options,
                                  .batch_options = v->batch_options,
                                  .route_options = v->route_options,
                                  .reuse_options = v->reuse_options,
                                  .kv_dtype = (enum dtype)o->kv_dtype,
                                  .tp = o->tp,
                                  .node = &v->node,
                                  .tiers = &o->tiers,
                                  .spaces = spaces_active(&o->spaces, variant_tenants(v)) ? &o->spaces : NULL,
                                  .tenants = variant_tenants(v),
                                  .faults = faults && faults->count > 0 ? faults : NULL,
                                  .horizon_ns = (sim_time)(variant_horizon_s(v, run->load) * 1e9),
                                  .instances = v->instances,
                                  .instances_per_node = v->instances_per_node,
                                  .workload = workload,
                                  .seed = run->seed,
                                  .exact_steps = run->exact_steps,
                                  .audit = run->audit,
                                  .record_runs = o->output.runs || run->every_record,
                                  .record_transfers = o->output.transfers || run->every_record,
                                  .access_log = run->access_log,
                                  .stop_after_ns = o->stop_after_s > 0 ? (sim_time)(o->stop_after_s * 1e9) : SIM_NEVER,
                                  .progress = run->progress,
                                  .progress_self = run->progress_self};
}

struct faults_world variant_faults(const struct variant *v) {
    return (struct faults_world){.faults = &v->options.faults,
                                 .node = &v->node,
                                 .tiers = &v->options.tiers,
                                 .instances = v->instances,
                                 .instances_per_node = v->instances_per_node};
}

/* The metrics take down runs of steps; by the minute where traffic has regimes or kernels are chosen. */
static void by_minute(const struct variant_run *run, struct metrics *metrics, struct cluster_setup *setup) {
    const struct workload_options *w = &run->variant->workload;
    const struct list *regimes = &w->generate.arrivals.regimes;
    double durations_s[REGIMES_MAX];
    size_t count = w->generates && w->generate.arrivals.process == ARRIVALS_REGIMES ? regimes->count : 0;
    if (count > REGIMES_MAX)
        count = 0;
    for (size_t i = 0; i < count; i++)
        durations_s[i] = ((const struct arrival_regime *)regimes->items)[i].duration_s;
    minutes_destroy(metrics->minutes);
    metrics->minutes = minutes_create(durations_s, count, metrics->warmup_ns);
    metrics->by_minute = setup->record_runs || count > 0 || run->variant->kernel;
    metrics->keeps_runs = !setup->record_runs;
    setup->record_runs = true;
}

int variant_simulate(const struct variant_run *run, struct metrics *metrics, struct cluster_result *result,
                     struct error *err) {
    const struct scenario_options *o = &run->variant->options;
    struct workload *workload;
    if (workload_open(&run->variant->workload, run->load, run->seed, &workload, err) != 0)
        return -1;
    metrics_create(metrics, o->has_slo ? &o->slo : NULL, (int64_t)(o->warmup_s * 1e9), run->also);
    if (o->faults.count > 0 || o->spaces.rollouts.count > 0)
        metrics->recovery = recovery_create((int64_t)(o->spaces.window_s * 1e9));
    struct cluster_setup setup = setup_of(run, workload);
    by_minute(run, metrics, &setup);
    setup.sink = &metrics->sink;
    int failed = cluster_run(&setup, result, err);
    workload_close(workload);
    if (failed)
        metrics_destroy(metrics);
    else
        metrics_settle(metrics);
    return failed;
}

double result_simulated_s(const struct cluster_result *result) {
    return (double)(result->last_end_ns - result->first_arrival_ns) * 1e-9;
}

struct gpu_shares variant_gpu_shares(const struct variant *v, const struct metrics *metrics,
                                     const struct cluster_result *result) {
    double span_s = result_simulated_s(result), gpus = (double)v->instances * (double)v->options.tp;
    (void)metrics;
    if (span_s <= 0)
        return (struct gpu_shares){0};
    return (struct gpu_shares){.busy = result->busy_s / (span_s * v->instances),
                               .bandwidth =
                                   result->model_bytes / (span_s * gpus * v->gpu->hbm_bandwidth_bytes_per_s.value),
                               .flops = result->model_flops / (span_s * gpus * v->gpu->bf16_flops.value)};
}

const char *tier_device(const struct tier_options *tier) {
    return tier->device ? tier->device : tier->name;
}

bool variant_sees_future(const struct variant *v) {
    const struct tier_options *items = v->options.tiers.items;
    const struct policy *others[] = {v->batch, v->route, v->reuse, v->prefetch};
    unsigned needs = 0;
    for (size_t t = 0; t < v->options.tiers.count; t++)
        needs |= items[t].evict_policy->policy.needs & (NEEDS_CLAIRVOYANT | NEED_AGENT_GRAPH);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        needs |= others[i] ? others[i]->needs & NEEDS_CLAIRVOYANT : 0;
    return needs != 0;
}

double variant_tier_units(const struct variant *v, size_t tier) {
    const struct tier_options *items = v->options.tiers.items;
    switch (items[tier].scope) {
    case SCOPE_POD:
        return 1;
    case SCOPE_NODE:
        return (double)v->options.nodes;
    default:
        return (double)v->instances;
    }
}

/* Bytes written into all units of a tier. */
static double written_bytes(const struct metrics *metrics, size_t tier) {
    double bytes = 0;
    for (uint32_t i = 0; i < metrics->tier_count; i++)
        if (metrics->tiers[i].record.tier == tier)
            bytes += (double)metrics->tiers[i].record.written_bytes;
    return bytes;
}

int variant_cost(const struct variant *v, const struct metrics *metrics, const struct cluster_result *result,
                 struct cost *out, struct error *err) {
    const struct scenario_options *o = &v->options;
    struct cost_tier tiers[RECORD_TIERS_MAX];
    const struct tier_options *items = o->tiers.items;
    size_t count = o->tiers.count > 0 ? o->tiers.count - 1 : 0;
    double simulated_s = result_simulated_s(result), gpus = (double)(v->node.gpus * o->nodes);
    for (size_t t = 0; t < count; t++)
        tiers[t] = (struct cost_tier){
            .device = tier_device(&items[t + 1]),
            .capacity_bytes = items[t + 1].capacity_bytes * variant_tier_units(v, t + 1),
            .written_bytes_per_s =
                simulated_s > 0 ? written_bytes(metrics, t + 1) * tier_wear_factor(&items[t + 1]) / simulated_s : 0,
            .endurance_dwpd = items[t + 1].endurance_dwpd};
    double used = (double)v->instances * (double)o->tp / gpus; /* GPUs without an instance are paid for, and idle */
    struct cost_input input = {.gpu = v->gpu->name,
                               .gpu_usd_per_hour = &v->gpu->price_usd_per_hour,
                               .gpus = gpus,
                               .gpu_tdp_w = v->gpu->tdp_w.value,
                               .gpu_idle_w = v->gpu->idle_w.value,
                               .gpu_utilisation = variant_gpu_shares(v, metrics, result).busy * used,
                               .tiers = tiers,
                               .tier_count = count,
                               .duration_s = metrics_span_s(metrics),
                               .prompt_tokens = (double)metrics->prompt_tokens,
                               .output_tokens = (double)metrics->output_tokens};
    return cost_of_fleet(&v->prices, &input, out, err);
}

double variant_sessions(const struct variant *v, double load) {
    const struct workload_options *w = &v->workload;
    if (w->generates && w->generate.arrivals.process == ARRIVALS_POPULATION)
        return round((double)w->generate.arrivals.population * load);
    return !w->generates && w->closed_loop ? round((double)w->sessions * load) : 0;
}

double variant_horizon_s(const struct variant *v, double load) {
    const struct workload_options *w = &v->workload;
    double stop_s = v->options.stop_after_s, last_s;
    if (w->generates)
        last_s = w->generate.duration_s;
    else if (w->closed_loop)
        last_s = w->duration_s;
    else if (v->trace && v->trace->count > 0)
        last_s = ((w->duration_s > 0 ? w->duration_s
                                     : (double)v->trace->requests[v->trace->count - 1].at_ns * 1e-9 - w->start_s) +
                  (double)(w->repeat - 1) * w->stagger_s) /
                 (w->rate_scale * load);
    else
        last_s = 0;
    return stop_s > 0 && (last_s == 0 || stop_s < last_s) ? stop_s : last_s;
}
