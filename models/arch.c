#include "models/arch.h"

#include <stddef.h>

const char *const dtype_names[] = {"bf16", "fp8", "int4", NULL};

double dtype_bytes(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_FP8:
        return 1.0;
    case DTYPE_INT4:
        return 0.5 + 2.0 / 128.0; /* a bf16 scale for each group of 128 */
    default:
        return 2.0;
    }
}

#define FIELD(member) offsetof(struct arch, member)
#define COUNT(key, member, least, text, fallback_)                                                                     \
    {                                                                                                                  \
        .name = key, .kind = OPTION_INT, .offset = FIELD(member), .fallback = fallback_, .min = least, .max = 1e9,     \
        .help = text                                                                                                   \
    }

const struct option arch_options[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = FIELD(name), .help = "what tables call the model"},
    {.name = "source", .kind = OPTION_TEXT, .offset = FIELD(source), .help = "where the shape was read"},
    COUNT("layers", layers, 1, "transformer layers", NULL),
    COUNT("hidden", hidden, 1, "width of the residual stream", NULL),
    COUNT("q_heads", q_heads, 1, "query heads", NULL),
    COUNT("kv_heads", kv_heads, 1, "key and value heads (MLA: as q_heads, unused)", NULL),
    COUNT("head_dim", head_dim, 1, "width of a head", NULL),
    COUNT("ffn", ffn, 0, "width of a dense gated FFN (three matrices)", "0"),
    COUNT("vocab", vocab, 1, "vocabulary", NULL),
    COUNT("max_context", max_context, 1, "longest context in tokens", NULL),
    COUNT("experts", experts, 0, "routed experts a MoE layer; 0: dense", "0"),
    COUNT("experts_per_token", experts_per_token, 0, "routed experts a token visits", "0"),
    COUNT("shared_experts", shared_experts, 0, "experts that every token visits", "0"),
    COUNT("moe_ffn", moe_ffn, 0, "width of one expert", "0"),
    COUNT("dense_layers", dense_layers, 0, "leading layers with a dense FFN in a MoE model", "0"),
    COUNT("kv_lora", kv_lora, 0, "MLA: width of the KV latent; 0: grouped-query attention", "0"),
    COUNT("rope_dim", rope_dim, 0, "MLA: width of the shared rotary key", "0"),
    COUNT("q_lora", q_lora, 0, "MLA: width of the query latent; 0: queries are projected directly", "0"),
    COUNT("nope_dim", nope_dim, 0, "MLA: width of a head's part without position", "0"),
    COUNT("v_dim", v_dim, 0, "MLA: width of a value head", "0"),
    COUNT("window", window, 0, "tokens that a sliding-window layer attends to; 0: none", "0"),
    COUNT("window_layers", window_layers, 0, "layers with a sliding window", "0"),
    COUNT("index_dim", index_dim, 0, "sparse attention: width of the index key a token and layer; 0: none", "0"),
    COUNT("index_topk", index_topk, 0, "sparse attention: tokens that a query attends to", "0"),
    {.name = "tied_embeddings",
     .kind = OPTION_BOOL,
     .offset = FIELD(tied_embeddings),
     .fallback = "false",
     .help = "the output matrix is the embedding"},
    OPTION_END,
};

static int check_moe(const struct arch *a, struct error *err) {
    if (a->experts == 0) {
        if (a->ffn > 0)
            return 0;
        return error_set(err, "model %s has neither ffn nor experts\n  hint: give ffn (dense) or experts with moe_ffn",
                         a->name);
    }
    if (a->experts_per_token < 1 || a->experts_per_token > a->experts)
        return error_set(err, "model %s: experts_per_token %lld of %lld experts\n  hint: it is between 1 and experts",
                         a->name, (long long)a->experts_per_token, (long long)a->experts);
    if (a->moe_ffn < 1)
        return error_set(err, "model %s has experts without a width\n  hint: give moe_ffn", a->name);
    if (a->dense_layers > a->layers || (a->dense_layers > 0 && a->ffn < 1))
        return error_set(
            err, "model %s: %lld dense layers of %lld, ffn %lld\n  hint: dense_layers is at most layers and needs ffn",
            a->name, (long long)a->dense_layers, (long long)a->layers, (long long)a->ffn);
    return 0;
}

int arch_check(const struct arch *a, struct error *err) {
    if (a->q_heads % a->kv_heads != 0)
        return error_set(
            err,
            "model %s: %lld query heads do not divide over %lld KV heads\n  hint: q_heads is a multiple of kv_heads",
            a->name, (long long)a->q_heads, (long long)a->kv_heads);
    if (a->kv_lora > 0 && (a->rope_dim < 1 || a->nope_dim < 1 || a->v_dim < 1))
        return error_set(
            err, "model %s: MLA without rope_dim, nope_dim or v_dim\n  hint: give all three beside kv_lora", a->name);
    if (a->window_layers > a->layers || (a->window > 0) != (a->window_layers > 0))
        return error_set(
            err,
            "model %s: window %lld in %lld of %lld layers\n  hint: give window and window_layers together, or neither",
            a->name, (long long)a->window, (long long)a->window_layers, (long long)a->layers);
    if ((a->index_dim > 0) != (a->index_topk > 0))
        return error_set(err, "model %s: index_dim and index_topk belong together\n  hint: give both, or neither",
                         a->name);
    return check_moe(a, err);
}

