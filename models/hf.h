/* Hugging Face config.json: the fields that say a transformer's shape, and what they mean as struct arch. */
#ifndef MODELS_HF_H
#define MODELS_HF_H

#include "models/arch.h"

enum hf_said { HF_FALSE, HF_TRUE, HF_ABSENT };

/* Fields as the files write them. Numbers default to 0 where absent; whoever reads drops every other key, and nulls. */
struct hf_config {
    const char *model_type;
    int64_t hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, intermediate_size,
        vocab_size;
    int64_t max_position_embeddings;
    int64_t num_local_experts, num_experts, n_routed_experts, num_experts_per_tok, experts_per_token, n_shared_experts;
    int64_t moe_intermediate_size, first_k_dense_replace, decoder_sparse_step;
    int64_t kv_lora_rank, q_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim;
    int64_t sliding_window, sliding_window_pattern, max_window_layers;
    int64_t index_head_dim, index_topk;
    bool use_sliding_window;
    int tie_word_embeddings; /* enum hf_said */
    struct list layer_types; /* const char * */
};
extern const struct option hf_options[];

/* Fills arch. `name` becomes its name and source. Error: a model type that is not known, or a shape that is missing. */
int hf_translate(const struct hf_config *config, const char *name, struct arch *arch, struct error *err);

#endif
