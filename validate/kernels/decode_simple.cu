/* v1, v2 and the float64 reference.
 *
 * v1: a warp a (sequence, query head); lanes over the head. Each query head reads the KV of its group again.
 * v2: a CTA a (sequence, KV head): four tokens a warp at once by 16-byte loads, the whole group from one read, no
 * tensor cores. */
#include "validate/kernels/decode.cuh"
#include "validate/kernels/kv.cuh"

static __device__ float warp_sum(float x) {
    for (int s = 16; s; s >>= 1)
        x += __shfl_xor_sync(~0u, x, s);
    return x;
}

template <typename T> static __global__ void decode_v1(struct decode_problem p) {
    int seq = blockIdx.x, head = blockIdx.y, lane = threadIdx.x, per = p.head_size / 32;
    const __nv_bfloat16 *q = (const __nv_bfloat16 *)p.q + ((size_t)seq * gridDim.y + head) * p.head_size;
    float o[4] = {}, m = -INFINITY, l = 0.0f;
    for (int t = 0; t < p.lengths[seq]; t++) {
        size_t at = kv_offset(p, seq, head / p.group, t);
        float s = 0.0f;
        for (int i = 0; i < per; i++)
            s += (float)q[lane * per + i] * (float)((const T *)p.k)[at + lane * per + i];
        s = warp_sum(s) * p.scale;
        float next = fmaxf(m, s), keep = __expf(m - next), w = __expf(s - next);
        for (int i = 0; i < per; i++)
            o[i] = o[i] * keep + w * (float)((const T *)p.v)[at + lane * per + i];
        l = l * keep + w;
        m = next;
    }
    for (int i = 0; i < per; i++)
        ((__nv_bfloat16 *)p.o)[((size_t)seq * gridDim.y + head) * p.head_size + lane * per + i] =
            __float2bfloat16(l > 0.0f ? o[i] / l : 0.0f);
}

enum { V2_WARPS = 8 };
template <typename T, int D, int G> static __global__ void decode_v2(struct decode_problem p) {
    constexpr int vec = 16 / sizeof(T), lanes = D / vec, rows = 32 / lanes;
    __shared__ float out[V2_WARPS][G][D], most[V2_WARPS][G], sum[V2_WARPS][G];
    int seq = blockIdx.x, head = blockIdx.y, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int row = lane / lanes, at_d = lane % lanes * vec, length = p.lengths[seq];
    float q[G][vec], o[G][vec], m[G], l[G];
    for (int g = 0; g < G; g++) {
        const __nv_bfloat16 *from =
            (const __nv_bfloat16 *)p.q + (((size_t)seq * p.kv_heads + head) * p.group + g) * D + at_d;
        m[g] = -INFINITY;
        l[g] = 0.0f;
        for (int i = 0; i < vec; i++) {
            q[g][i] = g < p.group ? (float)from[i] * p.scale : 0.0f;
            o[g][i] = 0.0f;
        }
    }
    for (int t0 = warp * rows; t0 < length; t0 += V2_WARPS * rows) {
        int t = t0 + row, safe = t < length ? t : length - 1;
        size_t at = kv_offset(p, seq, head, safe) + at_d;
        uint4 kw = *(const uint4 *)((const T *)p.k + at), vw = *(const uint4 *)((const T *)p.v + at);
        const T *k = (const T *)&kw, *v = (const T *)&vw;
        for (int g = 0; g < G; g++) {
            float s = 0.0f;
            for (int i = 0; i < vec; i++)
                s += q[g][i] * (float)k[i];
            for (int x = lanes / 2; x; x >>= 1)
                s += __shfl_xor_sync(~0u, s, x);
            if (t >= length)
                s = -INFINITY;
            float next = fmaxf(m[g], s), keep = m[g] == next ? 1.0f : __expf(m[g] - next);
            float w = s == -INFINITY ? 0.0f : __expf(s - next);
            for (int i = 0; i < vec; i++)
                o[g][i] = o[g][i] * keep + w * (float)v[i];
            l[g] = l[g] * keep + w;
            m[g] = next;
        }
    }
    for (int g = 0; g < G; g++) { /* the warp's rows, then the CTA's warps */
        float top = m[g];
        for (int x = lanes; x < 32; x <<= 1)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, x));
        float keep = m[g] == -INFINITY ? 0.0f : __expf(m[g] - top), total = l[g] * keep;
        for (int x = lanes; x < 32; x <<= 1)
            total += __shfl_xor_sync(~0u, total, x);
        for (int i = 0; i < vec; i++) {
            float value = o[g][i] * keep;
            for (int x = lanes; x < 32; x <<= 1)
                value += __shfl_xor_sync(~0u, value, x);
            if (!row)
                out[warp][g][at_d + i] = value;
        }
        most[warp][g] = top;
        sum[warp][g] = total;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < p.group * D; i += blockDim.x) {
        int g = i / D, d = i % D;
        float top = -INFINITY, value = 0.0f, total = 0.0f;
        for (int w = 0; w < V2_WARPS; w++)
            top = fmaxf(top, most[w][g]);
        for (int w = 0; w < V2_WARPS; w++)
            if (most[w][g] > -INFINITY) {
                value += out[w][g][d] * __expf(most[w][g] - top);
                total += sum[w][g] * __expf(most[w][g] - top);
            }
        ((__nv_bfloat16 *)p.o)[(((size_t)seq * p.kv_heads + head) * p.group + g) * D + d] =
            __float2bfloat16(total > 0.0f ? value / total : 0.0f);
    }
}

