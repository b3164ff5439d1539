/* Attention over a KV cache. Evaluated at run time: + - * / and sqrt only.
 *
 * Decode: t0 + cost of splitting (a split, and more where over four query heads share a tile) + sqrt(read^2 + (waves x
 * tile)^2) + waves x wave. The work is sequences x tiles, each cut into splits of equal length: units, which take the
 * GPU's places (SMs x CTAs an SM) in waves. A CTA reads at most its own rate (and in
 * e4m3 takes a while for each token beside), all of them at most the bandwidth; each SM has an
 * equal share, so that where the last wave leaves some SMs one CTA more than others, those finish alone. `read` is that
 * time (with what a long read loses at its start), or the FLOPs over the compute rate, or the longest context over one
 * CTA's rate. The split kernel cuts each context over the places that would idle; the single-pass kernel gives a CTA a
 * whole one. Prefill: see struct prefill_fit. */
#include <math.h>

#include "models/ops.h"

const char *const decode_kernel_names[] = {"split", "single-pass", NULL};

struct decode_parts {
    enum decode_kernel kernel;
    double memory_s, compute_s, cta_s, waves, fixed_s;
};

static inline double least(double a, double b) {
    return a < b ? a : b;
}

/* Most that one CTA reads, bytes/s. */
static inline double cta_rate(const struct decode_machine *d, const struct decode_load *load) {
    double bytes = load->bytes_per_token / load->tiles_per_sequence;
    return d->cta_token_s > 0 ? bytes / (d->cta_token_s + bytes / d->cta_rate) : d->cta_rate;
}

/* Units of `bytes`/units each, over the places, where a CTA reads at most `rate`. */
static inline double units_seconds(const struct decode_machine *d, double rate, double bytes, double units) {
    double unit = bytes / units, full = (double)(int64_t)(units / d->places), rest = units - full * d->places;
    double seconds = full * d->places * unit / least(d->bandwidth, d->places * rate);
    if (rest <= 0)
        return seconds;
    double even = (double)(int64_t)(rest / d->sms), more = rest - even * d->sms;
    if (even > 0)
        seconds += d->sms * even * unit / least(d->bandwidth, rest * rate);
    if (more > 0)
        seconds += more * unit / least(d->bandwidth, more * (even + 1.0) * rate);
    return seconds;
}

/* What contexts of different length cost beyond equal ones: units that run side by side share the bandwidth until so
 * few are left that each reads at its own rate, and the longest of those ends last. Lengths are taken to lie evenly
 * between the longest and as much below the mean (where that is below 0: between the longest and 0, for so many that
 * the mean comes out). `mean` and `longest` in bytes of a unit. */
static inline double skew_seconds(const struct decode_machine *d, double units, double mean, double longest) {
    if (longest <= mean || d->lone_rate <= 0)
        return 0;
    double at_once = least(units, d->places), full = d->bandwidth / d->lone_rate; /* CTAs that fill the memory */
    double shortest = 2.0 * mean - longest, even = mean / least(d->bandwidth / at_once, d->lone_rate);
    if (shortest < 0) {
        at_once *= 2.0 * mean / longest;
        mean = 0.5 * longest;
        shortest = 0;
    }
    if (at_once <= full)
        return longest / d->lone_rate - even;
    double alone = (longest - shortest) * full / at_once; /* what the longest has left when others have ended */
    double shared = mean - 0.5 * alone * full / at_once;
    return at_once * shared / d->bandwidth + alone / d->lone_rate - even;
}

static inline double decode_splits(const struct decode_machine *d, const struct decode_load *load, double tiles) {
    if (load->splits > 0)
        return load->splits;
    double splits = (double)(int64_t)(d->split_places / tiles), most = load->longest / d->split_tokens;
    splits = least(splits, most);
    return splits > 1.0 ? splits : 1.0;
}

static inline struct decode_parts decode_parts(const struct decode_machine *d, const struct decode_load *load) {
    double tiles = load->sequences * load->tiles_per_sequence, splits = 1.0;
    double bytes = load->context * load->bytes_per_token;
    enum decode_kernel kernel = decode_pick(d, load);
    if (kernel == DECODE_SPLIT)
        splits = decode_splits(d, load, tiles);
    double rate = cta_rate(d, load), units = tiles * splits,
           longest = load->longest / splits * load->bytes_per_token / load->tiles_per_sequence;
    return (struct decode_parts){
        .kernel = kernel,
        .memory_s = units_seconds(d, rate, bytes, units) + d->ramp_s * bytes / (bytes + d->ramp_half) +
                    skew_seconds(d, units, bytes / units, longest),
        .compute_s = load->context * load->flops_per_token / d->flops,
        .cta_s = longest / rate,
        .waves = (double)(int64_t)((units + d->places - 1.0) / d->places),
        .fixed_s =
            d->t0_s[kernel] +
            (kernel == DECODE_SPLIT ? splits * d->split_each_s + (load->group > 4.0 ? d->split_wide_s : 0.0) : 0.0)};
}

static inline double decode_total(const struct decode_machine *d, const struct decode_parts *parts) {
    double read_s = parts->memory_s > parts->compute_s ? parts->memory_s : parts->compute_s;
    if (parts->cta_s > read_s)
        read_s = parts->cta_s;
    double tiles_s = parts->waves * d->tile_s;
    return parts->fixed_s + sqrt(read_s * read_s + tiles_s * tiles_s) + parts->waves * d->wave_s;
}

