/* How fast are the flows? A node of eight GPUs (copy engine each, one DRAM bus, a drive, a NIC); so many transfers are
 * under way at a time, each followed by the next; the engines fifo, or shared. Prints JSON: ns a flow, medians. Usage:
 * network [FLOWS [RUNS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/base/error.h"
#include "sim/memory/network.h"

enum { GPUS = 8, RUNS_MAX = 99 };

struct load {
    struct engine *engine;
    struct network *network;
    uint32_t dram, ssd, nic, engines[GPUS];
    uint64_t random, started, flows;
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t draw(struct load *load, uint32_t below) {
    load->random = load->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((load->random >> 33) % below);
}

static void next(struct load *load) {
    enum network_direction direction = draw(load, 3) ? NETWORK_READ : NETWORK_WRITE;
    struct network_hop path[3] = {{load->engines[draw(load, GPUS)], direction}, {load->dram, direction}};
    uint32_t hops = 2, from = draw(load, 4);
    if (from < 2)
        path[hops++] = (struct network_hop){from ? load->ssd : load->nic, direction};
    network_start(load->network, path, hops, 1000000 + draw(load, 100000000), 1 + draw(load, 100), load->started++);
}

static void done(void *self, uint64_t tag, sim_time now) {
    (void)tag, (void)now;
    struct load *load = self;
    if (load->started < load->flows)
        next(load);
}

static double measure(uint32_t at_once, bool fifo, uint64_t flows) {
    struct load load = {.engine = engine_create(ENGINE_WINNER_TREE), .random = 1, .flows = flows};
    load.network = network_create(load.engine, done, &load);
    struct link_options dma = {.name = "dma", .fifo = fifo}, dram = {.name = "dram"}, ssd = {.name = "ssd"},
                        nic = {.name = "nic"};
    dma.read = (struct link_direction){.bandwidth_bytes_per_s = 52e9, .latency_s = 3e-6, .descriptor_s = 2e-7};
    dma.duplex_bytes_per_s = 84e9;
    dram.read = (struct link_direction){.bandwidth_bytes_per_s = 200e9};
    dram.duplex_bytes_per_s = 220e9;
    ssd.read = (struct link_direction){
        .bandwidth_bytes_per_s = 7e9, .latency_s = 8e-5, .queue_depth = 32, .io_bytes = 131072, .iops = 1e6};
    nic.read = (struct link_direction){.bandwidth_bytes_per_s = 45e9, .latency_s = 1e-5};
    load.dram = network_add(load.network, &dram);
    load.ssd = network_add(load.network, &ssd);
    load.nic = network_add(load.network, &nic);
    for (int i = 0; i < GPUS; i++)
        load.engines[i] = network_add(load.network, &dma);
    for (uint32_t i = 0; i < at_once; i++)
        next(&load);
    double start = now_s();
    engine_run(load.engine, SIM_NEVER);
    double seconds = now_s() - start;
    MUST(network_flows(load.network) == 0 && load.started == flows);
    network_destroy(load.network);
    engine_destroy(load.engine);
    return 1e9 * seconds / (double)flows;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    uint64_t flows = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    int runs = argc > 2 ? atoi(argv[2]) : 5;
    if (flows < 1000 || runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: network [FLOWS [RUNS]]\n  hint: 1000 flows or more, 1 to %d runs\n", RUNS_MAX);
        return EXIT_BAD_INPUT;
    }
    static const uint32_t at_once[] = {1, 4, 16, 64, 256};
    enum { SIZES = sizeof at_once / sizeof *at_once };
    double ns[2][SIZES][RUNS_MAX];
    for (int run = 0; run < runs; run++) /* interleaved */
        for (int i = 0; i < SIZES; i++)
            for (int fifo = 0; fifo < 2; fifo++)
                ns[fifo][i][run] = measure(at_once[i], fifo, flows);
    printf("{\"benchmark\": \"network\", \"compiler\": \"%s\", \"flows\": %llu, \"runs\": %d, \"results\": [",
           __VERSION__, (unsigned long long)flows, runs);
    for (int i = 0; i < SIZES; i++) {
        for (int fifo = 0; fifo < 2; fifo++)
            qsort(ns[fifo][i], (size_t)runs, sizeof ns[fifo][i][0], ascending);
        printf("%s\n  {\"at_once\": %u, \"fifo_ns_per_flow\": %.1f, \"shared_ns_per_flow\": %.1f}", i ? "," : "",
               at_once[i], ns[1][i][runs / 2], ns[0][i][runs / 2]);
    }
    printf("]}\n");
    return 0;
}
