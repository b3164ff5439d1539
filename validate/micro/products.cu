#include "validate/micro/products.cuh"

#include <cmath>
#include <cuda_fp8.h>

const char *const fp8_mode_names[FP8_NONE + 1] = {"fast sums", "exact sums", "fast sums unscaled", "none"};
static const float scale_x = 0.5f, scale_w = 0.25f;

static __device__ double element(const void *data, size_t at, bool fp8) {
    if (fp8) {
        __nv_fp8_e4m3 x;
        x.__x = ((const __nv_fp8_storage_t *)data)[at];
        return (double)(float)x;
    }
    return (double)__uint_as_float((unsigned)((const uint16_t *)data)[at] << 16);
}
/* A warp an output. */
static __global__ void sample_dots(const void *x, int x_stride, const void *w, const uint16_t *y, int m, int n, int k,
                                   bool fp8, double scale, double *wrong, double *all) {
    unsigned sample = blockIdx.x * blockDim.x / 32 + threadIdx.x / 32, lane = threadIdx.x % 32;
    size_t i = (sample * 2654435761u >> 7) % (unsigned)m, j = (sample * 40503u * 77u + 17u) % (unsigned)n;
    double sum = 0.0;
    for (int l = (int)lane; l < k; l += 32)
        sum += element(x, i * (size_t)x_stride + (size_t)l, fp8) * element(w, j * (size_t)k + (size_t)l, fp8);
    for (int step = 16; step; step /= 2)
        sum += __shfl_down_sync(~0u, sum, step);
    if (lane)
        return;
    double got = element(y, i * (size_t)n + j, false);
    sum *= scale;
    atomicAdd(wrong, (got - sum) * (got - sum));
    atomicAdd(all, sum * sum);
}
double product_check(struct context *c, const struct product_library &library, const void *x, int x_stride,
                     const void *w, const void *y, int m, int n, int k, bool fp8) {
    device_buffer sums(16);
    double host[2];
    CUDA_OK(cudaMemsetAsync(sums.data, 0, 16, c->stream));
    sample_dots<<<128, 256, 0, c->stream>>>(x, x_stride, w, (const uint16_t *)y, m, n, k, fp8,
                                            fp8 && library.fp8 != FP8_FAST_UNSCALED ? scale_x * scale_w : 1.0,
                                            sums.as<double>(), sums.as<double>() + 1);
    CUDA_OK(cudaMemcpyAsync(host, sums.data, 16, cudaMemcpyDeviceToHost, c->stream));
    CUDA_OK(cudaStreamSynchronize(c->stream));
    double error = sqrt(host[0] / host[1]);
    if (!(error < 1e-2))
        fail("differs from the float64 reference by %.2e", error);
    return error;
}

static void lt_ok(cublasStatus_t status, const char *what) {
    if (status != CUBLAS_STATUS_SUCCESS)
        fail("%s: %s", what, cublasGetStatusString(status));
}
#define LT_OK(call) lt_ok(call, #call)

/* A small product in the library's present mode. */
static bool runs(struct context *c, const struct product_library &library) {
    const int n = 512;
    device_buffer w(n * n), x(n * n), y(2 * n * n), workspace(product_workspace);
    fill_random(w.data, n * n, 1, FILL_E4M3, c->stream);
    fill_random(x.data, n * n, 2, FILL_E4M3, c->stream);
    try {
        struct product p(library, n, n, n, n, true, product_workspace);
        p.launch(library, 0, w.data, x.data, y.data, workspace.data, product_workspace, c->stream);
        CUDA_OK(cudaStreamSynchronize(c->stream));
        product_check(c, library, x.data, n, w.data, y.data, n, n, n, true);
        return true;
    } catch (const std::exception &e) {
        printf("  e4m3 with %s: %s\n", fp8_mode_names[library.fp8], e.what());
        return false;
    }
}

product_library::product_library(struct context *c) : scales(512), fp8(FP8_FAST) {
    CUDA_OK(cudaMemcpyAsync(scales.data, &scale_x, sizeof scale_x, cudaMemcpyHostToDevice, c->stream));
    CUDA_OK(cudaMemcpyAsync(scales.as<char>() + 256, &scale_w, sizeof scale_w, cudaMemcpyHostToDevice, c->stream));
    CUDA_OK(cudaStreamSynchronize(c->stream));
    LT_OK(cublasLtCreate(&handle));
    while (fp8 != FP8_NONE && !runs(c, *this))
        fp8 = (enum fp8_mode)(fp8 + 1);
}

