#include "models/hf.h"

#include <stddef.h>
#include <string.h>

#define COUNT(field)                                                                                                   \
    {                                                                                                                  \
        .name = #field, .kind = OPTION_INT, .offset = offsetof(struct hf_config, field), .fallback = "0", .max = 1e9,  \
        .help = "as in config.json"                                                                                    \
    }
#define FLAG(field)                                                                                                    \
    {                                                                                                                  \
        .name = #field, .kind = OPTION_BOOL, .offset = offsetof(struct hf_config, field), .fallback = "false",         \
        .help = "as in config.json"                                                                                    \
    }

static const char *const said_names[] = {"false", "true", "absent", NULL};

const struct option hf_options[] = {
    {.name = "model_type",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct hf_config, model_type),
     .fallback = "",
     .help = "as in config.json"},
    COUNT(hidden_size),
    COUNT(num_hidden_layers),
    COUNT(num_attention_heads),
    COUNT(num_key_value_heads),
    COUNT(head_dim),
    COUNT(intermediate_size),
    COUNT(vocab_size),
    COUNT(max_position_embeddings),
    COUNT(num_local_experts),
    COUNT(num_experts),
    COUNT(n_routed_experts),
    COUNT(num_experts_per_tok),
    COUNT(experts_per_token),
    COUNT(n_shared_experts),
    COUNT(moe_intermediate_size),
    COUNT(first_k_dense_replace),
    COUNT(decoder_sparse_step),
    COUNT(kv_lora_rank),
    COUNT(q_lora_rank),
    COUNT(qk_rope_head_dim),
    COUNT(qk_nope_head_dim),
    COUNT(v_head_dim),
    COUNT(sliding_window),
    COUNT(sliding_window_pattern),
    COUNT(max_window_layers),
    COUNT(index_head_dim),
    COUNT(index_topk),
    FLAG(use_sliding_window),
    {.name = "tie_word_embeddings",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct hf_config, tie_word_embeddings),
     .fallback = "absent",
     .choices = said_names,
     .help = "as in config.json"},
    {.name = "layer_types",
     .kind = OPTION_TEXTS,
     .offset = offsetof(struct hf_config, layer_types),
     .fallback = "",
     .help = "as in config.json"},
    OPTION_END,
};

/* Families whose layers are gated FFNs with grouped-query or latent attention. What a file may leave out differs. */
enum window_rule {
    WINDOW_NONE,   /* the family has none, whatever the file says */
    WINDOW_ALL,    /* sliding_window applies to every layer (Mistral v0.1) */
    WINDOW_FLAG,   /* only with use_sliding_window, from layer max_window_layers on (Qwen) */
    WINDOW_OTHER,  /* every second layer, unless layer_types says */
    WINDOW_PATTERN /* all but each sliding_window_pattern-th layer (Gemma 3; 6 where absent) */
};
static const struct family {
    const char *model_type;
    enum window_rule window;
    bool experts_default_width; /* the experts' width is intermediate_size where moe_intermediate_size is absent */
    bool tied;                  /* tie_word_embeddings defaults to true */
    int64_t head_dim;           /* where absent and not hidden/heads */
} families[] = {
    {"llama", WINDOW_NONE, false, false, 0},        {"mistral", WINDOW_ALL, false, false, 0},
    {"qwen2", WINDOW_FLAG, false, false, 0},        {"qwen3", WINDOW_FLAG, false, false, 128},
    {"qwen2_moe", WINDOW_FLAG, false, false, 0},    {"qwen3_moe", WINDOW_FLAG, false, false, 128},
    {"mixtral", WINDOW_ALL, true, false, 0},        {"gpt_oss", WINDOW_OTHER, true, false, 64},
    {"deepseek_v2", WINDOW_NONE, false, false, 0},  {"deepseek_v3", WINDOW_NONE, false, false, 0},
    {"deepseek_v32", WINDOW_NONE, false, false, 0}, {"kimi_k2", WINDOW_NONE, false, false, 0},
    {"glm4_moe", WINDOW_NONE, false, false, 0},     {"glm_moe_dsa", WINDOW_NONE, false, false, 0},
    {"gemma2", WINDOW_OTHER, false, true, 256},     {"gemma3_text", WINDOW_PATTERN, false, true, 256},
    {"phi3", WINDOW_NONE, false, false, 0},
};
enum { FAMILIES = sizeof families / sizeof *families };

