/* Several GPUs at once: a flow a thread, host memory of a NUMA node. Works with one GPU too. */
#ifndef VALIDATE_MICRO_GPUS_CUH
#define VALIDATE_MICRO_GPUS_CUH

#include "validate/micro/copying.cuh"

/* What goes on and on beside the others: round(stream, i) enqueues the i-th round of `bytes` on its GPU. */
struct flow {
    int gpu;
    double bytes;
    std::function<void(cudaStream_t, int)> round;
};
/* Runs all of them for about `seconds`, each from a thread of its own; the seconds of a round, for each. */
std::vector<struct timing> flows_run(const std::vector<struct flow> &flows, double seconds);
/* A row of each, then one of the sum; params of a flow: params + its GPU. */
void flows_rows(struct context *c, const char *variant, const std::string &params,
                const std::vector<struct flow> &flows, double seconds, double ceiling_of_one);

int numa_nodes(void);
int gpu_numa_node(int gpu); /* -1: unknown */
/* Pinned memory of a node (-1: wherever the kernel puts it). */
struct node_memory {
    char *data = nullptr;
    size_t bytes;
    node_memory(size_t bytes_, int node);
    ~node_memory();
    node_memory(const node_memory &) = delete;
    node_memory &operator=(const node_memory &) = delete;
};
/* "0+1+2" */
std::string gpu_list(const std::vector<int> &gpus);
/* 1, 2, 4, 8 ... up to what there is, which is in it too. */
std::vector<int> gpu_counts(const struct context *c);
/* A context on another GPU: its stream, its properties. Makes that GPU the current one. */
struct other_gpu {
    struct context c;
    other_gpu(const struct context *from, int gpu);
    ~other_gpu();
    other_gpu(const other_gpu &) = delete;
    other_gpu &operator=(const other_gpu &) = delete;
};
/* Lets each read and write the other's memory; throws where it cannot. */
void peers_enable(int a, int b);

#endif
