#include "sim/serve/cluster.h"

#include <stdlib.h>

#include "sim/serve/faults.h"
#include "sim/serve/handover.h"
#include "sim/serve/news.h"
#include "sim/serve/prefetch.h"
#include "sim/serve/router.h"
#include "sim/serve/timers.h"

struct cluster {
    struct fleet fleet;
    struct router router;
    struct instance *instances;
    struct timers timers;
    struct faults *faults;    /* NULL: nothing breaks */
    struct request_spec next; /* the stream's next request */
    bool more;
    uint32_t arrival_source, timer_source;
    uint64_t since_progress;
};

/* The requests that wait at an instance that is down go where the router would have them now, if anybody is up. */
static void reroute(struct cluster *cluster, uint32_t from, sim_time now) {
    struct instance *instance = &cluster->instances[from];
    uint32_t count = instance->waiting.count;
    for (uint32_t id = instance->waiting.head; count-- > 0;) {
        uint32_t next = instance_request(instance, id)->next;
        struct request_spec spec = instance_request(instance, id)->spec;
        uint32_t to = router_choose(&cluster->router, &spec, now);
        if (cluster->instances[to].down_until > now)
            return;
        if (to != from) /* its step may have lasted longer than its restart */
            instance_move(instance, &cluster->instances[to], id, now);
        id = next;
    }
}

static void enqueue(struct cluster *cluster, uint32_t to, const struct request_spec *spec, sim_time now) {
    instance_enqueue(&cluster->instances[to], spec, now);
    if (cluster->instances[to].down_until > now && !cluster->instances[to].dying)
        reroute(cluster, to, now);
}

static void go_down(void *self, uint32_t instance, sim_time until, sim_time now) {
    struct cluster *cluster = self;
    instance_go_down(&cluster->instances[instance], until, now);
}
static void went_down(void *self, uint32_t instance, sim_time now) {
    reroute(self, instance, now);
}
static void come_up(void *self, uint32_t instance, sim_time now) {
    struct cluster *cluster = self;
    instance_come_up(&cluster->instances[instance], now);
}
static void lose_swapped(void *self, uint32_t instance, uint32_t level, sim_time now) {
    struct cluster *cluster = self;
    instance_lose_swapped(&cluster->instances[instance], level, now);
}
static bool nothing_comes(void *self) {
    const struct cluster *cluster = self;
    return !cluster->more && cluster->fleet.requests.live == 0 && timers_next(&cluster->timers) == SIM_NEVER;
}
static void restart(void *self, uint32_t instance, sim_time down_ns, sim_time now) {
    struct cluster *cluster = self;
    faults_restart(cluster->faults, instance, down_ns, now);
}

static void deliver(struct cluster *cluster, const struct request_spec *spec, sim_time now) {
    struct fleet *fleet = &cluster->fleet;
    if (fleet->result->arrived++ == 0)
        fleet->result->first_arrival_ns = spec->arrival_ns;
    uint32_t chosen = router_choose(&cluster->router, spec, now);
    instance_expect(&cluster->instances[chosen], spec);
    if (fleet->wait_request_ns == 0)
        enqueue(cluster, chosen, spec, now);
    else
        timers_set(&cluster->timers, now + fleet->wait_request_ns, spec, (int32_t)chosen);
    engine_set(fleet->engine, cluster->timer_source, timers_next(&cluster->timers));
}

static void read_next(struct cluster *cluster) {
    cluster->more = workload_next(cluster->fleet.setup->workload, &cluster->next) &&
                    cluster->next.arrival_ns <= cluster->fleet.setup->stop_after_ns;
    engine_set(cluster->fleet.engine, cluster->arrival_source, cluster->more ? cluster->next.arrival_ns : SIM_NEVER);
}

static void arrivals_fire(void *self, sim_time now) {
    struct cluster *cluster = self;
    struct request_spec spec = cluster->next;
    MUST(cluster->more && spec.arrival_ns == now);
    deliver(cluster, &spec, now);
    read_next(cluster);
}

static void timers_fire(void *self, sim_time now) {
    struct cluster *cluster = self;
    struct request_spec spec;
    int32_t instance;
    timers_pop(&cluster->timers, &spec, &instance);
    if (instance >= 0)
        enqueue(cluster, (uint32_t)instance, &spec, now);
    else
        deliver(cluster, &spec, now);
    engine_set(cluster->fleet.engine, cluster->timer_source, timers_next(&cluster->timers));
}

