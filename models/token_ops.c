/* The ops of a step that depend on how many tokens it computes, and on how many logits: all but attention. Load only.
 */
#include <math.h>
#include <string.h>

#include "models/step_model.h"

struct product_world {
    const struct step_model *model;
    enum dtype dtype;
    double m, n, k;
};

static double product_seconds(const void *world, uint32_t kernel) {
    const struct product_world *w = world;
    return gemm_kernel_price(&w->model->machine, (enum gemm_kernel)kernel, w->dtype, w->m, w->n, w->k, 1.0).seconds;
}

static enum gemm_kernel product_kernel(const struct step_model *model, enum dtype dtype, double m, double n, double k) {
    static const char *const names[] = {"library", "plain", "split-k", NULL};
    if (!model->kernels.choose)
        return GEMM_LIBRARY;
    struct product_world world = {model, dtype, m, n, k};
    struct kernel_question question = {.kind = KERNEL_OF_PRODUCT,
                                       .rule = GEMM_LIBRARY,
                                       .count = GEMM_KERNELS,
                                       .names = names,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .sms = model->machine.gemm.sms,
                                       .seconds = product_seconds,
                                       .world = &world};
    uint32_t kernel = model->kernels.choose(model->kernels.self, &question);
    MUST(kernel < GEMM_KERNELS);
    return (enum gemm_kernel)kernel;
}

/* A product within the range of the fit has, in a draw, an error of its own. */
static struct price product(const struct step_model *model, enum op op, enum dtype dtype, double m, double n, double k,
                            double count) {
    struct price price =
        gemm_kernel_price(&model->machine, product_kernel(model, dtype, m, n, k), dtype, m, n, k, count);
    if (model->drawn && price.inside) {
        int octave = ilogb(m);
        price.seconds *= model->own[op][octave < DRAW_OCTAVES ? octave : DRAW_OCTAVES - 1];
    }
    return price;
}

static struct price gemm(const struct step_model *model, enum op op, double m, double n, double k, double count) {
    return product(model, op, model->weight_dtype, m, n, k, count);
}

static void attention_products(const struct step_model *model, double tokens, struct price *prices) {
    const struct arch *a = &model->arch;
    double layers = (double)a->layers, hidden = (double)a->hidden, heads = (double)a->q_heads / (double)model->tp;
    if (a->kv_lora > 0) {
        double q_dim = heads * (double)(a->nope_dim + a->rope_dim), latent = (double)(a->kv_lora + a->rope_dim);
        /* Query and KV latents are one product, as engines fuse them. */
        if (a->q_lora > 0)
            prices[OP_QKV] = price_sum(gemm(model, OP_QKV, tokens, (double)a->q_lora + latent, hidden, layers),
                                       gemm(model, OP_QKV, tokens, q_dim, (double)a->q_lora, layers));
        else
            prices[OP_QKV] = gemm(model, OP_QKV, tokens, q_dim + latent, hidden, layers);
        prices[OP_KV_B] =
            gemm(model, OP_KV_B, tokens, heads * (double)(a->nope_dim + a->v_dim), (double)a->kv_lora, layers);
        prices[OP_O_PROJ] = gemm(model, OP_O_PROJ, tokens, hidden, heads * (double)a->v_dim, layers);
        return;
    }
    double kv_heads = a->kv_heads > model->tp ? (double)a->kv_heads / (double)model->tp : 1.0;
    double dim = (double)a->head_dim;
    prices[OP_QKV] = gemm(model, OP_QKV, tokens, (heads + 2.0 * kv_heads) * dim, hidden, layers);
    prices[OP_O_PROJ] = gemm(model, OP_O_PROJ, tokens, hidden, heads * dim, layers);
}

static void ffn_products(const struct step_model *model, double tokens, struct price *prices) {
    const struct arch *a = &model->arch;
    double hidden = (double)a->hidden, tp = (double)model->tp;
    double dense = (double)(a->experts > 0 ? a->dense_layers : a->layers), moe = (double)a->layers - dense;
    if (dense > 0) {
        prices[OP_GATE_UP] = gemm(model, OP_GATE_UP, tokens, 2.0 * (double)a->ffn / tp, hidden, dense);
        prices[OP_DOWN] = gemm(model, OP_DOWN, tokens, hidden, (double)a->ffn / tp, dense);
    }
    if (moe == 0)
        return;
    double width = (double)a->moe_ffn / tp;
    prices[OP_ROUTER] = product(model, OP_ROUTER, DTYPE_BF16, tokens, (double)a->experts, hidden, moe);
    prices[OP_EXPERTS] = experts_price(&model->machine, model->weight_dtype, tokens, a, width, moe);
    if (a->shared_experts > 0) {
        double shared = (double)a->shared_experts * width;
        prices[OP_SHARED_EXPERTS] = price_sum(gemm(model, OP_SHARED_EXPERTS, tokens, 2.0 * shared, hidden, moe),
                                              gemm(model, OP_SHARED_EXPERTS, tokens, hidden, shared, moe));
    }
}

