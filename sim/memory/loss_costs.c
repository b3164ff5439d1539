#include "sim/memory/loss_costs.h"

static double compute_s(const void *world, uint64_t from, uint32_t tokens) {
    const struct loss_costs *costs = world;
    double n = tokens;
    return n * costs->token_s + (n * (double)from + n * n / 2) * costs->pair_s;
}
static double fetch_s(const void *world, uint32_t blocks) {
    const struct loss_costs *costs = world;
    return costs->fetch_first_s + blocks * costs->fetch_block_s;
}

struct evict_costs loss_costs_view(const struct loss_costs *costs) {
    return (struct evict_costs){
        .compute_s = compute_s, .fetch_s = fetch_s, .block_bytes = costs->block_bytes, .world = costs};
}