static void wakes_fire(void *self, sim_time now) {
    struct cluster *cluster = self;
    struct fleet *fleet = &cluster->fleet;
    struct wake wake = wakes_pop(&fleet->wakes);
    if (instance_request(&cluster->instances[wake.instance], wake.request)->alarm == wake.order)
        instance_woken(&cluster->instances[wake.instance], wake.request, now);
    engine_set(fleet->engine, fleet->wake_source, wakes_next(&fleet->wakes));
}

/* What a session asks next is known to come, not when: its blocks may move up meanwhile. */
static void announce(struct cluster *cluster, const struct request_spec *spec, sim_time now) {
    timers_set(&cluster->timers, spec->arrival_ns, spec, -1);
    struct request next = {
        .spec = *spec,
        .target = spec->prompt_tokens,
        .space = spaces_of(cluster->fleet.spaces, cluster->fleet.ended_instance, spec),
    };
    if (spec->arrival_ns > now && spec->prompt_tokens > 0)
        prefetch_ask(&cluster->instances[cluster->fleet.ended_instance], &next, PREFETCH_STEPS, 1, now);
}

static void request_ended(void *self, const struct request_spec *spec, sim_time now) {
    struct cluster *cluster = self;
    struct fleet *fleet = &cluster->fleet;
    const struct cluster_setup *setup = fleet->setup;
    if (now > fleet->result->last_end_ns)
        fleet->result->last_end_ns = now;
    struct request_spec after[WORKLOAD_AFTER_MAX];
    size_t count = workload_after(setup->workload, spec, now, after, WORKLOAD_AFTER_MAX);
    for (size_t i = 0; i < count; i++) {
        MUST(after[i].arrival_ns >= now);
        if (after[i].arrival_ns <= setup->stop_after_ns)
            announce(cluster, &after[i], now);
    }
    if (count > 0)
        engine_set(fleet->engine, cluster->timer_source, timers_next(&cluster->timers));
    if (setup->progress && ++cluster->since_progress >= 1024) {
        cluster->since_progress = 0;
        if (!setup->progress(setup->progress_self, now, fleet->result->finished)) {
            fleet->result->stopped = true;
            engine_stop(fleet->engine);
        }
    }
}

static void on_loaded(void *self, uint32_t instance, uint64_t tag, const int64_t tier_ns[TIERS_MAX], sim_time now) {
    struct cluster *cluster = self;
    instance_loaded(&cluster->instances[instance], (uint32_t)tag, tier_ns, now);
}
static void on_space(void *self, uint32_t instance, sim_time now) {
    struct cluster *cluster = self;
    instance_touch(&cluster->instances[instance], now);
}
static void on_failed(void *self, uint32_t instance, uint64_t tag, sim_time now) {
    struct cluster *cluster = self;
    instance_load_failed(&cluster->instances[instance], (uint32_t)tag, now);
}
static void on_swapped(void *self, uint32_t instance, uint64_t tag, sim_time now) {
    struct cluster *cluster = self;
    instance_swapped(&cluster->instances[instance], (uint32_t)tag, now);
}

static void on_handed(void *self, uint64_t tag, sim_time now) {
    struct cluster *cluster = self;
    handover_landed(cluster->fleet.handovers, (uint32_t)tag, now);
}

/* Sizes of a block and of an instance's cache. */
static int size_hbm(struct fleet *fleet, struct error *err) {
    const struct cluster_setup *setup = fleet->setup;
    const struct serve_options *serve = setup->serve;
    double tokens = (double)serve->block_tokens;
    fleet->result->block_bytes = tokens * arch_kv_bytes_per_token_all(setup->arch, setup->kv_dtype, setup->tp);
    if (setup->arch->kv_lora > 0 && serve->mla_copies == MLA_ONCE)
        fleet->result->block_bytes = tokens * arch_kv_bytes_per_token_stored(setup->arch, setup->kv_dtype);
    fleet->lower_block_bytes = tokens * arch_kv_bytes_per_token_stored(setup->arch, setup->kv_dtype);
    double capacity_bytes =
        serve->kv_capacity_bytes > 0
            ? serve->kv_capacity_bytes
            : step_model_kv_capacity_bytes(setup->model, serve->hbm_utilisation, serve->hbm_reserve_bytes);
    const struct tier_options *tier = setup->tiers->count ? setup->tiers->items : NULL;
    if (tier && tier->capacity_bytes > 0)
        capacity_bytes = tier->capacity_bytes;
    double blocks = capacity_bytes / fleet->result->block_bytes;
    if (blocks < 1)
        return error_set(err,
                         "the KV cache of an instance would hold %.3g bytes, less than one block of %.3g bytes\n"
                         "  hint: use more GPUs an instance (tp), fp8 weights, or a GPU with more HBM",
                         capacity_bytes, fleet->result->block_bytes);
    fleet->hbm_blocks = blocks > 4e9 ? (uint64_t)4e9 : (uint64_t)blocks;
    fleet->result->hbm_blocks = fleet->hbm_blocks;
    uint64_t pinned = spaces_pinned_blocks(fleet->spaces, fleet->result->block_bytes);
    if (2 * pinned > fleet->hbm_blocks)
        return error_set(err,
                         "pins could hold more than half of an instance's HBM for KV\n  hint: a smaller pin: in the "
                         "rules about hbm");
    fleet->largest_blocks = fleet->hbm_blocks - pinned;
    return 0;
}

