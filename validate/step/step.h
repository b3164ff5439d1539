/* The real step: the decoder's shapes, the list of points, and a plain float64 decoder to check against. Plain C
 * without CUDA, and C++ too: core.cu compiles the same files into tiersim-calibrate, tests/exactness_step.c runs them.
 */
#ifndef VALIDATE_STEP_STEP_H
#define VALIDATE_STEP_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { STEP_PAGE = 16, STEP_PARAMS = 160 };

/* As configs/models has them; the name too, for rows are predicted by it. */
struct step_dims {
    const char *name;
    int layers, hidden, q_heads, kv_heads, head, ffn, vocab;
    bool bias; /* on Q, K and V */
    double rope_theta, epsilon;
};
extern const struct step_dims step_llama, step_qwen;
static inline int step_qkv_width(const struct step_dims *d) {
    return (d->q_heads + 2 * d->kv_heads) * d->head;
}
/* Elements of K, and of V, of one layer in a page; a page holds [layer][K, V][token][kv_head][head]. */
static inline size_t step_page_half(const struct step_dims *d) {
    return (size_t)STEP_PAGE * (size_t)d->kv_heads * (size_t)d->head;
}
static inline size_t step_page_elements(const struct step_dims *d) {
    return 2 * (size_t)d->layers * step_page_half(d);
}

/* Weights, each matrix [outputs][inputs], in one piece of memory: where each begins, in elements, a multiple of 128. */
struct step_layout {
    size_t embedding, head, last_norm, layers, layer; /* layer: from one layer to the next */
    size_t norm1, qkv, bias, o, norm2, gate_up, down; /* within a layer */
    size_t elements;                                  /* of all */
};
struct step_layout step_layout(const struct step_dims *d);

/* ---- the points ---- */

enum step_kind { STEP_DECODE, STEP_PREFILL, STEP_MIXED };
enum step_offload { STEP_ALONE, STEP_D2H, STEP_H2D };
struct step_point {
    enum step_kind kind;
    int batch, context; /* decodes, each of so many tokens with its new one */
    int chunk, prefix;  /* one sequence's new tokens, after so many cached */
    enum step_offload offload;
};
/* The committed list, all that fit into `pages`; returns their number. quick: every fifth, each kind among them. */
enum { STEP_POINTS_MAX = 128 };
int step_points(int64_t pages, bool quick, struct step_point out[STEP_POINTS_MAX]);
int64_t step_pages(const struct step_point *p);
/* The words that validate/predict_steps.c reads. */
void step_params(const struct step_dims *d, const struct step_point *p, char out[STEP_PARAMS]);
/* Bytes read and FLOPs of a step that any implementation needs: weights once, K and V; products and attention. */
double step_bytes(const struct step_dims *d, const struct step_point *p);
double step_flops(const struct step_dims *d, const struct step_point *p);

/* ---- the reference ---- */

/* A sequence's logits in float64: out[count][vocab], after each of the positions from..from+count-1 of `tokens`.
 * weights: bf16 bits by step_layout. rounded: to bf16 wherever the decoder on the GPU stores, so that what is left is
 * the order of sums; else none. 0, or -1: no memory. */
int step_reference(const struct step_dims *d, const uint16_t *weights, const int *tokens, int length, int from,
                   int count, bool rounded, double *out);
double step_from_bf16(uint16_t bits);
/* To the nearest, ties to even. */
uint16_t step_to_bf16(double x);
/* sqrt(sum (got - want)^2 / sum want^2); not a number where one of `got` is none. */
double step_error(const uint16_t *got, const double *want, size_t count);

#ifdef __cplusplus
}
#endif
#endif
