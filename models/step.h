/* What a step of the batch costs on one instance (tp GPUs in lock-step).
 *
 * step_model_create builds an immutable table from architecture, GPU and profiles; everything else is a
 * pure function of it. A step is described by sums over its sequences (struct step_shape), so pricing it
 * costs the same whatever the batch. Formulas: see the op files beside (gemm.c, attention.c, collective.c ...). */
#ifndef MODELS_STEP_H
#define MODELS_STEP_H

#include <stdint.h>

#include "models/arch.h"
#include "models/hardware.h"

struct kernel_profile; /* a GPU's fitted constants: models/profile.h */
struct engine_profile; /* host overhead of the serving engine: models/profile.h */
struct step_model;
struct draw; /* of the models' errors: models/draw.h */

/* One step: sums over its sequences. A context counts the tokens that a sequence's last query attends to, its own
 * included. */
struct step_shape {
    int64_t decode_seqs;     /* sequences with one query token */
    int64_t decode_context;  /* sum of their contexts */
    int64_t decode_longest;  /* the longest of them */
    int64_t decode_window;   /* sum of min(context, arch window); 0: taken from the mean context */
    int64_t decode_growing;  /* sequences whose context is below the window: what decode_window gains a step */
    int64_t prefill_seqs;    /* sequences with a chunk of prompt */
    int64_t prefill_tokens;  /* sum of chunk lengths q */
    int64_t prefill_context; /* sum of contexts at the chunk's end */
    int64_t prefill_pairs;   /* sum of q*context - q*(q-1)/2: query-key pairs under the causal mask */
    int64_t prefill_squares; /* sum of q*q: how much prefill_pairs grows when the next step brings equal chunks */
    int64_t logits;          /* sequences whose last token is sampled */
};

/* The shape i steps later when nothing joins or leaves: each decode one token longer, each chunk follows the last. When
 * a sequence fills its window is not known from sums: decode_window may come to exceed seqs x window, and is cut there.
 */
struct step_shape step_shape_later(const struct step_shape *shape, int64_t i);

/* Work that several kernels can do, and who says which. */
enum kernel_kind { KERNEL_OF_DECODE, KERNEL_OF_PRODUCT };
struct kernel_question {
    enum kernel_kind kind;
    uint32_t rule; /* what today's engines run */
    uint32_t count;
    const char *const *names;
    double sequences, tiles, context, longest; /* decode attention of a layer */
    double m, n, k;                            /* a product */
    double sms;
    double (*seconds)(const void *world, uint32_t kernel); /* of this work under that kernel */
    const void *world;
};
/* A pure function: the same question gives the same answer. NULL `choose`: the rule. */
struct kernel_chooser {
    uint32_t (*choose)(const void *self, const struct kernel_question *question);
    const void *self;
};

struct step_model_options {
    const struct arch *arch;
    const struct gpu *gpu;
    const struct kernel_profile *profile;
    const struct engine_profile *engine; /* NULL: no host work */
    int64_t tp;
    enum dtype weight_dtype, kv_dtype;
    int64_t max_step_tokens;       /* largest number of tokens in a step, for the GEMM table */
    int64_t page_tokens;           /* KV block size as the attention kernel sees it; default 16 */
    struct kernel_chooser kernels; /* {0}: the rule */
    const struct draw *draw; /* of how wrong the profile may be; NULL: as it stands. The engine's times are drawn before
                                (models/draw.h) */
};

/* 0, or -1: the model does not fit tp GPUs (names what is needed and what there is), heads not divisible, ... */
int step_model_create(const struct step_model_options *options, struct step_model **out, struct error *err);
void step_model_destroy(struct step_model *model);

struct step_cost {
    double seconds, low_s, high_s; /* 90 % interval */
    enum basis basis;
};
/* The full model of one step. */
struct step_cost step_cost(const struct step_model *model, const struct step_shape *shape);

/* A straight piece of the cost of consecutive equal steps: step i (i < steps) costs a + b*i, in 2^-16 ns. */
struct step_segment {
    int64_t a, b, steps;
};
/* steps <= max_steps; chosen so that the line stays within 0.5 % of step_cost at each step and never crosses a change
 * of kernel. b >= 0 and a > 0. Deterministic: + - * / and sqrt only. */
struct step_segment step_segment(const struct step_model *model, const struct step_shape *shape, int64_t max_steps);
#define STEP_FIXED_ONE INT64_C(65536) /* 1 ns in fixed point */

/* Op by op, for `tiersim step`. */
enum step_bound { BOUND_MEMORY, BOUND_COMPUTE, BOUND_LATENCY, BOUND_LINK };
extern const char *const step_bound_names[];
struct step_op {
    const char *name; /* "qkv", "attention_decode", "gate_up", "all_reduce", "host" ... summed over layers, per GPU */
    double seconds, low_s, high_s, bytes, flops;
    double peak_share; /* of the bound's datasheet peak */
    enum step_bound bound;
    enum basis basis;
    const char *kernel; /* which kernel the rule picked, or "" */
};
enum { STEP_OPS_MAX = 24 };
/* Fills ops (seconds add up to step_cost's) and returns their number. */
int step_ops(const struct step_model *model, const struct step_shape *shape, struct step_op ops[STEP_OPS_MAX]);
/* Which kernel of decode attention the step runs in the layers with full context (else in those with a window): its
 * name, "" without decodes. */
const char *step_decode_kernel(const struct step_model *model, const struct step_shape *shape);
/* Bytes moved and FLOPs done by a step, all ranks together: for power and for what binds. */
void step_work(const struct step_model *model, const struct step_shape *shape, double *bytes, double *flops);

/* Bytes of HBM left for KV on all ranks together: driver-reported capacity x tp x utilisation - weights - activations
 * - reserve. */
double step_model_kv_capacity_bytes(const struct step_model *model, double utilisation, double reserve_bytes);

#endif
