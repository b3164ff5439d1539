/* v3: tensor cores with the KV as the wide side, and a pipeline a warp.
 *
 * S^T = K Q^T and O^T = V^T P^T by m16n8k16: sixteen tokens (or sixteen columns of the head) are the rows, the group's
 * up to eight heads the columns, so that no group pads more than the instruction does anyway. Each warp takes every
 * fourth tile of sixteen tokens through its own cp.async stages: no barrier of the CTA before the end. Between the two
 * products P is transposed within registers (movmatrix). Splits leave partial sums; the last CTA to finish adds them
 * up, which saves a second launch.
 *
 * e4m3 is widened to f16 in registers: the k index is permuted the same way in K and Q, the rows of V^T in the output.
 */
#include "validate/kernels/decode_tiles.cuh"

enum { WARPS = 4 };

template <typename T, int D> struct shape : row_shape<T, D> {
    using row_shape<T, D>::tile;
    static constexpr int stages = tile >= 4096 ? 3 : 6; /* 24 KB of KV a warp */
    static constexpr int shared = WARPS * stages * 2 * tile;
};

/* Adds up what the warps hold; `out` is [HEADS][D] floats, `most` and `sum` [WARPS][HEADS]. Leaves this CTA's m and l.
 */
template <typename T, int D>
static __device__ void merge_warps(float (*o)[4], float m[2], float l[2], float *out, float (*most)[HEADS],
                                   float (*sum)[HEADS], int warp, int lane) {
    for (int h = 0; h < 2; h++)
        if (lane < 4) {
            most[warp][lane * 2 + h] = m[h];
            sum[warp][lane * 2 + h] = l[h];
        }
    for (int i = (int)threadIdx.x; i < HEADS * D; i += 32 * WARPS)
        out[i] = 0.0f;
    __syncthreads();
    float scale[2];
    for (int h = 0; h < 2; h++) {
        int head = lane % 4 * 2 + h;
        float top = fmaxf(fmaxf(most[0][head], most[1][head]), fmaxf(most[2][head], most[3][head]));
        scale[h] = m[h] == -INFINITY ? 0.0f : exp2f(m[h] - top);
    }
    for (int w = 0; w < WARPS; w++) { /* in turn: the sum's order is fixed, so are its bits */
        if (w == warp)
            for (int j = 0; j < D / 16; j++)
                for (int x = 0; x < 4; x++)
                    out[(lane % 4 * 2 + (x & 1)) * D + o_column<T>(j, lane / 4 + (x >> 1) * 8)] +=
                        o[j][x] * scale[x & 1];
        __syncthreads();
    }
}

static __device__ __forceinline__ float merged(const float (*most)[HEADS], const float (*sum)[HEADS], int head,
                                               float *top) {
    float t = fmaxf(fmaxf(most[0][head], most[1][head]), fmaxf(most[2][head], most[3][head])), total = 0.0f;
    for (int w = 0; w < WARPS; w++)
        total += most[w][head] == -INFINITY ? 0.0f : sum[w][head] * exp2f(most[w][head] - t);
    *top = t;
    return total;
}

/* The last of a (sequence, KV head)'s CTAs adds up the partial sums. First each split's weight, a warp a head and a
 * lane a split, into `weights` [splits][HEADS]; then the sums, whose loads no longer wait on one another. */
template <int D>
static __device__ void merge_splits(const struct decode_problem &p, int seq, int head, float *weights) {
    int tile = seq * p.kv_heads + head, warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    constexpr int stride = HEADS * (D + 2);
    const float *parts = p.partial + (size_t)tile * p.splits * stride, *ends = parts + HEADS * D;
    for (int g = warp; g < p.group; g += WARPS) {
        float top = -INFINITY, total = 0.0f;
        for (int s = lane; s < p.splits; s += 32)
            top = fmaxf(top, __ldcg(ends + s * stride + g));
#pragma unroll
        for (int x = 16; x; x >>= 1)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, x));
        for (int s = lane; s < p.splits; s += 32) {
            float m = __ldcg(ends + s * stride + g), w = m == -INFINITY ? 0.0f : exp2f(m - top);
            weights[s * HEADS + g] = w;
            total += w * __ldcg(ends + s * stride + HEADS + g);
        }