template <typename T> static __global__ void reference(struct decode_problem p, double *out, double *scores) {
    __shared__ double shared[256];
    int seq = blockIdx.x, head = blockIdx.y, length = p.lengths[seq], tid = threadIdx.x;
    const __nv_bfloat16 *q = (const __nv_bfloat16 *)p.q + ((size_t)seq * gridDim.y + head) * p.head_size;
    double *mine = scores + ((size_t)seq * gridDim.y + head) * p.longest, top = -INFINITY, total = 0.0;
    for (int t = tid; t < length; t += blockDim.x) {
        int page = p.table[seq * p.table_width + t / p.page_size], in = t % p.page_size, kv = head / p.group;
        size_t at = (size_t)page * p.page_stride +
                    (size_t)(p.layout == KV_NHD ? in * p.kv_heads + kv : kv * p.page_size + in) * p.head_size;
        double s = 0.0;
        for (int d = 0; d < p.head_size; d++)
            s += (double)(float)q[d] * (double)(float)((const T *)p.k)[at + d];
        mine[t] = s * (double)p.scale;
        top = fmax(top, mine[t]);
    }
    shared[tid] = top;
    __syncthreads();
    for (int i = 0; i < (int)blockDim.x; i++)
        top = fmax(top, shared[i]);
    __syncthreads();
    for (int t = tid; t < length; t += blockDim.x)
        total += mine[t] = exp(mine[t] - top);
    shared[tid] = total;
    __syncthreads();
    total = 0.0;
    for (int i = 0; i < (int)blockDim.x; i++)
        total += shared[i];
    for (int d = tid; d < p.head_size; d += blockDim.x) {
        double value = 0.0;
        for (int t = 0; t < length; t++) {
            int page = p.table[seq * p.table_width + t / p.page_size], in = t % p.page_size, kv = head / p.group;
            size_t at = (size_t)page * p.page_stride +
                        (size_t)(p.layout == KV_NHD ? in * p.kv_heads + kv : kv * p.page_size + in) * p.head_size;
            value += mine[t] * (double)(float)((const T *)p.v)[at + d];
        }
        out[((size_t)seq * gridDim.y + head) * p.head_size + d] = value / total;
    }
}

cudaError_t decode_reference(const struct decode_problem *p, double *out, double *scores, cudaStream_t stream) {
    dim3 grid((unsigned)p->sequences, (unsigned)(p->kv_heads * p->group));
    struct decode_problem problem = kv_with_stride(p);
    if (p->dtype == KV_BF16)
        reference<__nv_bfloat16><<<grid, 128, 0, stream>>>(problem, out, scores);
    else
        reference<__nv_fp8_e4m3><<<grid, 128, 0, stream>>>(problem, out, scores);
    return cudaGetLastError();
}

cudaError_t decode_launch_v1(const struct decode_problem *p, cudaStream_t stream) {
    dim3 grid((unsigned)p->sequences, (unsigned)(p->kv_heads * p->group));
    if (p->dtype == KV_BF16)
        decode_v1<__nv_bfloat16><<<grid, 32, 0, stream>>>(*p);
    else
        decode_v1<__nv_fp8_e4m3><<<grid, 32, 0, stream>>>(*p);
    return cudaGetLastError();
}

template <typename T, int D> static void v2_launch(const struct decode_problem *p, cudaStream_t stream) {
    dim3 grid((unsigned)p->sequences, (unsigned)p->kv_heads);
    if (p->group == 1)
        decode_v2<T, D, 1><<<grid, 32 * V2_WARPS, 0, stream>>>(*p);
    else if (p->group <= 4)
        decode_v2<T, D, 4><<<grid, 32 * V2_WARPS, 0, stream>>>(*p);
    else
        decode_v2<T, D, 8><<<grid, 32 * V2_WARPS, 0, stream>>>(*p);
}
cudaError_t decode_launch_v2(const struct decode_problem *p, cudaStream_t stream) {
    if (p->dtype == KV_BF16)
        p->head_size == 128 ? v2_launch<__nv_bfloat16, 128>(p, stream) : v2_launch<__nv_bfloat16, 64>(p, stream);
    else
        p->head_size == 128 ? v2_launch<__nv_fp8_e4m3, 128>(p, stream) : v2_launch<__nv_fp8_e4m3, 64>(p, stream);
    return cudaGetLastError();
}
