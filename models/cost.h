/* Money and power. Prices are of a node an hour with what it bundles, plus extra tiers by capacity over their
 * life; watts are idle + slope x utilisation. Pure arithmetic: no clock, no I/O. */
#ifndef MODELS_COST_H
#define MODELS_COST_H

#include "sim/base/option.h"

/* configs/prices/NAME.yaml: dated; each figure with its source. */
struct price_tier {
    const char *device; /* "dram", "ssd", "flash", "object" */
    struct figure usd_per_byte;
    struct figure life_s;     /* straight-line depreciation */
    struct figure w_per_tb; /* power of extra capacity, a TB (10^12 bytes) */
};
struct price_node {
    const char *gpu; /* hardware name */
    struct figure usd_per_gpu_hour;
    struct figure dram_bytes_per_gpu, ssd_bytes_per_gpu; /* bundled in that price */
};
struct prices {
    const char *name, *date;
    struct list nodes;         /* struct price_node */
    struct list tiers;         /* struct price_tier */
    struct figure usd_per_kwh; /* 0 where the rent includes it */
    struct figure pue;
    struct figure host_w_per_gpu; /* CPU, fans, NICs a GPU */
};
extern const struct option prices_options[];

struct cost_tier {
    const char *device;
    double capacity_bytes; /* in the whole fleet */
};
struct cost_input {
    const char *gpu;
    double gpus, gpu_tdp_w, gpu_idle_w;
    double gpu_utilisation; /* mean share of time busy, weighted by intensity, 0..1 */
    const struct cost_tier *tiers;
    size_t tier_count;
    double duration_s, prompt_tokens, output_tokens;
};
struct cost {
    double usd_per_hour, usd_per_million_tokens, usd_per_million_output_tokens;
    double watts, joules_per_output_token;
    enum basis basis;
};
/* Prices the fleet; capacity that the nodes bundle is free. Error: no price for the GPU or a tier's device. */
int cost_of_fleet(const struct prices *prices, const struct cost_input *input, struct cost *out, struct error *err);

#endif