/* Whether a router asks what every instance's HBM holds of a prompt, as it is now. Instances that may run different
 * versions hold it under different ids. */
static bool asks_all(const struct cluster_setup *setup, const struct spaces *spaces) {
    unsigned needs = setup->route->policy.needs | (setup->decode_route ? setup->decode_route->policy.needs : 0);
    return needs & NEED_TREE && setup->instances > 1 && setup->serve->route_snapshot_age_s <= 0 && !spaces;
}

static int open_memory(struct cluster *cluster, struct error *err) {
    struct fleet *fleet = &cluster->fleet;
    const struct cluster_setup *setup = fleet->setup;
    if (size_hbm(fleet, err) != 0)
        return -1;
    if (workload_block_tokens_fit(setup->workload, fleet->block_tokens, err) != 0)
        return -1;
    for (size_t t = 0; t < setup->tiers->count; t++) {
        const struct tier_options *tier = (const struct tier_options *)setup->tiers->items + t;
        if (news_suffices(tier->evict_policy, setup->workload, fleet->block_tokens, err) != 0)
            return -1;
    }
    double token_s = 0, pair_s = 0;
    news_prices(fleet, &token_s, &pair_s);
    struct hierarchy_setup memory = {.engine = fleet->engine,
                                     .node = setup->node,
                                     .tiers = setup->tiers,
                                     .instances = setup->instances,
                                     .instances_per_node = setup->instances_per_node,
                                     .tp = setup->tp,
                                     .block_tokens = fleet->block_tokens,
                                     .hbm_block_bytes = fleet->result->block_bytes,
                                     .lower_block_bytes = fleet->lower_block_bytes,
                                     .hbm_blocks = fleet->hbm_blocks,
                                     .connector = setup->connector,
                                     .prefix = true,
                                     .seed = setup->seed,
                                     .sink = setup->sink,
                                     .record_transfers = setup->record_transfers,
                                     .token_s = token_s,
                                     .pair_s = pair_s,
                                     .access_log = setup->access_log,
                                     .spaces = spaces_source(fleet->spaces),
                                     .presence = asks_all(setup, fleet->spaces),
                                     .on_loaded = on_loaded,
                                     .on_space = on_space,
                                     .on_failed = on_failed,
                                     .on_swapped = on_swapped,
                                     .on_handed = on_handed,
                                     .handover_path =
                                         setup->serve->prefill_instances > 0 ? setup->serve->handover_path : NULL,
                                     .self = cluster};
    return hierarchy_create(&memory, &fleet->hierarchy, err);
}

static void open_instances(struct cluster *cluster) {
    struct fleet *fleet = &cluster->fleet;
    const struct cluster_setup *setup = fleet->setup;
    double overhead_s = setup->serve->request_overhead_s + (setup->engine ? setup->engine->request_s.value : 0);
    fleet->wait_request_ns = (int64_t)(overhead_s * 1e9 + 0.5);
    request_pool_create(&fleet->requests);
    cluster->instances = calloc(setup->instances, sizeof *cluster->instances);
    MUST(cluster->instances != NULL);
    for (uint32_t i = 0; i < setup->instances; i++)
        instance_create(&cluster->instances[i], fleet, i);
    uint32_t prompts = (uint32_t)setup->serve->prefill_instances;
    router_create(&cluster->router, fleet, cluster->instances, prompts > 0 ? prompts : setup->instances, setup->route,
                  setup->route_options);
    fleet->handovers = prompts > 0 ? handovers_create(fleet, cluster->instances) : NULL;
    read_next(cluster);
}

