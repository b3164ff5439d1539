/* The small kernels of a step. Widths are multiples of 8: sixteen bytes a load. */
#ifndef VALIDATE_STEP_KERNELS_CUH
#define VALIDATE_STEP_KERNELS_CUH

#include <cstddef>
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

/* A token of the step: what it is, where it stands in its sequence, the page that its K and V go to. */
struct step_token {
    int id, position, page, unused;
};
typedef __nv_bfloat16 bf16;

/* x[i] = about N(0, 1) x scale, or 1 + that: `around_one`. count: a multiple of 8 elements is written. */
cudaError_t step_fill(bf16 *x, size_t count, uint64_t seed, float scale, bool around_one, cudaStream_t stream);
/* turns[position][i] = cos, sin of position x theta^(-2i/head), i < head/2. */
cudaError_t step_turns(float2 *turns, int positions, int head, double theta, cudaStream_t stream);

cudaError_t step_embed(const struct step_token *tokens, int count, const bf16 *table, int hidden, bf16 *x,
                       cudaStream_t stream);
/* x += add (unless NULL), out = norm(x) x weight. rows: of x and add, the rows to take (x is left as it was), else all
 * in order. */
cudaError_t step_norm(bf16 *x, const bf16 *add, const bf16 *weight, const int *rows, int count, int hidden,
                      float epsilon, bf16 *out, cudaStream_t stream);
struct step_rope {
    const struct step_token *tokens;
    const bf16 *qkv, *bias; /* [token][q, k, v heads]; bias: NULL for none */
    const float2 *turns;
    bf16 *q;           /* [token][q_heads][head] */
    bf16 *keys;        /* of this layer in page 0; values follow, `half` elements on */
    size_t page, half; /* elements from a page to the next; of K of a layer */
    int q_heads, kv_heads, head, page_tokens;
};
/* Adds the bias, turns Q and K, writes K and V into their pages. */
cudaError_t step_rotate(const struct step_rope *rope, int count, cudaStream_t stream);
/* out[t][i] = silu(x[t][i]) x x[t][ffn + i] */
cudaError_t step_gate(const bf16 *x, int count, int ffn, bf16 *out, cudaStream_t stream);
/* The place of each row's largest. */
cudaError_t step_argmax(const bf16 *logits, int count, int vocab, int *out, cudaStream_t stream);

#endif