#pragma unroll
        for (int x = 16; x; x >>= 1)
            total += __shfl_xor_sync(~0u, total, x);
        __syncwarp();
        for (int s = lane; s < p.splits; s += 32)
            weights[s * HEADS + g] *= total > 0.0f ? 1.0f / total : 0.0f;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x * 4; i < p.group * D; i += 4 * 32 * WARPS) {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 8
        for (int s = 0; s < p.splits; s++) {
            float4 v = __ldcg((const float4 *)(parts + s * stride + i));
            float w = weights[s * HEADS + i / D];
            sum.x += w * v.x, sum.y += w * v.y, sum.z += w * v.z, sum.w += w * v.w;
        }
        __nv_bfloat162 *to = (__nv_bfloat162 *)((__nv_bfloat16 *)p.o + (size_t)tile * p.group * D + i);
        to[0] = __floats2bfloat162_rn(sum.x, sum.y);
        to[1] = __floats2bfloat162_rn(sum.z, sum.w);
    }
}

/* v5's: maxima and sums are asked for together, and sixteen partial sums at a time: two waits on L2 instead of three
 * and, for 16 splits of a group of 8, one round of loads instead of four. At most MOST_SPLITS. */
enum { MOST_SPLITS = 160 };
template <int D>
static __device__ void merge_splits_wide(const struct decode_problem &p, int seq, int head, float *weights) {
    int tile = seq * p.kv_heads + head, warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    constexpr int stride = HEADS * (D + 2), rounds = MOST_SPLITS / 32;
    const float *parts = p.partial + (size_t)tile * p.splits * stride, *ends = parts + HEADS * D;
    for (int g = warp; g < p.group; g += WARPS) {
        float m[rounds], l[rounds], top = -INFINITY, total = 0.0f;
#pragma unroll
        for (int i = 0; i < rounds; i++) {
            int s = lane + 32 * i;
            m[i] = s < p.splits ? __ldcg(ends + s * stride + g) : -INFINITY;
            l[i] = s < p.splits ? __ldcg(ends + s * stride + HEADS + g) : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < rounds; i++)
            top = fmaxf(top, m[i]);
#pragma unroll
        for (int x = 16; x; x >>= 1)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, x));
#pragma unroll
        for (int i = 0; i < rounds; i++) {
            m[i] = m[i] == -INFINITY ? 0.0f : exp2f(m[i] - top);
            total += m[i] * l[i];
        }
#pragma unroll
        for (int x = 16; x; x >>= 1)
            total += __shfl_xor_sync(~0u, total, x);
        float inverse = total > 0.0f ? 1.0f / total : 0.0f;
#pragma unroll
        for (int i = 0; i < rounds; i++)
            if (lane + 32 * i < p.splits)
                weights[(lane + 32 * i) * HEADS + g] = m[i] * inverse;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x * 4; i < p.group * D; i += 4 * 32 * WARPS) {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 1
        for (int from = 0; from < p.splits; from += 16) {
            float4 v[16];
#pragma unroll
            for (int k = 0; k < 16; k++)
                v[k] = from + k < p.splits ? __ldcg((const float4 *)(parts + (from + k) * stride + i))
                                           : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
            for (int k = 0; k < 16; k++) {
                float w = from + k < p.splits ? weights[(from + k) * HEADS + i / D] : 0.0f;
                sum.x += w * v[k].x, sum.y += w * v[k].y, sum.z += w * v[k].z, sum.w += w * v[k].w;
            }
        }
        __nv_bfloat162 *to = (__nv_bfloat162 *)((__nv_bfloat16 *)p.o + (size_t)tile * p.group * D + i);
        to[0] = __floats2bfloat162_rn(sum.x, sum.y);
        to[1] = __floats2bfloat162_rn(sum.z, sum.w);
    }
}

