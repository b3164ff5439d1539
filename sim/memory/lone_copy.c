#include "sim/memory/lone_copy.h"

#include <math.h>
#include <string.h>

#include "sim/engine/engine.h"

const char *const copy_kind_names[] = {"loop", "batch", "kernel", NULL};

/* Calls that a stream takes before the next one waits. */
enum { OUTSTANDING_MAX = 1024 };

/* The copy under way: how many blocks were submitted, and who is next. */
struct run {
    const struct lone_copy *copy;
    struct engine *engine;
    struct network *network;
    uint32_t source, submitted, landed;
    struct network_hop path[NETWORK_HOPS_MAX];
    uint32_t hops;
    double submit_s; /* COPY_LOOP: a call */
    sim_time end;
};

static void submit(struct run *run) {
    const struct lone_copy *copy = run->copy;
    if (copy->kind != COPY_LOOP) {
        network_start(run->network, run->path, run->hops, copy->bytes, copy->kind == COPY_BATCH ? copy->blocks : 1, 0);
        run->submitted = run->landed = copy->blocks;
        return;
    }
    /* Whole bytes, as equal as can be. */
    uint64_t before = (uint64_t)((unsigned __int128)copy->bytes * run->submitted / copy->blocks);
    uint64_t after = (uint64_t)((unsigned __int128)copy->bytes * (run->submitted + 1) / copy->blocks);
    network_start(run->network, run->path, run->hops, after - before, 1, 0);
    run->submitted++;
}

static void call_again(void *self, sim_time now) {
    struct run *run = self;
    if (run->submitted == run->copy->blocks || run->submitted - run->landed >= OUTSTANDING_MAX)
        return;
    submit(run);
    engine_set(run->engine, run->source, now + (sim_time)(run->submit_s * 1e9 + 0.5));
}

static void landed(void *self, uint64_t tag, sim_time now) {
    (void)tag;
    struct run *run = self;
    run->end = now;
    if (run->copy->kind != COPY_LOOP)
        return;
    run->landed++;
    if (run->submitted < run->copy->blocks && engine_next(run->engine, run->source) == SIM_NEVER)
        engine_set(run->engine, run->source, now);
}

static const struct copy_way *way_of(const struct node_link *link, enum network_direction direction) {
    return direction == NETWORK_READ ? &link->api.read : &link->api.write;
}

/* A link whose copies are submitted one by one: each pays the gap, none the costs of a batch. */
static void as_loop(struct link_direction *way, const struct copy_way *api) {
    way->submit_s = 0;
    way->descriptor_s = api->loop_gap_s;
    way->descriptor_break_bytes = 0;
    way->descriptor_most = 0;
}

/* By Little's law: a CTA takes a block in as many round trips as what it keeps in flight needs, and issues it at its
 * rate. */
static void as_kernel(struct link_direction *way, const struct copy_way *api, const struct lone_copy *copy) {
    double block = (double)copy->bytes / copy->blocks, trips = ceil(block / api->kernel_in_flight_bytes);
    double issue_s = api->kernel_cta_bytes_per_s > 0 ? block / api->kernel_cta_bytes_per_s : 0;
    double flying = copy->ctas * block / (trips * api->kernel_round_trip_s + issue_s);
    double most = api->kernel_bandwidth_bytes_per_s;
    *way = (struct link_direction){.bandwidth_bytes_per_s = flying < most ? flying : most,
                                   .latency_s = api->kernel_launch_s};
}

/* The link's options for this way of copying; whether it is a copy engine that knows it. */
static bool adapt(const struct lone_copy *copy, const struct node_link *link, enum network_direction direction,
                  struct link_options *options) {
    const struct copy_way *api = way_of(link, direction);
    struct link_direction *way = direction == NETWORK_READ ? &options->read : &options->write;
    *options = link->link;
    if (copy->kind == COPY_LOOP && api->loop_submit_s > 0) {
        as_loop(way, api);
        return true;
    }
    if (copy->kind == COPY_KERNEL && api->kernel_bandwidth_bytes_per_s > 0 && api->kernel_round_trip_s > 0 &&
        api->kernel_in_flight_bytes > 0) {
        as_kernel(way, api, copy);
        options->fifo = false;
        return true;
    }
    return copy->kind == COPY_BATCH;
}

