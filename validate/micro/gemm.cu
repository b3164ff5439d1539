/* cuBLAS products of the models' shapes: Y = X W^T, W cold. Checked against float64 over a sample of outputs. */
#include "validate/cuda/bench.cuh"

#include <algorithm>
#include <cmath>
#include <cublas_v2.h>
#include <random>

static __global__ void sample_dots(const uint16_t *x, const uint16_t *w, const uint16_t *y, int m, int n, int k,
                                   double *wrong, double *all) {
    int i = (int)((threadIdx.x * 2654435761u) % (unsigned)m), j = (int)((threadIdx.x * 40503u + 17u) % (unsigned)n);
    auto value = [](uint16_t bits) { return (double)__uint_as_float((unsigned)bits << 16); };
    double sum = 0.0;
    for (int l = 0; l < k; l++)
        sum += value(x[(size_t)i * k + l]) * value(w[(size_t)j * k + l]);
    double got = value(y[(size_t)i * n + j]);
    atomicAdd(wrong, (got - sum) * (got - sum));
    atomicAdd(all, sum * sum);
}

struct product {
    const char *name;
    int n, k;
};
static const struct product products[] = {
    {"llama8b_qkv", 6144, 4096},       {"llama8b_o", 4096, 4096},        {"llama8b_gate_up", 28672, 4096},
    {"llama8b_down", 4096, 14336},     {"llama8b_head", 128256, 4096},   {"qwen7b_qkv", 4608, 3584},
    {"qwen7b_gate_up", 37888, 3584},   {"qwen7b_down", 3584, 18944},     {"qwen32b_qkv", 10240, 5120},
    {"qwen32b_gate_up", 51200, 5120},  {"llama70b_tp4_qkv", 2560, 8192}, {"llama70b_tp4_gate_up", 14336, 8192},
    {"llama70b_tp4_down", 8192, 7168},
};

static void gemm_row(struct context *c, cublasHandle_t blas, const struct product &g, int m, char *memory,
                     size_t spare) {
    std::string params = text("shape=%s m=%d n=%d k=%d bf16", g.name, m, g.n, g.k);
    row_try(c, "cublas", params, [&] {
        size_t weights = 2 * (size_t)g.n * (size_t)g.k, x_bytes = 2 * (size_t)m * (size_t)g.k;
        char *x = memory, *y = memory + ((size_t)1 << 29), *w = memory + ((size_t)3 << 30);
        if (x_bytes > ((size_t)1 << 29) || 2 * (size_t)m * (size_t)g.n > ((size_t)5 << 29))
            fail("larger than the buffers");
        size_t places = std::max<size_t>(1, std::min<size_t>(12, (spare - ((size_t)3 << 30)) / weights));
        float one = 1.0f, zero = 0.0f;
        auto call = [&](int i) {
            if (cublasGemmEx(blas, CUBLAS_OP_T, CUBLAS_OP_N, g.n, m, g.k, &one, w + (size_t)i % places * weights,
                             CUDA_R_16BF, g.k, x, CUDA_R_16BF, g.k, &zero, y, CUDA_R_16BF, g.n, CUBLAS_COMPUTE_32F,
                             CUBLAS_GEMM_DEFAULT))
                fail("cublasGemmEx failed");
        };
        device_buffer sums(16);
        double host[2];
        CUDA_OK(cudaMemsetAsync(sums.data, 0, 16, c->stream));
        call(0);
        sample_dots<<<1, 256, 0, c->stream>>>((uint16_t *)x, (uint16_t *)w, (uint16_t *)y, m, g.n, g.k,
                                              sums.as<double>(), sums.as<double>() + 1);
        CUDA_OK(cudaMemcpyAsync(host, sums.data, 16, cudaMemcpyDeviceToHost, c->stream));
        CUDA_OK(cudaStreamSynchronize(c->stream));
        struct row row;
        row.error = sqrt(host[0] / host[1]);
        if (!(row.error < 1e-2))
            fail("differs from the float64 reference by %.2e", row.error);
        row.variant = "cublas";
        row.params = params;
        row.flops = 2.0 * m * (double)g.n * g.k;
        row.bytes = m < 256 ? (double)weights + (double)x_bytes + 2.0 * m * g.n : 0.0;
        row.ceiling = m < 256 ? c->ceilings->hbm_read_bytes_per_s : c->ceilings->bf16_flops;
        row_write(c, row, time_device(c, c->quick ? 5 : 15, row.flops > 2e12 ? 2 : 6, call));
    });
}

void group_gemm(struct context *c) {
    size_t unused, all;
    CUDA_OK(cudaMemGetInfo(&unused, &all));
    size_t spare = std::min((size_t)12 << 30, unused * 3 / 4) & ~(size_t)4095;
    device_buffer memory(spare);
    fill_random(memory.data, spare, (uint64_t)(now_s() * 1e9), FILL_BF16, c->stream);
    cublasHandle_t blas;
    if (cublasCreate(&blas))
        fail("cublasCreate failed");
    cublasSetStream(blas, c->stream);
    for (int m : {1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192})
        for (const struct product &g : products)
            gemm_row(c, blas, g, m, memory.as<char>(), spare);
    cublasDestroy(blas);
}
