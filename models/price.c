/* What prices of all kernels share: how wrong they may be, and how they add up. */
#include "models/ops.h"

void price_error(struct price *price, const struct machine *machine, const struct fit_noise *noise, bool inside,
                 enum hardware_share share) {
    price->seconds *= 1.0 + noise->drawn[!inside];
    price->inside = inside;
    double s = price->seconds;
    price->error = (struct uncertainty){0};
    price->error.common[noise->source] = noise->sigma * s;
    if (inside)
        price->error.own = noise->spread * noise->spread * s * s;
    else if (noise->source < ERROR_SMALL)
        price->error.common[ERROR_OUTSIDE + noise->source] = noise->spread_outside * s;
    price->error.common[ERROR_HARDWARE + share] = machine->hardware[share] * s;
    price->error.common[ERROR_HARDWARE + SHARE_ALL] = machine->hardware[SHARE_ALL] * s;
}

struct price price_sum(struct price a, struct price b) {
    if (a.seconds == 0)
        return b;
    struct price sum = a;
    sum.seconds += b.seconds;
    sum.bytes += b.bytes;
    sum.flops += b.flops;
    uncertainty_add(&sum.error, &b.error);
    sum.basis = basis_weaker(a.basis, b.basis);
    sum.bound = a.seconds >= b.seconds ? a.bound : b.bound;
    sum.inside = a.inside && b.inside;
    return sum;
}

struct price price_times(struct price price, double count) {
    price.seconds *= count;
    price.bytes *= count;
    price.flops *= count;
    uncertainty_times(&price.error, count);
    return price;
}
