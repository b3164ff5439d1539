/* Matrix products: t0 + smoothmax4(bytes/(bandwidth x w/(w + w_half)), time of the waves of tiles).
 * Loads only: step.c keeps the results in a table by tokens. */
#include <math.h>

#include "models/ops.h"

double smoothmax4(double a, double b) {
    double a2 = a * a, b2 = b * b;
    return sqrt(sqrt(a2 * a2 + b2 * b2));
}

/* Output tiles are multiples of 64 on a side, at most what the registers of an SM accumulate. Libraries choose well:
 * among the tiles that waste least, the rates measured do not differ. */
enum { TILE_STEP = 64, TILE_AREA_MAX = 128 * 256, TILE_SIDE_MAX = 256 };

static double sustained(const struct gemm_machine *g, double flop) {
    return 1.0 + g->sustained_loss * flop / (flop + g->sustained_half);
}

/* Seconds that the tiles of an m x n product of depth k keep the SMs: whole waves of the best tile; where tiles are
 * few, the depth is split over the SMs that would idle, into *in. */
static double wave_seconds(const struct gemm_machine *g, double flops, double m, double n, double k, double *in) {
    double best = INFINITY;
    for (int rows = TILE_STEP; rows <= TILE_SIDE_MAX; rows += TILE_STEP) {
        for (int columns = TILE_STEP; columns <= TILE_SIDE_MAX && rows * columns <= TILE_AREA_MAX;
             columns += TILE_STEP) {
            double tiles = ceil(m / rows) * ceil(n / columns), waves = ceil(tiles / g->sms);
            double splits = floor(g->sms / tiles), depth = splits > 1.0 ? k / splits : k;
            double seconds = waves * 2.0 * rows * columns * (depth + g->k_half) * g->sms / flops;
            if (seconds < best) {
                best = seconds;
                *in = splits;
            }
        }
    }
    return best * sustained(g, 2.0 * m * n * k);
}

