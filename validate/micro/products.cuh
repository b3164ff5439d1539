/* Y = X W^T by cuBLASLt: bf16, or e4m3 with a scale for each whole matrix. W is [n][k], X is [m][k], Y is bf16 [m][n].
 */
#ifndef VALIDATE_MICRO_PRODUCTS_CUH
#define VALIDATE_MICRO_PRODUCTS_CUH

#include "validate/cuda/bench.cuh"

#include <cublasLt.h>
#include <memory>

struct product_library {
    cublasLtHandle_t handle = nullptr;
    device_buffer scales; /* of X and of W */
    explicit product_library(struct context *c);
    ~product_library() { cublasLtDestroy(handle); }
};
enum { PRODUCT_ALGORITHMS = 4 };
static const size_t product_workspace = (size_t)32 << 20; /* what engines give it on Hopper */
static const float product_scale_x = 0.5f, product_scale_w = 0.25f;

/* A shape's algorithms, as the library's heuristics rank them. */
struct product {
    int m, n, k, x_stride; /* x_stride: elements from a row of X to the next */
    bool fp8;
    cublasLtMatmulDesc_t op = nullptr;
    cublasLtMatrixLayout_t w_layout = nullptr, x_layout = nullptr, y_layout = nullptr;
    cublasLtMatmulHeuristicResult_t found[PRODUCT_ALGORITHMS];
    int count = 0;
    product(const struct product_library &library, int m_, int n_, int k_, int x_stride_, bool fp8_, size_t workspace);
    ~product();
    product(const product &) = delete;
    product &operator=(const product &) = delete;
    void launch(const struct product_library &library, int algorithm, const void *w, const void *x, void *y,
                void *workspace, size_t workspace_bytes, cudaStream_t stream) const;
};
/* Error over 1024 outputs against float64; throws where it is over 1e-2, or NaN. Y of x_rows rows from y on. */
double product_check(struct context *c, const void *x, int x_stride, const void *w, const void *y, int m, int n, int k,
                     bool fp8);

#endif
