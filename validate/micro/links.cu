/* All GPUs' links to host memory at once (links), GPU to GPU (p2p), and disk and DRAM under all GPUs' loads (shared).
 */
#include "validate/micro/disk.cuh"
#include "validate/micro/gpus.cuh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

static const size_t area_bytes = (size_t)256 << 20;

/* A GPU's area and its copies, one way; given back when the rows are over. */
struct lane {
    device_buffer device;
    node_memory host;
    struct copies copies;
    enum copy_way way;
    int gpu;
    /* scattered: 32 blocks of 2 MB by one batched call; else 64 MB in one piece */
    lane(struct context *c, int gpu_, int node, bool to_host, bool scattered)
        : device((cudaSetDevice(gpu_), area_bytes)), host(area_bytes, node), way(scattered ? COPY_BATCH : COPY_LOOP),
          gpu(gpu_) {
        other_gpu other(c, gpu);
        struct area a = {device.as<char>(), host.data, area_bytes};
        area_fill(&other.c, a);
        copies = copies_make(a, scattered ? (size_t)2 << 20 : (size_t)64 << 20, scattered ? 32 : 1, to_host, false);
    }
    struct flow flow() {
        return {gpu, 64.0 * 1048576.0, [this](cudaStream_t s, int) { copies_submit(copies, way, 0, s); }};
    }
};
static const int UP = 1, DOWN = 2;
static const char *const directions[] = {"", "h2d", "d2h", "duplex"};

static void lanes_rows(struct context *c, const std::vector<int> &gpus, int direction, bool scattered,
                       const char *where) {
    std::string params =
        text("gpus=%zu list=%s node=%s block=%d blocks=%d %s", gpus.size(), gpu_list(gpus).c_str(), where,
             scattered ? 2 << 20 : 64 << 20, scattered ? 32 : 1, scattered ? "scattered" : "bulk");
    row_try(c, directions[direction], params, [&] {
        std::vector<std::unique_ptr<struct lane>> lanes;
        std::vector<struct flow> flows;
        for (int g : gpus) {
            int local = gpu_numa_node(g), node = -1;
            if (!strcmp(where, "local") || !strcmp(where, "remote")) {
                if (local < 0)
                    skip("the NUMA node of GPU %d is unknown", g);
                node = !strcmp(where, "local") ? local : (local + numa_nodes() / 2) % numa_nodes();
            }
            for (int way : {UP, DOWN})
                if (direction & way) {
                    lanes.push_back(std::make_unique<struct lane>(c, g, node, way == DOWN, scattered));
                    flows.push_back(lanes.back()->flow());
                }
        }
        flows_rows(c, directions[direction], params, flows, 0.25, c->ceilings->h2d_bytes_per_s);
        for (auto &l : lanes) {
            CUDA_OK(cudaSetDevice(l->gpu));
            copies_verify(l->copies);
        }
    });
    cudaSetDevice(0);
}

static std::vector<int> first_gpus(int n, int step) {
    std::vector<int> out;
    for (int i = 0; i < n; i++)
        out.push_back(i * step);
    return out;
}

void group_links(struct context *c) {
    std::vector<const char *> places = {"any"};
    if (numa_nodes() > 1)
        places = {"local", "remote"};
    else
        row_try(c, "h2d", "node=remote", [] { skip("one NUMA node here: nothing is remote"); });
    for (int n : gpu_counts(c))
        for (const char *where : places)
            for (bool scattered : {false, true})
                for (int direction : {UP, DOWN, UP | DOWN})
                    lanes_rows(c, first_gpus(n, 1), direction, scattered, where);
    for (int g = 1; g < c->gpus; g++) /* each alone: do they hang alike? */
        lanes_rows(c, {g}, UP, false, places[0]);
    if (c->gpus >= 4) /* GPUs that share no switch or socket, if any do not */
        for (int direction : {UP, DOWN})
            lanes_rows(c, first_gpus(2, c->gpus / 2), direction, false, places[0]);
    if (c->gpus < 2)
        row_try(c, "h2d", "gpus=2", [] { skip("one GPU here: several at once were not measured"); });
}

struct peer_lane {
    int from, to;
    device_buffer source, target;
    peer_lane(struct context *c, int from_, int to_, size_t bytes)
        : from(from_), to(to_), source((cudaSetDevice(from_), bytes)), target((cudaSetDevice(to_), bytes)) {
        other_gpu other(c, from);
        fill_random(source.data, bytes, (uint64_t)(now_s() * 1e9), FILL_BITS, other.c.stream);
        CUDA_OK(cudaStreamSynchronize(other.c.stream));
    }
    void copy(size_t bytes, cudaStream_t s) {
        CUDA_OK(cudaMemcpyPeerAsync(target.data, to, source.data, from, bytes, s));
    }
    void verify(size_t bytes) {
        struct copies k;
        k.block = bytes;
        k.to = {target.data};
        k.from = {source.data};
        copies_verify(k);
    }
};

