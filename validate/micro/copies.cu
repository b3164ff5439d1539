/* Tier copies between host memory and HBM, and what they do to a decode beside them. Bytes are verified in every row.
 */
#include "validate/micro/decode_bench.cuh"

#include <algorithm>
#include <cstring>
#include <random>

enum copy_way { COPY_LOOP, COPY_BATCH, COPY_KERNEL };
static const char *const ways[] = {"loop", "batch", "kernel"};

struct copies {
    std::vector<void *> to, from;
    std::vector<size_t> sizes;
    std::unique_ptr<device_buffer> lists; /* to, then from: for the kernel */
    size_t block;
};

static __global__ void copy_kernel(void *const *to, void *const *from, size_t count, size_t words) {
    for (size_t b = blockIdx.x; b < count; b += gridDim.x) {
        const uint4 *in = (const uint4 *)from[b];
        uint4 *out = (uint4 *)to[b];
        for (size_t i = threadIdx.x; i < words; i += 4 * blockDim.x) {
            uint4 v[4];
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (i + (size_t)k * blockDim.x < words)
                    v[k] = in[i + (size_t)k * blockDim.x];
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (i + (size_t)k * blockDim.x < words)
                    out[i + (size_t)k * blockDim.x] = v[k];
        }
    }
}

static void copies_submit(const struct copies &k, enum copy_way way, int ctas, cudaStream_t stream) {
    size_t n = k.to.size();
    if (way == COPY_LOOP) {
        for (size_t i = 0; i < n; i++)
            CUDA_OK(cudaMemcpyAsync(k.to[i], k.from[i], k.block, cudaMemcpyDefault, stream));
    } else if (way == COPY_BATCH) {
#if CUDART_VERSION >= 13000
        cudaMemcpyAttributes attributes = {};
        attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        size_t first = 0;
        CUDA_OK(cudaMemcpyBatchAsync((void *const *)k.to.data(), (const void *const *)k.from.data(), k.sizes.data(), n,
                                     &attributes, &first, 1, stream));
#else
        fail("cudaMemcpyBatchAsync is not in this CUDA: skipped");
#endif
    } else {
        void **lists = k.lists->as<void *>();
        copy_kernel<<<ctas, 512, 0, stream>>>(lists, lists + n, n, k.block / 16);
        CUDA_OK(cudaGetLastError());
    }
}

/* `count` blocks at scattered places of both sides; adjacent: one after another. */
static struct copies copies_make(char *device, char *host, size_t space, size_t block, size_t count, bool to_host,
                                 bool adjacent) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    std::vector<size_t> a(space / block), b;
    for (size_t i = 0; i < a.size(); i++)
        a[i] = i;
    b = a;
    if (!adjacent) {
        std::shuffle(a.begin(), a.end(), random);
        std::shuffle(b.begin(), b.end(), random);
    }
    struct copies k;
    k.block = block;
    for (size_t i = 0; i < count; i++) {
        void *d = device + a[i] * block, *h = host + b[i] * block;
        k.to.push_back(to_host ? h : d);
        k.from.push_back(to_host ? d : h);
        k.sizes.push_back(block);
    }
    k.lists = std::make_unique<device_buffer>(16 * count);
    CUDA_OK(cudaMemcpy(k.lists->data, k.to.data(), 8 * count, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(k.lists->as<char>() + 8 * count, k.from.data(), 8 * count, cudaMemcpyHostToDevice));
    return k;
}

/* Compares up to 64 of the blocks, byte by byte, the last among them. */
static void copies_verify(const struct copies &k) {
    std::vector<char> x(k.block), y(k.block);
    size_t n = k.to.size(), step = std::max<size_t>(1, n / 64);
    for (size_t i = n - 1;; i -= step) {
        CUDA_OK(cudaMemcpy(x.data(), k.to[i], k.block, cudaMemcpyDefault));
        CUDA_OK(cudaMemcpy(y.data(), k.from[i], k.block, cudaMemcpyDefault));
        if (memcmp(x.data(), y.data(), k.block))
            fail("block %zu arrived with other bytes", i);
        if (i < step)
            break;
    }
}

