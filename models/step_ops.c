/* A step op by op, for people: the same prices that the table adds up. */
#include <string.h>

#include "models/step_model.h"

const char *const step_bound_names[] = {"memory", "compute", "latency", "link", NULL};

static const char *const op_names[OP_COUNT] = {
    "embedding", "qkv",     "kv_b",           "attention_decode", "attention_prefill", "o_proj",  "gate_up", "down",
    "router",    "experts", "shared_experts", "all_reduce",       "elementwise",       "lm_head", "gaps",    "host"};

static const char *attention_prices(const struct step_model *model, const struct step_shape *shape,
                                    struct price *prices) {
    struct decode_load d;
    struct prefill_load p;
    const char *kernel = "";
    if (decode_load_window(model, shape, &d)) {
        prices[OP_ATTENTION_DECODE] = decode_price(&model->machine, &d, model->window_layers);
        kernel = decode_kernel_names[decode_pick(&model->machine.decode, &d)];
    }
    if (decode_load_full(model, shape, &d)) {
        prices[OP_ATTENTION_DECODE] =
            price_sum(decode_price(&model->machine, &d, model->full_layers), prices[OP_ATTENTION_DECODE]);
        kernel = decode_kernel_names[decode_pick(&model->machine.decode, &d)];
    }
    if (prefill_load_full(model, shape, &p))
        prices[OP_ATTENTION_PREFILL] =
            prefill_price(&model->machine, &p, model->full_layers * prefill_kernels(model, shape));
    if (prefill_load_window(model, shape, &p))
        prices[OP_ATTENTION_PREFILL] =
            price_sum(prices[OP_ATTENTION_PREFILL],
                      prefill_price(&model->machine, &p, model->window_layers * prefill_kernels(model, shape)));
    return kernel;
}

/* Share of the bound's datasheet peak; a latency-bound op is held against the memory's. */
static double peak_share(const struct step_model *model, enum op op, const struct price *price) {
    const struct machine *machine = &model->machine;
    bool attention = op == OP_ATTENTION_DECODE || op == OP_ATTENTION_PREFILL;
    bool plain = attention || op == OP_LM_HEAD || op == OP_ROUTER;
    double flops = machine->peak_flops[plain ? DTYPE_BF16 : model->weight_dtype];
    switch (price->bound) {
    case BOUND_COMPUTE:
        return price->flops / price->seconds / flops;
    case BOUND_LINK:
        return price->bytes / price->seconds / machine->link;
    default:
        return op == OP_ALL_REDUCE ? price->bytes / price->seconds / machine->link
                                   : price->bytes / price->seconds / machine->peak_bandwidth;
    }
}

/* The host's share of the step: all its time when it is not hidden, else what sticks out. */
static void host_price(const struct step_model *model, const struct step_shape *shape, struct price *prices) {
    double gpu_s = 0, host_s = step_host_seconds(model, shape);
    for (int i = 0; i < OP_HOST; i++)
        gpu_s += prices[i].seconds;
    double seconds = !model->asynchronous ? host_s : host_s > gpu_s ? host_s - gpu_s : 0.0;
    prices[OP_HOST] = (struct price){.seconds = seconds, .bound = BOUND_LATENCY, .basis = model->host_basis};
    prices[OP_HOST].error.common[ERROR_HOST] = model->host_spread * host_s;
}

int step_ops(const struct step_model *model, const struct step_shape *shape, struct step_op ops[STEP_OPS_MAX]) {
    struct price prices[OP_COUNT];
    token_prices(model, (double)step_padded_tokens(model, shape), prices);
    prices[OP_LM_HEAD] = head_price(model, (double)shape->logits);
    const char *kernel = attention_prices(model, shape, prices);
    prices[OP_HOST].bound = BOUND_LATENCY;
    if (model->host)
        host_price(model, shape, prices);
    int count = 0;
    for (int i = 0; i < OP_COUNT; i++) {
        const struct price *price = &prices[i];
        if (price->seconds <= 0 && i != OP_HOST)
            continue;
        struct step_op op = {.name = op_names[i],
                             .seconds = price->seconds,
                             .bytes = price->bytes,
                             .flops = price->flops,
                             .bound = price->bound,
                             .basis = price->basis,
                             .kernel = i == OP_ATTENTION_DECODE ? kernel : ""};
        if (price->seconds > 0)
            op.peak_share = peak_share(model, (enum op)i, price);
        error_interval(price->seconds, uncertainty_s(&price->error), &op.low_s, &op.high_s);
        ops[count++] = op;
    }
    return count;
}
