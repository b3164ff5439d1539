/* v4: v3's arithmetic under a fixed grid that shares the tokens out evenly.
 *
 * All (sequence, KV head)s in a row are a line of units of sixteen tokens. The grid's CTAs, at most one an SM, take
 * equal stretches of it, whatever the lengths; a warp takes every eighth unit of its CTA's stretch, and its pipeline
 * runs on across the borders of tiles, so that memory is read while a tile is being finished. A tile that several CTAs
 * share is added up by the last of them; a CTA leaves at most two partial sums, at its stretch's ends. */
#include "validate/kernels/decode_tiles.cuh"

template <typename T, int D> struct even {
    static constexpr int tile = row_shape<T, D>::tile;
    static constexpr int warps = tile <= 1024 ? 16 : 8; /* small tiles: bound by latency, not by memory */
    static constexpr int threads = 32 * warps;
    static constexpr int stages = tile >= 4096 ? 3 : 6;
    static constexpr int pipes = warps * stages * 2 * tile;
    static constexpr int buffers = warps / 2; /* of [HEADS][D] floats */
    static constexpr int sums = buffers * HEADS * D * 4;
    static constexpr int part = HEADS * (D + 2); /* floats of a partial sum */
};
enum { MOST_PARTS = 256 }; /* CTAs that share a tile: whose weights fit into `sums` */

struct place {
    int seq, head, tile, tiles, length; /* of sequence `seq`: its tiles and tokens */
};
static __device__ __forceinline__ int tiles_of(int length) {
    return (length + TILE - 1) / TILE;
}
static __device__ __forceinline__ void advance(const struct decode_problem &p, struct place *at, int by) {
    at->tile += by;
    while (at->tile >= at->tiles) {
        at->tile -= at->tiles;
        if (++at->head == p.kv_heads) {
            at->head = 0;
            if (++at->seq == p.sequences) { /* past the end: never looked at */
                at->seq = p.sequences - 1;
                at->tiles = 1 << 30;
                return;
            }
            at->length = p.lengths[at->seq];
            at->tiles = tiles_of(at->length);
        }
    }
}

/* CTAs that have work: never more than units. */
static __device__ __forceinline__ int ctas_of(int64_t total) {
    return (int)min((int64_t)gridDim.x, total);
}
/* Units of all tiles, and where unit `total * cta / ctas` is. */
template <int THREADS>
static __device__ int find_start(const struct decode_problem &p, struct place *start, int *scratch) {
    int tid = (int)threadIdx.x, lane = tid % 32, each = (p.sequences + THREADS - 1) / THREADS, mine = 0;
    for (int i = tid * each; i < min(p.sequences, (tid + 1) * each); i++)
        mine += tiles_of(p.lengths[i]);
    int upto = mine;
#pragma unroll
    for (int x = 1; x < 32; x <<= 1) {
        int other = __shfl_up_sync(~0u, upto, x);
        upto += lane >= x ? other : 0;
    }
    if (lane == 31)
        scratch[tid / 32] = upto;
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < THREADS / 32; w++) {
        before += w < tid / 32 ? scratch[w] : 0;
        total += scratch[w];
    }
    int first = (int)((int64_t)total * p.kv_heads * blockIdx.x / ctas_of(total * p.kv_heads)),
        from = (before + upto - mine) * p.kv_heads;
    if (first >= from && first < from + mine * p.kv_heads)
        for (int i = tid * each; i < min(p.sequences, (tid + 1) * each); i++) {
            int length = p.lengths[i], tiles = tiles_of(length);
            if (first < from + tiles * p.kv_heads) {
                *start = {i, (first - from) / tiles, (first - from) % tiles, tiles, length};
                break;
            }
            from += tiles * p.kv_heads;
        }
    __syncthreads();
    return total * p.kv_heads;
}

