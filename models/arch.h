/* Architectures: what a transformer's shape means in parameters, bytes of KV cache and FLOPs. */
#ifndef MODELS_ARCH_H
#define MODELS_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/base/option.h"

enum dtype { DTYPE_BF16, DTYPE_FP8, DTYPE_INT4, DTYPE_COUNT }; /* INT4: 4-bit weights with scales, bf16 maths */
extern const char *const dtype_names[];                        /* "bf16", "fp8", "int4", NULL: for OPTION_CHOICE */
/* Bytes an element, scales included (int4: 0.5 + 2/128). */
double dtype_bytes(enum dtype dtype);

struct arch {
    const char *name, *source;
    int64_t layers, hidden, q_heads, kv_heads, head_dim, vocab, max_context;
    int64_t ffn;                                                 /* dense FFN width (gated: three matrices) */
    int64_t experts, experts_per_token, shared_experts, moe_ffn; /* experts 0: dense */
    int64_t dense_layers;                                        /* leading layers with a dense FFN in a MoE model */
    int64_t kv_lora, rope_dim, q_lora, nope_dim, v_dim;          /* MLA; kv_lora 0: GQA */
    int64_t window, window_layers;                               /* sliding-window layers and their window; 0: none */
    int64_t index_dim, index_topk; /* sparse attention's index key a token and layer (DSA); 0: none */
    bool tied_embeddings;
};

/* Option table of configs/models/NAME.yaml, for struct arch. A Hugging Face config.json is recognised by its
 * "architectures"/"model_type" keys and translated first (models/hf.h). */
extern const struct option arch_options[];

/* 0, or what contradicts itself. */
int arch_check(const struct arch *arch, struct error *err);
/* Parameters in total, and read for one token (experts_per_token + shared). */
double arch_params(const struct arch *arch);
double arch_params_active(const struct arch *arch);
/* Bytes of weights a rank holds. */
double arch_weight_bytes(const struct arch *arch, enum dtype dtype, int64_t tp);
/* Bytes of KV a token that a rank holds, window layers counted as if they kept everything: KV heads a rank =
 * max(1, kv_heads/tp); MLA latents are replicated on each rank. */
double arch_kv_bytes_per_token(const struct arch *arch, enum dtype kv_dtype, int64_t tp);
/* The same for all ranks together, each copy counted: what an instance's HBM gives up for a token. */
double arch_kv_bytes_per_token_all(const struct arch *arch, enum dtype kv_dtype, int64_t tp);
/* Bytes of KV a token that a lower tier must hold: distinct bytes only (replicas stored once). */
double arch_kv_bytes_per_token_stored(const struct arch *arch, enum dtype kv_dtype);

#endif
