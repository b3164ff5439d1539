/* What losing a block costs in `tiersim cache`, for policies that weigh it (NEED_COST): the floating-point work of
 * computing it again, on a model and a GPU that stand for any, since such policies compare costs and look at no sum of
 * them.
 *
 * Llama-3.1-8B: 8.03e9 parameters, 32 layers of width 4096 (its config.json): 2 FLOPs a parameter and token, and 4 x
 * layers x width FLOPs for each pair of a token and one that it attends to; 128 KiB of KV cache a token (8 heads of
 * 128, bf16). H100 SXM: 989 TFLOPS bf16 dense (datasheet), all of it. Nothing is fetched back: a victim is lost. */
#include <math.h>

#include "sim/cli/cache.h"

static const double flops_a_token = 2 * 8.03e9, flops_a_pair = 4.0 * 32 * 4096, flops_a_second = 989e12;

static double compute_s(const void *world, uint64_t from, uint32_t tokens) {
    (void)world;
    double n = tokens;
    return (n * flops_a_token + (n * (double)from + n * n / 2) * flops_a_pair) / flops_a_second;
}
static double fetch_s(const void *world, uint32_t blocks) {
    (void)world, (void)blocks;
    return HUGE_VAL;
}

struct evict_costs cache_costs(uint32_t block_tokens) {
    return (struct evict_costs){
        .compute_s = compute_s, .fetch_s = fetch_s, .block_bytes = (uint64_t)(block_tokens ? block_tokens : 1) << 17};
}
