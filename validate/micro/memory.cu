/* Ceilings (reads, copies, writes, matrix rate, link), gathers by chunk and working sets within L2. */
#include "validate/cuda/bench.cuh"

#include <algorithm>
#include <cstring>
#include <cublas_v2.h>

static __global__ void read_kernel(const uint4 *data, size_t n, unsigned *sink) {
    size_t stride = (size_t)gridDim.x * blockDim.x, i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    unsigned x = 0;
    for (; i + 7 * stride < n; i += 8 * stride) {
        uint4 v[8];
#pragma unroll
        for (int k = 0; k < 8; k++)
            v[k] = __ldcg(data + i + (size_t)k * stride);
#pragma unroll
        for (int k = 0; k < 8; k++)
            x ^= v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
    }
    for (; i < n; i += stride)
        x ^= data[i].x ^ data[i].y ^ data[i].z ^ data[i].w;
    if (x == 0x12345678u) /* hardly ever: keeps the loads */
        *sink = x;
}
static __global__ void write_kernel(uint4 *data, size_t n, unsigned seed) {
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride)
        data[i] = make_uint4((unsigned)i * 2654435761u, seed ^ (unsigned)i, (unsigned)i * 40503u, seed);
}
/* A warp reads one chunk, or 16 KB of a larger one, at a random place after another. */
static __global__ void gather_kernel(const uint4 *data, size_t chunks, int per_piece, size_t pieces, size_t count,
                                     uint64_t seed, unsigned *sink) {
    size_t warp = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = (size_t)gridDim.x * blockDim.x / 32;
    int lane = (int)threadIdx.x % 32;
    unsigned x = 0;
    for (size_t c = warp; c < count; c += warps) {
        uint64_t h = (c / pieces + seed) * 0x9e3779b97f4a7c15ull;
        h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ull;
        const uint4 *from = data + ((h >> 20) % chunks * pieces + c % pieces) * (size_t)per_piece;
#pragma unroll 4
        for (int i = lane; i < per_piece; i += 32) {
            uint4 v = __ldcg(from + i);
            x ^= v.x ^ v.y ^ v.z ^ v.w;
        }
    }
    if (x == 0x12345678u)
        *sink = x;
}

static double stream_row(struct context *c, const char *what, char *data, size_t bytes, size_t spare) {
    double best = 0.0;
    row_try(c, what, text("bytes=%zu", bytes), [&] {
        size_t places = std::max<size_t>(1, std::min<size_t>(64, spare / bytes / (what[4] == 'c' ? 2 : 1)));
        unsigned *sink = (unsigned *)(data + spare);
        int grid = c->gpu.multiProcessorCount * 8;
        struct row row;
        row.variant = what;
        row.params = text("bytes=%zu", bytes);
        row.bytes = what[4] == 'c' ? 2.0 * (double)bytes : (double)bytes;
        row.ceiling = c->ceilings->hbm_read_bytes_per_s;
        struct timing t = time_device(c, c->quick ? 9 : 30, bytes > (1u << 30) ? 2 : 16, [&](int i) {
            char *at = data + (size_t)i % places * bytes * (what[4] == 'c' ? 2 : 1);
            if (what[4] == 'r')
                read_kernel<<<grid, 256, 0, c->stream>>>((const uint4 *)at, bytes / 16, sink);
            else if (what[4] == 'w')
                write_kernel<<<grid, 256, 0, c->stream>>>((uint4 *)at, bytes / 16, (unsigned)i);
            else
                CUDA_OK(cudaMemcpyAsync(at + bytes, at, bytes, cudaMemcpyDeviceToDevice, c->stream));
        });
        best = row.bytes / t.median_s;
        row_write(c, row, t);
    });
    return best;
}

