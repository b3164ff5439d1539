/* Paged attention for decode: one new token a sequence, bf16 or e4m3 KV, groups of 1 to 8, heads of 64 or 128. */
#ifndef VALIDATE_KERNELS_DECODE_CUH
#define VALIDATE_KERNELS_DECODE_CUH

#include <cstdint>
#include <cuda_runtime.h>

enum kv_dtype { KV_BF16, KV_E4M3 };
enum kv_layout { KV_NHD, KV_HND }; /* [page][token][head][d] or [page][head][token][d] */
enum decode_version { DECODE_V1, DECODE_V2, DECODE_V3, DECODE_V4, DECODE_V5, DECODE_LATEST = DECODE_V5 };

struct decode_problem {
    int sequences, kv_heads, group, head_size, page_size; /* page_size: a power of two of at least 8 */
    int table_width, longest;                             /* pages a row of the table; most tokens of a sequence */
    size_t page_stride; /* elements from a page of K to the next, and of V; 0: packed. Wider: layers lie side by side */
    enum kv_dtype dtype;
    enum kv_layout layout;
    int splits; /* v3, v5: CTAs that share a (sequence, KV head); 1: single pass */
    int ctas;   /* v4: of the grid; 0: decode_ctas() */
    float scale;
    const void *q; /* bf16 [sequences][kv_heads * group][head_size] */
    const void *k, *v;
    const int *table, *lengths; /* lengths of at least 1 */
    void *o;                    /* bf16, as q */
    float *partial;             /* decode_partial_floats(); for splits > 1 */
    unsigned *done;             /* sequences * kv_heads counters, 0 before the first call and after each */
};

/* Bytes of K and V that any implementation has to read. */
double decode_kv_bytes(const struct decode_problem *p, int64_t tokens);
size_t decode_partial_floats(const struct decode_problem *p);
/* CTAs of v3 and v5 that an SM holds. */
int decode_occupancy(const struct decode_problem *p);
/* The rule, the same that models/attention.c must use: tiles = sequences x KV heads;
 *     splits = max(1, min(floor(SMs / tiles), floor(longest / 256))).
 * In words: where an SM or more would stand idle for each tile, a tile is split so that every SM has one CTA, and no
 * split is shorter than 256 tokens; else a CTA takes a whole context. An SM holds decode_occupancy() CTAs (two, bf16
 * with heads of 128), but one CTA an SM keeps enough reads in flight, and fewer partial sums are added up. */
int decode_splits(const struct decode_problem *p, int sms);
/* v3's: fewer than half of the places (SMs x occupancy) taken: split until all are, no split below 128 tokens. */
int decode_splits_v3(const struct decode_problem *p, int sms, int occupancy);
/* The rule of v4. */
int decode_ctas(const struct decode_problem *p, int sms);
cudaError_t decode_launch(enum decode_version version, const struct decode_problem *p, cudaStream_t stream);
/* Float64, one CTA a (sequence, query head), its own indexing; out: double, as q. */
cudaError_t decode_reference(const struct decode_problem *p, double *out, double *scores, cudaStream_t stream);

#endif
