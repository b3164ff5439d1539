/* A serving fleet, run over a workload: arrivals -> router -> instances -> records.
 *
 * cluster_run is the whole simulation of one variant at one load: it owns the engine and the fleet's memory, and has
 * no global state, so that variants run in parallel. What it found goes to the sink as records. */
#ifndef SIM_SERVE_CLUSTER_H
#define SIM_SERVE_CLUSTER_H

#include "models/step.h"
#include "policies/batch.h"
#include "policies/prefetch.h"
#include "policies/reuse.h"
#include "policies/route.h"
#include "sim/base/record.h"
#include "sim/memory/topology.h"
#include "sim/workload/workload.h"

struct spaces_options;
struct fault_options;
/* Of a prompt whose decode is elsewhere: its KV goes there layer by layer as it is computed, or when all is. */
enum handover_mode { HANDOVER_LAYERWISE, HANDOVER_AT_END };
/* Ranks of an instance share MLA's latents (each holds those of its own sequences), or each holds all. */
enum mla_copies { MLA_PER_RANK, MLA_ONCE };
enum preemption { PREEMPT_RECOMPUTE, PREEMPT_SWAP };

/* The `serving:` section of a scenario. */
struct serve_options {
    int64_t block_tokens;     /* KV block (page): 16..512 */
    int64_t token_budget;     /* tokens a step (max_num_batched_tokens) */
    int64_t max_sequences;    /* max_num_seqs */
    double hbm_utilisation;   /* share of the driver-reported HBM the engine may use (gpu_memory_utilization) */
    double hbm_reserve_bytes; /* a GPU: CUDA context, graphs, NCCL */
    double kv_capacity_bytes; /* an instance: given instead of computed; 0: computed */
    int preemption;           /* enum preemption */
    const struct node *batch, *route, *reuse, *prefetch, *kernel; /* policies: NAME or {name: NAME, its options} */
    int64_t max_context_tokens;  /* longer requests are rejected; 0: the architecture's */
    double route_snapshot_age_s; /* the router's view is this old at most; 0: exact */
    int64_t prefill_instances;   /* the first so many only compute prompts, the others only decode; 0: all do both */
    int handover;                /* enum handover_mode */
    const char *handover_path;   /* variant of the node's paths from peer to hbm */
    struct place handover_path_at;
    const struct node *decode_route; /* routing policy among those that decode */
    int mla_copies;                  /* enum mla_copies */
    double request_overhead_s;       /* host time a request before it can be scheduled, beside the engine profile's */
};
extern const struct option serve_options_table[];

struct cluster_setup {
    const struct serve_options *serve;
    const struct step_model *model;
    const struct arch *arch;
    const struct engine_profile *engine;       /* NULL: no host work a request */
    const struct connector_profile *connector; /* NULL: none */
    /* Policies, resolved from the serve section's nodes by sim/cli (policy_resolve); options may be NULL when the
     * policy has none. */
    const struct batch_policy *batch;
    const struct route_policy *route;
    const struct reuse_policy *reuse;
    const void *batch_options, *route_options, *reuse_options;
    const struct route_policy *decode_route; /* with prefill_instances */
    const void *decode_route_options;
    const struct prefetch_policy *prefetch; /* NULL: none */
    const void *prefetch_options;
    enum dtype kv_dtype;
    int64_t tp;
    const struct node_options *node;
    const struct list *tiers;            /* struct tier_options, the first is hbm */
    const struct spaces_options *spaces; /* spaces.h; NULL: one namespace */
    int64_t tenants;                     /* of the workload */
    const struct list *faults;           /* struct fault_options (faults.h); NULL: none */
    sim_time horizon_ns;                 /* when the last request may arrive; random faults end there */
    uint32_t instances, instances_per_node;
    struct workload *workload; /* opened for this run */
    uint64_t seed;
    bool exact_steps; /* take every step: the reference for runs of steps */
    bool audit;       /* slow checks at every boundary */
    bool record_runs, record_transfers;
    struct access_log *access_log; /* of the tiers (sim/memory/access_log.h); NULL: none */
    sim_time stop_after_ns;        /* no request that arrives later is taken; SIM_NEVER: the whole stream */
    struct sink *sink;
    /* Progress, for people: called now and then. NULL: not. Returning false ends the run at once (its result is
     * marked). */
    bool (*progress)(void *self, sim_time now, uint64_t finished);
    void *progress_self;
};

struct cluster_result {
    uint64_t arrived, finished, rejected, preemptions;
    sim_time first_arrival_ns, last_end_ns;
    uint64_t events, order_hash, steps, runs;
    uint64_t handed_over, handed_bytes; /* requests and bytes of KV from prefill to decode instances */
    uint64_t hbm_blocks;                /* an instance */
    double block_bytes;                 /* in HBM, all ranks */
    double busy_s;                      /* of all instances together */
    double model_bytes, model_flops;    /* moved and computed by all steps, all ranks */
    double host_s;                      /* of busy_s, where the host was what took long */
    bool stopped;                       /* by progress */
};

/* Runs to the end of the workload. -1: the setup contradicts itself (a model that does not fit, a policy that needs the
 * future of a closed loop, ...), with the remedy. A request that can never fit is rejected and counted. */
int cluster_run(const struct cluster_setup *setup, struct cluster_result *out, struct error *err);

#endif