/* The two tiers as topology.h wants them, the one nearer to HBM first; returns the index of `from`. */
static uint32_t order_tiers(const struct lone_copy *copy, struct tier_options tiers[2]) {
    const struct node_path *paths = copy->node->paths.items;
    bool down = strcmp(copy->from, "hbm") == 0;
    /* Between others, entries are written towards HBM. */
    for (size_t i = 0; !down && strcmp(copy->to, "hbm") != 0 && i < copy->node->paths.count; i++)
        down = strcmp(paths[i].to, copy->from) == 0 && strcmp(paths[i].from, copy->to) == 0;
    tiers[0] = (struct tier_options){.name = down ? copy->from : copy->to};
    tiers[1] = (struct tier_options){.name = down ? copy->to : copy->from, .path = copy->variant};
    return down ? 0 : 1;
}

static int find_hops(const struct lone_copy *copy, struct topology_hop hops[TOPOLOGY_HOPS_MAX], uint32_t *count,
                     struct error *err) {
    struct tier_options tiers[2];
    const struct list list = {tiers, 2};
    const struct node_path *path;
    if (copy->bytes == 0 || copy->blocks == 0 || copy->blocks > copy->bytes)
        return error_set(err, "%u blocks of %llu bytes\n  hint: at least one byte a block", copy->blocks,
                         (unsigned long long)copy->bytes);
    uint32_t from = order_tiers(copy, tiers);
    *count = topology_hops(copy->node, &list, from, 1 - from, hops, &path);
    if (*count > 0 && !(copy->variant && (!path->name || strcmp(path->name, copy->variant) != 0)))
        return 0;
    char known[512] = "";
    const struct node_path *paths = copy->node->paths.items;
    for (size_t i = 0; i < copy->node->paths.count; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s-%s%s%s", used ? ", " : "", paths[i].from, paths[i].to,
                 paths[i].name ? ":" : "", paths[i].name ? paths[i].name : "");
    }
    return error_set(err, "node '%s' has no path%s%s from '%s' to '%s'\n  hint: it has %s", copy->node->name,
                     copy->variant ? " " : "", copy->variant ? copy->variant : "", copy->from, copy->to, known);
}

/* Adds the hops' links to the network, each once, and describes them. */
static int build(const struct lone_copy *copy, struct run *run, struct lone_result *out, struct error *err) {
    struct topology_hop hops[TOPOLOGY_HOPS_MAX] = {0};
    if (find_hops(copy, hops, &run->hops, err) != 0)
        return -1;
    bool knows = false;
    for (uint32_t i = 0; i < run->hops; i++) {
        struct link_options options;
        bool adapted = adapt(copy, hops[i].link, hops[i].direction, &options);
        knows |= adapted;
        struct place at = hops[i].link->at;
        if (link_check(&options, at, err) != 0)
            return -1;
        const struct link_direction *way = hops[i].direction == NETWORK_READ ? &options.read : &options.write;
        const struct copy_way *api = way_of(hops[i].link, hops[i].direction);
        /* A loop's first copy has no gap before it; a kernel's launch has the host's part in it. */
        double host = api->host_s - (copy->kind == COPY_LOOP ? api->loop_gap_s : 0);
        double spread = copy->bytes < (uint64_t)copy->blocks * LONE_SMALL_BYTES ? api->spread_small : api->spread;
        if (adapted)
            out->spread = spread > out->spread ? spread : out->spread;
        if (adapted && copy->kind != COPY_KERNEL)
            out->host_s = host > out->host_s ? host : out->host_s;
        run->submit_s = api->loop_submit_s > run->submit_s ? api->loop_submit_s : run->submit_s;
        uint32_t same = 0;
        while (same < i && hops[same].link != hops[i].link)
            same++;
        run->path[i] = (struct network_hop){same < i ? run->path[same].link : network_add(run->network, &options),
                                            hops[i].direction};
        out->hops[out->hop_count++] = (struct lone_hop){
            .link = hops[i].link,
            .direction = hops[i].direction,
            .crossings = 1,
            .bytes = copy->bytes,
            .latency_s = way->latency_s,
            .bandwidth_bytes_per_s = way->bandwidth_bytes_per_s,
            .peak_bytes_per_s = options.peak_bytes_per_s > 0 ? options.peak_bytes_per_s : way->bandwidth_bytes_per_s};
    }
    if (!knows)
        return error_set(err, "the path from '%s' to '%s' has no copy engine that copies by %s\n  hint: --api batch",
                         copy->from, copy->to, copy->kind == COPY_LOOP ? "single calls" : "kernels");
    return 0;
}