struct area {
    char *device, *host;
    size_t space;
};

static void copy_row(struct context *c, const struct area &a, enum copy_way way, bool to_host, size_t block,
                     size_t count, int ctas, bool adjacent) {
    std::string params = text("dir=%s block=%zu blocks=%zu ctas=%d %s pinned", to_host ? "d2h" : "h2d", block, count,
                              ctas, adjacent ? "adjacent" : "scattered");
    row_try(c, ways[way], params, [&] {
        struct copies k = copies_make(a.device, a.host, a.space, block, count, to_host, adjacent);
        struct row row;
        row.variant = ways[way];
        row.params = params;
        row.bytes = (double)(block * count);
        row.ceiling = to_host ? c->ceilings->d2h_bytes_per_s : c->ceilings->h2d_bytes_per_s;
        int reps = row.bytes > 2e8 || count > 4000 ? 7 : 20;
        row_write(c, row, time_host(c, c->quick ? 5 : reps, [&] { copies_submit(k, way, ctas, c->stream); }));
        copies_verify(k);
    });
}

static void pageable_rows(struct context *c, char *device) {
    const size_t most = (size_t)256 << 20;
    std::vector<char> host(most, 3);
    for (size_t bytes = 65536; bytes <= most; bytes *= 16)
        for (int to_host = 0; to_host < 2; to_host++)
            row_try(c, "pageable", text("dir=%s block=%zu", to_host ? "d2h" : "h2d", bytes), [&] {
                struct row row;
                row.variant = "pageable";
                row.params = text("dir=%s block=%zu blocks=1 pageable", to_host ? "d2h" : "h2d", bytes);
                row.bytes = (double)bytes;
                row.ceiling = to_host ? c->ceilings->d2h_bytes_per_s : c->ceilings->h2d_bytes_per_s;
                row_write(c, row, time_host(c, bytes > 1e8 ? 5 : 15, [&] {
                              CUDA_OK(cudaMemcpyAsync(to_host ? host.data() : device, to_host ? device : host.data(),
                                                      bytes, cudaMemcpyDefault, c->stream));
                          }));
            });
}

static void duplex_row(struct context *c, const struct area &a, enum copy_way way, size_t block, size_t in,
                       size_t out) {
    std::string params = text("block=%zu in=%zu out=%zu", block, in, out);
    row_try(c, "duplex", params, [&] {
        size_t half = a.space / 2;
        cudaStream_t other;
        cudaEvent_t done;
        CUDA_OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
        CUDA_OK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
        struct copies h2d = copies_make(a.device, a.host, half, block, in, false, false);
        struct copies d2h = copies_make(a.device + half, a.host + half, half, block, out, true, false);
        struct row row;
        row.variant = text("duplex_%s", ways[way]);
        row.params = params;
        row.bytes = (double)block * (double)(in + out);
        row.ceiling = c->ceilings->h2d_bytes_per_s + c->ceilings->d2h_bytes_per_s;
        row_write(c, row, time_host(c, 7, [&] {
                      copies_submit(d2h, way, 16, other);
                      CUDA_OK(cudaEventRecord(done, other));
                      copies_submit(h2d, way, 16, c->stream);
                      CUDA_OK(cudaStreamWaitEvent(c->stream, done, 0));
                  }));
        copies_verify(h2d);
        copies_verify(d2h);
        cudaStreamDestroy(other);
        cudaEventDestroy(done);
    });
}