/* What the warps hold, scaled to one top a head, into `buffers` sums; most and sum: [warps][HEADS]. */
template <typename T, int D>
static __device__ __forceinline__ void merge_warps(float (*o)[4], float m[2], float l[2], float *sums,
                                                   float (*most)[HEADS], float (*sum)[HEADS], int warp, int lane) {
    using E = even<T, D>;
    if (lane < 4)
        for (int h = 0; h < 2; h++) {
            most[warp][lane * 2 + h] = m[h];
            sum[warp][lane * 2 + h] = l[h];
        }
    __syncthreads();
    float scale[2];
    for (int h = 0; h < 2; h++) {
        float top = -INFINITY;
#pragma unroll
        for (int w = 0; w < E::warps; w++)
            top = fmaxf(top, most[w][lane % 4 * 2 + h]);
        scale[h] = m[h] == -INFINITY ? 0.0f : exp2f(m[h] - top);
    }
    float *mine = sums + warp % E::buffers * HEADS * D;
    if (warp >= E::buffers)
        for (int j = 0; j < D / 16; j++)
            for (int x = 0; x < 4; x++)
                mine[(lane % 4 * 2 + (x & 1)) * D + o_column<T>(j, lane / 4 + (x >> 1) * 8)] = o[j][x] * scale[x & 1];
    __syncthreads();
    if (warp < E::buffers)
        for (int j = 0; j < D / 16; j++)
            for (int x = 0; x < 4; x++)
                mine[(lane % 4 * 2 + (x & 1)) * D + o_column<T>(j, lane / 4 + (x >> 1) * 8)] += o[j][x] * scale[x & 1];
    __syncthreads();
}
template <typename T, int D>
static __device__ __forceinline__ float merged(const float (*most)[HEADS], const float (*sum)[HEADS], int head,
                                               float *top) {
    float t = -INFINITY, total = 0.0f;
    for (int w = 0; w < even<T, D>::warps; w++)
        t = fmaxf(t, most[w][head]);
    for (int w = 0; w < even<T, D>::warps; w++)
        total += most[w][head] == -INFINITY ? 0.0f : sum[w][head] * exp2f(most[w][head] - t);
    *top = t;
    return total;
}

/* A CTA's partial sum of a tile: in its second place, unless its stretch begins within that tile or with it. */
static __device__ __forceinline__ int part_of(int cta, int64_t total, int begins) {
    return 2 * cta + (total * cta / ctas_of(total) < begins);
}

/* The last of CTAs c0..c1 adds up their partial sums: weights a warp a head, then sums that wait on one another no
 * more. */
template <typename T, int D>
static __device__ void merge_parts(const struct decode_problem &p, int at, int c0, int c1, int64_t total, int begins,
                                   float *weights) {
    using E = even<T, D>;
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, n = c1 - c0 + 1, first = part_of(c0, total, begins);
    const float *parts = p.partial;
    for (int g = warp; g < p.group; g += E::warps) {
        float m[MOST_PARTS / 32], top = -INFINITY, sum = 0.0f;
#pragma unroll
        for (int i = 0; i < MOST_PARTS / 32; i++) {
            int s = lane + 32 * i;
            m[i] = s < n ? __ldcg(parts + (size_t)(s ? 2 * (c0 + s) : first) * E::part + HEADS * D + g) : -INFINITY;
        }
#pragma unroll
        for (int i = 0; i < MOST_PARTS / 32; i++)
            top = fmaxf(top, m[i]);
#pragma unroll
        for (int x = 16; x; x >>= 1)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, x));
#pragma unroll
        for (int i = 0; i < MOST_PARTS / 32; i++) {
            int s = lane + 32 * i;
            m[i] = m[i] == -INFINITY ? 0.0f : exp2f(m[i] - top);
            if (s < n)
                sum += m[i] * __ldcg(parts + (size_t)(s ? 2 * (c0 + s) : first) * E::part + HEADS * (D + 1) + g);
        }
#pragma unroll
        for (int x = 16; x; x >>= 1)
            sum += __shfl_xor_sync(~0u, sum, x);
#pragma unroll
        for (int i = 0; i < MOST_PARTS / 32; i++)
            if (lane + 32 * i < n)
                weights[(lane + 32 * i) * HEADS + g] = sum > 0.0f ? m[i] / sum : 0.0f;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x * 4; i < p.group * D; i += 4 * E::threads) {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 16
        for (int s = 0; s < n; s++) {
            float4 v = __ldcg((const float4 *)(parts + (size_t)(s ? 2 * (c0 + s) : first) * E::part + i));
            float w = weights[s * HEADS + i / D];
            sum.x += w * v.x, sum.y += w * v.y, sum.z += w * v.z, sum.w += w * v.w;
        }
        __nv_bfloat162 *to = (__nv_bfloat162 *)((__nv_bfloat16 *)p.o + (size_t)at * p.group * D + i);
        to[0] = __floats2bfloat162_rn(sum.x, sum.y);
        to[1] = __floats2bfloat162_rn(sum.z, sum.w);
    }
}

