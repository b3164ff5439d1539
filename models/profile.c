#include "models/profile.h"

#include <stddef.h>

#define FIGURE(type, key, member, unit_, text)                                                                         \
    {                                                                                                                  \
        .name = key, .kind = OPTION_FIGURE, .offset = offsetof(struct type, member), .unit = unit_, .max = 1e18,       \
        .help = text                                                                                                   \
    }
#define REAL(type, key, member, unit_, fallback_, text)                                                                \
    {                                                                                                                  \
        .name = key, .kind = OPTION_REAL, .offset = offsetof(struct type, member), .unit = unit_,                      \
        .fallback = fallback_, .max = 1e18, .help = text                                                               \
    }
#define NESTED(type, key, member, table_, text)                                                                        \
    {                                                                                                                  \
        .name = key, .kind = OPTION_STRUCT, .offset = offsetof(struct type, member), .table = table_, .fallback = "",  \
        .help = text                                                                                                   \
    }

static const struct option quality_options[] = {
    {.name = "rows",
     .kind = OPTION_INT,
     .offset = offsetof(struct fit_quality, rows),
     .fallback = "0",
     .max = 1e9,
     .help = "measurements that the fit used"},
    REAL(fit_quality, "spread", spread, UNIT_RATIO, NULL, "log standard deviation of a row about the fit"),
    REAL(fit_quality, "sigma", sigma, UNIT_RATIO, NULL,
         "relative standard deviation of a prediction, by the covariance"),
    REAL(fit_quality, "spread_outside", spread_outside, UNIT_RATIO, NULL,
         "log standard deviation outside the fitted range"),
    OPTION_END,
};

static const struct option gemm_options[] = {
    FIGURE(gemm_fit, "t0", t0_s, UNIT_SECONDS, "fixed time of a kernel"),
    FIGURE(gemm_fit, "bandwidth", bandwidth_bytes_per_s, UNIT_BYTES_PER_S, "rate at which large weights are read"),
    FIGURE(gemm_fit, "w_half", w_half_bytes, UNIT_BYTES, "weights at which half that rate is reached"),
    FIGURE(gemm_fit, "flops", flops, UNIT_FLOPS, "rate of a full wave of tiles"),
    FIGURE(gemm_fit, "k_half", k_half, UNIT_NONE, "depth that a tile's prologue and epilogue cost"),
    FIGURE(gemm_fit, "sustained_loss", sustained_loss, UNIT_RATIO, "time that long products take beyond the rate"),
    FIGURE(gemm_fit, "sustained_half", sustained_half_flop, UNIT_NONE, "work in FLOPs at which half that loss is seen"),
    {.name = "flops_fp8",
     .kind = OPTION_FIGURE,
     .offset = offsetof(struct gemm_fit, flops_fp8),
     .unit = UNIT_FLOPS,
     .fallback = "0",
     .max = 1e18,
     .help = "the same for FP8; 0: not measured, then by the datasheet's ratio"},
    REAL(gemm_fit, "sm_share", sm_share, UNIT_NONE, "0",
         "most that an SM reads, in shares of all SMs' bandwidth, where tiles do not fill the SMs (kernel policies); "
         "0: 2.06"),
    NESTED(gemm_fit, "fit", fit, quality_options, "how well it fitted"),
    REAL(gemm_fit, "m_max", m_max, UNIT_TOKENS, NULL, "most rows fitted"),
    REAL(gemm_fit, "weights_min", weight_bytes_min, UNIT_BYTES, NULL, "smallest weights fitted"),
    REAL(gemm_fit, "weights_max", weight_bytes_max, UNIT_BYTES, NULL, "largest weights fitted"),
    OPTION_END,
};