template <typename T, int D, bool WIDE>
static __global__ void __launch_bounds__(32 * WARPS, 2) decode_v3(const __grid_constant__ struct decode_problem p) {
    using S = shape<T, D>;
    extern __shared__ __align__(128) char shared[];
    __shared__ float most[WARPS][HEADS], sum[WARPS][HEADS];
    __shared__ bool last;
    int split = (int)blockIdx.x, head = (int)blockIdx.y, seq = (int)blockIdx.z;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, shift = 31 - __clz(p.page_size);
    const int *table = p.table + (size_t)seq * p.table_width;
    int length = p.lengths[seq], tiles = (length + TILE - 1) / TILE;
    int from = (int)((int64_t)tiles * split / p.splits), to = (int)((int64_t)tiles * (split + 1) / p.splits);
    uint32_t stages = shared_address(shared) + (uint32_t)(warp * S::stages * 2 * S::tile);

    int page = page_of(p, table, from + warp, length, lane, shift), next_tile = from + warp;
    for (int i = 0; i < S::stages - 1; i++, next_tile += WARPS) {
        int ahead = page_of(p, table, next_tile + WARPS, length, lane, shift);
        if (next_tile < to)
            fetch<T, D>(p, stages + (uint32_t)(i * 2 * S::tile), page, head, next_tile, lane);
        asm volatile("cp.async.commit_group;");
        page = ahead;
    }
    /* Scores come out in powers of two: exp2 is the instruction there is. */
    uint32_t q[D / 8];
    const __nv_bfloat16 *qs = (const __nv_bfloat16 *)p.q + (size_t)(seq * p.kv_heads + head) * p.group * D;
    float scale = p.scale * 1.44269504f;
    for (int i = 0; i < D / 8; i++) {
        int column = k_column<T>(i / 2, i & 1, lane), row = lane / 4;
        q[i] = row < p.group ? arithmetic<T>::pack((float)qs[row * D + column], (float)qs[row * D + column + 1]) : 0u;
    }
    float o[D / 16][4] = {}, m[2] = {-INFINITY, -INFINITY}, l[2] = {};
    int stage = 0, free_stage = S::stages - 1;
    for (int tile = from + warp; tile < to; tile += WARPS, next_tile += WARPS) {
        asm volatile("cp.async.wait_group %0;" ::"n"(S::stages - 2));
        __syncwarp();
        int ahead = page_of(p, table, next_tile + WARPS, length, lane, shift);
        if (next_tile < to)
            fetch<T, D>(p, stages + (uint32_t)(free_stage * 2 * S::tile), page, head, next_tile, lane);
        asm volatile("cp.async.commit_group;");
        page = ahead;
        float s[4];
        scores<T, D>(s, stages + (uint32_t)(stage * 2 * S::tile), q, lane);
        bool low = tile * TILE + lane / 4 < length, high = tile * TILE + lane / 4 + 8 < length;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            s[h] = low ? s[h] * scale : -INFINITY;
            s[2 + h] = high ? s[2 + h] * scale : -INFINITY;
            float top = fmaxf(s[h], s[2 + h]);
#pragma unroll
            for (int x = 4; x < 32; x <<= 1)
                top = fmaxf(top, __shfl_xor_sync(~0u, top, x));
            top = fmaxf(m[h], top); /* finite: a tile holds at least one token */
            float keep = exp2f(m[h] - top);
            s[h] = exp2f(s[h] - top);
            s[2 + h] = exp2f(s[2 + h] - top);
            l[h] = l[h] * keep + s[h] + s[2 + h]; /* over the lanes at the end */
            m[h] = top;
#pragma unroll
            for (int j = 0; j < D / 16; j++) {
                o[j][h] *= keep;
                o[j][2 + h] *= keep;
            }
        }
        uint32_t p0 = transposed(arithmetic<T>::pack(s[0], s[1])), p1 = transposed(arithmetic<T>::pack(s[2], s[3]));
        values<T, D>(o, stages + (uint32_t)(stage * 2 * S::tile + S::tile), p0, p1, lane);
        __syncwarp();
        stage = stage + 1 == S::stages ? 0 : stage + 1;
        free_stage = free_stage + 1 == S::stages ? 0 : free_stage + 1;
    }
    asm volatile("cp.async.wait_all;");
    for (int h = 0; h < 2; h++)
        for (int x = 4; x < 32; x <<= 1)
            l[h] += __shfl_xor_sync(~0u, l[h], x);
    __syncthreads();
    float *out = (float *)shared;
    merge_warps<T, D>(o, m, l, out, most, sum, warp, lane);
    int tile = seq * p.kv_heads + head;
    if (p.splits == 1) {
        for (int i = (int)threadIdx.x; i < p.group * D; i += 32 * WARPS) {
            float top, total = merged(most, sum, i / D, &top);
            ((__nv_bfloat16 *)p.o)[(size_t)tile * p.group * D + i] =
                __float2bfloat16(total > 0.0f ? out[i] / total : 0.0f);
        }
        return;
    }
    float *part = p.partial + ((size_t)tile * p.splits + split) * (HEADS * (D + 2));
    for (int i = (int)threadIdx.x; i < p.group * D; i += 32 * WARPS)
        __stcg(part + i, out[i]);
    if ((int)threadIdx.x < HEADS) {
        float top, total = merged(most, sum, (int)threadIdx.x, &top);
        __stcg(part + HEADS * D + threadIdx.x, top);
        __stcg(part + HEADS * D + HEADS + threadIdx.x, total);
    }
    __threadfence();
    __syncthreads();
    if (!threadIdx.x)
        last = atomicInc(p.done + tile, (unsigned)p.splits - 1) == (unsigned)p.splits - 1; /* back to 0 for the next */
    __syncthreads();
    if (last) {
        __threadfence();
        if (WIDE)
            merge_splits_wide<D>(p, seq, head, out);
        else
            merge_splits<D>(p, seq, head, out);
    }
}