template <typename T, int D>
static __device__ __forceinline__ void load_queries(const struct decode_problem &p, int at, uint32_t *q, int lane) {
    const __nv_bfloat16 *qs = (const __nv_bfloat16 *)p.q + (size_t)at * p.group * D;
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
        int column = k_column<T>(i / 2, i & 1, lane), row = lane / 4;
        q[i] = row < p.group ? arithmetic<T>::pack((float)qs[row * D + column], (float)qs[row * D + column + 1]) : 0u;
    }
}

/* Sixteen tokens: scores, softmax so far, values. */
template <typename T, int D>
static __device__ __forceinline__ void unit(uint32_t stage, const uint32_t *q, float (*o)[4], float *m, float *l,
                                            int left, float scale, int lane) {
    float s[4];
    scores<T, D>(s, stage, q, lane);
    bool low = lane / 4 < left, high = lane / 4 + 8 < left;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        s[h] = low ? s[h] * scale : -INFINITY;
        s[2 + h] = high ? s[2 + h] * scale : -INFINITY;
        float top = fmaxf(s[h], s[2 + h]);
#pragma unroll
        for (int x = 4; x < 32; x <<= 1)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, x));
        top = fmaxf(m[h], top); /* finite: a unit holds at least one token */
        float keep = exp2f(m[h] - top);
        s[h] = exp2f(s[h] - top);
        s[2 + h] = exp2f(s[2 + h] - top);
        l[h] = l[h] * keep + s[h] + s[2 + h];
        m[h] = top;
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            o[j][h] *= keep;
            o[j][2 + h] *= keep;
        }
    }
    uint32_t p0 = transposed(arithmetic<T>::pack(s[0], s[1])), p1 = transposed(arithmetic<T>::pack(s[2], s[3]));
    values<T, D>(o, stage + (uint32_t)row_shape<T, D>::tile, p0, p1, lane);
}

/* One tile's end: the output, or a partial sum and, for the last of its CTAs, their sum. */
template <typename T, int D>
static __device__ void finish(const struct decode_problem &p, int at, int begins, int ends, int64_t total, float *sums,
                              const float (*most)[HEADS], const float (*sum)[HEADS], bool *last) {
    using E = even<T, D>;
    int tid = (int)threadIdx.x, c = (int)blockIdx.x;
    int c0 = (int)((((int64_t)begins + 1) * ctas_of(total) - 1) / total),
        c1 = (int)(((int64_t)ends * ctas_of(total) - 1) / total);
    float *part = p.partial + (size_t)part_of(c, total, begins) * E::part;
    for (int i = tid; i < p.group * D; i += E::threads) {
        float value = 0.0f, top;
#pragma unroll
        for (int b = 0; b < E::buffers; b++)
            value += sums[b * HEADS * D + i];
        if (c0 == c1) {
            float all = merged<T, D>(most, sum, i / D, &top);
            ((__nv_bfloat16 *)p.o)[(size_t)at * p.group * D + i] = __float2bfloat16(value / all);
        } else {
            __stcg(part + i, value);
        }
    }
    if (c0 == c1)
        return;
    if (tid < HEADS) {
        float top, all = merged<T, D>(most, sum, tid, &top);
        __stcg(part + HEADS * D + tid, top);
        __stcg(part + HEADS * (D + 1) + tid, all);
    }
    __threadfence();
    __syncthreads();
    if (!tid)
        *last = atomicInc(p.done + at, (unsigned)(c1 - c0)) == (unsigned)(c1 - c0); /* back to 0 for the next call */
    __syncthreads();
    if (*last) {
        __threadfence();
        merge_parts<T, D>(p, at, c0, c1, total, begins, sums);
    }
}