static void add_totals(struct cluster *cluster) {
    struct cluster_result *result = cluster->fleet.result;
    for (uint32_t i = 0; i < cluster->fleet.setup->instances; i++) {
        const struct instance_record *totals = &cluster->instances[i].totals;
        result->steps += totals->steps;
        result->runs += totals->runs;
        result->busy_s += (double)totals->busy_ns * 1e-9;
        result->model_bytes += totals->model_bytes;
        result->model_flops += totals->model_flops;
    }
    result->events = engine_events(cluster->fleet.engine);
    result->order_hash = engine_order_hash(cluster->fleet.engine);
}

static void open_faults(struct cluster *cluster) {
    static const struct list none = {NULL, 0};
    const struct cluster_setup *setup = cluster->fleet.setup;
    if (!setup->faults && !setup->spaces)
        return;
    struct faults_setup faults = {.world = {.faults = setup->faults ? setup->faults : &none,
                                            .node = setup->node,
                                            .tiers = setup->tiers,
                                            .instances = setup->instances,
                                            .instances_per_node = setup->instances_per_node},
                                  .seed = setup->seed,
                                  .horizon = setup->horizon_ns > 0 ? setup->horizon_ns : SIM_NEVER - 1,
                                  .engine = cluster->fleet.engine,
                                  .down = go_down,
                                  .up = come_up,
                                  .lose_swapped = lose_swapped,
                                  .over = nothing_comes,
                                  .self = cluster};
    cluster->faults = faults_create(&faults);
    cluster->fleet.went_down = went_down;
}

int cluster_run(const struct cluster_setup *setup, struct cluster_result *out, struct error *err) {
    *out = (struct cluster_result){0};
    struct cluster cluster = {.fleet = {.setup = setup,
                                        .result = out,
                                        .block_tokens = (uint32_t)setup->serve->block_tokens,
                                        .ended = request_ended}};
    struct fleet *fleet = &cluster.fleet;
    fleet->ended_self = &cluster;
    fleet->engine = engine_create(ENGINE_WINNER_TREE);
    /* What changes blocks for everybody comes first: nobody sees at a ns what has expired at it. */
    struct spaces_setup spaces = {.options = setup->spaces,
                                  .tiers = setup->tiers,
                                  .instances = setup->instances,
                                  .block_tokens = fleet->block_tokens,
                                  .tenants = setup->tenants > 0 ? setup->tenants : 1,
                                  .engine = fleet->engine,
                                  .self = &cluster};
    spaces.restart = restart;
    fleet->spaces = setup->spaces ? spaces_create(&spaces) : NULL;
    open_faults(&cluster);
    /* What can touch an instance comes before it within one ns: arrivals, timers, then the memory, then the instances.
     */
    cluster.arrival_source = engine_add(fleet->engine, arrivals_fire, &cluster);
    cluster.timer_source = engine_add(fleet->engine, timers_fire, &cluster);
    if (setup->reuse->plan)
        fleet->wake_source = engine_add(fleet->engine, wakes_fire, &cluster);
    int failed = open_memory(&cluster, err);
    if (!failed) {
        if (fleet->spaces)
            spaces_begin(fleet->spaces, fleet->hierarchy);
        open_instances(&cluster);
        if (cluster.faults)
            faults_begin(cluster.faults, fleet->hierarchy);
        engine_run(fleet->engine, SIM_NEVER - 1);
        sim_time now = engine_now(fleet->engine);
        if (!out->stopped) {
            for (uint32_t i = 0; i < setup->instances; i++)
                instance_finish(&cluster.instances[i], now);
            MUST(out->arrived == out->finished + out->rejected && fleet->requests.live == 0);
            hierarchy_finish(fleet->hierarchy, now, setup->sink);
        }
        add_totals(&cluster);
        for (uint32_t i = 0; i < setup->instances; i++)
            instance_destroy(&cluster.instances[i]);
        router_destroy(&cluster.router);
        handovers_destroy(fleet->handovers);
        request_pool_destroy(&fleet->requests);
        hierarchy_destroy(fleet->hierarchy);
    }
    free(cluster.instances);
    free(fleet->ids);
    timers_destroy(&cluster.timers);
    wakes_destroy(&fleet->wakes);
    spaces_destroy(fleet->spaces);
    faults_destroy(cluster.faults);
    engine_destroy(fleet->engine);
    return failed;
}
