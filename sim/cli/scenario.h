/* A what-if: the scenario file onto one struct, by the tables of the rooms it is made of; and its variants. */
#ifndef SIM_CLI_SCENARIO_H
#define SIM_CLI_SCENARIO_H

#include "models/cost.h"
#include "models/profile.h"
#include "sim/config/node.h"
#include "sim/output/metrics.h"
#include "sim/serve/cluster.h"
#include "sim/serve/faults.h"
#include "sim/serve/spaces.h"
#include "sim/workload/options.h"

/* output: what is kept of a run beside its sums. */
struct output_options {
    int requests; /* OUTPUT_NONE, OUTPUT_ALL */
    bool runs, transfers;
};
enum { OUTPUT_NONE, OUTPUT_ALL };

/* A published figure, and the question to the run's database that gives it (`tiersim cases`). */
struct claim {
    const char *claim;
    double published, within; /* it holds within this factor */
    const char *query;
    struct place query_at;
    const char *why; /* of a miss */
};

/* The scenario's keys as they are written. */
struct scenario_options {
    const char *name, *title, *description;
    int64_t seed;
    /* Each name is followed by the place where it was written (place_follows). */
    const char *model;
    struct place model_at;
    const struct node *gpu; /* a name, or a mapping with `base` */
    struct place gpu_at;
    const char *node;
    struct place node_at;
    const char *engine;
    struct place engine_at;
    const char *connector;
    struct place connector_at;
    const char *prices;
    struct place prices_at;
    int weight_dtype, kv_dtype;
    int64_t tp, nodes, instances; /* instances 0: all GPUs of the nodes */
    double load, warmup_s, stop_after_s;
    struct serve_options serving;
    struct list tiers; /* struct tier_options */
    const struct node *workload;
    bool has_slo;
    const struct node *slo_node;
    struct slo_options slo;
    struct output_options output;
    const struct node *namespaces; /* NULL: not written */
    struct spaces_options spaces;
    const struct node *faults_node; /* NULL: nothing breaks */
    struct list faults;             /* struct fault_options */
    const struct node *variants, *plan;
    struct list claims; /* struct claim */
};
extern const struct option scenario_options_table[];

/* A file that a variant rests on, for whoever keeps its results. */
struct variant_input {
    const char *role, *path;
    bool is_text; /* configuration, small; otherwise data */
};
enum { VARIANT_INPUTS_MAX = 12 };

/* One variant, loaded: everything cluster_run needs but the load. Immutable once loaded. */
struct variant {
    const char *name;
    const char *resolved; /* its configuration as YAML */
    struct scenario_options options;
    struct arch *arch;
    struct gpu *gpu;
    struct kernel_profile *kernels;
    struct engine_profile *engine;
    struct connector_profile *connector;
    struct node_options node;
    struct prices prices;
    struct workload_options workload;
    struct trace *trace; /* owned by the scenario */
    struct step_model *model;
    uint32_t instances, instances_per_node;
    const struct policy *batch, *route, *reuse, *prefetch, *decode_route, *kernel;
    const void *batch_options, *route_options, *reuse_options, *prefetch_options, *decode_route_options,
        *kernel_options;
    struct variant_input inputs[VARIANT_INPUTS_MAX];
    size_t input_count;
    bool failed; /* it cannot run: error says why */
    struct error error;
};

/* A trace that was loaded for some variant. */
struct shared_trace {
    const char *path, *format;
    bool dedupe;
    struct trace *trace;
};

struct scenario {
    struct arena *arena;
    const char *path;
    struct scenario_options options;
    struct variant *variants;
    size_t count;
    struct shared_trace *traces;
    size_t trace_count;
};

/* Reads the file (or the entry of configs/scenarios), applies the --set assignments, and loads every variant. Whatever
 * is written wrongly, in any variant, is an error. A variant that is written well and cannot be, as when its model does
 * not fit its GPUs, is marked failed; it is an error where no variant is left. */
int scenario_load(const char *path, const char *const *sets, size_t set_count, const int64_t *seed,
                  struct scenario *out, struct error *err);
void scenario_free(struct scenario *scenario);

/* The step model of a variant, of a draw of its profile's errors (NULL: of the profile as it stands); the caller's.
 * Error: it does not fit. */
int variant_model(const struct variant *variant, const struct draw *draw, struct step_model **out, struct error *err);

/* Resolves serving.kernel; variant->kernel stays NULL, and nobody is asked, where the scenario names none. */
int kernel_policy_load(struct variant *variant, struct arena *arena, struct error *err);
/* The kernel policy as the step model asks it; the variant must outlive the model. */
struct kernel_chooser variant_kernels(const struct variant *variant);

/* One run of a variant at a load. The result and metrics are the caller's (metrics_destroy). */
struct variant_run {
    const struct variant *variant;
    double load;
    uint64_t seed;
    bool exact_steps, audit;
    const struct list *faults; /* instead of the variant's, where `other_faults` */
    bool other_faults;
    struct sink *also;
    struct access_log *access_log; /* NULL: none */
    bool every_record;             /* runs and transfers too, whatever `output:` says */
    bool (*progress)(void *self, sim_time now, uint64_t finished);
    void *progress_self;
};
int variant_simulate(const struct variant_run *run, struct metrics *metrics, struct cluster_result *result,
                     struct error *err);

/* What the fleet of a variant costs over the metrics' span. */
int variant_cost(const struct variant *variant, const struct metrics *metrics, const struct cluster_result *result,
                 struct cost *out, struct error *err);
/* Shares of the GPUs' peaks used over the span: memory bandwidth, FLOPS; and time busy. */
struct gpu_shares {
    double busy, bandwidth, flops;
};
struct gpu_shares variant_gpu_shares(const struct variant *variant, const struct metrics *metrics,
                                     const struct cluster_result *result);
/* First arrival to last completion. */
double result_simulated_s(const struct cluster_result *result);
/* Sessions that the workload keeps at a time in the fleet at this load; 0 where it is not made of them. */
double variant_sessions(const struct variant *variant, double load);
/* When the last request may arrive at this load, s of simulated time; 0: not known. */
double variant_horizon_s(const struct variant *variant, double load);
/* Whether a policy of it sees what only the trace's future knows: marked wherever the variant stands. */
bool variant_sees_future(const struct variant *variant);
/* Units of tier `tier` in the fleet. */
double variant_tier_units(const struct variant *variant, size_t tier);
/* What its faults are about. */
struct faults_world variant_faults(const struct variant *variant);
/* Tenants that the workload names; 1: none. */
int64_t variant_tenants(const struct variant *variant);
/* What the tier is bought as: its device, or its name. */
const char *tier_device(const struct tier_options *tier);

#endif