static const struct family *find_family(const struct hf_config *c, const char *name, struct error *err) {
    const char *names[FAMILIES];
    char known[512] = "";
    for (size_t i = 0; i < FAMILIES; i++) {
        names[i] = families[i].model_type;
        if (strcmp(families[i].model_type, c->model_type) == 0)
            return &families[i];
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, names[i], sizeof known - strlen(known) - 1);
    }
    const char *nearest = error_nearest(c->model_type, names, FAMILIES);
    error_set(err,
              "%s: model_type '%s' is not one whose layers are known here\n  hint: %s%s%sknown are %s; another of the "
              "same build can be written as a "
              "model file (configs/models)",
              name, c->model_type, nearest ? "did you mean '" : "", nearest ? nearest : "", nearest ? "'? " : "",
              known);
    return NULL;
}

static int64_t first(int64_t a, int64_t b) {
    return a > 0 ? a : b;
}

static void set_window(const struct hf_config *c, const struct family *family, struct arch *a) {
    if (c->sliding_window == 0)
        return;
    if (c->layer_types.count > 0) {
        const char *const *types = c->layer_types.items;
        for (size_t i = 0; i < c->layer_types.count; i++)
            a->window_layers += strcmp(types[i], "sliding_attention") == 0;
    } else if (family->window == WINDOW_ALL) {
        a->window_layers = a->layers;
    } else if (family->window == WINDOW_FLAG && c->use_sliding_window) {
        a->window_layers = a->layers > c->max_window_layers ? a->layers - c->max_window_layers : 0;
    } else if (family->window == WINDOW_OTHER) {
        a->window_layers = a->layers / 2;
    } else if (family->window == WINDOW_PATTERN) {
        int64_t every = first(c->sliding_window_pattern, 6);
        a->window_layers = a->layers - a->layers / every;
    }
    a->window = a->window_layers > 0 ? c->sliding_window : 0;
}

static void set_experts(const struct hf_config *c, const struct family *family, struct arch *a) {
    a->experts = first(c->n_routed_experts, first(c->num_experts, c->num_local_experts));
    if (a->experts <= 1) { /* absent, or a family that can be dense */
        a->experts = 0;
        return;
    }
    a->experts_per_token = first(c->num_experts_per_tok, c->experts_per_token);
    a->shared_experts = c->n_shared_experts;
    a->moe_ffn = c->moe_intermediate_size > 0    ? c->moe_intermediate_size
                 : family->experts_default_width ? c->intermediate_size
                                                 : 0;
    a->dense_layers = c->first_k_dense_replace;
}

static void set_latents(const struct hf_config *c, struct arch *a) {
    a->kv_lora = c->kv_lora_rank;
    if (a->kv_lora == 0)
        return;
    a->q_lora = c->q_lora_rank;
    a->rope_dim = c->qk_rope_head_dim;
    a->nope_dim = c->qk_nope_head_dim;
    a->v_dim = c->v_head_dim;
    a->kv_heads = a->q_heads;
    a->head_dim = a->nope_dim + a->rope_dim;
    a->index_dim = c->index_topk > 0 ? first(c->index_head_dim, 128) : 0;
    a->index_topk = c->index_topk;
}

int hf_translate(const struct hf_config *c, const char *name, struct arch *a, struct error *err) {
    if (c->model_type == NULL)
        return error_set(
            err,
            "%s: no 'model_type'\n  hint: this config.json is not complete; take the one beside the model's weights",
            name);
    const struct family *family = find_family(c, name, err);
    if (family == NULL)
        return -1;
    const struct {
        const char *key;
        int64_t value;
    } needed[] = {{"hidden_size", c->hidden_size},
                  {"num_hidden_layers", c->num_hidden_layers},
                  {"num_attention_heads", c->num_attention_heads},
                  {"vocab_size", c->vocab_size},
                  {"max_position_embeddings", c->max_position_embeddings}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (needed[i].value < 1)
            return error_set(
                err, "%s: no '%s'\n  hint: this config.json is not complete; take the one beside the model's weights",
                name, needed[i].key);
    if (c->decoder_sparse_step > 1)
        return error_set(err,
                         "%s: decoder_sparse_step %lld: MoE layers between dense ones are not supported\n  hint: only "
                         "leading layers may be dense",
                         name, (long long)c->decoder_sparse_step);
    *a = (struct arch){.name = name,
                       .source = "config.json",
                       .layers = c->num_hidden_layers,
                       .hidden = c->hidden_size,
                       .q_heads = c->num_attention_heads,
                       .kv_heads = first(c->num_key_value_heads, c->num_attention_heads),
                       .ffn = c->intermediate_size,
                       .vocab = c->vocab_size,
                       .max_context = c->max_position_embeddings};
    a->head_dim = first(c->head_dim, first(family->head_dim, c->hidden_size / c->num_attention_heads));
    a->tied_embeddings = c->tie_word_embeddings == HF_ABSENT ? family->tied : c->tie_word_embeddings == HF_TRUE;
    set_experts(c, family, a);
    set_latents(c, a);
    set_window(c, family, a);
    return arch_check(a, err);
}
