/* Y = X W^T by cuBLASLt: bf16, or e4m3 with a scale for each whole matrix. W is [n][k], X is [m][k], Y is bf16 [m][n].
 */
#ifndef VALIDATE_MICRO_PRODUCTS_CUH
#define VALIDATE_MICRO_PRODUCTS_CUH

#include "validate/cuda/bench.cuh"

#include <cublasLt.h>
#include <memory>

/* How e4m3 is multiplied: the first of these that runs here. Fast: sums stay in the matrix units' own accumulators. */
enum fp8_mode { FP8_FAST, FP8_EXACT, FP8_FAST_UNSCALED, FP8_NONE };
extern const char *const fp8_mode_names[FP8_NONE + 1];

struct product_library {
    cublasLtHandle_t handle = nullptr;
    device_buffer scales; /* of X, then 256 bytes on of W */
    enum fp8_mode fp8;
    explicit product_library(struct context *c);
    ~product_library() { cublasLtDestroy(handle); }
};
enum { PRODUCT_ALGORITHMS = 4 };
static const size_t product_workspace = (size_t)32 << 20; /* what engines give it on Hopper */

/* A shape's algorithms, as the library's heuristics rank them. */
struct product {
    int m, n, k, x_stride; /* x_stride: elements from a row of X to the next */
    bool fp8;
    cublasLtMatmulDesc_t op = nullptr;
    cublasLtMatrixLayout_t w_layout = nullptr, x_layout = nullptr, y_layout = nullptr;
    cublasLtMatmulHeuristicResult_t found[PRODUCT_ALGORITHMS];
    int count = 0;
    /* Throws skipped where the library has none. */
    product(const struct product_library &library, int m_, int n_, int k_, int x_stride_, bool fp8_, size_t workspace);
    ~product();
    product(const product &) = delete;
    product &operator=(const product &) = delete;
    /* Of all its algorithms this one alone, another shape's, its depth split so many times (0: as it came). Throws
     * skipped where it cannot be. */
    void borrow(const struct product_library &library, cublasLtMatmulAlgo_t algorithm, int splits);
    void launch(const struct product_library &library, int algorithm, const void *w, const void *x, void *y,
                void *workspace, size_t workspace_bytes, cudaStream_t stream) const;
};
/* Error over 1024 outputs against float64; throws where it is over 1e-2, or NaN. Y of x_rows rows from y on. */
double product_check(struct context *c, const struct product_library &library, const void *x, int x_stride,
                     const void *w, const void *y, int m, int n, int k, bool fp8);

#endif
