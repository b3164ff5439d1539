/* A paged KV cache of random data, several disjoint page tables over it, and the check against float64. */
#ifndef VALIDATE_MICRO_DECODE_BENCH_CUH
#define VALIDATE_MICRO_DECODE_BENCH_CUH

#include "validate/cuda/bench.cuh"
#include "validate/kernels/decode.cuh"

#include <memory>

struct decode_point {
    int sequences, context, kv_heads, group, head_size, page_size;
    enum kv_dtype dtype;
    enum kv_layout layout;
    int skew;   /* 1: all lengths alike; else the longer half has skew times the shorter's tokens */
    int splits; /* 0: by the rule */
};

struct decode_bench {
    struct decode_problem p;
    int tables; /* call i uses table i % tables: more than twice L2 lies between two uses of a page */
    int64_t tokens;
    std::vector<int> lengths;
    size_t table_ints;
    std::unique_ptr<device_buffer> q, o, partial, done, table, length;
    /* pool: K then V, pool_bytes each, filled with random data of the point's dtype. */
    decode_bench(struct context *c, const struct decode_point &point, void *pool, size_t pool_bytes);
    void resplit(int splits); /* by another rule than decode_splits() */
    void launch(struct context *c, enum decode_version version, int call);
    /* Largest |out - ref| / rms(ref) of up to 4 sequences; throws where a NaN or an unwritten output is found. */
    double check(struct context *c, enum decode_version version);
};
std::string decode_params(const struct decode_point &point, const struct decode_bench &bench);

/* K, then V, filled with random data when first asked for, and when the dtype changes. */
struct pool {
    device_buffer memory;
    size_t half;
    enum kv_dtype dtype;
    bool filled;
};
size_t pool_half(void);
void pool_fill(struct context *c, struct pool *pool, enum kv_dtype dtype);

/* `inner` calls as one CUDA graph: libraries whose calls cost the host tens of microseconds are timed alike. */
struct replay {
    cudaGraphExec_t graph;
    int inner;
    replay(struct context *c, int count, const std::function<void(int)> &call);
    ~replay() { cudaGraphExecDestroy(graph); }
    replay(const replay &) = delete;
    replay &operator=(const replay &) = delete;
    double once(struct context *c); /* seconds of one call */
    struct timing time(struct context *c, int reps);
};

#endif