/* Each hop alone, on its still idle link. */
static void measure_hops(const struct lone_copy *copy, struct run *run, struct lone_result *out) {
    uint32_t blocks = copy->kind == COPY_KERNEL ? 1 : copy->blocks;
    for (uint32_t i = 0; i < out->hop_count; i++) {
        struct lone_hop *hop = &out->hops[i];
        sim_time alone = network_predict(run->network, &run->path[i], 1, copy->bytes, blocks) - engine_now(run->engine);
        double service = (double)alone * 1e-9 - hop->latency_s, wire = (double)copy->bytes / hop->bandwidth_bytes_per_s;
        hop->service_s = service > 0 ? service : 0;
        /* Times are whole ns. */
        hop->descriptors_s = hop->service_s > wire + 2e-9 ? hop->service_s - wire : 0;
    }
    /* A direction of a link that is crossed twice is one pipe. */
    for (uint32_t i = 0; i < out->hop_count; i++)
        for (uint32_t j = 0; j < out->hop_count; j++)
            out->hops[i].crossings +=
                j != i && run->path[j].link == run->path[i].link &&
                (run->path[j].direction == run->path[i].direction || out->hops[i].link->link.duplex_bytes_per_s > 0);
}

/* The bound, the peak and the basis. A link that neither is near the bound nor adds latency does not decide. */
static void conclude(struct lone_result *out) {
    double latency = out->host_s, longest = 0;
    for (uint32_t i = 0; i < out->hop_count; i++) {
        struct lone_hop *hop = &out->hops[i];
        double takes = hop->service_s * hop->crossings, peak = hop->peak_bytes_per_s / hop->crossings;
        latency += hop->latency_s;
        if (takes > longest) {
            longest = takes;
            out->bound = i;
        }
        if (i == 0 || peak < out->peak_bytes_per_s)
            out->peak_bytes_per_s = peak;
    }
    out->latency_bound = latency > longest;
    out->basis = BASIS_MEASURED;
    for (uint32_t i = 0; i < out->hop_count; i++) {
        const struct lone_hop *hop = &out->hops[i];
        if (hop->service_s * hop->crossings >= 0.9 * longest || hop->latency_s > 0.01 * out->seconds)
            out->basis = basis_weaker(out->basis, (enum basis)hop->link->link.basis);
    }
}

int lone_copy_time(const struct lone_copy *copy, struct lone_result *out, struct error *err) {
    *out = (struct lone_result){0};
    struct run run = {.copy = copy, .engine = engine_create(ENGINE_WINNER_TREE)};
    run.network = network_create(run.engine, landed, &run);
    run.source = engine_add(run.engine, call_again, &run);
    int failed = build(copy, &run, out, err);
    if (!failed) {
        measure_hops(copy, &run, out);
        if (copy->kind == COPY_LOOP)
            engine_set(run.engine, run.source, 0);
        else
            submit(&run);
        engine_run(run.engine, SIM_NEVER - 1);
        MUST(run.submitted == copy->blocks && run.landed == copy->blocks);
        out->seconds = (double)run.end * 1e-9 + out->host_s;
        conclude(out);
    }
    network_destroy(run.network);
    engine_destroy(run.engine);
    return failed;
}
