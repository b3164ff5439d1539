#include "validate/step/kernels.cuh"

enum { THREADS = 256, NORM_PARTS = 4, ARGMAX_THREADS = 1024 };

union eight {
    uint4 word;
    __nv_bfloat162 pair[4];
};
static __device__ __forceinline__ void widen(const uint4 &from, float to[8]) {
    union eight e;
    e.word = from;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 f = __bfloat1622float2(e.pair[i]);
        to[2 * i] = f.x;
        to[2 * i + 1] = f.y;
    }
}
static __device__ __forceinline__ uint4 narrow(const float from[8]) {
    union eight e;
#pragma unroll
    for (int i = 0; i < 4; i++)
        e.pair[i] = __floats2bfloat162_rn(from[2 * i], from[2 * i + 1]);
    return e.word;
}
static __device__ __forceinline__ uint4 load(const bf16 *p) {
    return *(const uint4 *)p;
}

static __device__ __forceinline__ uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}
/* The sum of two uniforms, of deviation 1. */
static __global__ void fill(uint4 *x, size_t words, uint64_t seed, float scale, float middle) {
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words; i += stride) {
        uint64_t a[4];
        float out[8];
        a[0] = mix(seed * 0x100000001b3ull + i);
#pragma unroll
        for (int k = 1; k < 4; k++)
            a[k] = mix(a[k - 1]);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            uint32_t bits = (uint32_t)(a[k / 2] >> (32 * (k & 1)));
            float u = (float)(bits & 0xffff) / 65536.0f + (float)(bits >> 16) / 65536.0f;
            out[k] = middle + scale * 2.4494897f * (u - 1.0f);
        }
        x[i] = narrow(out);
    }
}
cudaError_t step_fill(bf16 *x, size_t count, uint64_t seed, float scale, bool around_one, cudaStream_t stream) {
    fill<<<2048, THREADS, 0, stream>>>((uint4 *)x, count / 8, seed, scale, around_one ? 1.0f : 0.0f);
    return cudaGetLastError();
}

static __global__ void turns_kernel(float2 *turns, int half, double theta) {
    int position = (int)blockIdx.x, i = (int)threadIdx.x;
    double angle = (double)position * pow(theta, -(double)i / (double)half), s, c;
    sincos(angle, &s, &c);
    turns[(size_t)position * (size_t)half + (size_t)i] = make_float2((float)c, (float)s);
}
cudaError_t step_turns(float2 *turns, int positions, int head, double theta, cudaStream_t stream) {
    turns_kernel<<<(unsigned)positions, (unsigned)(head / 2), 0, stream>>>(turns, head / 2, theta);
    return cudaGetLastError();
}

static __global__ void embed(const struct step_token *tokens, const uint4 *table, int words, uint4 *x) {
    const uint4 *from = table + (size_t)tokens[blockIdx.x].id * (size_t)words;
    for (int i = (int)threadIdx.x; i < words; i += THREADS)
        x[(size_t)blockIdx.x * (size_t)words + (size_t)i] = from[i];
}
cudaError_t step_embed(const struct step_token *tokens, int count, const bf16 *table, int hidden, bf16 *x,
                       cudaStream_t stream) {
    embed<<<(unsigned)count, THREADS, 0, stream>>>(tokens, (const uint4 *)table, hidden / 8, (uint4 *)x);
    return cudaGetLastError();
}

/* A CTA a row, which stays in registers between the two passes: at most 8 x THREADS x NORM_PARTS = 8192 wide. */
static __global__ void __launch_bounds__(THREADS)
    norm(bf16 *x, const bf16 *add, const bf16 *weight, const int *rows, int hidden, float epsilon, bf16 *out) {
    __shared__ float sums[THREADS / 32];
    size_t row = rows ? (size_t)rows[blockIdx.x] : blockIdx.x;
    float v[NORM_PARTS][8], sum = 0.0f;
#pragma unroll
    for (int part = 0; part < NORM_PARTS; part++) {
        int at = 8 * ((int)threadIdx.x + part * THREADS);
        if (at >= hidden)
            break;
        widen(load(x + row * (size_t)hidden + at), v[part]);
        if (add) {
            float more[8];
            widen(load(add + row * (size_t)hidden + at), more);
#pragma unroll
            for (int i = 0; i < 8; i++)
                v[part][i] += more[i];
            uint4 stored = narrow(v[part]);
            widen(stored, v[part]);
            if (!rows)
                *(uint4 *)(x + row * (size_t)hidden + at) = stored;
        }
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum += v[part][i] * v[part][i];
    }
#pragma unroll
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0)
        sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0.0f;
#pragma unroll
    for (int i = 0; i < THREADS / 32; i++)
        sum += sums[i];
    float scale = rsqrtf(sum / (float)hidden + epsilon);
#pragma unroll
    for (int part = 0; part < NORM_PARTS; part++) {
        int at = 8 * ((int)threadIdx.x + part * THREADS);
        if (at >= hidden)
            break;
        float w[8];
        widen(load(weight + at), w);
#pragma unroll
        for (int i = 0; i < 8; i++)
            w[i] *= v[part][i] * scale;
        *(uint4 *)(out + (size_t)blockIdx.x * (size_t)hidden + at) = narrow(w);
    }
}
cudaError_t step_norm(bf16 *x, const bf16 *add, const bf16 *weight, const int *rows, int count, int hidden,
                      float epsilon, bf16 *out, cudaStream_t stream) {
    if (hidden > 8 * THREADS * NORM_PARTS || hidden % 8)
        return cudaErrorInvalidValue;
    norm<<<(unsigned)count, THREADS, 0, stream>>>(x, add, weight, rows, hidden, epsilon, out);
    return cudaGetLastError();
}

