/* NCCL over the GPUs of this host from one thread: in a graph, as engines replay it, and eager. NVLink multicast is
 * off. `bytes` is what a rank holds of the whole: the buffer of an all-reduce, the gathered output, the scattered
 * input. */
#include "validate/micro/gpus.cuh"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <cuda_bf16.h>
#include <dlfcn.h>

#if __has_include(<nccl.h>)
#include <nccl.h>

struct nccl {
    void *library = nullptr;
    decltype(&ncclCommInitAll) init = nullptr;
    decltype(&ncclCommDestroy) destroy = nullptr;
    decltype(&ncclGroupStart) start = nullptr;
    decltype(&ncclGroupEnd) end = nullptr;
    decltype(&ncclAllReduce) all_reduce = nullptr;
    decltype(&ncclAllGather) all_gather = nullptr;
    decltype(&ncclReduceScatter) reduce_scatter = nullptr;
    decltype(&ncclSend) send = nullptr;
    decltype(&ncclRecv) recv = nullptr;
    decltype(&ncclGetErrorString) why = nullptr;
    decltype(&ncclGetVersion) version = nullptr;
};
template <typename F> static void find(void *library, const char *name, F *function) {
    *function = (F)dlsym(library, name);
    if (!*function)
        skip("libnccl has no %s", name);
}
static struct nccl nccl_open(void) {
    struct nccl n;
    setenv("NCCL_NVLS_ENABLE", "0", 1);
    for (const char *name : {"libnccl.so.2", "libnccl.so"})
        if (!n.library)
            n.library = dlopen(name, RTLD_NOW);
    if (!n.library)
        skip("libnccl could not be opened: %s", dlerror());
    find(n.library, "ncclCommInitAll", &n.init);
    find(n.library, "ncclCommDestroy", &n.destroy);
    find(n.library, "ncclGroupStart", &n.start);
    find(n.library, "ncclGroupEnd", &n.end);
    find(n.library, "ncclAllReduce", &n.all_reduce);
    find(n.library, "ncclAllGather", &n.all_gather);
    find(n.library, "ncclReduceScatter", &n.reduce_scatter);
    find(n.library, "ncclSend", &n.send);
    find(n.library, "ncclRecv", &n.recv);
    find(n.library, "ncclGetErrorString", &n.why);
    find(n.library, "ncclGetVersion", &n.version);
    return n;
}

enum collective { ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, ALL_TO_ALL, COLLECTIVES };
static const char *const names[COLLECTIVES] = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"};

/* Small whole numbers: sums of eight are exact in bf16. */
static __host__ __device__ int value(size_t i, int rank) {
    return (int)((i * 5 + (size_t)rank * 3) % 8);
}
static __global__ void put(__nv_bfloat16 *data, size_t count, size_t from, int rank) {
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x)
        data[i] = __float2bfloat16((float)value(from + i, rank));
}

struct ranks {
    const struct nccl &nccl;
    int count;
    std::vector<ncclComm_t> comms;
    std::vector<cudaStream_t> streams;
    std::vector<std::unique_ptr<device_buffer>> in, out;
    static const size_t most = (size_t)1 << 30;
    void ok(ncclResult_t status, const char *what) const {
        if (status != ncclSuccess)
            fail("%s: %s", what, nccl.why(status));
    }
    ranks(const struct nccl &n, int count_) : nccl(n), count(count_), comms((size_t)count_) {
        std::vector<int> list;
        for (int g = 0; g < count; g++) {
            cudaStream_t s;
            list.push_back(g);
            CUDA_OK(cudaSetDevice(g));
            CUDA_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
            streams.push_back(s);
            in.push_back(std::make_unique<device_buffer>(most));
            out.push_back(std::make_unique<device_buffer>(most));
        }
        ok(nccl.init(comms.data(), count, list.data()), "ncclCommInitAll");
    }
    ~ranks() {
        for (int g = 0; g < count; g++) {
            cudaSetDevice(g);
            cudaStreamSynchronize(streams[(size_t)g]);
            nccl.destroy(comms[(size_t)g]);
            cudaStreamDestroy(streams[(size_t)g]);
        }
    }
    /* A rank's own call. */
    void one(enum collective what, int g, size_t bytes) const {
        size_t elements = bytes / 2, part = elements / (size_t)count, r = (size_t)g;
        void *from = in[r]->data, *to = out[r]->data;
        if (what == ALL_REDUCE)
            ok(nccl.all_reduce(from, to, elements, ncclBfloat16, ncclSum, comms[r], streams[r]), "ncclAllReduce");
        else if (what == ALL_GATHER)
            ok(nccl.all_gather(from, to, part, ncclBfloat16, comms[r], streams[r]), "ncclAllGather");
        else if (what == REDUCE_SCATTER)
            ok(nccl.reduce_scatter(from, to, part, ncclBfloat16, ncclSum, comms[r], streams[r]), "ncclReduceScatter");
        else
            for (int peer = 0; peer < count; peer++) {
                ok(nccl.send((char *)from + 2 * part * (size_t)peer, part, ncclBfloat16, peer, comms[r], streams[r]),
                   "ncclSend");
                ok(nccl.recv((char *)to + 2 * part * (size_t)peer, part, ncclBfloat16, peer, comms[r], streams[r]),
                   "ncclRecv");
            }
    }
    void all(enum collective what, size_t bytes) const {
        ok(nccl.start(), "ncclGroupStart");
        for (int g = 0; g < count; g++)
            one(what, g, bytes);
        ok(nccl.end(), "ncclGroupEnd");
    }
    void each(const std::function<void(size_t)> &body) const {
        for (int g = 0; g < count; g++) {
            CUDA_OK(cudaSetDevice(g));
            body((size_t)g);
        }
        CUDA_OK(cudaSetDevice(0));
    }
    double check(enum collective what, size_t bytes) const;
};