static void peers_rows(struct context *c, const char *variant, const std::vector<std::pair<int, int>> &pairs) {
    std::string params = text("gpus=%d pairs=", c->gpus);
    for (const auto &p : pairs)
        params += text("%s%d>%d", &p == &pairs[0] ? "" : "+", p.first, p.second);
    const size_t bytes = (size_t)64 << 20;
    params += text(" bytes=%zu", bytes);
    row_try(c, variant, params, [&] {
        std::vector<std::unique_ptr<struct peer_lane>> lanes;
        std::vector<struct flow> flows;
        for (const auto &p : pairs) {
            peers_enable(p.first, p.second);
            lanes.push_back(std::make_unique<struct peer_lane>(c, p.first, p.second, bytes));
            struct peer_lane *l = lanes.back().get();
            flows.push_back({p.first, (double)bytes, [l, bytes](cudaStream_t s, int) { l->copy(bytes, s); }});
        }
        flows_rows(c, variant, params, flows, 0.15, 0.0);
        for (auto &l : lanes)
            l->verify(bytes);
    });
    cudaSetDevice(0);
}

static void peer_sizes(struct context *c, int from, int to) {
    row_try(c, "size", text("from=%d to=%d", from, to), [&] {
        peers_enable(from, to);
        struct peer_lane l(c, from, to, (size_t)1 << 30);
        for (size_t bytes = 4096; bytes <= ((size_t)1 << 30); bytes *= 4) {
            other_gpu other(c, from);
            struct row row;
            row.variant = "size";
            row.params = text("from=%d to=%d bytes=%zu", from, to, bytes);
            row.bytes = (double)bytes;
            row_write(c, row, time_device(&other.c, c->quick ? 5 : 15, bytes > 1e8 ? 2 : 16, [&](int) {
                          l.copy(bytes, other.c.stream);
                      }));
            l.verify(bytes);
        }
    });
    cudaSetDevice(0);
}

void group_p2p(struct context *c) {
    if (c->gpus < 2)
        skip("one GPU here: peer to peer was not measured");
    peer_sizes(c, 0, 1);
    peer_sizes(c, 0, c->gpus - 1);
    for (int a = 0; a < c->gpus; a++)
        for (int b = 0; b < c->gpus; b++) {
            if (a != b)
                peers_rows(c, "one_way", {{a, b}});
            if (a < b)
                peers_rows(c, "both_ways", {{a, b}, {b, a}});
        }
    std::vector<std::pair<int, int>> ring, pairs, into_one;
    for (int g = 0; g < c->gpus; g++) {
        ring.push_back({g, (g + 1) % c->gpus});
        if (g % 2 == 0 && g + 1 < c->gpus)
            pairs.push_back({g, g + 1});
        if (g)
            into_one.push_back({g, 0});
    }
    if (c->gpus > 2) {
        peers_rows(c, "pairs", pairs);
        peers_rows(c, "ring", ring);
        peers_rows(c, "into_one", into_one);
    }
}

/* Reads of 4 MB from the disk into pinned memory and on to the GPU, four threads a GPU. */
struct disk_lane {
    static const size_t size = (size_t)4 << 20;
    device_buffer device;
    host_buffer host; /* O_DIRECT reads go right into it; three, since two rounds are in flight */
    const struct disk_file &file;
    int gpu;
    uint64_t next;
    disk_lane(const struct disk_file &f, int gpu_, uint64_t seed)
        : device((cudaSetDevice(gpu_), size)), host(3 * size), file(f), gpu(gpu_), next(seed) {}
    struct flow flow() {
        return {gpu, (double)size, [this](cudaStream_t s, int i) {
                    char *to = host.data + (size_t)(i % 3) * size;
                    next = next * 6364136223846793005ull + 1442695040888963407ull;
                    off_t at = (off_t)((next >> 20) % (file.bytes / size) * size);
                    if (pread(file.fd, to, size, at) != (ssize_t)size)
                        fail("the disk: %s", strerror(errno));
                    CUDA_OK(cudaMemcpyAsync(device.data, to, size, cudaMemcpyHostToDevice, s));
                }};
    }
};

static void shared_rows(struct context *c, const struct disk_file &file, int gpus, bool disk, bool dram) {
    const char *variant = disk && dram ? "disk_and_dram" : disk ? "disk" : "dram";
    std::string params = text("gpus=%d block=%zu", gpus, disk_lane::size);
    row_try(c, variant, params, [&] {
        std::vector<std::unique_ptr<struct disk_lane>> disks;
        std::vector<std::unique_ptr<struct lane>> lanes;
        std::vector<struct flow> flows;
        for (int g = 0; g < gpus; g++) {
            for (int i = 0; disk && i < 4; i++) {
                disks.push_back(std::make_unique<struct disk_lane>(file, g, (uint64_t)(now_s() * 1e9) + (uint64_t)i));
                flows.push_back(disks.back()->flow());
            }
            if (dram) {
                lanes.push_back(std::make_unique<struct lane>(c, g, -1, false, true));
                flows.push_back(lanes.back()->flow());
            }
        }
        flows_rows(c, variant, params, flows, 0.6, c->ceilings->h2d_bytes_per_s);
    });
    cudaSetDevice(0);
}

void group_shared(struct context *c) {
    struct disk_file file(c, (size_t)2 << 30, 3.0);
    for (int n : gpu_counts(c))
        for (int what : {1, 2, 3})
            shared_rows(c, file, n, what & 1, what & 2);
    if (c->gpus < 2)
        row_try(c, "disk_and_dram", "gpus=2", [] { skip("one GPU here: several at once were not measured"); });
}
