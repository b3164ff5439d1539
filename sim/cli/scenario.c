#include "sim/cli/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/catalogue.h"
#include "sim/cli/policy.h"
#include "sim/cli/workload.h"
#include "sim/config/read.h"
#include "sim/workload/trace.h"

static const char *const output_names[] = {"none", "all", NULL};
static const struct option output_table[] = {
    {.name = "requests", .kind = OPTION_CHOICE, .offset = offsetof(struct output_options, requests), .fallback = "all", .choices = output_names, .help = "rows of single requests in the database"},
    {.name = "runs", .kind = OPTION_BOOL, .offset = offsetof(struct output_options, runs), .fallback = "no", .help = "rows of single runs of steps"},
    {.name = "transfers", .kind = OPTION_BOOL, .offset = offsetof(struct output_options, transfers), .fallback = "no", .help = "rows of single transfers"},
    OPTION_END};

#define S(member) offsetof(struct scenario_options, member)
const struct option scenario_options_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = S(name), .help = "short name of the what-if"},
    {.name = "title", .kind = OPTION_TEXT, .offset = S(title), .fallback = "", .help = "the question it asks, one line"},
    {.name = "description", .kind = OPTION_TEXT, .offset = S(description), .fallback = "", .help = "for people"},
    {.name = "seed", .kind = OPTION_INT, .offset = S(seed), .fallback = "1", .min = 0, .max = 9e15, .help = "of everything random"},
    {.name = "model", .kind = OPTION_TEXT, .offset = S(model), .place_follows = true, .help = "a name of configs/models, or a file (a Hugging Face config.json too)"},
    {.name = "weight_dtype", .kind = OPTION_CHOICE, .offset = S(weight_dtype), .fallback = "bf16", .choices = dtype_names, .help = "of the weights"},
    {.name = "kv_dtype", .kind = OPTION_CHOICE, .offset = S(kv_dtype), .fallback = "bf16", .choices = dtype_names, .help = "of the KV cache in HBM"},
    {.name = "gpu", .kind = OPTION_TEXT, .offset = S(gpu), .fallback = "", .place_follows = true, .help = "a name of configs/hardware; default: the node's"},
    {.name = "node", .kind = OPTION_TEXT, .offset = S(node), .place_follows = true, .help = "a name of configs/nodes: its GPUs, links and paths"},
    {.name = "nodes", .kind = OPTION_INT, .offset = S(nodes), .fallback = "1", .min = 1, .max = 100000, .help = "nodes in the fleet"},
    {.name = "tp", .kind = OPTION_INT, .offset = S(tp), .fallback = "1", .min = 1, .max = 64, .help = "GPUs of an instance (tensor parallelism)"},
    {.name = "instances", .kind = OPTION_INT, .offset = S(instances), .fallback = "0", .min = 0, .max = 65535, .help = "engine instances; 0: as many as the nodes' GPUs allow"},
    {.name = "engine", .kind = OPTION_TEXT, .offset = S(engine), .fallback = "vllm", .place_follows = true, .help = "a name of configs/engines: host work of the serving engine; none: no host work"},
    {.name = "connector", .kind = OPTION_TEXT, .offset = S(connector), .fallback = "", .place_follows = true, .help = "a name of configs/connectors: software cost of moving KV"},
    {.name = "prices", .kind = OPTION_TEXT, .offset = S(prices), .fallback = "2026-11", .place_follows = true, .help = "a name of configs/prices"},
    {.name = "load", .kind = OPTION_REAL, .offset = S(load), .fallback = "1", .min = 1e-4, .max = 1e4, .help = "multiplies the workload: its rate, or its sessions"},
    {.name = "warmup", .kind = OPTION_REAL, .offset = S(warmup_s), .unit = UNIT_SECONDS, .fallback = "0", .min = 0, .max = 1e9, .help = "requests that arrive earlier are served, but not measured"},
    {.name = "stop_after", .kind = OPTION_REAL, .offset = S(stop_after_s), .unit = UNIT_SECONDS, .fallback = "0", .min = 0, .max = 1e10, .help = "no request that arrives later is taken; 0: all"},
    {.name = "serving", .kind = OPTION_STRUCT, .offset = S(serving), .fallback = "", .table = serve_options_table, .help = "the engine's settings"},
    {.name = "tiers", .kind = OPTION_LIST, .offset = S(tiers), .fallback = "[{name: hbm}]", .table = tier_options_table, .item_size = sizeof(struct tier_options), .help = "where KV blocks may live, the fastest first"},
    {.name = "workload", .kind = OPTION_NODE, .offset = S(workload), .help = "a name of configs/workloads, or a mapping: a trace or a generator"},
    {.name = "slo", .kind = OPTION_NODE, .offset = S(slo_node), .fallback = "", .help = "limits; with them $/Mtok and J/token are at the highest load that keeps them"},
    {.name = "output", .kind = OPTION_STRUCT, .offset = S(output), .fallback = "", .table = output_table, .help = "what is kept beside sums"},
    {.name = "variants", .kind = OPTION_NODE, .offset = S(variants), .fallback = "", .help = "list of {name: ..., keys that replace the scenario's}"},
    {.name = "plan", .kind = OPTION_NODE, .offset = S(plan), .fallback = "", .help = "axes of `tiersim plan`"},
    OPTION_END};