static struct price gemm_finish(const struct machine *machine, const struct fit_noise *noise, double seconds,
                                double memory_s, double compute_s, double fixed_s, bool inside) {
    struct price price = {.seconds = seconds};
    price.bound = memory_s > compute_s ? BOUND_MEMORY : BOUND_COMPUTE;
    if (fixed_s > memory_s && fixed_s > compute_s)
        price.bound = BOUND_LATENCY;
    static const enum hardware_share shares[] = {
        [BOUND_MEMORY] = SHARE_MEMORY, [BOUND_COMPUTE] = SHARE_COMPUTE, [BOUND_LATENCY] = SHARE_FIXED};
    price_error(&price, machine, noise, inside, shares[price.bound]);
    price.basis = basis_weaker(machine->floor, inside ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}

struct price gemm_price(const struct machine *machine, enum dtype dtype, double m, double n, double k, double count) {
    const struct gemm_machine *g = &machine->gemm;
    double weights = n * k * dtype_bytes(dtype);
    double traffic = weights + 2.0 * m * (n + k); /* activations are bf16 */
    double memory_s = traffic * (weights + g->w_half) / (weights * g->bandwidth);
    double elements = 2.0 * n * k;
    bool fitted = dtype == DTYPE_BF16 || (dtype == DTYPE_FP8 && g->fp8_fitted);
    bool inside = fitted && m <= g->m_max && elements >= g->weights_min && elements <= g->weights_max;
    double splits, compute_s = wave_seconds(g, g->flops[dtype], m, n, k, &splits);
    struct price price = gemm_finish(machine, &g->noise, g->t0_s + smoothmax4(memory_s, compute_s), memory_s, compute_s,
                                     g->t0_s, inside);
    price.bytes = traffic;
    price.flops = 2.0 * m * n * k;
    return price_times(price, count);
}

/* One grouped product of `read` experts, `rows` of tokens each: tiles that are too few to fill the memory read at their
 * own rate, and a short depth hardly gets going. */
static double grouped_seconds(const struct machine *machine, enum dtype dtype, double read, double rows, double n,
                              double k) {
    const struct experts_machine *e = &machine->experts;
    double traffic = read * n * k * dtype_bytes(dtype) + 2.0 * read * rows * (n + k);
    double deep = ceil(rows / TILE_STEP), tiles = read * ceil(n / TILE_STEP) * deep;
    double rate = tiles * e->tile_rate;
    double memory_s = traffic / (rate < machine->gemm.bandwidth ? rate : machine->gemm.bandwidth);
    double compute_s = 2.0 * read * deep * TILE_STEP * n * k / e->flops[dtype];
    return e->t0_s + (1.0 + e->k_half / k) * smoothmax4(memory_s, compute_s);
}

/* The plain kernel: one tile for all shapes, large enough for prompts, and its depth is never split. A product with
 * fewer tiles than SMs leaves the others idle, and those that work read at most sm_share each. */
static struct price plain_price(const struct machine *machine, enum dtype dtype, double m, double n, double k) {
    const struct gemm_machine *g = &machine->gemm;
    const double tile = 128;
    double weights = n * k * dtype_bytes(dtype), traffic = weights + 2.0 * m * (n + k);
    double tiles = ceil(m / tile) * ceil(n / tile), reach = tiles * g->sm_share / g->sms;
    double memory_s = traffic * (weights + g->w_half) / (weights * g->bandwidth) / (reach < 1.0 ? reach : 1.0);
    double compute_s = ceil(tiles / g->sms) * 2.0 * tile * tile * (k + g->k_half) * g->sms / g->flops[dtype] *
                       sustained(g, 2.0 * m * n * k);
    struct price price =
        gemm_finish(machine, &g->noise, g->t0_s + smoothmax4(memory_s, compute_s), memory_s, compute_s, g->t0_s, false);
    price.bytes = traffic;
    price.flops = 2.0 * m * n * k;
    return price;
}

struct price gemm_kernel_price(const struct machine *machine, enum gemm_kernel kernel, enum dtype dtype, double m,
                               double n, double k, double count) {
    if (kernel == GEMM_PLAIN)
        return price_times(plain_price(machine, dtype, m, n, k), count);
    struct price price = gemm_price(machine, dtype, m, n, k, count);
    double splits = 1.0;
    wave_seconds(&machine->gemm, machine->gemm.flops[dtype], m, n, k, &splits);
    if (kernel == GEMM_LIBRARY || splits > 1.0)
        return price;
    /* Two halves of the depth: their sums in fp32 are written, read and added by a small kernel. */
    price = price_sum(price, small_price(machine, m * n * (2.0 * 4.0 * 2.0 + 2.0), count));
    price.inside = false;
    return price;
}

/* Routed experts as two grouped products. Tokens choose experts evenly, so E x (1 - (1 - k/E)^tokens) are read; each
 * expert's rows fill whole tiles of 64. Where no grouped product was measured, by the constants of single ones. */
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
    double flop = 6.0 * rows * hidden * width, depth = 1.0 + g->k_half * (2.0 / hidden + 1.0 / width) / 3.0;
    double compute_s = flop * depth / g->flops[dtype] * sustained(g, flop);
    bool grouped = machine->experts.t0_s > 0;
    double fixed_s = 2.0 * (grouped ? machine->experts.t0_s : g->t0_s),
           seconds = fixed_s + smoothmax4(memory_s, compute_s);
    if (grouped)
        seconds = grouped_seconds(machine, dtype, read, visits / read, 2.0 * width, hidden) +
                  grouped_seconds(machine, dtype, read, visits / read, hidden, width);
    struct price price = gemm_finish(machine, grouped ? &machine->experts.noise : &g->noise, seconds, memory_s,
                                     compute_s, fixed_s, grouped && dtype == DTYPE_BF16);
    price.bytes = traffic;
    price.flops = 6.0 * visits * hidden * width;
    return price_times(price, count);
}