static const struct option decode_options[] = {
    FIGURE(decode_fit, "t0", t0_s, UNIT_SECONDS, "fixed time of the kernel"),
    FIGURE(decode_fit, "split", split_s, UNIT_SECONDS, "what splitting adds: the pass that combines"),
    FIGURE(decode_fit, "split_each", split_each_s, UNIT_SECONDS, "and each split"),
    FIGURE(decode_fit, "split_wide", split_wide_s, UNIT_SECONDS,
           "and where more than four query heads share a KV head"),
    FIGURE(decode_fit, "tile", tile_s, UNIT_SECONDS, "least time of one wave of CTAs, hidden by a longer read"),
    FIGURE(decode_fit, "wave", wave_s, UNIT_SECONDS, "fixed time of one wave of CTAs, never hidden"),
    FIGURE(decode_fit, "ramp", ramp_s, UNIT_SECONDS, "what a long read loses before it reaches its rate"),
    FIGURE(decode_fit, "ramp_half", ramp_half_bytes, UNIT_BYTES, "read at which half of that is lost"),
    FIGURE(decode_fit, "bandwidth", bandwidth_bytes_per_s, UNIT_BYTES_PER_S, "rate at which cold KV is read"),
    FIGURE(decode_fit, "cta_rate", cta_bytes_per_s, UNIT_BYTES_PER_S, "most that one CTA reads"),
    REAL(decode_fit, "lone_rate", lone_bytes_per_s, UNIT_BYTES_PER_S, "0",
         "what it reads when shorter contexts have ended; 0: contexts of different length were not measured"),
    REAL(decode_fit, "cta_token", cta_token_s, UNIT_SECONDS, "0",
         "and its time for a token beside the bytes; 0: none was seen"),
    NESTED(decode_fit, "fit_split", split, quality_options, "how well it fitted where KV is split (low latency)"),
    NESTED(decode_fit, "fit_single", single, quality_options, "and where one CTA takes a context (high throughput)"),
    REAL(decode_fit, "bytes_max", bytes_max, UNIT_BYTES, NULL, "most KV fitted"),
    OPTION_END,
};

static const struct option rule_options[] = {
    REAL(decode_rule, "below_share", below_share, UNIT_RATIO, NULL,
         "split while tiles are below this share of the SMs"),
    REAL(decode_rule, "min_tokens", min_tokens, UNIT_TOKENS, NULL, "and the longest context exceeds this"),
    REAL(decode_rule, "ctas_per_sm", ctas_per_sm, UNIT_NONE, "1", "CTAs of the kernels that an SM runs at once"),
    REAL(decode_rule, "split_ctas_per_sm", split_ctas_per_sm, UNIT_NONE, "0",
         "CTAs an SM up to which contexts are split; 0: as many as it runs at once"),
    REAL(decode_rule, "split_tokens", split_tokens, UNIT_TOKENS, "128", "no split is shorter"),
    REAL(decode_rule, "small_page_tokens", small_page_tokens, UNIT_TOKENS, "0",
         "pages below this many tokens cost bandwidth"),
    REAL(decode_rule, "small_page_share", small_page_share, UNIT_RATIO, "1", "share of bandwidth that they reach"),
    FIGURE(decode_rule, "compute_share", compute_share, UNIT_RATIO,
           "share of datasheet FLOPs of a compute-bound decode (MLA)"),
    OPTION_END,
};

static const struct option prefill_options[] = {
    FIGURE(prefill_fit, "t0", t0_s, UNIT_SECONDS, "fixed time of the kernel"),
    FIGURE(prefill_fit, "flops", flops, UNIT_FLOPS, "rate on long sequences"),
    FIGURE(prefill_fit, "s_half", s_half_tokens, UNIT_TOKENS, "length at which half that rate is reached"),
    FIGURE(prefill_fit, "tile_token", tile_token_s, UNIT_SECONDS, "time of one tile of queries for a token of context"),
    FIGURE(prefill_fit, "tile", tile_s, UNIT_SECONDS, "fixed time of one wave of tiles"),
    REAL(prefill_fit, "tail", tail, UNIT_RATIO, "0", "share of the longest tile for which SMs wait at the end"),
    FIGURE(prefill_fit, "sustained_loss", sustained_loss, UNIT_RATIO, "time that long work takes beyond the rate"),
    FIGURE(prefill_fit, "sustained_half", sustained_half_flop, UNIT_NONE,
           "work in FLOPs at which half that loss is seen"),
    FIGURE(prefill_fit, "bandwidth", bandwidth_bytes_per_s, UNIT_BYTES_PER_S,
           "rate at which Q, K, V, O and a prefix's KV are moved"),
    NESTED(prefill_fit, "fit", fit, quality_options, "how well it fitted"),
    REAL(prefill_fit, "length_max", length_max, UNIT_TOKENS, NULL, "longest sequence fitted"),
    OPTION_END,
};

