/* What v3 and v4 share: sixteen tokens' keys and values through cp.async, ldmatrix and mma. See decode_v3.cu. */
#ifndef VALIDATE_KERNELS_DECODE_TILES_CUH
#define VALIDATE_KERNELS_DECODE_TILES_CUH

#include "validate/kernels/decode.cuh"
#include "validate/kernels/kv.cuh"

#include <cuda_fp16.h>

enum { TILE = 16, HEADS = 8 };

template <typename T, int D> struct row_shape {
    static constexpr int row = D * (int)sizeof(T); /* bytes of a token's keys: 64, 128 or 256 */
    static constexpr int chunks = row / 16;        /* of 16 bytes */
    static constexpr int tile = TILE * row;        /* bytes of K, and of V, a stage */
};

static __device__ __forceinline__ uint32_t shared_address(const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
}
/* Chunks of a row are permuted by the row, so that eight rows' same chunk lies in eight different banks' groups. */
template <typename T, int D> static __device__ __forceinline__ uint32_t chunk_at(int row, int chunk) {
    constexpr int c = row_shape<T, D>::chunks;
    if (c >= 8)
        return (uint32_t)(row * row_shape<T, D>::row + ((chunk ^ (row & 7)) << 4));
    return (uint32_t)(row * row_shape<T, D>::row +
                      ((chunk ^ ((row >> 1) & (c - 1))) << 4)); /* 64-byte rows: two a line */
}
static __device__ __forceinline__ void copy16(uint32_t to, const void *from, bool on) {
    int bytes = on ? 16 : 0; /* the rest is zeroed */
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}
template <bool TRANS> static __device__ __forceinline__ void load4(uint32_t r[4], uint32_t from) {
    if (TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(from));
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(from));
}
static __device__ __forceinline__ uint32_t transposed(uint32_t x) {
    uint32_t y;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
    return y;
}

template <typename T> struct arithmetic;
template <> struct arithmetic<__nv_bfloat16> {
    static __device__ __forceinline__ void mma(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
    static __device__ __forceinline__ uint32_t pack(float x, float y) {
        __nv_bfloat162 v = __floats2bfloat162_rn(x, y);
        return *(uint32_t *)&v;
    }
};
template <> struct arithmetic<__nv_fp8_e4m3> {
    static __device__ __forceinline__ void mma(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
    static __device__ __forceinline__ uint32_t pack(float x, float y) {
        __half2 v = __floats2half2_rn(x, y);
        return *(uint32_t *)&v;
    }
};
static __device__ __forceinline__ uint32_t widen(uint32_t two) {
    __half2_raw h = __nv_cvt_fp8x2_to_halfraw2((__nv_fp8x2_storage_t)two, __NV_E4M3);
    return (uint32_t)h.x | (uint32_t)h.y << 16;
}

/* Pairs of columns of the head that a lane holds in a k-step of sixteen: for e4m3 four neighbours. */
template <typename T> static __device__ __forceinline__ int k_column(int step, int half, int lane) {
    return sizeof(T) == 2 ? step * 16 + half * 8 + lane % 4 * 2 : step * 16 + lane % 4 * 4 + half * 2;
}

/* Keys of sixteen tokens, times the group's queries. */
template <typename T, int D>
static __device__ __forceinline__ void scores(float s[4], uint32_t k, const uint32_t *q, int lane) {
    s[0] = s[1] = s[2] = s[3] = 0.0f;
    if constexpr (sizeof(T) == 2) {
#pragma unroll
        for (int i = 0; i < D / 16; i++) {
            uint32_t a[4];
            load4<false>(a, k + chunk_at<T, D>(lane & 15, 2 * i + (lane >> 4)));
            arithmetic<T>::mma(s, a, q[2 * i], q[2 * i + 1]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < D / 32; i++) { /* one load serves two steps: chunks 2i and 2i + 1 */
            uint32_t w[4];
            load4<false>(w, k + chunk_at<T, D>(lane & 15, 2 * i + (lane >> 4)));
#pragma unroll
            for (int h = 0; h < 2; h++) {
                uint32_t lo = w[2 * h], hi = w[2 * h + 1];
                uint32_t a[4] = {widen(lo & 0xffff), widen(hi & 0xffff), widen(lo >> 16), widen(hi >> 16)};
                arithmetic<T>::mma(s, a, q[4 * i + 2 * h], q[4 * i + 2 * h + 1]);
            }
        }
    }
}

/* Values of sixteen tokens, weighted: o[j] holds sixteen columns of the head. */
template <typename T, int D>
static __device__ __forceinline__ void values(float (*o)[4], uint32_t v, uint32_t p0, uint32_t p1, int lane) {
    /* Matrices 0..3 of a load: (tokens 0-7, chunk), (tokens 0-7, chunk + 1), (tokens 8-15, ...), ... */
    int token = (lane & 7) + (lane >> 4) * 8, second = lane >> 3 & 1;
    if constexpr (sizeof(T) == 2) {
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            uint32_t a[4];
            load4<true>(a, v + chunk_at<T, D>(token, 2 * j + second));
            arithmetic<T>::mma(o[j], a, p0, p1);
        }
    } else {
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            uint32_t w[4];
            load4<true>(w, v + chunk_at<T, D>(token, 2 * j + second));
#pragma unroll
            for (int h = 0; h < 2; h++) {
                uint32_t x = w[h], y = w[2 + h]; /* bytes: (t, d), (t, d + 1), (t + 1, d), (t + 1, d + 1) */
                uint32_t a[4] = {widen(__byte_perm(x, 0, 0x4420)), widen(__byte_perm(x, 0, 0x4431)),
                                 widen(__byte_perm(y, 0, 0x4420)), widen(__byte_perm(y, 0, 0x4431))};
                arithmetic<T>::mma(o[2 * j + h], a, p0, p1);
            }
        }
    }
}
/* Column of the head in row r (0..15) of o[j]. */
template <typename T> static __device__ __forceinline__ int o_column(int j, int r) {
    return sizeof(T) == 2 ? 16 * j + r : 16 * j + 2 * (r & 7) + (r >> 3);
}

/* Page of the tile's token lane & 15; asked for a tile ahead, since each fetch waits on it. */
static __device__ __forceinline__ int page_of(const struct decode_problem &p, const int *table, int tile, int end,
                                              int lane, int page_shift) {
    int token = tile * TILE + (lane & 15);
    return token < end ? table[token >> page_shift] : -1;
}

template <typename T, int D>
static __device__ __forceinline__ void fetch(const struct decode_problem &p, uint32_t stage, int page, int head,
                                             int tile, int lane) {
    constexpr int chunks = row_shape<T, D>::chunks, rows = 32 / chunks;
#pragma unroll
    for (int i = 0; i < TILE / rows; i++) {
        int row = i * rows + lane / chunks, chunk = lane % chunks;
        int at = __shfl_sync(~0u, page, row);
        size_t from =
            kv_at(p, at < 0 ? 0 : at, head, (tile * TILE + row) & (p.page_size - 1)) * sizeof(T) + (size_t)chunk * 16;
        uint32_t to = stage + chunk_at<T, D>(row, chunk);
        copy16(to, (const char *)p.k + from, at >= 0);
        copy16(to + row_shape<T, D>::tile, (const char *)p.v + from, at >= 0);
    }
}

#endif
