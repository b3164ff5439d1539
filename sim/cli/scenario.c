#include "sim/cli/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/catalogue.h"
#include "sim/cli/policy.h"
#include "sim/cli/workload.h"
#include "sim/config/read.h"
#include "sim/memory/handover.h"
#include "sim/workload/trace.h"

/* The trace of a workload, read once for all variants that use it. */
static int share_trace(struct scenario *scenario, struct workload_options *workload, struct trace **out,
                       struct error *err) {
    *out = NULL;
    if (workload->generates || !workload->trace_name)
        return 0;
    const char *path = trace_find(workload->trace_name, workload->trace_at, scenario->arena, err);
    if (!path)
        return -1;
    const char *format = workload->format ? workload->format : "";
    for (size_t i = 0; i < scenario->trace_count && !*out; i++) {
        const struct shared_trace *have = &scenario->traces[i];
        if (strcmp(have->path, path) == 0 && strcmp(have->format, format) == 0 && have->dedupe == workload->dedupe)
            *out = have->trace;
    }
    if (!*out) {
        if (trace_load(path, workload->format, workload->dedupe, out, err) != 0)
            return -1;
        scenario->traces[scenario->trace_count++] = (struct shared_trace){path, format, workload->dedupe, *out};
    }
    workload->trace = *out;
    return 0;
}

static void add_input(struct variant *v, const char *role, const char *path, bool is_text) {
    MUST(v->input_count < VARIANT_INPUTS_MAX);
    v->inputs[v->input_count++] = (struct variant_input){role, path, is_text};
}

/* Notes the file behind a catalogue's name; that it is there has been seen by whoever has read it. */
static void note_input(struct variant *v, const char *role, const char *folder, const char *name, struct arena *arena) {
    const char *path;
    struct error ignored;
    if (catalogue_find(folder, name, (struct place){0}, arena, &path, &ignored) == 0)
        add_input(v, role, path, true);
}

static int load_catalogued(const char *folder, const char *name, struct place at, const struct option *table, void *out,
                           struct arena *arena, struct error *err) {
    const char *path;
    struct node *node;
    if (catalogue_find(folder, name, at, arena, &path, err) != 0)
        return -1;
    if (node_read_file(path, arena, &node, err) != 0)
        return -1;
    return options_read(node, table, out, arena, err);
}

static int load_software(struct variant *v, struct arena *arena, struct error *err) {
    struct scenario_options *o = &v->options;
    if (o->engine && strcmp(o->engine, "none") != 0) {
        if (load_engine_profile(o->engine, o->engine_at, arena, &v->engine, err) != 0)
            return -1;
        note_input(v, "engine", "engines", o->engine, arena);
    }
    if (!o->connector)
        return 0;
    if (load_connector_profile(o->connector, o->connector_at, arena, &v->connector, err) != 0)
        return -1;
    note_input(v, "connector", "connectors", o->connector, arena);
    return 0;
}

static int load_hardware(struct variant *v, struct arena *arena, struct error *err) {
    struct scenario_options *o = &v->options;
    if (load_arch(o->model, o->model_at, arena, &v->arch, err) != 0)
        return -1;
    note_input(v, "model", "models", o->model, arena);
    if (load_catalogued("nodes", o->node, o->node_at, node_options_table, &v->node, arena, err) != 0)
        return -1;
    note_input(v, "node", "nodes", o->node, arena);
    const char *gpu = v->node.gpu;
    if (o->gpu ? load_gpu_changed(o->gpu, arena, &v->gpu, &gpu, err) != 0
               : load_gpu(gpu, o->node_at, arena, &v->gpu, err) != 0)
        return -1;
    note_input(v, "gpu", "hardware", gpu, arena);
    if (load_kernel_profile(v->gpu, o->gpu_at, arena, &v->kernels, err) != 0)
        return -1;
    note_input(v, "kernels", "profiles", v->kernels->name, arena);
    if (load_catalogued("prices", o->prices, o->prices_at, prices_options, &v->prices, arena, err) != 0)
        return -1;
    note_input(v, "prices", "prices", o->prices, arena);
    return load_software(v, arena, err);
}

/* How many instances there are, and where. */
static int place_instances(struct variant *v, struct error *err) {
    struct scenario_options *o = &v->options;
    if (o->tp > v->node.gpus)
        return error_at(err, o->node_at,
                        "tp is %lld, and node '%s' has %lld GPUs\n"
                        "  hint: an instance lies within a node: a smaller tp, or another node",
                        (long long)o->tp, o->node, (long long)v->node.gpus);
    v->instances_per_node = (uint32_t)(v->node.gpus / o->tp);
    int64_t most = v->instances_per_node * o->nodes, instances = o->instances ? o->instances : most;
    if (instances > UINT16_MAX)
        return error_at(err, o->node_at, "%lld instances are more than %d\n  hint: fewer nodes, or instances: N",
                        (long long)instances, UINT16_MAX);
    if (instances > most)
        return error_at(err, o->node_at,
                        "%lld instances of tp %lld need more than the %lld GPUs of %lld node%s\n  hint: nodes: %lld",
                        (long long)instances, (long long)o->tp, (long long)(v->node.gpus * o->nodes),
                        (long long)o->nodes, o->nodes == 1 ? "" : "s",
                        (long long)((instances + v->instances_per_node - 1) / v->instances_per_node));
    v->instances = (uint32_t)instances;
    return 0;
}