static void matrix_ceiling(struct context *c, char *data) {
    row_try(c, "gemm_bf16", "m=8192 n=8192 k=8192", [&] {
        cublasHandle_t blas;
        if (cublasCreate(&blas))
            fail("cublasCreate failed");
        cublasSetStream(blas, c->stream);
        const int n = 8192;
        size_t bytes = (size_t)n * n * 2;
        float one = 1.0f, zero = 0.0f;
        fill_random(data, 2 * bytes, 11, FILL_BF16, c->stream);
        struct row row;
        row.variant = "gemm_bf16";
        row.params = "m=8192 n=8192 k=8192";
        row.flops = 2.0 * n * n * n;
        struct timing t = time_device(c, 20, 2, [&](int) {
            if (cublasGemmEx(blas, CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, &one, data, CUDA_R_16BF, n, data + bytes,
                             CUDA_R_16BF, n, &zero, data + 2 * bytes, CUDA_R_16BF, n, CUBLAS_COMPUTE_32F,
                             CUBLAS_GEMM_DEFAULT))
                fail("cublasGemmEx failed");
        });
        c->ceilings->bf16_flops = row.flops / t.median_s;
        row_write(c, row, t);
        cublasDestroy(blas);
    });
}

static void link_ceiling(struct context *c, char *data) {
    const size_t bytes = (size_t)256 << 20;
    void *host = nullptr;
    row_try(c, "link", "pinned", [&] {
        CUDA_OK(cudaMallocHost(&host, bytes));
        memset(host, 1, bytes);
        for (int to_host = 0; to_host < 2; to_host++) {
            struct row row;
            row.variant = to_host ? "d2h" : "h2d";
            row.params = text("bytes=%zu pinned", bytes);
            row.bytes = (double)bytes;
            struct timing t = time_device(c, 12, 2, [&](int) {
                CUDA_OK(
                    cudaMemcpyAsync(to_host ? host : data, to_host ? data : host, bytes, cudaMemcpyDefault, c->stream));
            });
            (to_host ? c->ceilings->d2h_bytes_per_s : c->ceilings->h2d_bytes_per_s) = row.bytes / t.median_s;
            row_write(c, row, t);
        }
    });
    cudaFreeHost(host);
}

void group_ceilings(struct context *c) {
    size_t unused, all;
    CUDA_OK(cudaMemGetInfo(&unused, &all));
    size_t spare = std::min((size_t)16 << 30, unused / 2) & ~(size_t)4095;
    device_buffer memory(spare + 4096);
    char *data = memory.as<char>();
    fill_random(data, spare, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
    c->ceilings->hbm_read_bytes_per_s = stream_row(c, "hbm_read", data, (size_t)4 << 30, spare);
    for (const char *what : {"hbm_read", "hbm_write", "hbm_copy"})
        for (size_t mb : {1, 4, 16, 64, 256, 1024, 4096})
            stream_row(c, what, data, mb << 20, spare);
    matrix_ceiling(c, data);
    link_ceiling(c, data);
}

void group_memory(struct context *c) {
    size_t unused, all;
    CUDA_OK(cudaMemGetInfo(&unused, &all));
    size_t spare = std::min((size_t)16 << 30, unused / 2) & ~(size_t)0x3fffff;
    device_buffer memory(spare + 4096);
    char *data = memory.as<char>();
    unsigned *sink = (unsigned *)(data + spare);
    fill_random(data, spare, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
    for (size_t chunk = 256; chunk <= (2u << 20); chunk *= 2)
        row_try(c, "hbm_gather", text("chunk=%zu", chunk), [&] {
            struct row row;
            row.variant = "hbm_gather";
            row.params = text("chunk=%zu", chunk);
            size_t piece = std::min<size_t>(chunk, 16384), count = ((size_t)1 << 30) / piece;
            row.bytes = (double)(count * piece);
            row.ceiling = c->ceilings->hbm_read_bytes_per_s;
            row_write(c, row, time_device(c, c->quick ? 9 : 30, 4, [&](int i) {
                          gather_kernel<<<c->gpu.multiProcessorCount * 8, 256, 0, c->stream>>>(
                              (const uint4 *)data, spare / chunk, (int)(piece / 16), chunk / piece, count,
                              (uint64_t)i * 77777 + 5, sink);
                      }));
        });
    for (size_t mb : {4, 8, 16, 24, 32, 40, 48, 56, 64, 96, 128, 256})
        row_try(c, "l2_ws", text("mb=%zu", mb), [&] {
            struct row row;
            row.variant = "l2_ws";
            row.params = text("working_set=%zu warm", mb << 20);
            row.bytes = (double)(mb << 20);
            row_write(c, row, time_device(c, c->quick ? 9 : 30, 16, [&](int) {
                          read_kernel<<<c->gpu.multiProcessorCount * 8, 256, 0, c->stream>>>((const uint4 *)data,
                                                                                             (mb << 20) / 16, sink);
                      }));
        });
}
