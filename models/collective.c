/* All-reduce: max(alpha, alpha2 + bytes/beta), the fastest implementation that applies. Small kernels: a fixed time in
 * a replayed graph plus bytes at a share of datasheet bandwidth. Both at load only. */
#include <math.h>

#include "models/ops.h"

struct price all_reduce_price(const struct machine *machine, double bytes, double count) {
    struct price price = {.seconds = INFINITY, .bound = BOUND_LINK, .bytes = count * bytes};
    const struct collective_machine *best = NULL;
    bool fits = false;
    for (int i = 0; i < machine->collectives; i++) {
        const struct collective_machine *c = &machine->collective[i];
        double line_s = c->alpha2_s + bytes / c->beta;
        double seconds = line_s > c->alpha_s ? line_s : c->alpha_s;
        bool applies = bytes <= c->bytes_max;
        /* One that applies goes before one that does not; the largest-ranged stands in beyond all ranges. */
        bool better = best == NULL || (applies && !fits) ||
                      (applies == fits && (applies ? seconds < price.seconds : c->bytes_max > best->bytes_max));
        if (!better)
            continue;
        best = c;
        fits = applies;
        price.seconds = seconds;
        price.bound = line_s > c->alpha_s && bytes / c->beta > c->alpha2_s ? BOUND_LINK : BOUND_LATENCY;
    }
    MUST(best != NULL);
    price.seconds *= count;
    price_error(&price, machine, &best->noise, fits, SHARE_FIXED);
    price.basis = basis_weaker(basis_weaker(machine->floor, best->basis), fits ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}

struct price small_price(const struct machine *machine, double bytes, double count) {
    /* Activations were written by the kernel before: what the L2 keeps of them is read and written there. */
    double kept = bytes < machine->l2_bytes ? bytes : machine->l2_bytes;
    double moving_s = (bytes - kept) / machine->small_bandwidth + (kept > 0 ? kept / machine->l2_bandwidth : 0.0);
    struct price price = {
        .seconds = count * (machine->small_s + moving_s), .bytes = count * bytes, .basis = machine->floor};
    price.basis = basis_weaker(price.basis, BASIS_EXTRAPOLATED);
    price.bound = moving_s > machine->small_s ? BOUND_MEMORY : BOUND_LATENCY;
    price_error(&price, machine, &machine->small_noise, true, price.bound == BOUND_MEMORY ? SHARE_MEMORY : SHARE_FIXED);
    return price;
}
