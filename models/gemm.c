/* Matrix products: t0 + smoothmax4(bytes/(bandwidth x w/(w + w_half)), time of the waves of tiles).
 * Loads only: step.c keeps the results in a table by tokens. */
#include <math.h>

#include "models/ops.h"

double smoothmax4(double a, double b) {
    double a2 = a * a, b2 = b * b;
    return sqrt(sqrt(a2 * a2 + b2 * b2));
}

/* Output tiles that libraries choose from, and the rate of each against the largest: smaller tiles reuse less. */
static const struct tile {
    double rows, columns, rate;
} tiles[] = {{256, 128, 1.0}, {128, 256, 1.0}, {128, 128, 0.9}, {64, 128, 0.7}, {64, 64, 0.5}};

/* Seconds that the tiles of an m x n product of depth k keep the SMs: whole waves of the best tile. */
static double wave_seconds(const struct gemm_machine *g, double flops, double m, double n, double k) {
    double best = INFINITY;
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        double count = ceil(m / tiles[i].rows) * ceil(n / tiles[i].columns);
        double waves = ceil(count / g->sms);
        double tile_s = 2.0 * tiles[i].rows * tiles[i].columns * (k + g->k_half) * g->sms / (flops * tiles[i].rate);
        if (waves * tile_s < best)
            best = waves * tile_s;
    }
    return best;
}

static struct price gemm_finish(const struct machine *machine, double memory_s, double compute_s, double fixed_s,
                                bool inside) {
    const struct gemm_machine *g = &machine->gemm;
    struct price price = {.seconds = fixed_s + smoothmax4(memory_s, compute_s)};
    price.bound = memory_s > compute_s ? BOUND_MEMORY : BOUND_COMPUTE;
    if (fixed_s > memory_s && fixed_s > compute_s)
        price.bound = BOUND_LATENCY;
    price.variance = (inside ? g->noise.inside : g->noise.outside) * price.seconds * price.seconds;
    price.basis = basis_weaker(machine->floor, inside ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}

static struct price price_times(struct price price, double count) {
    price.seconds *= count;
    price.variance *= count * count;
    price.bytes *= count;
    price.flops *= count;
    return price;
}

struct price gemm_price(const struct machine *machine, enum dtype dtype, double m, double n, double k, double count) {
    const struct gemm_machine *g = &machine->gemm;
    double weights = n * k * dtype_bytes(dtype);
    double traffic = weights + 2.0 * m * (n + k); /* activations are bf16 */
    double memory_s = traffic * (weights + g->w_half) / (weights * g->bandwidth);
    bool inside = dtype == DTYPE_BF16 && m <= g->m_max && weights >= g->weights_min && weights <= g->weights_max;
    struct price price = gemm_finish(machine, memory_s, wave_seconds(g, g->flops[dtype], m, n, k), g->t0_s, inside);
    price.bytes = traffic;
    price.flops = 2.0 * m * n * k;
    return price_times(price, count);
}

/* Routed experts as two grouped products. Tokens choose experts evenly, so E x (1 - (1 - k/E)^tokens) are read; each
 * expert's rows fill whole tiles of 64. */
struct price experts_price(const struct machine *machine, enum dtype dtype, double tokens, const struct arch *arch,
                           double width, double count) {
    const struct gemm_machine *g = &machine->gemm;
    double experts = (double)arch->experts, visits = tokens * (double)arch->experts_per_token,
           hidden = (double)arch->hidden;
    double read = experts * (1.0 - pow(1.0 - (double)arch->experts_per_token / experts, tokens));
    double weights = read * 3.0 * hidden * width * dtype_bytes(dtype);
    double traffic = weights + 2.0 * visits * (2.0 * hidden + 3.0 * width);
    double rows = read * 64.0 * ceil(visits / read / 64.0);
    double memory_s = traffic * (weights + g->w_half) / (weights * g->bandwidth);
    double compute_s = 6.0 * rows * hidden * width / (0.9 * g->flops[dtype]);
    struct price price = gemm_finish(machine, memory_s, compute_s, 2.0 * g->t0_s, false);
    price.bytes = traffic;
    price.flops = 6.0 * visits * hidden * width;
    return price_times(price, count);
}
