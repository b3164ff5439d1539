/* The decoder against the float64 reference, in a small instance with all that a large one has. */
#ifndef VALIDATE_STEP_VERIFY_CUH
#define VALIDATE_STEP_VERIFY_CUH

#include "validate/step/decoder.cuh"

/* Throw failure where logits are off. Return the largest relative error of a step's logits.
 * decode: two sequences, token by token from nothing, through the decode kernel and through a graph.
 * prefill: prompts whole and in chunks that end within pages, then decodes over them, split ones too; decodes and
 * chunks in one step. Each step's logits are those of the whole text at once. */
double step_verify_decode(struct context *c, const struct step_dims &dims);
double step_verify_prefill(struct context *c, const struct step_dims &dims, struct prefill_library *prefill);
/* Rows of these checks, for both kinds of model, and which passed for both. */
struct step_verified {
    bool decode, prefill;
};
struct step_verified step_verify(struct context *c, struct prefill_library *prefill);

#endif