/* The trace of a workload, read once for all variants that use it. */
static int share_trace(struct scenario *scenario, struct workload_options *workload, struct trace **out, struct error *err) {
    *out = NULL;
    if (workload->generates || !workload->trace_name) return 0;
    const char *path = trace_find(workload->trace_name, workload->trace_at, scenario->arena, err);
    if (!path) return -1;
    for (size_t i = 0; i < scenario->trace_count && !*out; i++)
        if (strcmp(scenario->traces[i]->path, path) == 0) *out = scenario->traces[i];
    if (!*out) {
        if (trace_load(path, workload->format, workload->dedupe, out, err) != 0) return -1;
        MUST(scenario->trace_count < sizeof scenario->traces / sizeof *scenario->traces);
        scenario->traces[scenario->trace_count++] = *out;
    }
    workload->trace = *out;
    return 0;
}

static int load_catalogued(const char *folder, const char *name, struct place at, const struct option *table, void *out, struct arena *arena, struct error *err) {
    const char *path;
    struct node *node;
    if (catalogue_find(folder, name, at, arena, &path, err) != 0) return -1;
    if (node_read_file(path, arena, &node, err) != 0) return -1;
    return options_read(node, table, out, arena, err);
}

static int load_hardware(struct variant *v, struct arena *arena, struct error *err) {
    struct scenario_options *o = &v->options;
    if (load_arch(o->model, o->model_at, arena, &v->arch, err) != 0) return -1;
    if (load_catalogued("nodes", o->node, o->node_at, node_options_table, &v->node, arena, err) != 0) return -1;
    const char *gpu = o->gpu ? o->gpu : v->node.gpu;
    if (load_gpu(gpu, o->gpu ? o->gpu_at : o->node_at, arena, &v->gpu, err) != 0) return -1;
    if (load_kernel_profile(v->gpu, o->gpu_at, arena, &v->kernels, err) != 0) return -1;
    bool host = o->engine && strcmp(o->engine, "none") != 0;
    if (host && load_engine_profile(o->engine, o->engine_at, arena, &v->engine, err) != 0) return -1;
    if (o->connector && load_connector_profile(o->connector, o->connector_at, arena, &v->connector, err) != 0) return -1;
    if (load_catalogued("prices", o->prices, o->prices_at, prices_options, &v->prices, arena, err) != 0) return -1;
    int64_t gpus = v->node.gpus * o->nodes;
    if (o->tp > v->node.gpus)
        return error_at(err, o->node_at, "tp is %lld, and node '%s' has %lld GPUs\n  hint: an instance lies within a node: a smaller tp, or another node", (long long)o->tp, o->node, (long long)v->node.gpus);
    v->instances_per_node = (uint32_t)(v->node.gpus / o->tp);
    int64_t most = v->instances_per_node * o->nodes, instances = o->instances ? o->instances : most;
    if (instances > most)
        return error_at(err, o->node_at, "%lld instances of tp %lld need more than the %lld GPUs of %lld node%s\n  hint: nodes: %lld", (long long)instances, (long long)o->tp, (long long)gpus,
                        (long long)o->nodes, o->nodes == 1 ? "" : "s", (long long)((instances + v->instances_per_node - 1) / v->instances_per_node));
    v->instances = (uint32_t)instances;
    return 0;
}