static int load_policies(struct variant *v, struct arena *arena, struct error *err) {
    struct scenario_options *o = &v->options;
    if (policy_resolve(POLICY_BATCH, o->serving.batch, "chunked", arena, &v->batch, &v->batch_options, err) != 0)
        return -1;
    if (kernel_policy_load(v, arena, err) != 0)
        return -1;
    if (policy_resolve(POLICY_ROUTE, o->serving.route, "prefix-aware", arena, &v->route, &v->route_options, err) != 0)
        return -1;
    if (policy_resolve(POLICY_ROUTE, o->serving.decode_route, "least-loaded", arena, &v->decode_route,
                       &v->decode_route_options, err) != 0)
        return -1;
    if (policy_resolve(POLICY_REUSE, o->serving.reuse, "fetch", arena, &v->reuse, &v->reuse_options, err) != 0)
        return -1;
    if (policy_resolve(POLICY_PREFETCH, o->serving.prefetch, "none", arena, &v->prefetch, &v->prefetch_options, err) !=
        0)
        return -1;
    if (!o->serving.prefetch)
        v->prefetch = NULL; /* nobody is asked */
    struct tier_options *tiers = o->tiers.items;
    for (size_t t = 0; t < o->tiers.count; t++) {
        const struct policy *policy;
        if (policy_resolve(POLICY_EVICT, tiers[t].evict, "lru", arena, &policy, &tiers[t].evict_options, err) != 0)
            return -1;
        tiers[t].evict_policy = (const struct evict_policy *)policy;
        tiers[t].format_ratio = tier_format_ratio(&tiers[t], dtype_bytes((enum dtype)o->kv_dtype));
        if (!tiers[t].admit)
            continue;
        if (policy_resolve(POLICY_ADMIT, tiers[t].admit, "always", arena, &policy, &tiers[t].admit_options, err) != 0)
            return -1;
        tiers[t].admit_policy = (const struct admit_policy *)policy;
    }
    return 0;
}

/* Everything that has to be paid has a price: asked before anything is simulated, with drives that wear out. */
static int check_prices(const struct variant *v, struct error *err) {
    const struct scenario_options *o = &v->options;
    const struct tier_options *tiers = o->tiers.items;
    for (size_t t = 1; t < o->tiers.count; t++) {
        struct cost_tier tier = {.device = tier_device(&tiers[t]),
                                 .capacity_bytes = tiers[t].capacity_bytes * variant_tier_units(v, t),
                                 .written_bytes_per_s = tiers[t].capacity_bytes * tiers[t].endurance_dwpd,
                                 .endurance_dwpd = tiers[t].endurance_dwpd};
        struct cost_input input = {.gpu = v->gpu->name,
                                   .gpu_usd_per_hour = &v->gpu->price_usd_per_hour,
                                   .gpus = (double)(v->node.gpus * o->nodes),
                                   .tiers = &tier,
                                   .tier_count = 1};
        struct cost ignored;
        struct error why = {0};
        if (cost_of_fleet(&v->prices, &input, &ignored, &why) != 0)
            return error_at(err, tiers[t].at, "%s", why.text);
    }
    return 0;
}

int variant_model(const struct variant *v, const struct draw *draw, struct step_model **out, struct error *err) {
    const struct scenario_options *o = &v->options;
    struct step_model_options options = {.arch = v->arch,
                                         .gpu = v->gpu,
                                         .profile = v->kernels,
                                         .engine = v->engine,
                                         .tp = o->tp,
                                         .weight_dtype = (enum dtype)o->weight_dtype,
                                         .kv_dtype = (enum dtype)o->kv_dtype,
                                         .max_step_tokens = o->serving.token_budget + o->serving.max_sequences,
                                         .page_tokens = o->serving.block_tokens,
                                         .kernels = variant_kernels(v),
                                         .draw = draw};
    return step_model_create(&options, out, err);
}

/* A model that does not fit is no slip of the pen: the variant fails, the others run. */
static void load_model(struct variant *v) {
    struct error why = {0};
    v->failed = variant_model(v, NULL, &v->model, &why) != 0;
    if (v->failed)
        error_at(&v->error, v->options.model_at, "%s", why.text);
}