/* Matrices of one layer's attention. `tp` > 1: a rank's share; KV heads and MLA's latent projections are replicated
 * where there are fewer of them than ranks. */
static double attention_params(const struct arch *a, int64_t tp) {
    double h = (double)a->hidden, heads = (double)a->q_heads / (double)tp;
    if (a->kv_lora > 0) {
        double q_dim = heads * (double)(a->nope_dim + a->rope_dim);
        double q = a->q_lora > 0 ? h * (double)a->q_lora + (double)a->q_lora * q_dim : h * q_dim;
        double kv =
            h * (double)(a->kv_lora + a->rope_dim) + (double)a->kv_lora * heads * (double)(a->nope_dim + a->v_dim);
        return q + kv + heads * (double)a->v_dim * h;
    }
    double kv_heads = a->kv_heads > tp ? (double)a->kv_heads / (double)tp : 1.0;
    if (tp == 1)
        kv_heads = (double)a->kv_heads;
    return 2.0 * h * heads * (double)a->head_dim + 2.0 * h * kv_heads * (double)a->head_dim;
}

static double dense_ffn_layers(const struct arch *a) {
    return (double)(a->experts > 0 ? a->dense_layers : a->layers);
}
static double moe_layers(const struct arch *a) {
    return a->experts > 0 ? (double)(a->layers - a->dense_layers) : 0.0;
}
static double embedding_params(const struct arch *a) {
    return (a->tied_embeddings ? 1.0 : 2.0) * (double)a->vocab * (double)a->hidden;
}

static double params_with(const struct arch *a, int64_t experts) {
    double h = (double)a->hidden;
    double expert = 3.0 * h * (double)a->moe_ffn;
    return embedding_params(a) + (double)a->layers * attention_params(a, 1) +
           dense_ffn_layers(a) * 3.0 * h * (double)a->ffn +
           moe_layers(a) * ((double)(experts + a->shared_experts) * expert + h * (double)a->experts);
}

double arch_params(const struct arch *a) {
    return params_with(a, a->experts);
}
double arch_params_active(const struct arch *a) {
    return params_with(a, a->experts_per_token);
}

double arch_weight_bytes(const struct arch *a, enum dtype dtype, int64_t tp) {
    double h = (double)a->hidden, share = 1.0 / (double)tp;
    double ffn = dense_ffn_layers(a) * 3.0 * h * (double)a->ffn +
                 moe_layers(a) * (double)(a->experts + a->shared_experts) * 3.0 * h * (double)a->moe_ffn;
    double quantised = (double)a->layers * attention_params(a, tp) + ffn * share;
    /* Engines leave embedding, output matrix and router in bf16. */
    double plain = embedding_params(a) * share + moe_layers(a) * h * (double)a->experts;
    return quantised * dtype_bytes(dtype) + plain * dtype_bytes(DTYPE_BF16);
}

/* Bytes a token and layer of what a rank cannot shard: the MLA latent with its index key. Sparse MLA in fp8 keeps the
 * rotary key in bf16 and a scale for each 128 values: 656 bytes for 512 + 64 (DeepSeek-V3.2's layout); index keys are
 * fp8 with a scale. */
static double latent_bytes(const struct arch *a, enum dtype kv_dtype) {
    double latent = (double)(a->kv_lora + a->rope_dim) * dtype_bytes(kv_dtype);
    if (a->index_dim == 0)
        return latent;
    if (kv_dtype == DTYPE_FP8)
        latent = (double)a->kv_lora + 4.0 * (double)a->kv_lora / 128.0 + 2.0 * (double)a->rope_dim;
    return latent + (double)a->index_dim + 4.0;
}

double arch_kv_bytes_per_token(const struct arch *a, enum dtype kv_dtype, int64_t tp) {
    if (a->kv_lora > 0)
        return (double)a->layers * latent_bytes(a, kv_dtype);
    double heads = a->kv_heads > tp ? (double)a->kv_heads / (double)tp : 1.0;
    return (double)a->layers * 2.0 * heads * (double)a->head_dim * dtype_bytes(kv_dtype);
}

double arch_kv_bytes_per_token_all(const struct arch *a, enum dtype kv_dtype, int64_t tp) {
    return (double)tp * arch_kv_bytes_per_token(a, kv_dtype, tp);
}

double arch_kv_bytes_per_token_stored(const struct arch *a, enum dtype kv_dtype) {
    return arch_kv_bytes_per_token(a, kv_dtype, 1);
}