/* Norms (fused with the residual add), rotary embedding, KV write and activation: 5 kernels a dense layer, as vLLM runs
 * them. MoE layers add top-k, sort and combine; MLA a norm of the latents. */
static struct price elementwise(const struct step_model *model, double tokens) {
    const struct arch *a = &model->arch;
    double hidden = (double)a->hidden, tp = (double)model->tp, layers = (double)a->layers;
    double dense = (double)(a->experts > 0 ? a->dense_layers : a->layers), moe = layers - dense;
    double q_dim = (double)a->q_heads / tp * (double)a->head_dim;
    double norms = 2.0 * 4.0 * hidden, rotary = 2.0 * q_dim,
           write = arch_kv_bytes_per_token(a, model->kv_dtype, model->tp) / layers;
    double visits = (double)(a->experts_per_token + a->shared_experts);
    double every = layers * (2.0 * (norms + rotary) + 2.0 * write);
    double dense_bytes = dense * 2.0 * 3.0 * (double)a->ffn / tp;
    double moe_bytes = moe * 2.0 * visits * (3.0 * (double)a->moe_ffn / tp + 3.0 * hidden);
    double kernels = 5.0 * layers + 3.0 * moe + (a->kv_lora > 0 ? layers : 0.0) + 1.0; /* + the last norm */
    double bytes = tokens * (every + dense_bytes + moe_bytes);
    return small_price(&model->machine, bytes / kernels, kernels);
}

void token_prices(const struct step_model *model, double tokens, struct price *prices) {
    const struct arch *a = &model->arch;
    const struct machine *machine = &model->machine;
    memset(prices, 0, OP_COUNT * sizeof *prices);
    double row = 2.0 * (double)a->hidden;
    prices[OP_EMBEDDING] = small_price(machine, 2.0 * tokens * row, 1.0);
    attention_products(model, tokens, prices);
    ffn_products(model, tokens, prices);
    if (model->tp >
        1) /* after attention and FFN of each layer, and of the embedding, whose rows are spread over ranks */
        prices[OP_ALL_REDUCE] = all_reduce_price(machine, tokens * row, 2.0 * (double)a->layers + 1.0);
    prices[OP_ELEMENTWISE] = elementwise(model, tokens);
    double gaps = (double)a->layers * machine->layer_s + machine->step_s;
    prices[OP_GAPS] = (struct price){
        .seconds = gaps, .bound = BOUND_LATENCY, .basis = basis_weaker(machine->floor, BASIS_EXTRAPOLATED)};
    price_error(&prices[OP_GAPS], machine, &machine->small_noise, true, SHARE_FIXED);
}

/* Output matrix (kept in bf16 whatever the weights), gather of the ranks' logits, and the pick: a pass over logits in
 * fp32. */
struct price head_price(const struct step_model *model, double logits) {
    if (logits <= 0)
        return (struct price){0};
    double vocab = (double)model->arch.vocab, tp = (double)model->tp;
    struct price price = product(model, OP_LM_HEAD, DTYPE_BF16, logits, vocab / tp, (double)model->arch.hidden, 1.0);
    price = price_sum(price, small_price(&model->machine, logits * vocab * 6.0, 2.0));
    /* A gather moves half of what an all-reduce of the same result does. */
    if (model->tp > 1)
        price = price_sum(price, all_reduce_price(&model->machine, logits * vocab * 2.0 / 2.0, 1.0));
    return price;
}

static struct step_row row_of(const struct price *prices, int count) {
    struct step_row row = {.basis = BASIS_MEASURED};
    for (int i = 0; i < count; i++) {
        row.seconds += prices[i].seconds;
        uncertainty_add(&row.error, &prices[i].error);
        row.bytes += prices[i].bytes;
        row.flops += prices[i].flops;
        if (prices[i].seconds > 0)
            row.basis = (int)basis_weaker((enum basis)row.basis, prices[i].basis);
    }
    return row;
}

struct step_row token_row(const struct step_model *model, int64_t tokens) {
    struct price prices[OP_COUNT];
    if (tokens == 0)
        return (struct step_row){.basis = BASIS_MEASURED};
    if (model->by_tokens && tokens <= model->max_tokens)
        return model->by_tokens[tokens];
    token_prices(model, (double)tokens, prices);
    return row_of(prices, OP_COUNT);
}

struct step_row head_row(const struct step_model *model, int64_t logits) {
    if (logits == 0)
        return (struct step_row){.basis = BASIS_MEASURED};
    if (model->by_logits && logits <= model->max_tokens)
        return model->by_logits[logits];
    struct price price = head_price(model, (double)logits);
    return row_of(&price, 1);
}
