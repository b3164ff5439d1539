/* What engines do: attention splits contexts while its tiles fill less than a share of the SMs and the contexts are
 * long enough (the profile's rule), products take the tile and split that the library picks for the shape. */
#include "policies/kernel.h"

static uint32_t rule(const void *options, const struct kernel_view *view) {
    (void)options;
    return view->rule;
}

static const struct kernel_policy by_regime = {
    .policy = {.abi = POLICY_ABI,
               .name = "by-regime",
               .rule = "the profile's rule for attention, the library's choice for products",
               .source = "FlashAttention's num_splits, cuBLASLt's heuristics; validate/kernels/decode.cuh"},
    .choose = rule};
POLICY_REGISTER(kernel, by_regime)