static const struct option collective_options[] = {
    {.name = "gpus",
     .kind = OPTION_INT,
     .offset = offsetof(struct collective_fit, gpus),
     .min = 2,
     .max = 1024,
     .help = "GPUs in the group"},
    FIGURE(collective_fit, "alpha", alpha_s, UNIT_SECONDS, "time of the smallest message"),
    FIGURE(collective_fit, "alpha2", alpha2_s, UNIT_SECONDS, "intercept of the bandwidth line"),
    FIGURE(collective_fit, "beta", beta_bytes_per_s, UNIT_BYTES_PER_S, "message bytes a second"),
    NESTED(collective_fit, "fit", fit, quality_options, "how well it fitted"),
    REAL(collective_fit, "bytes_max", bytes_max, UNIT_BYTES, NULL,
         "largest message fitted; beyond it this implementation is not used"),
    OPTION_END,
};

static const struct option on_options[] = {
    REAL(profile_gpu, "bandwidth", bandwidth_bytes_per_s, UNIT_BYTES_PER_S, NULL, "datasheet memory bandwidth"),
    REAL(profile_gpu, "bf16", bf16_flops, UNIT_FLOPS, NULL, "datasheet dense BF16 rate"),
    REAL(profile_gpu, "sms", sms, UNIT_NONE, NULL, "streaming multiprocessors"),
    REAL(profile_gpu, "nvlink", nvlink_bytes_per_s, UNIT_BYTES_PER_S, NULL, "one direction"),
    {.name = "architecture",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct profile_gpu, architecture),
     .fallback = "",
     .help = "of its SMs, as in configs/hardware"},
    REAL(profile_gpu, "fp8", fp8_flops, UNIT_FLOPS, "0", "datasheet dense FP8 rate; 0: none, or not said"),
    OPTION_END,
};

static const struct option experts_options[] = {
    REAL(experts_fit, "t0", t0_s, UNIT_SECONDS, "0", "fixed time of a grouped product; 0: as single products"),
    REAL(experts_fit, "tile_rate", tile_bytes_per_s, UNIT_BYTES_PER_S, "0", "most that a tile of 64 x 64 reads"),
    REAL(experts_fit, "k_half", k_half, UNIT_TOKENS, "0", "depth at which half of the rate is reached"),
    REAL(experts_fit, "flops", flops, UNIT_FLOPS, "0", "rate of whole tiles, bf16"),
    REAL(experts_fit, "spread", fit.spread, UNIT_RATIO, "0", "log standard deviation of one product"),
    REAL(experts_fit, "sigma", fit.sigma, UNIT_RATIO, "0", "log standard deviation that the constants bring"),
    {.name = "source",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct experts_fit, source),
     .fallback = "",
     .help = "what was measured"},
    OPTION_END,
};

static const struct option small_options[] = {
    FIGURE(small_kernels, "kernel", kernel_s, UNIT_SECONDS, "a small kernel in a replayed graph"),
    FIGURE(small_kernels, "bandwidth_share", bandwidth_share, UNIT_RATIO,
           "of datasheet bandwidth, for norms and elementwise kernels"),
    REAL(small_kernels, "l2_bandwidth_share", l2_bandwidth_share, UNIT_RATIO, "0",
         "of datasheet bandwidth, for what the L2 keeps from the kernel before; 0: not measured"),
    REAL(small_kernels, "l2_bytes", l2_bytes, UNIT_BYTES, "0", "that the L2 keeps"),
    FIGURE(small_kernels, "layer", layer_s, UNIT_SECONDS, "gap a layer beyond its kernels"),
    FIGURE(small_kernels, "step", step_s, UNIT_SECONDS, "launch of the step's graph"),
    REAL(small_kernels, "spread", spread, UNIT_RATIO, NULL, "log standard deviation of these"),
    OPTION_END,
};

