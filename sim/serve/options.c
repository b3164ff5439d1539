#include "sim/serve/cluster.h"

#include <stddef.h>

static const char *const preemption_names[] = {"recompute", "swap", NULL};

#define FIELD(member) offsetof(struct serve_options, member)

const struct option serve_options_table[] = {
    {.name = "block_tokens", .kind = OPTION_INT, .offset = FIELD(block_tokens), .unit = UNIT_TOKENS, .fallback = "16",
     .min = 1, .max = 4096, .help = "tokens in a KV block (page); a power of two, usually 16 to 512"},
    {.name = "token_budget", .kind = OPTION_INT, .offset = FIELD(token_budget), .unit = UNIT_TOKENS, .fallback = "8192",
     .min = 1, .max = 1 << 20, .help = "tokens in a step, prompts and decodes together (vLLM: max_num_batched_tokens)"},
    {.name = "max_sequences", .kind = OPTION_INT, .offset = FIELD(max_sequences), .fallback = "256", .min = 1,
     .max = 1 << 16, .help = "sequences in a step (vLLM: max_num_seqs)"},
    {.name = "hbm_utilisation", .kind = OPTION_REAL, .offset = FIELD(hbm_utilisation), .unit = UNIT_RATIO,
     .fallback = "0.92", .min = 0.05, .max = 1,
     .help = "share of the driver-reported HBM that the engine may use (vLLM: gpu_memory_utilization)"},
    {.name = "hbm_reserve", .kind = OPTION_REAL, .offset = FIELD(hbm_reserve_bytes), .unit = UNIT_BYTES,
     .fallback = "1.5 GiB", .min = 0, .max = 1e12,
     .help = "HBM of a GPU kept for the CUDA context, graphs and communication buffers"},
    {.name = "kv_capacity", .kind = OPTION_REAL, .offset = FIELD(kv_capacity_bytes), .unit = UNIT_BYTES, .fallback = "0",
     .min = 0, .max = 1e15,
     .help = "HBM for KV blocks of one instance, all its ranks together, where it is known; 0: computed"},
    {.name = "max_context", .kind = OPTION_INT, .offset = FIELD(max_context_tokens), .unit = UNIT_TOKENS, .fallback = "0",
     .min = 0, .max = 1e9, .help = "prompt plus output of the longest request that is taken; 0: the model's own limit"},
    {.name = "preemption", .kind = OPTION_CHOICE, .offset = FIELD(preemption), .fallback = "recompute",
     .choices = preemption_names, .help = "what happens to a request that must give way: computed again, or swapped out to the tier below"},
    {.name = "batch", .kind = OPTION_NODE, .offset = FIELD(batch), .fallback = "", .place_follows = false,
     .help = "batch policy, NAME or {name: NAME, options}; default chunked"},
    {.name = "route", .kind = OPTION_NODE, .offset = FIELD(route), .fallback = "", .place_follows = false,
     .help = "routing policy; default prefix-aware"},
    {.name = "reuse", .kind = OPTION_NODE, .offset = FIELD(reuse), .fallback = "", .place_follows = false,
     .help = "reuse policy: how much of a prefix to fetch, how much to compute; default fetch"},
    {.name = "route_snapshot_age", .kind = OPTION_REAL, .offset = FIELD(route_snapshot_age_s), .unit = UNIT_SECONDS,
     .fallback = "0", .min = 0, .max = 3600, .help = "the router sees the fleet as it was up to this long ago; 0: as it is"},
    {.name = "request_overhead", .kind = OPTION_REAL, .offset = FIELD(request_overhead_s), .unit = UNIT_SECONDS,
     .fallback = "0", .min = 0, .max = 60,
     .help = "host time between a request's arrival and its entry into the waiting queue, beside the engine profile's"},
    OPTION_END};