static inline bool decode_inside(const struct decode_machine *d, const struct decode_load *load,
                                 const struct decode_parts *parts) {
    return load->context * load->bytes_per_token <= d->bytes_max && !d->small_pages &&
           parts->compute_s < parts->memory_s && parts->cta_s < parts->memory_s;
}

double decode_seconds(const struct decode_machine *d, const struct decode_load *load) {
    struct decode_parts parts = decode_parts(d, load);
    return decode_total(d, &parts) * (1.0 + d->noise[parts.kernel].drawn[!decode_inside(d, load, &parts)]);
}

struct price decode_price(const struct machine *machine, const struct decode_load *load, double count) {
    const struct decode_machine *d = &machine->decode;
    struct decode_parts parts = decode_parts(d, load);
    double bytes = load->context * load->bytes_per_token;
    struct price price = {.seconds = count * decode_total(d, &parts),
                          .bytes = count * bytes,
                          .flops = count * load->context * load->flops_per_token};
    bool inside = decode_inside(d, load, &parts);
    double body = parts.memory_s > parts.compute_s ? parts.memory_s : parts.compute_s;
    price.bound = parts.memory_s > parts.compute_s ? BOUND_MEMORY : BOUND_COMPUTE;
    if (parts.cta_s > body || parts.waves * (d->tile_s + d->wave_s) + parts.fixed_s > body)
        price.bound = BOUND_LATENCY;
    static const enum hardware_share shares[] = {
        [BOUND_MEMORY] = SHARE_MEMORY, [BOUND_COMPUTE] = SHARE_COMPUTE, [BOUND_LATENCY] = SHARE_FIXED};
    price_error(&price, machine, &d->noise[parts.kernel], inside, shares[price.bound]);
    price.basis = basis_weaker(machine->floor, inside ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}

struct prefill_parts {
    double compute_s, path_s, io_s, tail_s, waves_s, prefix_s;
};

static inline struct prefill_parts prefill_parts(const struct prefill_machine *p, const struct prefill_load *load) {
    double length = 2.0 * load->pairs / load->tokens; /* q without a prefix; about twice the context with a long one */
    double flop = load->pairs * load->flops_per_pair, prefix = load->context - load->tokens;
    double tiles = load->tokens * load->rows_per_token * load->tiles_per_sequence / 128.0;
    double least = load->sequences * load->tiles_per_sequence;
    double waves = (tiles > least ? tiles : least) / p->sms;
    double sustained = 1.0 + p->sustained_loss * flop / (flop + p->sustained_half);
    double path_s = load->context / load->sequences * p->tile_token_s;
    return (struct prefill_parts){.compute_s = flop * (length + p->s_half) / (length * p->flops) * sustained,
                                  .path_s = path_s,
                                  .io_s = load->tokens * load->io_per_token / p->bandwidth,
                                  .tail_s = waves > 1.0 ? p->tail * path_s * (1.0 - 1.0 / waves) : 0.0,
                                  .waves_s = (waves > 1.0 ? waves : 1.0) * p->tile_s,
                                  .prefix_s = prefix * load->bytes_per_token / p->bandwidth};
}

static inline double prefill_total(const struct prefill_machine *p, const struct prefill_parts *parts) {
    double c2 = parts->compute_s * parts->compute_s, t2 = parts->path_s * parts->path_s;
    return p->t0_s + sqrt(sqrt(c2 * c2 + t2 * t2) + parts->io_s * parts->io_s) + parts->tail_s + parts->waves_s +
           parts->prefix_s;
}

static inline bool prefill_inside(const struct prefill_machine *p, const struct prefill_load *load) {
    return load->context <= load->tokens && load->context <= p->length_max * load->sequences;
}

double prefill_seconds(const struct prefill_machine *p, const struct prefill_load *load) {
    struct prefill_parts parts = prefill_parts(p, load);
    return prefill_total(p, &parts) * (1.0 + p->noise.drawn[!prefill_inside(p, load)]);
}

struct price prefill_price(const struct machine *machine, const struct prefill_load *load, double count) {
    const struct prefill_machine *p = &machine->prefill;
    struct prefill_parts parts = prefill_parts(p, load);
    struct price price = {
        .seconds = count * prefill_total(p, &parts),
        .bytes = count * (load->tokens * load->io_per_token + (load->context - load->tokens) * load->bytes_per_token),
        .flops = count * load->pairs * load->flops_per_pair};
    bool inside = prefill_inside(p, load);
    price.bound = parts.compute_s > parts.prefix_s + parts.io_s ? BOUND_COMPUTE : BOUND_MEMORY;
    if (p->t0_s + parts.waves_s + parts.path_s > parts.compute_s + parts.prefix_s + parts.io_s)
        price.bound = BOUND_LATENCY;
    static const enum hardware_share shares[] = {
        [BOUND_MEMORY] = SHARE_MEMORY, [BOUND_COMPUTE] = SHARE_PREFILL, [BOUND_LATENCY] = SHARE_FIXED};
    price_error(&price, machine, &p->noise, inside, shares[price.bound]);
    price.basis = basis_weaker(machine->floor, inside ? BASIS_MEASURED : BASIS_EXTRAPOLATED);
    return price;
}
