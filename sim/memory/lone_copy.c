#include "sim/memory/lone_copy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/engine/engine.h"

const char *const copy_kind_names[] = {"loop", "batch", "kernel", NULL};

/* Calls that a stream takes before the next one waits. */
enum { OUTSTANDING_MAX = 1024 };

/* A GPU's copy under way: how many blocks were submitted, and who is next. */
struct run {
    const struct lone_copy *copy;
    struct engine *engine;
    struct network *network;
    uint32_t gpu, source, submitted, landed;
    struct network_hop path[NETWORK_HOPS_MAX];
    uint32_t hops;
    double submit_s; /* COPY_LOOP: a call */
    sim_time end;
    uint32_t sharers[TOPOLOGY_HOPS_MAX]; /* GPUs on each hop's link, this one counted */
};
/* All copies, over one network. */
struct bench {
    struct engine *engine;
    struct network *network;
    struct run *runs;
    uint32_t count;
    uint32_t *numbers; /* by link of the node and unit of it: the network's link + 1; 0: not there yet */
};

static void submit(struct run *run) {
    const struct lone_copy *copy = run->copy;
    if (copy->kind != COPY_LOOP) {
        network_start(run->network, run->path, run->hops, copy->bytes, copy->kind == COPY_BATCH ? copy->blocks : 1,
                      run->gpu);
        run->submitted = run->landed = copy->blocks;
        return;
    }
    /* Whole bytes, as equal as can be. */
    uint64_t before = (uint64_t)((unsigned __int128)copy->bytes * run->submitted / copy->blocks);
    uint64_t after = (uint64_t)((unsigned __int128)copy->bytes * (run->submitted + 1) / copy->blocks);
    network_start(run->network, run->path, run->hops, after - before, 1, run->gpu);
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
    struct run *run = &((struct bench *)self)->runs[tag];
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

/* A CTA takes a short block in a round trip and what issuing it takes; a long one by Little's law, as what the CTA
 * keeps in flight goes round. */
static void as_kernel(struct link_direction *way, const struct copy_way *api, const struct lone_copy *copy) {
    double block = (double)copy->bytes / copy->blocks, trip_s = api->kernel_round_trip_s;
    double issue_s = api->kernel_cta_bytes_per_s > 0 ? block / api->kernel_cta_bytes_per_s : 0;
    double flying = copy->ctas * block / fmax(trip_s + issue_s, trip_s * block / api->kernel_in_flight_bytes);
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

/* Which unit of a link a GPU is on. */
static uint32_t unit_of(const struct node_options *node, const struct node_link *link, uint32_t gpu) {
    switch (link->scope) {
    case SCOPE_NODE:
    case SCOPE_POD:
        return 0;
    case SCOPE_SOCKET:
        return (uint32_t)((uint64_t)gpu * (uint64_t)node->sockets / (uint64_t)node->gpus);
    case SCOPE_SWITCH:
        return (uint32_t)((uint64_t)gpu * (uint64_t)node->switches / (uint64_t)node->gpus);
    default:
        return gpu;
    }
}

/* The network's number of a GPU's link, added when first asked for. */
static uint32_t link_number(struct bench *bench, const struct run *run, const struct node_link *link,
                            const struct link_options *options) {
    const struct node_options *node = run->copy->node;
    size_t index = (size_t)(link - (const struct node_link *)node->links.items);
    uint32_t *number = &bench->numbers[index * bench->count + (bench->count > 1 ? unit_of(node, link, run->gpu) : 0)];
    if (*number == 0)
        *number = network_add(bench->network, options) + 1;
    return *number - 1;
}

/* Adds the hops' links to the network, each once, and describes them. */
static int build(struct bench *bench, struct run *run, struct lone_result *out, struct error *err) {
    const struct lone_copy *copy = run->copy;
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
        run->path[i] = (struct network_hop){link_number(bench, run, hops[i].link, &options), hops[i].direction};
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
static void measure_hops(struct run *run, struct lone_result *out) {
    const struct lone_copy *copy = run->copy;
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
static void conclude(const struct run *run, struct lone_result *out) {
    double latency = out->host_s, longest = 0;
    for (uint32_t i = 0; i < out->hop_count; i++) {
        struct lone_hop *hop = &out->hops[i];
        double takes = hop->service_s * hop->crossings * run->sharers[i], peak = hop->peak_bytes_per_s / hop->crossings;
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
        if (hop->service_s * hop->crossings * run->sharers[i] >= 0.9 * longest || hop->latency_s > 0.01 * out->seconds)
            out->basis = basis_weaker(out->basis, (enum basis)hop->link->link.basis);
    }
}

/* How many GPUs are on each hop's link of a GPU. */
static void count_sharers(struct bench *bench) {
    uint32_t links = network_links(bench->network), *gpus = calloc((size_t)links + 1, sizeof *gpus);
    MUST(gpus != NULL);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t g = 0; g < bench->count; g++) {
            struct run *run = &bench->runs[g];
            for (uint32_t i = 0; i < run->hops; i++) {
                uint32_t same = 0;
                while (run->path[same].link != run->path[i].link)
                    same++;
                if (pass == 0)
                    gpus[run->path[i].link] += same == i; /* crossed twice, counted once */
                else
                    run->sharers[i] = gpus[run->path[i].link];
            }
        }
    free(gpus);
}

/* Starts each GPU's copy and runs to the end. */
static void run_all(struct bench *bench) {
    for (uint32_t g = 0; g < bench->count; g++) {
        struct run *run = &bench->runs[g];
        if (run->copy->kind == COPY_LOOP)
            engine_set(bench->engine, run->source, 0);
        else
            submit(run);
    }
    engine_run(bench->engine, SIM_NEVER - 1);
}

static void conclude_all(const struct bench *bench, const struct lone_result *alone, struct shared_gpu *gpus,
                         struct shared_result *out) {
    *out = (struct shared_result){.gpus = gpus, .count = bench->count};
    for (uint32_t g = 0; g < bench->count; g++) {
        const struct run *run = &bench->runs[g];
        struct lone_result own = *alone;
        MUST(run->submitted == run->copy->blocks && run->landed == run->copy->blocks);
        own.seconds = (double)run->end * 1e-9 + own.host_s;
        conclude(run, &own);
        gpus[g] = (struct shared_gpu){own.seconds, own.bound, own.latency_bound};
        if (own.seconds > out->last.seconds) {
            out->last = own;
            out->last_gpu = g;
        }
        for (uint32_t i = 0; i < run->hops; i++)
            if (run->sharers[i] > out->stages[i].sharers)
                out->stages[i].sharers = run->sharers[i];
    }
    for (uint32_t i = 0; i < alone->hop_count; i++) {
        struct shared_stage *stage = &out->stages[i];
        for (uint32_t g = 0; g < bench->count; g++) { /* the first GPU on a unit counts it */
            uint32_t before = 0;
            while (bench->runs[before].path[i].link != bench->runs[g].path[i].link)
                before++;
            stage->units += before == g;
        }
        double peak = alone->hops[i].peak_bytes_per_s / alone->hops[i].crossings * stage->units;
        if (i == 0 || peak < out->peak_bytes_per_s)
            out->peak_bytes_per_s = peak;
    }
    out->bytes_per_s = (double)bench->runs[0].copy->bytes * bench->count / out->last.seconds;
}

static int time_all(const struct lone_copy *copy, struct bench *bench, struct shared_gpu *gpus,
                    struct shared_result *out, struct error *err) {
    struct lone_result alone = {0};
    for (uint32_t g = 0; g < bench->count; g++) {
        struct run *run = &bench->runs[g];
        struct lone_result own = {0};
        *run = (struct run){.copy = copy, .engine = bench->engine, .network = bench->network, .gpu = g};
        run->source = engine_add(bench->engine, call_again, run);
        if (build(bench, run, g == 0 ? &alone : &own, err) != 0)
            return -1;
    }
    measure_hops(&bench->runs[0], &alone);
    count_sharers(bench);
    run_all(bench);
    conclude_all(bench, &alone, gpus, out);
    return 0;
}

int shared_copy_time(const struct lone_copy *copy, uint32_t count, struct shared_gpu *gpus, struct shared_result *out,
                     struct error *err) {
    if (count < 1 || (count > 1 && (int64_t)count > copy->node->gpus))
        return error_set(err, "%u GPUs at once, and node '%s' has %lld\n  hint: --gpus 1 to %lld, or another --node",
                         count, copy->node->name, (long long)copy->node->gpus, (long long)copy->node->gpus);
    struct bench bench = {.engine = engine_create(ENGINE_WINNER_TREE),
                          .runs = calloc(count, sizeof *bench.runs),
                          .count = count,
                          .numbers = calloc(copy->node->links.count * count + 1, sizeof *bench.numbers)};
    MUST(bench.runs != NULL && bench.numbers != NULL);
    bench.network = network_create(bench.engine, landed, &bench);
    int failed = time_all(copy, &bench, gpus, out, err);
    network_destroy(bench.network);
    engine_destroy(bench.engine);
    free(bench.runs);
    free(bench.numbers);
    return failed;
}

int lone_copy_time(const struct lone_copy *copy, struct lone_result *out, struct error *err) {
    struct shared_gpu gpu;
    struct shared_result result = {0};
    int failed = shared_copy_time(copy, 1, &gpu, &result, err);
    *out = result.last;
    return failed;
}
