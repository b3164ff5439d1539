/* Money and power. Prices are of a GPU an hour with what its node bundles, plus extra tiers by capacity over their life
 * and drives that wear out early; watts are idle + slope x utilisation. Pure arithmetic: no clock, no I/O. */
#ifndef MODELS_COST_H
#define MODELS_COST_H

#include "sim/base/option.h"

/* configs/prices/NAME.yaml: dated; each figure with its source. */
struct price_tier {
    const char *device; /* "dram", "ssd", "flash", "object" */
    struct figure usd_per_byte;
    struct figure life_s;   /* straight-line depreciation */
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

/* One tier of the fleet, all its units together. */
struct cost_tier {
    const char *device;
    double capacity_bytes;
    double written_bytes_per_s;
    double endurance_dwpd; /* drive writes a day that its life allows; 0: it does not wear */
};
struct cost_input {
    const char *gpu;
    const struct figure *gpu_usd_per_hour; /* for prices that do not name the GPU: nothing is bundled then */
    double gpus, gpu_tdp_w, gpu_idle_w;
    double gpu_utilisation; /* mean share of time busy over all GPUs, 0..1 */
    const struct cost_tier *tiers;
    size_t tier_count;
    double duration_s, prompt_tokens, output_tokens;
};
enum { COST_TIERS_MAX = 16 };
struct cost {
    double usd_per_hour; /* the sum of the four below */
    double gpu_usd_per_hour, tier_usd_per_hour, wear_usd_per_hour, energy_usd_per_hour;
    double usd_per_million_tokens, usd_per_million_output_tokens;
    double watts, joules_per_output_token;
    enum basis basis;
    struct cost_wear {
        double dwpd;          /* drive writes a day */
        double lasts_s;       /* at that rate; its life where it wears no faster */
        double usd_per_hour;  /* of drives that must be replaced before their life is over */
        double bundled_bytes; /* of the capacity, within the rent */
    } tiers[COST_TIERS_MAX];
};
/* Prices the fleet:
 *   rent     GPUs x $/h, with what it bundles
 *   tiers    capacity beyond the bundle x price / life (straight line)
 *   wear     drives written w drive writes a day, w above the endurance e, last life x e/w: all capacity, bundled or
 * not, x price x (1/lasts - 1/life) energy   watts x $/kWh, where the rent leaves it out watts    (GPUs x (idle + (TDP
 * - idle) x utilisation + host) + extra capacity x W/TB) x PUE Error: no price for the GPU or for a tier's device that
 * has to be paid. */
int cost_of_fleet(const struct prices *prices, const struct cost_input *input, struct cost *out, struct error *err);
/* The price of a device; NULL: it has none. */
const struct price_tier *cost_price_of(const struct prices *prices, const char *device);

#endif