void group_copies(struct context *c) {
    const size_t space = (size_t)2 << 30;
    device_buffer device(space);
    char *host;
    CUDA_OK(cudaMallocHost((void **)&host, space));
    struct area a = {device.as<char>(), host, space};
    fill_random(device.data, space, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
    CUDA_OK(cudaMemcpyAsync(host, device.data, space, cudaMemcpyDeviceToHost, c->stream));
    fill_random(device.data, space, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
    CUDA_OK(cudaStreamSynchronize(c->stream));
    for (int to_host = 0; to_host < 2; to_host++) {
        for (size_t b = 4096; b <= ((size_t)1 << 30); b *= 4)
            copy_row(c, a, COPY_LOOP, to_host, b, 1, 0, false);
        for (size_t kb : {4, 8, 16, 24, 28, 32, 64, 256, 2048})
            for (size_t n : {1, 16, 256, 1024, 10000}) {
                if (kb * 1024 * n > (size_t)1 << 30)
                    continue;
                copy_row(c, a, COPY_BATCH, to_host, kb << 10, n, 0, false);
                if (n <= 1024)
                    copy_row(c, a, COPY_LOOP, to_host, kb << 10, n, 0, false);
            }
        for (size_t kb : {4, 16, 28, 64, 2048})
            for (int ctas : {1, 2, 4, 8, 16, 32})
                copy_row(c, a, COPY_KERNEL, to_host, kb << 10, std::min<size_t>(4096, ((size_t)256 << 20) / (kb << 10)),
                         ctas, false);
        for (size_t kb : {4, 16, 64})
            copy_row(c, a, COPY_BATCH, to_host, kb << 10, 1024, 0, true);
    }
    for (enum copy_way way : {COPY_BATCH, COPY_KERNEL})
        for (size_t kb : {16, 64, 2048}) {
            size_t n = std::min<size_t>(4096, ((size_t)256 << 20) / (kb << 10));
            duplex_row(c, a, way, kb << 10, n, n);
            duplex_row(c, a, way, kb << 10, n, n / 4);
            duplex_row(c, a, way, kb << 10, n / 4, n);
        }
    pageable_rows(c, device.as<char>());
    cudaFreeHost(host);
}

/* A decode in a loop on one stream, copies in a loop on another: what each loses. */
static void overlap_row(struct context *c, const struct area &a, struct decode_bench *b, enum copy_way way,
                        bool to_host, size_t block, int ctas) {
    std::string params = text("dir=%s block=%zu ctas=%d", to_host ? "d2h" : "h2d", block, ctas);
    row_try(c, ways[way], params, [&] {
        cudaStream_t other;
        cudaEvent_t e[4];
        CUDA_OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
        for (cudaEvent_t &x : e)
            CUDA_OK(cudaEventCreate(&x));
        size_t n = std::min<size_t>(2048, ((size_t)256 << 20) / block);
        struct copies k = copies_make(a.device, a.host, a.space, block, n, to_host, false);
        float ms;
        auto copy_alone = [&] {
            CUDA_OK(cudaEventRecord(e[0], other));
            copies_submit(k, way, ctas, other);
            CUDA_OK(cudaEventRecord(e[1], other));
        };
        std::vector<double> alone, beside, decode_alone, decode_beside;
        const int calls = 24;
        for (int rep = -1; rep < 9; rep++) { /* interleaved: copy alone, decode alone, both */
            copy_alone();
            CUDA_OK(cudaDeviceSynchronize());
            CUDA_OK(cudaEventElapsedTime(&ms, e[0], e[1]));
            alone.push_back(1e-3 * (double)ms);
            for (int both = 0; both < 2; both++) {
                spin(c->stream, 300e-6);
                for (int i = 0; i < (both ? 4 : 0); i++)
                    b->launch(c, DECODE_V3, i);
                CUDA_OK(cudaEventRecord(e[2], c->stream));
                for (int i = 0; i < calls; i++)
                    b->launch(c, DECODE_V3, i);
                CUDA_OK(cudaEventRecord(e[3], c->stream));
                if (both)
                    copy_alone();
                CUDA_OK(cudaDeviceSynchronize());
                CUDA_OK(cudaEventElapsedTime(&ms, e[2], e[3]));
                (both ? decode_beside : decode_alone).push_back(1e-3 * (double)ms / calls);
            }
            CUDA_OK(cudaEventElapsedTime(&ms, e[0], e[1]));
            beside.push_back(1e-3 * (double)ms);
        }
        struct timing t = timing_of(beside), t0 = timing_of(alone), d = timing_of(decode_beside),
                      d0 = timing_of(decode_alone);
        struct row row;
        row.variant = ways[way];
        row.params = params;
        row.bytes = (double)(block * n);
        row.ceiling = to_host ? c->ceilings->d2h_bytes_per_s : c->ceilings->h2d_bytes_per_s;
        row.note = text("copy_alone_us=%.2f decode_alone_us=%.3f decode_beside_us=%.3f decode_window_us=%.1f",
                        t0.median_s * 1e6, d0.median_s * 1e6, d.median_s * 1e6, d.median_s * calls * 1e6);
        row_write(c, row, t);
        copies_verify(k);
        cudaStreamDestroy(other);
        for (cudaEvent_t &x : e)
            cudaEventDestroy(x);
    });
}

void group_overlap(struct context *c) {
    const size_t space = (size_t)1 << 30, half = (size_t)4 << 30;
    device_buffer device(space), pool(2 * half);
    char *host;
    CUDA_OK(cudaMallocHost((void **)&host, space));
    fill_random(device.data, space, 3, FILL_BITS, c->stream);
    fill_random(pool.data, 2 * half, 5, FILL_BF16, c->stream);
    CUDA_OK(cudaMemcpyAsync(host, device.data, space, cudaMemcpyDeviceToHost, c->stream));
    CUDA_OK(cudaStreamSynchronize(c->stream));
    struct area a = {device.as<char>(), host, space};
    struct decode_bench bench(c, {64, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0}, pool.data, half);
    for (int to_host = 0; to_host < 2; to_host++)
        for (size_t kb : {64, 2048}) {
            overlap_row(c, a, &bench, COPY_BATCH, to_host, kb << 10, 0);
            for (int ctas : {4, 16})
                overlap_row(c, a, &bench, COPY_KERNEL, to_host, kb << 10, ctas);
        }
    cudaFreeHost(host);
}

/* Joules a call by the driver's counter, which moves every few tens of milliseconds: half a second of work or more. */
void group_energy(struct context *c) {
    if (nvml_joules() <= 0.0)
        fail("the driver has no energy counter: skipped");
    const size_t half = (size_t)4 << 30;
    device_buffer pool(2 * half);
    fill_random(pool.data, 2 * half, 5, FILL_BF16, c->stream);
    struct row row;
    row.variant = "idle";
    row.note = "a context is open; nothing runs";
    CUDA_OK(cudaDeviceSynchronize());
    double from = nvml_joules(), start = now_s();
    while (now_s() < start + 2.0)
        ;
    double seconds = now_s() - start;
    row.joules = nvml_joules() - from;
    row_write(c, row, {seconds, seconds, seconds, seconds, 1, 0.0});
    for (int sequences : {1, 8, 64})
        row_try(c, "decode", text("batch=%d", sequences), [&] {
            struct decode_point d = {sequences, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0};
            struct decode_bench b(c, d, pool.data, half);
            int calls = 0;
            for (double warm = now_s(); now_s() < warm + 0.5;) {
                b.launch(c, DECODE_V3, 0);
                CUDA_OK(cudaStreamSynchronize(c->stream));
            }
            double j = nvml_joules(), t = now_s();
            while (now_s() < t + 1.5) {
                for (int i = 0; i < 64; i++)
                    b.launch(c, DECODE_V3, calls++);
                CUDA_OK(cudaStreamSynchronize(c->stream));
            }
            double wall = now_s() - t;
            struct row r;
            r.variant = "decode";
            r.params = decode_params(d, b);
            r.bytes = decode_kv_bytes(&b.p, b.tokens);
            r.joules = (nvml_joules() - j) / calls;
            r.ceiling = c->ceilings->hbm_read_bytes_per_s;
            r.note = text("watts=%.1f", r.joules * calls / wall);
            row_write(c, r, {wall / calls, wall / calls, wall / calls, wall / calls, calls, 0.0});
        });
}
