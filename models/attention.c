/* Attention over a KV cache. Evaluated at run time: + - * / and sqrt only.
 *
 * Decode: t0 + smoothmax4(max(bytes/bandwidth, FLOPs/rate), waves x tile + busiest CTA's bytes/CTA rate). The split
 * kernel cuts each context over the CTAs that would idle; the single-pass kernel gives a CTA a whole context. Prefill:
 * t0 + smoothmax4(FLOPs/(flops x s/(s + s_half)), context x tile time) + prefix KV bytes/bandwidth. */
#include <math.h>

#include "models/ops.h"

/* KV tokens that a CTA takes at a time: no split is shorter. */
static const double split_tokens_min = 128.0;

struct decode_parts {
    double memory_s, compute_s, cta_s, fixed_s;
};

static struct decode_parts decode_parts(const struct machine *machine, const struct decode_load *load) {
    enum decode_kernel kernel = decode_pick(machine, load);
    const struct decode_machine *d = &machine->decode[kernel];
    double tiles = load->sequences * load->tiles_per_sequence;
    double mean = load->context / load->sequences;
    double tile_bytes = load->bytes_per_token / load->tiles_per_sequence;
    double waves = 1.0, busiest;
    if (kernel == DECODE_SPLIT) {
        double splits = (double)(int64_t)(machine->sms / tiles), most = load->longest / split_tokens_min;
        if (splits > most)
            splits = most;
        if (splits < 1.0)
            splits = 1.0;
        busiest = load->longest / splits;
    } else {
        waves = (double)(int64_t)((tiles + machine->sms - 1.0) / machine->sms);
        busiest = mean * waves > load->longest ? mean * waves : load->longest;
    }
    return (struct decode_parts){.memory_s = load->context * load->bytes_per_token / d->bandwidth,
                                 .compute_s = load->context * load->flops_per_token / machine->decode_flops,
                                 .cta_s = waves * d->tile_s + busiest * tile_bytes / d->cta_rate,
                                 .fixed_s = d->t0_s};
}

static inline double decode_total(const struct decode_parts *parts) {
    double body = parts->memory_s > parts->compute_s ? parts->memory_s : parts->compute_s;
    return parts->fixed_s + smoothmax4(body, parts->cta_s);
}

double decode_seconds(const struct machine *machine, const struct decode_load *load) {
    struct decode_parts parts = decode_parts(machine, load);
    return decode_total(&parts);
}

struct price decode_price(const struct machine *machine, const struct decode_load *load, double count) {
    struct decode_parts parts = decode_parts(machine, load);
    const struct decode_machine *d = &machine->decode[decode_pick(machine, load)];
    struct price price = {.seconds = count * decode_total(&parts),
                          .bytes = count * load->context * load->bytes_per_token,
                          .flops = count * load->context * load->flops_per_token};
    bool inside = load->context * load->bytes_per_token <= d->bytes_max && !machine->small_pages &&
                  parts.compute_s < 0.5 * parts.memory_s;
    price.bound = parts.memory_s > parts.compute_s ? BOUND_MEMORY : BOUND_COMPUTE;
    double body = parts.memory_s > parts.compute_s ? parts.memory_s : parts.compute_s;
    if (parts.cta_s + parts.fixed_s > body)
        price.bound = BOUND_LATENCY;
    price.variance = (inside ? d->noise.inside : d->noise.outside) * price.seconds * price.seconds;
    price.basis = basis_weaker(machine->floor, inside ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}

struct prefill_parts {
    double compute_s, tile_s, prefix_s;
};

static struct prefill_parts prefill_parts(const struct machine *machine, const struct prefill_load *load) {
    const struct prefill_machine *p = &machine->prefill;
    double length = 2.0 * load->pairs / load->tokens; /* q without a prefix; about twice the context with a long one */
    double flops = load->pairs * load->flops_per_pair;
    double prefix = load->context - load->tokens;
    return (struct prefill_parts){.compute_s = flops * (length + p->s_half) / (length * p->flops),
                                  .tile_s = load->context / load->sequences * p->tile_token_s,
                                  .prefix_s = prefix * load->bytes_per_token / p->prefix_bandwidth};
}

double prefill_seconds(const struct machine *machine, const struct prefill_load *load) {
    struct prefill_parts parts = prefill_parts(machine, load);
    return machine->prefill.t0_s + smoothmax4(parts.compute_s, parts.tile_s) + parts.prefix_s;
}

struct price prefill_price(const struct machine *machine, const struct prefill_load *load, double count) {
    const struct prefill_machine *p = &machine->prefill;
    struct prefill_parts parts = prefill_parts(machine, load);
    struct price price = {.seconds = count * prefill_seconds(machine, load),
                          .bytes = count * load->context * load->bytes_per_token,
                          .flops = count * load->pairs * load->flops_per_pair};
    bool inside = load->context <= load->tokens && load->context <= p->length_max * load->sequences;
    price.bound = parts.compute_s > parts.prefix_s ? BOUND_COMPUTE : BOUND_MEMORY;
    if (p->t0_s + parts.tile_s > parts.compute_s + parts.prefix_s)
        price.bound = BOUND_LATENCY;
    price.variance = (inside ? p->noise.inside : p->noise.outside) * price.seconds * price.seconds;
    price.basis = basis_weaker(machine->floor, inside ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}