/* Every rank's first and last kilobytes of output, exactly. */
double ranks::check(enum collective what, size_t bytes) const {
    size_t elements = bytes / 2, part = elements / (size_t)count;
    size_t outputs = what == REDUCE_SCATTER ? part : elements, look = std::min<size_t>(outputs, 512);
    each([&](size_t g) {
        put<<<512, 256, 0, streams[g]>>>(in[g]->as<__nv_bfloat16>(), elements, 0, (int)g);
        CUDA_OK(cudaMemsetAsync(out[g]->data, 0xff, bytes, streams[g]));
        CUDA_OK(cudaStreamSynchronize(streams[g]));
    });
    all(what, bytes);
    each([&](size_t g) {
        CUDA_OK(cudaStreamSynchronize(streams[g]));
        std::vector<__nv_bfloat16> got(look);
        for (size_t from : {(size_t)0, outputs - look}) {
            CUDA_OK(cudaMemcpy(got.data(), out[g]->as<__nv_bfloat16>() + from, 2 * look, cudaMemcpyDeviceToHost));
            for (size_t j = 0; j < look; j++) {
                size_t i = from + j;
                int want = 0;
                if (what == ALL_REDUCE || what == REDUCE_SCATTER)
                    for (int r = 0; r < count; r++)
                        want += value(what == ALL_REDUCE ? i : g * part + i, r);
                else if (i / part < (size_t)count)
                    want = value(what == ALL_GATHER ? i % part : g * part + i % part, (int)(i / part));
                else
                    continue; /* what the ranks do not divide */
                if (__bfloat162float(got[j]) != (float)want)
                    fail("rank %zu: output %zu is %g, not %d", g, i, (double)__bfloat162float(got[j]), want);
            }
        }
    });
    return 0.0;
}

static struct timing time_ranks(struct context *c, const struct ranks &r, int reps, int inner,
                                const std::function<void()> &launch) {
    device_event from, to;
    std::vector<double> seconds;
    for (int rep = -2; rep < reps; rep++) {
        r.each([&](size_t g) {
            CUDA_OK(cudaStreamSynchronize(r.streams[g]));
            spin(r.streams[g], 60e-6 * r.count + 30e-6 * inner * r.count);
        });
        CUDA_OK(cudaEventRecord(from.event, r.streams[0]));
        for (int i = 0; i < inner; i++)
            launch();
        CUDA_OK(cudaSetDevice(0));
        CUDA_OK(cudaEventRecord(to.event, r.streams[0]));
        CUDA_OK(cudaEventSynchronize(to.event));
        float ms;
        CUDA_OK(cudaEventElapsedTime(&ms, from.event, to.event));
        if (rep >= 0)
            seconds.push_back(1e-3 * (double)ms / inner);
    }
    (void)c;
    return timing_of(seconds);
}

struct rank_graphs {
    const struct ranks &r;
    std::vector<cudaGraphExec_t> graphs;
    rank_graphs(const struct ranks &ranks_, enum collective what, size_t bytes, int inner) : r(ranks_) {
        r.each([&](size_t g) { CUDA_OK(cudaStreamBeginCapture(r.streams[g], cudaStreamCaptureModeRelaxed)); });
        for (int i = 0; i < inner; i++)
            r.all(what, bytes);
        r.each([&](size_t g) {
            cudaGraph_t graph;
            cudaGraphExec_t exec;
            CUDA_OK(cudaStreamEndCapture(r.streams[g], &graph));
            CUDA_OK(cudaGraphInstantiate(&exec, graph, 0));
            cudaGraphDestroy(graph);
            graphs.push_back(exec);
        });
    }
    ~rank_graphs() {
        for (cudaGraphExec_t g : graphs)
            cudaGraphExecDestroy(g);
    }
    void launch() const {
        r.each([&](size_t g) { CUDA_OK(cudaGraphLaunch(graphs[g], r.streams[g])); });
    }
};

static void collective_rows(struct context *c, const struct ranks &r, enum collective what, size_t bytes) {
    std::string params = text("gpus=%d bytes=%zu", r.count, bytes);
    row_try(c, names[what], params, [&] {
        struct row row;
        row.params = params;
        row.bytes = (double)bytes;
        row.error = r.check(what, bytes);
        int inner = bytes > 1e8 ? 2 : 10, reps = c->quick ? 5 : 15;
        row.variant = text("%s_eager", names[what]);
        row.note = "bf16; one thread launches for all ranks; NVLS off";
        row_write(c, row, time_ranks(c, r, reps, inner, [&] { r.all(what, bytes); }));
        struct rank_graphs graphs(r, what, bytes, inner);
        struct timing t = time_ranks(c, r, reps, 1, [&] { graphs.launch(); });
        row.variant = names[what];
        row.note = text("bf16; a graph of %d for each rank; NVLS off", inner);
        row_write(c, row,
                  {t.median_s / inner, t.p10_s / inner, t.p90_s / inner, t.min_s / inner, t.count, 0.0, 0, 0.0});
    });
}

void group_collectives(struct context *c) {
    if (c->gpus < 2)
        skip("one GPU here: collectives were not measured");
    struct nccl nccl = nccl_open();
    for (int n : gpu_counts(c)) {
        if (n < 2)
            continue;
        struct ranks r(nccl, n);
        for (int what = 0; what < COLLECTIVES; what++)
            for (size_t bytes = 1024; bytes <= ranks::most; bytes *= 4)
                collective_rows(c, r, (enum collective)what, bytes);
    }
}
#else
void group_collectives(struct context *c) {
    (void)c;
    skip("nccl.h was not found as this was built");
}
#endif