static int load_policies(struct variant *v, struct arena *arena, struct error *err) {
    struct scenario_options *o = &v->options;
    if (policy_resolve(POLICY_BATCH, o->serving.batch, "chunked", arena, &v->batch, &v->batch_options, err) != 0) return -1;
    if (policy_resolve(POLICY_ROUTE, o->serving.route, "prefix-aware", arena, &v->route, &v->route_options, err) != 0) return -1;
    if (policy_resolve(POLICY_REUSE, o->serving.reuse, "fetch", arena, &v->reuse, &v->reuse_options, err) != 0) return -1;
    struct tier_options *tiers = o->tiers.items;
    for (size_t t = 0; t < o->tiers.count; t++) {
        const struct policy *policy;
        if (policy_resolve(POLICY_EVICT, tiers[t].evict, "lru", arena, &policy, &tiers[t].evict_options, err) != 0) return -1;
        tiers[t].evict_policy = (const struct evict_policy *)policy;
    }
    return 0;
}

static int load_model(struct variant *v, struct error *err) {
    const struct scenario_options *o = &v->options;
    struct step_model_options options = {.arch = v->arch, .gpu = v->gpu, .profile = v->kernels, .engine = v->engine, .tp = o->tp, .weight_dtype = (enum dtype)o->weight_dtype,
                                         .kv_dtype = (enum dtype)o->kv_dtype, .max_step_tokens = o->serving.token_budget + o->serving.max_sequences,
                                         .page_tokens = o->serving.block_tokens};
    struct error why = {0};
    if (step_model_create(&options, &v->model, &why) != 0) return error_at(err, o->model_at, "%s", why.text);
    return 0;
}

static int load_variant(struct scenario *scenario, const struct node *node, struct variant *v, struct error *err) {
    struct arena *arena = scenario->arena;
    struct scenario_options *o = &v->options;
    v->resolved = node_print(node, arena);
    if (options_read(node, scenario_options_table, o, arena, err) != 0) return -1;
    if (o->slo_node && options_read(o->slo_node, slo_options_table, &o->slo, arena, err) != 0) return -1;
    o->has_slo = o->slo_node != NULL;
    if (load_hardware(v, arena, err) != 0 || load_policies(v, arena, err) != 0) return -1;
    if (topology_check(&v->node, &o->tiers, err) != 0) return -1;
    if (load_workload(o->workload, arena, &v->workload, err) != 0) return -1;
    if (share_trace(scenario, &v->workload, &v->trace, err) != 0) return -1;
    return load_model(v, err);
}

/* The scenario with one variant's keys laid over it. */
static struct node *variant_tree(const struct node *root, const struct node *over, struct arena *arena) {
    struct node *base = node_without(root, "variants", arena);
    return over ? node_merge(base, node_without(over, "name", arena), arena) : base;
}

static int load_variants(struct scenario *scenario, const struct node *root, struct error *err) {
    struct arena *arena = scenario->arena;
    const struct node *list = node_get(root, "variants");
    if (list && list->kind != NODE_SEQUENCE) return error_at(err, list->at, "'variants' must be a list\n  hint: variants: [{name: dram, tiers: [...]}]");
    scenario->count = list && list->count > 0 ? list->count : 1;
    scenario->variants = arena_alloc(arena, scenario->count * sizeof *scenario->variants);
    for (size_t i = 0; i < scenario->count; i++) {
        const struct node *over = list && list->count > 0 ? list->items[i] : NULL;
        struct variant *v = &scenario->variants[i];
        const struct node *name = node_get(over, "name");
        if (over && (!name || name->kind != NODE_SCALAR)) return error_at(err, over->at, "a variant has no name\n  hint: {name: dram, ...}");
        v->name = name ? name->text : scenario->options.name;
        if (load_variant(scenario, variant_tree(root, over, arena), v, err) != 0) return -1;
    }
    return 0;
}

int scenario_load(const char *path, const char *const *sets, size_t set_count, const int64_t *seed, struct scenario *out, struct error *err) {
    *out = (struct scenario){.arena = arena_create(), .path = path};
    struct node *root;
    int failed = node_read_file(path, out->arena, &root, err);
    for (size_t i = 0; i < set_count && !failed; i++) failed = node_set(root, sets[i], out->arena, err);
    if (!failed && seed) {
        char text[64];
        snprintf(text, sizeof text, "seed=%lld", (long long)*seed);
        failed = node_set(root, arena_strdup(out->arena, text), out->arena, err);
    }
    if (!failed) failed = options_read(variant_tree(root, NULL, out->arena), scenario_options_table, &out->options, out->arena, err);
    if (!failed) failed = load_variants(out, root, err);
    if (failed) scenario_free(out);
    return failed;
}

