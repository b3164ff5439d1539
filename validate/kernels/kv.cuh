/* Where a token's keys lie; launches of single versions. */
#ifndef VALIDATE_KERNELS_KV_CUH
#define VALIDATE_KERNELS_KV_CUH

#include "validate/kernels/decode.cuh"

#include <cuda_bf16.h>
#include <cuda_fp8.h>

/* The launches set page_stride where it was 0. */
static inline struct decode_problem kv_with_stride(const struct decode_problem *p) {
    struct decode_problem out = *p;
    if (!out.page_stride)
        out.page_stride = (size_t)p->page_size * (size_t)p->kv_heads * (size_t)p->head_size;
    return out;
}
/* Elements before a token's keys. */
static __device__ __forceinline__ size_t kv_at(const struct decode_problem &p, int page, int head, int in_page) {
    int row = p.layout == KV_NHD ? in_page * p.kv_heads + head : head * p.page_size + in_page;
    return (size_t)page * p.page_stride + (size_t)(row * p.head_size);
}
static __device__ __forceinline__ size_t kv_offset(const struct decode_problem &p, int seq, int head, int token) {
    int page = p.table[(size_t)seq * p.table_width + token / p.page_size];
    return kv_at(p, page, head, token % p.page_size);
}
cudaError_t decode_launch_v1(const struct decode_problem *p, cudaStream_t stream);
cudaError_t decode_launch_v2(const struct decode_problem *p, cudaStream_t stream);
cudaError_t decode_launch_v3(const struct decode_problem *p, cudaStream_t stream);
cudaError_t decode_launch_v4(const struct decode_problem *p, cudaStream_t stream);
cudaError_t decode_launch_v5(const struct decode_problem *p, cudaStream_t stream);

#endif