const struct option kernel_profile_options[] = {
    {.name = "name",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct kernel_profile, name),
     .help = "what tables call the profile"},
    {.name = "gpu",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct kernel_profile, gpu),
     .help = "GPU it was fitted on"},
    {.name = "description",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct kernel_profile, description),
     .fallback = "",
     .help = "what was measured, and how it is fitted again"},
    NESTED(kernel_profile, "on", on, on_options, "datasheet of that GPU"),
    NESTED(kernel_profile, "gemm", gemm, gemm_options, "matrix products"),
    NESTED(kernel_profile, "decode_bf16", decode_bf16, decode_options, "decode attention on bf16 KV"),
    NESTED(kernel_profile, "decode_fp8", decode_fp8, decode_options, "decode attention on fp8 KV"),
    NESTED(kernel_profile, "rule", rule, rule_options, "which decode kernel runs"),
    NESTED(kernel_profile, "prefill", prefill, prefill_options, "prefill attention"),
    NESTED(kernel_profile, "experts", experts, experts_options, "grouped products of routed experts"),
    {.name = "collectives",
     .kind = OPTION_LIST,
     .offset = offsetof(struct kernel_profile, collectives),
     .table = collective_options,
     .item_size = sizeof(struct collective_fit),
     .fallback = "",
     .help = "all-reduce by group size; the fastest that applies is taken"},
    NESTED(kernel_profile, "small", small, small_options, "small kernels and gaps"),
    REAL(kernel_profile, "spec_spread", spec_spread, UNIT_RATIO, NULL,
         "log standard deviation of what another GPU's constants, scaled by datasheet, are wrong by; other "
         "architectures have at least the spread of shares seen there (models/draw.c)"),
    OPTION_END,
};

const struct option engine_profile_options[] = {
    {.name = "name",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct engine_profile, name),
     .help = "what tables call the engine"},
    {.name = "asynchronous",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct engine_profile, asynchronous),
     .fallback = "true",
     .help = "the host prepares the next step while the GPU runs: step = max(GPU, host), else their sum"},
    FIGURE(engine_profile, "step", step_s, UNIT_SECONDS, "host time a step"),
    FIGURE(engine_profile, "per_sequence", per_sequence_s, UNIT_SECONDS, "host time a step and sequence"),
    FIGURE(engine_profile, "request", request_s, UNIT_SECONDS, "host time a request before its first step"),
    REAL(engine_profile, "spread", spread, UNIT_RATIO, "0", "log standard deviation of these times, together"),
    {.name = "graph_sizes",
     .kind = OPTION_REALS,
     .offset = offsetof(struct engine_profile, graph_sizes),
     .fallback = "",
     .help = "batch sizes with a captured graph, ascending; decode steps pad to the next"},
    {.name = "prompts_apart",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct engine_profile, prompts_apart),
     .fallback = "false",
     .help = "each prompt's attention is a kernel of its own, one after the other; else one kernel for all"},
    {.name = "copies_hold_steps",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct engine_profile, copies_hold_steps),
     .fallback = "false",
     .help =
         "the copies out of a prompt's blocks hold back what is launched after them: the next step begins when they "
         "have ended"},
    OPTION_END,
};

const struct option connector_profile_options[] = {
    {.name = "name",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct connector_profile, name),
     .help = "what tables call the connector"},
    FIGURE(connector_profile, "load", load_s, UNIT_SECONDS, "software time of a load"),
    FIGURE(connector_profile, "load_per_token", load_per_token_s, UNIT_SECONDS, "and of each token"),
    FIGURE(connector_profile, "store", store_s, UNIT_SECONDS, "software time of a store"),
    FIGURE(connector_profile, "store_per_token", store_per_token_s, UNIT_SECONDS, "and of each token"),
    REAL(connector_profile, "spread", spread, UNIT_RATIO, "0", "log standard deviation of these times, together"),
    OPTION_END,
};