/* {key: value} */
static struct node *make_mapping(const char *key, struct place at, struct node *value, struct arena *arena) {
    struct node *mapping = arena_alloc(arena, sizeof *mapping);
    *mapping = (struct node){.kind = NODE_MAPPING, .at = at, .count = 1};
    mapping->items = arena_alloc(arena, sizeof *mapping->items);
    mapping->keys = arena_alloc(arena, sizeof *mapping->keys);
    mapping->key_at = arena_alloc(arena, sizeof *mapping->key_at);
    mapping->items[0] = value;
    mapping->keys[0] = key;
    mapping->key_at[0] = at;
    return mapping;
}

struct faults_section {
    struct list faults;
};
static const struct option faults_section_table[] = {{.name = "faults",
                                                      .kind = OPTION_LIST,
                                                      .offset = offsetof(struct faults_section, faults),
                                                      .table = fault_options_table,
                                                      .item_size = sizeof(struct fault_options),
                                                      .fallback = "",
                                                      .help = "what breaks"},
                                                     OPTION_END};

static int load_faults(struct variant *v, struct arena *arena, struct error *err) {
    struct scenario_options *o = &v->options;
    struct faults_section section;
    struct node *list = arena_alloc(arena, sizeof *list);
    *list = *o->faults_node;
    if (options_read(make_mapping("faults", list->at, list, arena), faults_section_table, &section, arena, err) != 0)
        return -1;
    o->faults = section.faults;
    struct faults_world world = variant_faults(v);
    struct fault_options *faults = o->faults.items;
    for (size_t i = 0; i < o->faults.count; i++) {
        if (!faults[i].of)
            faults[i].at = o->faults_node->items[i]->at;
        if (faults[i].mtbf_s > 0 && variant_horizon_s(v, o->load) <= 0)
            return error_at(err, faults[i].at,
                            "random faults, and nobody knows how long the run is\n  hint: stop_after: 1 h");
    }
    return faults_check(&world, o->faults_node->at, err);
}

/* Tenants that the workload names. */
int64_t variant_tenants(const struct variant *v) {
    int64_t most = v->workload.generates ? v->workload.generate.tenants : 1;
    for (uint32_t i = 0; v->trace && i < v->trace->count; i++)
        if (v->trace->requests[i].tenant >= most)
            most = (int64_t)v->trace->requests[i].tenant + 1;
    return most;
}

/* Some instances compute prompts, the others decode them. */
static int check_roles(const struct variant *v, struct error *err) {
    const struct scenario_options *o = &v->options;
    if (o->serving.prefill_instances == 0)
        return 0;
    if (o->serving.prefill_instances >= v->instances)
        return error_at(err, o->node_at,
                        "prefill_instances is %lld of %u instances, and nobody is left to decode\n"
                        "  hint: a smaller prefill_instances, or more instances",
                        (long long)o->serving.prefill_instances, v->instances);
    if (o->faults_node || o->spaces.rollouts.count > 0)
        return error_at(err, o->faults_node ? o->faults_node->at : o->namespaces->at,
                        "instances that restart, with prefill_instances: not built\n  hint: leave one of the two out");
    struct place at = o->serving.handover_path_at.file ? o->serving.handover_path_at : o->node_at;
    return handover_check(&v->node, o->serving.handover_path, at, err);
}

static int load_variant(struct scenario *scenario, const struct node *node, struct variant *v, struct error *err) {
    struct arena *arena = scenario->arena;
    struct scenario_options *o = &v->options;
    v->resolved = node_print(node, arena);
    add_input(v, "scenario", scenario->path, true);
    if (options_read(node, scenario_options_table, o, arena, err) != 0)
        return -1;
    o->has_slo = o->slo_node != NULL;
    if (o->has_slo && options_read(o->slo_node, slo_options_table, &o->slo, arena, err) != 0)
        return -1;
    if (options_read(o->namespaces, spaces_options_table, &o->spaces, arena, err) != 0)
        return -1;
    if (load_hardware(v, arena, err) != 0 || place_instances(v, err) != 0 || load_policies(v, arena, err) != 0)
        return -1;
    if (topology_check(&v->node, &o->tiers, err) != 0 || check_roles(v, err) != 0 || check_prices(v, err) != 0)
        return -1;
    if (load_workload(o->workload, arena, &v->workload, err) != 0)
        return -1;
    const struct node *base = node_get(o->workload, "base");
    if (base)
        note_input(v, "workload", "workloads", base->text, arena);
    if (share_trace(scenario, &v->workload, &v->trace, err) != 0)
        return -1;
    if (v->trace)
        add_input(v, "trace", v->trace->path, false);
    int64_t tenants = variant_tenants(v);
    struct place at = o->namespaces ? o->namespaces->at : o->workload->at;
    if (spaces_active(&o->spaces, tenants) && spaces_check(&o->spaces, &o->tiers, tenants, at, err) != 0)
        return -1;
    if (o->faults_node && load_faults(v, arena, err) != 0)
        return -1;
    load_model(v);
    return 0;
}