template <typename T, int D>
static __global__ void __launch_bounds__(even<T, D>::threads, 1) decode_v4(const __grid_constant__ decode_problem p) {
    using E = even<T, D>;
    extern __shared__ __align__(128) char shared[];
    __shared__ float most[E::warps][HEADS], sum[E::warps][HEADS];
    __shared__ bool last;
    __shared__ struct place start;
    __shared__ int scratch[E::warps];
    float *sums = (float *)(shared + E::pipes);
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, shift = 31 - __clz(p.page_size);
    int64_t total = find_start<E::threads>(p, &start, scratch);
    int ctas = ctas_of(total), c = (int)blockIdx.x;
    if (c >= ctas)
        return;
    int now = (int)(total * c / ctas), end = (int)(total * (c + 1) / ctas), u = now + warp;
    uint32_t stages = shared_address(shared) + (uint32_t)(warp * E::stages * 2 * E::tile);
    struct place cta = start, next = start;

    auto page_at = [&](const struct place &a) {
        return page_of(p, p.table + (size_t)a.seq * p.table_width, a.tile, a.length, lane, shift);
    };
    advance(p, &next, warp);
    int next_u = u, page = next_u < end ? page_at(next) : -1;
    auto fetch_next = [&](int stage) { /* and ask for the page of the one after it */
                                       struct place ahead = next;
                                       advance(p, &ahead, E::warps);
                                       int ahead_page = next_u + E::warps < end ? page_at(ahead) : -1;
                                       if (next_u < end)
                                           fetch<T, D>(p, stages + (uint32_t)(stage * 2 * E::tile), page, next.head,
                                                       next.tile, lane);
                                       asm volatile("cp.async.commit_group;");
                                       next = ahead, page = ahead_page, next_u += E::warps;
    };
    for (int i = 0; i < E::stages - 1; i++)
        fetch_next(i);
    float scale = p.scale * 1.44269504f; /* scores come out in powers of two: exp2 is the instruction there is */
    int stage = 0, free_stage = E::stages - 1;
    while (now < end) {
        int at = cta.seq * p.kv_heads + cta.head, begins = now - cta.tile, ends = begins + cta.tiles;
        int until = min(end, ends), length = cta.length;
        uint32_t q[D / 8];
        load_queries<T, D>(p, at, q, lane);
        float o[D / 16][4] = {}, m[2] = {-INFINITY, -INFINITY}, l[2] = {};
        for (; u < until; u += E::warps) {
            asm volatile("cp.async.wait_group %0;" ::"n"(E::stages - 2));
            __syncwarp();
            fetch_next(free_stage);
            unit<T, D>(stages + (uint32_t)(stage * 2 * E::tile), q, o, m, l, length - (u - begins) * TILE, scale, lane);
            __syncwarp();
            stage = stage + 1 == E::stages ? 0 : stage + 1;
            free_stage = free_stage + 1 == E::stages ? 0 : free_stage + 1;
        }
        for (int h = 0; h < 2; h++)
            for (int x = 4; x < 32; x <<= 1)
                l[h] += __shfl_xor_sync(~0u, l[h], x);
        merge_warps<T, D>(o, m, l, sums, most, sum, warp, lane);
        finish<T, D>(p, at, begins, ends, total, sums, most, sum, &last);
        __syncthreads();
        advance(p, &cta, until - now);
        now = until;
    }
    asm volatile("cp.async.wait_all;");
}

template <typename T, int D> static cudaError_t v4_launch(const struct decode_problem *p, cudaStream_t stream) {
    using E = even<T, D>;
    size_t shared = E::pipes + E::sums;
    cudaError_t status =
        cudaFuncSetAttribute(decode_v4<T, D>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (status != cudaSuccess)
        return status;
    decode_v4<T, D><<<(unsigned)p->ctas, E::threads, shared, stream>>>(*p);
    return cudaGetLastError();
}
cudaError_t decode_launch_v4(const struct decode_problem *p, cudaStream_t stream) {
    if (p->dtype == KV_BF16)
        return p->head_size == 128 ? v4_launch<__nv_bfloat16, 128>(p, stream) : v4_launch<__nv_bfloat16, 64>(p, stream);
    return p->head_size == 128 ? v4_launch<__nv_fp8_e4m3, 128>(p, stream) : v4_launch<__nv_fp8_e4m3, 64>(p, stream);
}
int decode_ctas(const struct decode_problem *p, int sms) {
    int tiles = p->sequences * p->kv_heads, least = 128; /* tokens a CTA */
    int64_t most = (int64_t)tiles * p->longest / least;
    if (tiles * 10 > sms * 9) { /* whole tiles, where that leaves fewer than a tenth of the SMs idle */
        int each = (tiles + sms - 1) / sms;
        if (tiles % each == 0 && tiles / each * 10 > sms * 9)
            return tiles / each;
        return sms;
    }
    int ctas = most < sms ? (int)(most > 1 ? most : 1) : sms;
    int whole = ctas / tiles * tiles; /* equal shares of each tile, where few SMs idle for it */
    if (whole * 10 > ctas * 9)
        ctas = whole;
    return ctas < MOST_PARTS ? ctas : MOST_PARTS;
}