product::product(const struct product_library &library, int m_, int n_, int k_, int x_stride_, bool fp8_,
                 size_t workspace)
    : m(m_), n(n_), k(k_), x_stride(x_stride_), fp8(fp8_) {
    if (fp8 && library.fp8 == FP8_NONE)
        skip("cuBLASLt multiplies no e4m3 here");
    cudaDataType_t type = fp8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
    cublasOperation_t transposed = CUBLAS_OP_T;
    LT_OK(cublasLtMatmulDescCreate(&op, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    LT_OK(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed));
    if (fp8 && library.fp8 != FP8_FAST_UNSCALED) {
        const char *x_scale = library.scales.as<char>(), *w_scale = x_scale + 256;
        LT_OK(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &w_scale, sizeof w_scale));
        LT_OK(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &x_scale, sizeof x_scale));
    }
    if (fp8 && library.fp8 != FP8_EXACT) {
        int8_t fast = 1;
        LT_OK(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_FAST_ACCUM, &fast, sizeof fast));
    }
    LT_OK(cublasLtMatrixLayoutCreate(&w_layout, type, (uint64_t)k, (uint64_t)n, k));
    LT_OK(cublasLtMatrixLayoutCreate(&x_layout, type, (uint64_t)k, (uint64_t)m, x_stride));
    LT_OK(cublasLtMatrixLayoutCreate(&y_layout, CUDA_R_16BF, (uint64_t)n, (uint64_t)m, n));
    cublasLtMatmulPreference_t preference;
    LT_OK(cublasLtMatmulPreferenceCreate(&preference));
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                         sizeof workspace);
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(library.handle, op, w_layout, x_layout, y_layout, y_layout,
                                                           preference, PRODUCT_ALGORITHMS, found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    int usable = 0; /* it may name some that it cannot run */
    for (int i = 0; i < count; i++)
        if (found[i].state == CUBLAS_STATUS_SUCCESS)
            found[usable++] = found[i];
    count = usable;
    if (status != CUBLAS_STATUS_SUCCESS || count == 0)
        skip("cuBLASLt has no %s product of m=%d n=%d k=%d on this GPU: %s", fp8 ? "e4m3" : "bf16", m, n, k,
             cublasGetStatusString(status));
}
product::~product() {
    cublasLtMatrixLayoutDestroy(w_layout);
    cublasLtMatrixLayoutDestroy(x_layout);
    cublasLtMatrixLayoutDestroy(y_layout);
    cublasLtMatmulDescDestroy(op);
}
void product::borrow(const struct product_library &library, cublasLtMatmulAlgo_t algorithm, int splits) {
    if (splits) {
        uint32_t reduction = splits > 1 ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE : CUBLASLT_REDUCTION_SCHEME_NONE;
        cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits);
        cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &reduction,
                                             sizeof reduction);
    }
    cublasLtMatmulHeuristicResult_t result = {};
    cublasStatus_t status =
        cublasLtMatmulAlgoCheck(library.handle, op, w_layout, x_layout, y_layout, y_layout, &algorithm, &result);
    if (status != CUBLAS_STATUS_SUCCESS || result.workspaceSize > product_workspace)
        skip("cuBLASLt cannot run that kernel at m=%d n=%d k=%d with %d splits: %s", m, n, k, splits,
             cublasGetStatusString(status));
    result.algo = algorithm;
    found[0] = result;
    count = 1;
}
void product::launch(const struct product_library &library, int algorithm, const void *w, const void *x, void *y,
                     void *workspace, size_t workspace_bytes, cudaStream_t stream) const {
    float one = 1.0f, zero = 0.0f;
    lt_ok(cublasLtMatmul(library.handle, op, &one, w, w_layout, x, x_layout, &zero, y, y_layout, y, y_layout,
                         &found[algorithm].algo, workspace, workspace_bytes, stream),
          "cublasLtMatmul");
}