/* A workload that is named by one word, as the mapping that it stands for: then --set and variants can change parts. */
static struct node *spell_out_workload(const struct node *root, struct arena *arena) {
    const struct node *workload = node_get(root, "workload");
    struct node *name = arena_alloc(arena, sizeof *name), *copy = arena_alloc(arena, sizeof *copy);
    *copy = *root;
    if (!workload || workload->kind != NODE_SCALAR)
        return copy;
    *name = *workload;
    struct node *named = make_mapping("base", workload->at, name, arena);
    return node_merge(root, make_mapping("workload", workload->at, named, arena), arena);
}

/* The scenario with one variant's keys laid over it. A workload that is named takes the place of the scenario's. */
static struct node *variant_tree(const struct node *root, const struct node *over, struct arena *arena) {
    struct node *tree = node_without(root, "variants", arena);
    if (!over)
        return tree;
    const struct node *workload = node_get(over, "workload");
    if (workload && workload->kind == NODE_SCALAR)
        tree = node_without(tree, "workload", arena);
    return node_merge(tree, spell_out_workload(node_without(over, "name", arena), arena), arena);
}

static int load_variants(struct scenario *scenario, const struct node *root, struct error *err) {
    struct arena *arena = scenario->arena;
    const struct node *list = node_get(root, "variants");
    if (list && list->kind != NODE_SEQUENCE)
        return error_at(err, list->at, "'variants' must be a list\n  hint: variants: [{name: dram, tiers: [...]}]");
    scenario->count = list && list->count > 0 ? list->count : 1;
    scenario->variants = arena_alloc(arena, scenario->count * sizeof *scenario->variants);
    scenario->traces = arena_alloc(arena, scenario->count * sizeof *scenario->traces);
    for (size_t i = 0; i < scenario->count; i++) {
        const struct node *over = list && list->count > 0 ? list->items[i] : NULL;
        struct variant *v = &scenario->variants[i];
        const struct node *name = over ? node_get(over, "name") : NULL;
        if (over && (!name || name->kind != NODE_SCALAR))
            return error_at(err, over->at, "a variant has no name\n  hint: {name: dram, ...}");
        v->name = name ? name->text : scenario->options.name;
        for (size_t before = 0; name && before < i; before++)
            if (strcmp(scenario->variants[before].name, v->name) == 0)
                return error_at(err, name->at, "two variants are called '%s'\n  hint: rename one of them", v->name);
        if (load_variant(scenario, variant_tree(root, over, arena), v, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < scenario->count; i++)
        if (!scenario->variants[i].failed)
            return 0;
    *err = scenario->variants[0].error;
    return -1;
}

/* A scenario is a file; a word that is none names an entry of configs/scenarios. */
static int find_scenario(const char *given, struct arena *arena, const char **path, struct error *err) {
    *path = given;
    if (strchr(given, '/') || strstr(given, ".yaml") || access(given, F_OK) == 0)
        return 0;
    return catalogue_find("scenarios", given, (struct place){0}, arena, path, err);
}

int scenario_load(const char *path, const char *const *sets, size_t set_count, const int64_t *seed,
                  struct scenario *out, struct error *err) {
    *out = (struct scenario){.arena = arena_create(), .path = path};
    struct node *root = NULL;
    int failed = find_scenario(path, out->arena, &out->path, err);
    if (!failed)
        failed = node_read_file(out->path, out->arena, &root, err);
    if (!failed && root->kind != NODE_MAPPING)
        failed = error_at(err, root->at, "a scenario is a mapping\n  hint: it begins with name: and model:");
    if (!failed)
        root = spell_out_workload(root, out->arena);
    for (size_t i = 0; i < set_count && !failed; i++)
        failed = node_set(root, sets[i], out->arena, err);
    if (!failed && seed)
        failed = node_set(root, arena_printf(out->arena, "seed=%lld", (long long)*seed), out->arena, err);
    if (!failed) {
        root = spell_out_workload(root, out->arena); /* --set workload=NAME names one again */
        failed =
            options_read(variant_tree(root, NULL, out->arena), scenario_options_table, &out->options, out->arena, err);
    }
    if (!failed)
        failed = load_variants(out, root, err);
    if (failed)
        scenario_free(out);
    return failed ? -1 : 0;
}

void scenario_free(struct scenario *scenario) {
    for (size_t i = 0; i < scenario->count && scenario->variants; i++)
        step_model_destroy(scenario->variants[i].model);
    for (size_t i = 0; i < scenario->trace_count; i++)
        trace_free(scenario->traces[i].trace);
    arena_destroy(scenario->arena);
    *scenario = (struct scenario){0};
}
