/* Inside models/: the table behind struct step_model. */
#ifndef MODELS_STEP_MODEL_H
#define MODELS_STEP_MODEL_H

#include "models/ops.h"

enum op {
    OP_EMBEDDING,
    OP_QKV,
    OP_KV_B,
    OP_ATTENTION_DECODE,
    OP_ATTENTION_PREFILL,
    OP_O_PROJ,
    OP_GATE_UP,
    OP_DOWN,
    OP_ROUTER,
    OP_EXPERTS,
    OP_SHARED_EXPERTS,
    OP_ALL_REDUCE,
    OP_ELEMENTWISE,
    OP_LM_HEAD,
    OP_GAPS,
    OP_HOST,
    OP_COUNT
};
_Static_assert((int)OP_COUNT <= (int)STEP_OPS_MAX, "step_ops callers have room");

/* What all ops that depend on one number (tokens in the step, or logits) come to. */
struct step_row {
    double seconds, bytes, flops;
    int basis; /* enum basis */
    struct uncertainty error;
};

struct step_model {
    struct arch arch;
    struct gpu gpu;
    struct machine machine;
    int64_t tp, max_tokens;
    enum dtype weight_dtype, kv_dtype;
    double weight_bytes, activation_bytes; /* a rank */
    /* Attention: layers with full context, and with a window. */
    double full_layers, window_layers;
    struct decode_load decode;   /* per-token constants filled in */
    struct prefill_load prefill; /* the same */
    bool host, asynchronous, prompts_apart;
    double host_s, host_per_sequence_s, host_spread;
    enum basis host_basis;
    struct kernel_chooser kernels;
    bool drawn;
    double own[OP_COUNT][DRAW_OCTAVES]; /* of a draw: factors of the products' own errors within the fitted range */
    int64_t *pads;                      /* padded batch for decode steps of up to pads_max sequences; NULL: none */
    int64_t pads_max;
    struct step_row *by_tokens, *by_logits; /* 0..max_tokens */
};

/* Prices of the ops that depend on tokens, into price[OP_COUNT] (zeroed first). */
void token_prices(const struct step_model *model, double tokens, struct price *prices);
struct price head_price(const struct step_model *model, double logits);
/* Rows of the tables, computed where the table ends. */
struct step_row token_row(const struct step_model *model, int64_t tokens);
struct step_row head_row(const struct step_model *model, int64_t logits);
/* Tokens that the step's products run over: decode steps pad to a captured graph. */
int64_t step_padded_tokens(const struct step_model *model, const struct step_shape *shape);
/* The loads of the two kinds of layers; false when there is none. */
bool decode_load_full(const struct step_model *model, const struct step_shape *shape, struct decode_load *load);
bool decode_load_window(const struct step_model *model, const struct step_shape *shape, struct decode_load *load);
bool prefill_load_full(const struct step_model *model, const struct step_shape *shape, struct prefill_load *load);
bool prefill_load_window(const struct step_model *model, const struct step_shape *shape, struct prefill_load *load);
/* Kernels of prefill attention in a layer, each with such a load: one for all prompts, or one a prompt. */
double prefill_kernels(const struct step_model *model, const struct step_shape *shape);
/* Seconds of the whole step, and of the host's work in it. */
double step_seconds(const struct step_model *model, const struct step_shape *shape);
double step_host_seconds(const struct step_model *model, const struct step_shape *shape);

#endif