template <typename T, int D, bool WIDE>
static cudaError_t v3_launch(const struct decode_problem *p, cudaStream_t stream) {
    cudaError_t status =
        cudaFuncSetAttribute(decode_v3<T, D, WIDE>, cudaFuncAttributeMaxDynamicSharedMemorySize, shape<T, D>::shared);
    if (status != cudaSuccess)
        return status;
    dim3 grid((unsigned)p->splits, (unsigned)p->kv_heads, (unsigned)p->sequences);
    decode_v3<T, D, WIDE><<<grid, 32 * WARPS, shape<T, D>::shared, stream>>>(*p);
    return cudaGetLastError();
}
template <bool WIDE> static cudaError_t any_launch(const struct decode_problem *p, cudaStream_t stream) {
    if (p->dtype == KV_BF16)
        return p->head_size == 128 ? v3_launch<__nv_bfloat16, 128, WIDE>(p, stream)
                                   : v3_launch<__nv_bfloat16, 64, WIDE>(p, stream);
    return p->head_size == 128 ? v3_launch<__nv_fp8_e4m3, 128, WIDE>(p, stream)
                               : v3_launch<__nv_fp8_e4m3, 64, WIDE>(p, stream);
}
cudaError_t decode_launch_v3(const struct decode_problem *p, cudaStream_t stream) {
    return any_launch<false>(p, stream);
}
cudaError_t decode_launch_v5(const struct decode_problem *p, cudaStream_t stream) {
    return p->splits > MOST_SPLITS ? cudaErrorInvalidValue : any_launch<true>(p, stream);
}

template <typename T, int D> static int occupancy(void) {
    int blocks = 0;
    cudaFuncSetAttribute(decode_v3<T, D, true>, cudaFuncAttributeMaxDynamicSharedMemorySize, shape<T, D>::shared);
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, decode_v3<T, D, true>, 32 * WARPS, shape<T, D>::shared);
    return blocks;
}
int decode_occupancy(const struct decode_problem *p) {
    if (p->dtype == KV_BF16)
        return p->head_size == 128 ? occupancy<__nv_bfloat16, 128>() : occupancy<__nv_bfloat16, 64>();
    return p->head_size == 128 ? occupancy<__nv_fp8_e4m3, 128>() : occupancy<__nv_fp8_e4m3, 64>();
}
double decode_kv_bytes(const struct decode_problem *p, int64_t tokens) {
    return 2.0 * (double)tokens * p->kv_heads * p->head_size * (p->dtype == KV_BF16 ? 2.0 : 1.0);
}
static int multiprocessors(void) {
    int device = 0, sms = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    return sms;
}
size_t decode_partial_floats(const struct decode_problem *p) {
    size_t parts = (size_t)p->sequences * (size_t)p->kv_heads * (size_t)(p->splits > 1 ? p->splits : 1);
    size_t even = 2 * (size_t)(p->ctas ? p->ctas : multiprocessors());
    return (parts > even ? parts : even) * HEADS * (size_t)(p->head_size + 2);
}
int decode_splits(const struct decode_problem *p, int sms) {
    int fill = sms / (p->sequences * p->kv_heads), most = p->longest / 256;
    int splits = fill < most ? fill : most;
    return splits < 1 ? 1 : splits < MOST_SPLITS ? splits : MOST_SPLITS;
}
int decode_splits_v3(const struct decode_problem *p, int sms, int occupancy) {
    int tiles = p->sequences * p->kv_heads, slots = sms * occupancy;
    int fill = slots / tiles, most = p->longest / 128;
    int splits = fill < most ? fill : most;
    return 2 * tiles > slots || splits < 1 ? 1 : splits;
}
cudaError_t decode_launch(enum decode_version version, const struct decode_problem *p, cudaStream_t stream) {
    struct decode_problem problem = kv_with_stride(p);
    switch (version) {
    case DECODE_V1:
        return decode_launch_v1(&problem, stream);
    case DECODE_V2:
        return decode_launch_v2(&problem, stream);
    case DECODE_V3:
        return decode_launch_v3(&problem, stream);
    case DECODE_V4:
        if (!problem.ctas)
            problem.ctas = decode_ctas(&problem, multiprocessors());
        return decode_launch_v4(&problem, stream);
    default:
        return decode_launch_v5(&problem, stream);
    }
}