/* A CTA a token. An item is eight columns of a head's first half and the eight that they turn with, for Q and K; for V
 * sixteen columns that only move. */
static __global__ void __launch_bounds__(THREADS) rotate(const struct step_rope r) {
    struct step_token token = r.tokens[blockIdx.x];
    int half = r.head / 2, chunks = half / 8, turned = r.q_heads + r.kv_heads, heads = turned + r.kv_heads;
    const bf16 *from = r.qkv + (size_t)blockIdx.x * (size_t)(heads * r.head);
    bf16 *page = r.keys + (size_t)token.page * r.page + (size_t)(token.position % r.page_tokens * r.kv_heads * r.head);
    for (int item = (int)threadIdx.x; item < heads * chunks; item += THREADS) {
        int head = item / chunks, column = item % chunks * 8, at = head * r.head + column;
        float a[8], b[8];
        widen(load(from + at), a);
        widen(load(from + at + half), b);
        if (r.bias) {
            float bias[8];
            widen(load(r.bias + at), bias);
#pragma unroll
            for (int i = 0; i < 8; i++)
                a[i] += bias[i];
            widen(load(r.bias + at + half), bias);
#pragma unroll
            for (int i = 0; i < 8; i++)
                b[i] += bias[i];
        }
        bf16 *to = head < r.q_heads ? r.q + (size_t)blockIdx.x * (size_t)(r.q_heads * r.head) + at
                   : head < turned  ? page + (head - r.q_heads) * r.head + column
                                    : page + r.half + (head - turned) * r.head + column;
        if (head < turned) {
            const float2 *turn = r.turns + (size_t)token.position * (size_t)half + column;
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float2 t = turn[i];
                float x = a[i] * t.x - b[i] * t.y;
                b[i] = b[i] * t.x + a[i] * t.y;
                a[i] = x;
            }
        }
        *(uint4 *)to = narrow(a);
        *(uint4 *)(to + half) = narrow(b);
    }
}
cudaError_t step_rotate(const struct step_rope *rope, int count, cudaStream_t stream) {
    rotate<<<(unsigned)count, THREADS, 0, stream>>>(*rope);
    return cudaGetLastError();
}

static __global__ void gate(const uint4 *x, int words, size_t count, uint4 *out) {
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        size_t row = i / (size_t)words, at = row * 2 * (size_t)words + i % (size_t)words;
        float a[8], b[8];
        widen(x[at], a);
        widen(x[at + (size_t)words], b);
#pragma unroll
        for (int k = 0; k < 8; k++)
            a[k] = a[k] / (1.0f + __expf(-a[k])) * b[k];
        out[i] = narrow(a);
    }
}
cudaError_t step_gate(const bf16 *x, int count, int ffn, bf16 *out, cudaStream_t stream) {
    size_t words = (size_t)count * (size_t)(ffn / 8), blocks = (words + THREADS - 1) / THREADS;
    gate<<<(unsigned)(blocks < 65536 ? blocks : 65536), THREADS, 0, stream>>>((const uint4 *)x, ffn / 8, words,
                                                                              (uint4 *)out);
    return cudaGetLastError();
}

/* Of equal ones the first. */
static __device__ __forceinline__ void take_larger(float &most, int &at, float other, int other_at) {
    if (other > most || (other == most && other_at < at)) {
        most = other;
        at = other_at;
    }
}
static __global__ void __launch_bounds__(ARGMAX_THREADS) argmax(const uint4 *logits, int words, int *out) {
    __shared__ float tops[ARGMAX_THREADS / 32];
    __shared__ int places[ARGMAX_THREADS / 32];
    const uint4 *row = logits + (size_t)blockIdx.x * (size_t)words;
    float most = -INFINITY;
    int at = 0;
    for (int i = (int)threadIdx.x; i < words; i += ARGMAX_THREADS) {
        float v[8];
        widen(row[i], v);
#pragma unroll
        for (int k = 0; k < 8; k++)
            if (v[k] > most) {
                most = v[k];
                at = 8 * i + k;
            }
    }
#pragma unroll
    for (int step = 16; step; step /= 2) {
        float other = __shfl_xor_sync(~0u, most, step);
        int other_at = __shfl_xor_sync(~0u, at, step);
        take_larger(most, at, other, other_at);
    }
    if (threadIdx.x % 32 == 0) {
        tops[threadIdx.x / 32] = most;
        places[threadIdx.x / 32] = at;
    }
    __syncthreads();
    if (threadIdx.x)
        return;
    for (int i = 1; i < ARGMAX_THREADS / 32; i++)
        take_larger(most, at, tops[i], places[i]);
    out[blockIdx.x] = at;
}
cudaError_t step_argmax(const bf16 *logits, int count, int vocab, int *out, cudaStream_t stream) {
    argmax<<<(unsigned)count, ARGMAX_THREADS, 0, stream>>>((const uint4 *)logits, vocab / 8, out);
    return cudaGetLastError();
}
