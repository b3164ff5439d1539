/* Inside models/: what one kernel costs on one GPU. A machine is a kernel profile made absolute for a GPU; prices are
 * of one rank. The functions that take a `machine` are pure. */
#ifndef MODELS_OPS_H
#define MODELS_OPS_H

#include "models/draw.h"
#include "models/profile.h"
#include "models/step.h"

/* t seconds with how far they may be off, what it moved and did. */
struct price {
    double seconds, bytes, flops;
    struct uncertainty error;
    enum step_bound bound;
    enum basis basis;
    bool inside; /* the fitted range */
};

/* How well a form fitted (struct fit_quality), and what a draw makes of it: times err by the factor 1 + drawn, inside
 * and outside the fitted range; 0 without a draw. */
struct fit_noise {
    enum error_source source;
    double spread, sigma, spread_outside, drawn[2];
};

/* Products that were measured with the fewest CTAs and no split (64 of 132 SMs; e4m3, n = 4096, m <= 8) ran at the full
 * bandwidth, so an SM reads at least 132/64 of its share. Hardware's own limit (64 bytes a clock from the L2) is 3.9.
 */
#define GEMM_SM_SHARE (132.0 / 64.0)

struct gemm_machine {
    double t0_s, bandwidth, w_half, k_half, sms, flops[DTYPE_COUNT];
    double sustained_loss, sustained_half;
    double sm_share; /* most that an SM reads where tiles do not fill the SMs, in shares of all SMs' bandwidth */
    double m_max, weights_min, weights_max; /* weights: of bf16 */
    bool fp8_fitted;
    struct fit_noise noise;
};
struct experts_machine {
    double t0_s, tile_rate, k_half, flops[DTYPE_COUNT]; /* t0_s 0: by the products' constants */
    struct fit_noise noise;
};
struct decode_machine {
    double t0_s[2], split_each_s, split_wide_s, tile_s, wave_s, ramp_s, ramp_half; /* t0_s by enum decode_kernel */
    double bandwidth, cta_rate, lone_rate, bytes_max; /* lone_rate: of a CTA when others have ended; 0: not known */
    double cta_token_s;                               /* a CTA's time for a token beside its bytes */
    double split_below_tiles, split_min_tokens, split_tokens, flops, sms;
    double places, split_places; /* CTAs that run at once; up to which contexts are split */
    bool small_pages;
    struct fit_noise noise[2];
};
struct prefill_machine {
    double t0_s, flops, s_half, tile_token_s, tile_s, sustained_loss, sustained_half, bandwidth, sms, length_max;
    double tail;
    struct fit_noise noise;
};
struct collective_machine {
    double alpha_s, alpha2_s, beta, bytes_max;
    struct fit_noise noise;
    enum basis basis;
};
enum { COLLECTIVES_MAX = 4 };

struct machine {
    struct gemm_machine gemm;
    struct experts_machine experts;
    struct decode_machine decode; /* of the model's KV dtype */
    struct prefill_machine prefill;
    struct collective_machine collective[COLLECTIVES_MAX];
    int collectives;
    double small_s, small_bandwidth, l2_bandwidth, l2_bytes, layer_s, step_s;
    struct fit_noise small_noise;
    double peak_bandwidth, peak_flops[DTYPE_COUNT], link;
    double hardware[SHARES]; /* hardware_spread: 0 on the GPU that the profile was fitted on */
    enum basis floor;        /* no price is better known than this */
};

/* Makes the profile's constants absolute for the GPU, of the options' draw if there is one. Error: no all-reduce
 * constants for tp. */
int machine_resolve(const struct step_model_options *options, struct machine *machine, struct error *err);

/* Applies the draw to price->seconds, and notes how far they may be off: the fit's errors, and the GPU's in `share`. */
void price_error(struct price *price, const struct machine *machine, const struct fit_noise *noise, bool inside,
                 enum hardware_share share);
/* One after the other: sums; bound by what the longer is bound by. */
struct price price_sum(struct price a, struct price b);
/* `count` times the same. */
struct price price_times(struct price price, double count);

/* `count` products of m x k by k x n. */
struct price gemm_price(const struct machine *machine, enum dtype dtype, double m, double n, double k, double count);
/* The same under one kernel: what the library picks (gemm_price), a tile of 128 x 128 whose depth is never split, or a
 * depth that is split always. See gemm.c. */
enum gemm_kernel { GEMM_LIBRARY, GEMM_PLAIN, GEMM_SPLIT_K, GEMM_KERNELS };
struct price gemm_kernel_price(const struct machine *machine, enum gemm_kernel kernel, enum dtype dtype, double m,
                               double n, double k, double count);
/* `count` layers of grouped products: tokens x top experts out of `experts`, gate, up and down together. */
struct price experts_price(const struct machine *machine, enum dtype dtype, double tokens, const struct arch *arch,
                           double width, double count);
/* `count` all-reduces of `bytes`. */
struct price all_reduce_price(const struct machine *machine, double bytes, double count);
/* `count` small kernels that move `bytes` each. */
struct price small_price(const struct machine *machine, double bytes, double count);

/* Decode attention of one layer. */
struct decode_load {
    double sequences, context, longest; /* sum and longest of the tokens read */
    double splits;                      /* CTAs that share a tile's context; 0: what the rule says */
    double tiles_per_sequence;          /* CTAs without splitting */
    double group;                       /* query heads that share a tile; 0: up to four */
    double bytes_per_token, flops_per_token;
    int chosen; /* 1 + enum decode_kernel: that kernel; 0: what the rule says */
};
enum decode_kernel { DECODE_SPLIT, DECODE_SINGLE, DECODE_KERNELS };
extern const char *const decode_kernel_names[];
static inline enum decode_kernel decode_pick(const struct decode_machine *d, const struct decode_load *load) {
    if (load->chosen > 0)
        return (enum decode_kernel)(load->chosen - 1);
    if (load->splits > 0)
        return load->splits > 1 ? DECODE_SPLIT : DECODE_SINGLE;
    bool few = load->sequences * load->tiles_per_sequence < d->split_below_tiles;
    return few && load->longest > d->split_min_tokens ? DECODE_SPLIT : DECODE_SINGLE;
}
double decode_seconds(const struct decode_machine *d, const struct decode_load *load);
struct price decode_price(const struct machine *machine, const struct decode_load *load, double count);

/* Prefill attention of one layer. */
struct prefill_load {
    double sequences, tokens, context, pairs;  /* sums */
    double flops_per_pair, bytes_per_token;    /* of KV */
    double io_per_token;                       /* bytes of Q, K, V and O */
    double tiles_per_sequence, rows_per_token; /* least tiles a sequence; rows of a tile's 128 that a token takes */
};
double prefill_seconds(const struct prefill_machine *p, const struct prefill_load *load);
struct price prefill_price(const struct machine *machine, const struct prefill_load *load, double count);

/* (a^4 + b^4)^(1/4): the larger, rounded where they meet, with exact operations only. */
double smoothmax4(double a, double b);

#endif
