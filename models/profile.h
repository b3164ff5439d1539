/* Fitted constants, three files with a basis each: kernel profile (GPU), engine profile (host work of the serving
 * engine), connector profile (software cost of moving KV). Kept apart because they are measured apart. The
 * structs are the option tables' targets; the forms stand in gemm.c, attention.c and collective.c, the evidence in
 * results/calibration/. */
#ifndef MODELS_PROFILE_H
#define MODELS_PROFILE_H

#include "models/arch.h"
#include "models/hardware.h"

/* How well a form fitted, as relative (log) standard deviations. `sigma` is of a prediction, by the parameters'
 * covariance (x reduced chi-square); `spread` is of one row about the fit; outside the fitted range `spread_outside`
 * (leave-one-regime-out) takes the place of `spread`. */
struct fit_quality {
    int64_t rows;
    double spread, sigma, spread_outside;
};

/* t0 + smoothmax4(bytes/(bandwidth x w/(w + w_half)), 2mn(k + k_half)/(flops x wave(m, n)) x sustained); see gemm.c.
 * sustained = 1 + loss x work/(work + half): long products run at the clock that power allows. */
struct gemm_fit {
    struct figure t0_s, bandwidth_bytes_per_s, w_half_bytes, flops, k_half, sustained_loss, sustained_half_flop;
    struct figure flops_fp8; /* 0: not measured, then bf16's by the ratio of the datasheet */
    struct fit_quality fit;
    double sm_share;                                  /* see gemm.c; 0: what the H200's rows say at least */
    double m_max, weight_bytes_min, weight_bytes_max; /* fitted range */
};

/* Decode attention for one KV dtype: t0 + [KV split] x (split + splits x split_each + [group > 4] x split_wide) +
 * sqrt(read^2 + (waves x tile)^2)
 * + waves x wave with read = max(bytes over the rate of the CTAs that run, at most bandwidth, + ramp x bytes/(bytes +
 * ramp_half), longest context's bytes/CTA rate); a CTA takes bytes/CTA rate + token for each token; see attention.c. */
struct decode_fit {
    struct figure t0_s, split_s, split_each_s, split_wide_s, tile_s, wave_s, ramp_s, ramp_half_bytes,
        bandwidth_bytes_per_s, cta_bytes_per_s;
    double lone_bytes_per_s;          /* of a CTA when those of shorter contexts have ended; 0: not measured */
    double cta_token_s;               /* its time for a token beside the bytes: scores and sums; 0: none was seen */
    struct fit_quality split, single; /* the two kernels apart */
    double bytes_max;                 /* fitted range */
};

/* t0 + sqrt(smoothmax4(FLOPs x (1 + s_half/s)/flops x sustained, context x tile_token)^2 + (Q, O, K, V
 * bytes/bandwidth)^2)
 * + tail x context x tile_token x (1 - 1/waves) + waves x tile + prefix KV bytes/bandwidth. The tail: tiles of very
 * different length that go to SMs in the order in which they lie end apart; a kernel that takes the longest first has
 * none. */
struct prefill_fit {
    struct figure t0_s, flops, s_half_tokens, tile_token_s, tile_s, sustained_loss, sustained_half_flop,
        bandwidth_bytes_per_s;
    double tail; /* share of the longest tile */
    struct fit_quality fit;
    double length_max;
};

/* Routed experts: two grouped products, gate and up as one, then down, each
 * t0 + (1 + k_half/k) x smoothmax4(bytes/min(bandwidth, tiles x tile_rate), FLOPs of whole tiles/flops),
 * with the products' bandwidth and tiles of 64 x 64; see experts_price. */
struct experts_fit {
    double t0_s, tile_bytes_per_s, k_half, flops; /* 0: not measured, then the products' constants */
    struct fit_quality fit;
    const char *source;
};

/* max(alpha, alpha2 + S/beta) for one group size, of one implementation. */
struct collective_fit {
    int64_t gpus;
    struct figure alpha_s, alpha2_s, beta_bytes_per_s;
    struct fit_quality fit;
    double bytes_max;
};

/* Datasheet of the GPU that a profile was fitted on: another GPU's constants follow by ratio, at basis `spec`. */
struct profile_gpu {
    double bandwidth_bytes_per_s, bf16_flops, sms, nvlink_bytes_per_s;
    const char *architecture; /* of struct gpu; NULL: not said */
    double fp8_flops;         /* dense; 0: not said */
};

/* Which decode kernel runs. */
struct decode_rule {
    double below_share;                         /* split while sequences x KV heads < share x SMs ... */
    double min_tokens;                          /* ... and the longest context exceeds this */
    double ctas_per_sm, split_tokens;           /* CTAs that an SM runs at once; no split is shorter than this */
    double split_ctas_per_sm;                   /* CTAs an SM up to which a context is split; 0: ctas_per_sm */
    double small_page_tokens, small_page_share; /* pages below the first reach this share of bandwidth */
    struct figure compute_share;                /* FLOPs of decode attention (MLA): share of the datasheet's */
};

/* Norms, elementwise kernels and gaps. */
struct small_kernels {
    struct figure kernel_s;        /* a small kernel in a replayed graph */
    struct figure bandwidth_share; /* of datasheet HBM bandwidth */
    double l2_bandwidth_share; /* of the same, for bytes that the L2 keeps from the kernel before; 0: not measured */
    double l2_bytes;           /* that it keeps */
    struct figure layer_s, step_s; /* gaps a layer and a step */
    double spread;
};

struct kernel_profile {
    const char *name, *gpu, *description;
    struct profile_gpu on;
    struct gemm_fit gemm;
    struct decode_fit decode_bf16, decode_fp8;
    struct decode_rule rule;
    struct prefill_fit prefill;
    struct experts_fit experts;
    struct list collectives; /* struct collective_fit: the fastest of those for the group size */
    struct small_kernels small;
    double spec_spread; /* log standard deviation of what another GPU's constants, scaled by datasheet, are wrong by */
};
extern const struct option kernel_profile_options[];
extern const struct option engine_profile_options[];
extern const struct option connector_profile_options[];

/* Host work of an engine: step = max(GPU, host) when asynchronous, GPU + host otherwise. */
struct engine_profile {
    const char *name;
    bool asynchronous;
    struct figure step_s, per_sequence_s; /* host time a step = step_s + per_sequence_s x sequences */
    struct figure request_s;              /* host time a request, before its first step (tokenise, schedule) */
    double spread;                        /* log standard deviation of these times, together; 0: not known */
    struct list graph_sizes;              /* double: batch sizes that decode steps pad to; empty: none */
    bool prompts_apart;                   /* each prompt's attention is a kernel of its own */
    bool copies_hold_steps;               /* the step after one with prompts begins when their blocks are copied out */
};

/* Software cost of a KV connector: a load or store of n tokens costs load_s + per_token_s x n beside the wire. */
struct connector_profile {
    const char *name;
    struct figure load_s, load_per_token_s, store_s, store_per_token_s;
    double spread; /* log standard deviation of these times, together; 0: not known */
};

#endif
