#include "validate/micro/gpus.cuh"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <memory>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

/* Two rounds are always enqueued; their ends are timed on the device. */
static std::vector<double> flow_go(const struct flow &f, double seconds, std::atomic<int> *waiting) {
    CUDA_OK(cudaSetDevice(f.gpu));
    cudaStream_t stream;
    CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    std::vector<double> rounds;
    {
        device_event ends[3];
        f.round(stream, 0);
        CUDA_OK(cudaStreamSynchronize(stream));
        waiting->fetch_sub(1);
        while (waiting->load() > 0)
            ;
        double start = now_s();
        int sent = 0;
        for (int ended = 0;; ended++) {
            for (; sent < ended + 2; sent++) {
                f.round(stream, sent);
                CUDA_OK(cudaEventRecord(ends[sent % 3].event, stream));
            }
            CUDA_OK(cudaEventSynchronize(ends[ended % 3].event));
            float ms;
            if (ended > 1) { /* the end before is still there: one of three is being refilled next */
                CUDA_OK(cudaEventElapsedTime(&ms, ends[(ended + 2) % 3].event, ends[ended % 3].event));
                rounds.push_back(1e-3 * (double)ms);
            }
            if (now_s() > start + seconds && ended > 4)
                break;
        }
        CUDA_OK(cudaStreamSynchronize(stream));
    }
    cudaStreamDestroy(stream);
    return rounds;
}

std::vector<struct timing> flows_run(const std::vector<struct flow> &flows, double seconds) {
    std::atomic<int> waiting((int)flows.size());
    std::vector<std::vector<double>> rounds(flows.size());
    std::vector<std::string> whys(flows.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < flows.size(); i++)
        threads.emplace_back([&, i] {
            try {
                rounds[i] = flow_go(flows[i], seconds, &waiting);
            } catch (const std::exception &e) {
                whys[i] = e.what();
                waiting.store(0);
            }
        });
    for (std::thread &t : threads)
        t.join();
    std::vector<struct timing> out;
    for (size_t i = 0; i < flows.size(); i++) {
        if (!whys[i].empty())
            fail("GPU %d: %s", flows[i].gpu, whys[i].c_str());
        out.push_back(timing_of(rounds[i]));
    }
    return out;
}

void flows_rows(struct context *c, const char *variant, const std::string &params,
                const std::vector<struct flow> &flows, double seconds, double ceiling_of_one) {
    row_try(c, variant, params, [&] {
        std::vector<struct timing> times = flows_run(flows, c->quick ? seconds / 3 : seconds);
        struct row sum;
        double rate = 0.0;
        for (size_t i = 0; i < flows.size(); i++) {
            struct row row;
            row.variant = variant;
            row.params = params + text(" gpu=%d flow=%zu", flows[i].gpu, i);
            row.bytes = flows[i].bytes;
            row.ceiling = ceiling_of_one;
            rate += row.bytes / times[i].median_s;
            sum.bytes += row.bytes;
            row_write(c, row, times[i]);
        }
        sum.variant = text("%s_sum", variant);
        sum.params = params;
        sum.note = text("%zu flows at once; the sum of their median rates", flows.size());
        double s = sum.bytes / rate;
        row_write(c, sum, {s, s, s, s, times[0].count, 0.0, 0, 0.0});
    });
}

int numa_nodes(void) {
    int count = 0;
    DIR *nodes = opendir("/sys/devices/system/node");
    for (struct dirent *e; nodes && (e = readdir(nodes));)
        count += !strncmp(e->d_name, "node", 4) && e->d_name[4] >= '0' && e->d_name[4] <= '9';
    if (nodes)
        closedir(nodes);
    return std::max(1, count);
}
int gpu_numa_node(int gpu) {
    char bus[32];
    int node = -1;
    CUDA_OK(cudaDeviceGetPCIBusId(bus, sizeof bus, gpu));
    for (char *at = bus; *at; at++)
        *at = (char)tolower(*at);
    FILE *in = fopen(text("/sys/bus/pci/devices/%s/numa_node", bus).c_str(), "r");
    if (in && fscanf(in, "%d", &node) != 1)
        node = -1;
    if (in)
        fclose(in);
    return node;
}

node_memory::node_memory(size_t bytes_, int node) : bytes(bytes_) {
    data = (char *)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == (char *)MAP_FAILED)
        fail("%zu bytes of host memory: %s", bytes, strerror(errno));
    unsigned long mask[16] = {};
    if (node >= 0)
        mask[(size_t)node / (8 * sizeof *mask)] |= 1ul << ((size_t)node % (8 * sizeof *mask));
    const int bind = 2; /* MPOL_BIND */
    if (node >= 0 && syscall(SYS_mbind, data, bytes, bind, mask, 8 * sizeof mask, 0)) {
        munmap(data, bytes);
        skip("memory of NUMA node %d: %s", node, strerror(errno));
    }
    for (size_t i = 0; i < bytes; i += 4096)
        data[i] = (char)i;
    cudaError_t status = cudaHostRegister(data, bytes, cudaHostRegisterPortable);
    if (status != cudaSuccess) {
        munmap(data, bytes);
        fail("%zu bytes could not be pinned: %s", bytes, cudaGetErrorString(status));
    }
}
node_memory::~node_memory() {
    cudaHostUnregister(data);
    munmap(data, bytes);
}

std::string gpu_list(const std::vector<int> &gpus) {
    std::string out;
    for (int g : gpus)
        out += (out.empty() ? "" : "+") + std::to_string(g);
    return out;
}
std::vector<int> gpu_counts(const struct context *c) {
    std::vector<int> counts;
    for (int n = 1; n < c->gpus; n *= 2)
        counts.push_back(n);
    counts.push_back(c->gpus);
    return counts;
}

other_gpu::other_gpu(const struct context *from, int gpu) : c(*from) {
    CUDA_OK(cudaSetDevice(gpu));
    CUDA_OK(cudaGetDeviceProperties(&c.gpu, gpu));
    CUDA_OK(cudaStreamCreateWithFlags(&c.stream, cudaStreamNonBlocking));
}
other_gpu::~other_gpu() {
    cudaStreamDestroy(c.stream);
}

void peers_enable(int a, int b) {
    for (int turn = 0; turn < 2; turn++) {
        int can = 0, from = turn ? b : a, to = turn ? a : b;
        CUDA_OK(cudaDeviceCanAccessPeer(&can, from, to));
        if (!can)
            skip("GPU %d cannot reach the memory of GPU %d", from, to);
        CUDA_OK(cudaSetDevice(from));
        cudaError_t status = cudaDeviceEnablePeerAccess(to, 0);
        cudaGetLastError();
        if (status != cudaSuccess && status != cudaErrorPeerAccessAlreadyEnabled)
            CUDA_OK(status);
    }
    CUDA_OK(cudaSetDevice(a));
}
