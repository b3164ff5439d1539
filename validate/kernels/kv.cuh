/* Where a token's keys lie; launches of single versions. */
#ifndef VALIDATE_KERNELS_KV_CUH
#define VALIDATE_KERNELS_KV_CUH

#include "validate/kernels/decode.cuh"

#include <cuda_bf16.h>
#include <cuda_fp8.h>

static __device__ __forceinline__ size_t kv_row(const struct decode_problem &p, int page, int head, int in_page) {
    return p.layout == KV_NHD ? ((size_t)page * p.page_size + in_page) * p.kv_heads + head
                              : ((size_t)page * p.kv_heads + head) * p.page_size + in_page;
}
static __device__ __forceinline__ size_t kv_offset(const struct decode_problem &p, int seq, int head, int token) {
    int page = p.table[(size_t)seq * p.table_width + token / p.page_size];
    return kv_row(p, page, head, token % p.page_size) * (size_t)p.head_size;
}
cudaError_t decode_launch_v1(const struct decode_problem *p, cudaStream_t stream);
cudaError_t decode_launch_v2(const struct decode_problem *p, cudaStream_t stream);
cudaError_t decode_launch_v3(const struct decode_problem *p, cudaStream_t stream);

#endif