void scenario_free(struct scenario *scenario) {
    for (size_t i = 0; i < scenario->count && scenario->variants; i++) step_model_destroy(scenario->variants[i].model);
    for (size_t i = 0; i < scenario->trace_count; i++) trace_free(scenario->traces[i]);
    arena_destroy(scenario->arena);
    *scenario = (struct scenario){0};
}

int variant_simulate(const struct variant_run *run, struct metrics *metrics, struct cluster_result *result, struct error *err) {
    const struct variant *v = run->variant;
    const struct scenario_options *o = &v->options;
    struct workload *workload;
    if (workload_open(&v->workload, run->load, run->seed, &workload, err) != 0) return -1;
    metrics_create(metrics, o->has_slo ? &o->slo : NULL, (int64_t)(o->warmup_s * 1e9), run->also);
    struct cluster_setup setup = {
        .serve = &o->serving, .model = v->model, .arch = v->arch, .engine = v->engine, .connector = v->connector,
        .batch = (const struct batch_policy *)v->batch, .route = (const struct route_policy *)v->route, .reuse = (const struct reuse_policy *)v->reuse,
        .batch_options = v->batch_options, .route_options = v->route_options, .reuse_options = v->reuse_options,
        .kv_dtype = (enum dtype)o->kv_dtype, .tp = o->tp, .node = &v->node, .tiers = &o->tiers, .instances = v->instances,
        .instances_per_node = v->instances_per_node, .workload = workload, .seed = run->seed, .exact_steps = run->exact_steps,
        .audit = run->audit, .record_runs = o->output.runs, .record_transfers = o->output.transfers,
        .stop_after_ns = o->stop_after_s > 0 ? (sim_time)(o->stop_after_s * 1e9) : SIM_NEVER, .sink = &metrics->sink,
        .progress = run->progress, .progress_self = run->progress_self};
    int failed = cluster_run(&setup, result, err);
    workload_close(workload);
    if (failed) metrics_destroy(metrics);
    return failed;
}

struct gpu_shares variant_gpu_shares(const struct variant *v, const struct metrics *metrics, const struct cluster_result *result) {
    double span_s = (double)(result->last_end_ns - result->first_arrival_ns) * 1e-9, gpus = (double)v->instances * (double)v->options.tp;
    (void)metrics;
    if (span_s <= 0) return (struct gpu_shares){0};
    return (struct gpu_shares){.busy = result->busy_s / (span_s * v->instances),
                               .bandwidth = result->model_bytes / (span_s * gpus * v->gpu->hbm_bandwidth_bytes_per_s.value),
                               .flops = result->model_flops / (span_s * gpus * v->gpu->bf16_flops.value)};
}

int variant_cost(const struct variant *v, const struct metrics *metrics, const struct cluster_result *result, struct cost *out, struct error *err) {
    const struct scenario_options *o = &v->options;
    struct cost_tier tiers[RECORD_TIERS_MAX];
    const struct tier_options *items = o->tiers.items;
    size_t count = 0;
    for (size_t t = 1; t < o->tiers.count; t++) {
        double units = items[t].scope == SCOPE_POD ? 1 : items[t].scope == SCOPE_NODE ? (double)o->nodes : (double)v->instances;
        tiers[count++] = (struct cost_tier){items[t].device ? items[t].device : items[t].name, items[t].capacity_bytes * units};
    }
    struct cost_input input = {.gpu = v->gpu->name, .gpus = (double)(v->node.gpus * o->nodes), .gpu_tdp_w = v->gpu->tdp_w.value, .gpu_idle_w = v->gpu->idle_w.value,
                               .gpu_utilisation = variant_gpu_shares(v, metrics, result).busy, .tiers = tiers, .tier_count = count,
                               .duration_s = metrics_span_s(metrics), .prompt_tokens = (double)metrics->prompt_tokens, .output_tokens = (double)metrics->output_tokens};
    return cost_of_fleet(&v->prices, &input, out, err);
}
