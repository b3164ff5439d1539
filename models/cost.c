#include "models/cost.h"

#include <stddef.h>
#include <string.h>

static const struct option node_table[] = {{.name = "gpu",
                                            .kind = OPTION_TEXT,
                                            .offset = offsetof(struct price_node, gpu),
                                            .help = "name of configs/hardware"},
                                           {.name = "gpu_hour",
                                            .kind = OPTION_FIGURE,
                                            .offset = offsetof(struct price_node, usd_per_gpu_hour),
                                            .unit = UNIT_USD_PER_HOUR,
                                            .min = 0,
                                            .max = 1e4,
                                            .help = "rent of one GPU with its share of the node"},
                                           {.name = "dram_bundled",
                                            .kind = OPTION_FIGURE,
                                            .offset = offsetof(struct price_node, dram_bytes_per_gpu),
                                            .unit = UNIT_BYTES,
                                            .fallback = "0",
                                            .min = 0,
                                            .max = 1e15,
                                            .help = "host DRAM a GPU in that price"},
                                           {.name = "ssd_bundled",
                                            .kind = OPTION_FIGURE,
                                            .offset = offsetof(struct price_node, ssd_bytes_per_gpu),
                                            .unit = UNIT_BYTES,
                                            .fallback = "0",
                                            .min = 0,
                                            .max = 1e16,
                                            .help = "local SSD a GPU in that price"},
                                           OPTION_END};

static const struct option tier_table[] = {{.name = "device",
                                            .kind = OPTION_TEXT,
                                            .offset = offsetof(struct price_tier, device),
                                            .help = "dram, ssd, flash, object: what tiers name as their device"},
                                           {.name = "price",
                                            .kind = OPTION_FIGURE,
                                            .offset = offsetof(struct price_tier, usd_per_byte),
                                            .unit = UNIT_USD_PER_BYTE,
                                            .min = 0,
                                            .max = 1,
                                            .help = "to buy, a byte"},
                                           {.name = "life",
                                            .kind = OPTION_FIGURE,
                                            .offset = offsetof(struct price_tier, life_s),
                                            .unit = UNIT_SECONDS,
                                            .min = 1,
                                            .max = 1e10,
                                            .help = "over which it is paid off"},
                                           {.name = "watts_per_tb",
                                            .kind = OPTION_FIGURE,
                                            .offset = offsetof(struct price_tier, w_per_tb),
                                            .unit = UNIT_WATTS,
                                            .fallback = "0",
                                            .min = 0,
                                            .max = 1e6,
                                            .help = "power of a TB (10^12 bytes)"},
                                           OPTION_END};

const struct option prices_options[] = {
    {.name = "name",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct prices, name),
     .help = "the file's name without .yaml"},
    {.name = "date", .kind = OPTION_TEXT, .offset = offsetof(struct prices, date), .help = "of the prices"},
    {.name = "nodes",
     .kind = OPTION_LIST,
     .offset = offsetof(struct prices, nodes),
     .table = node_table,
     .item_size = sizeof(struct price_node),
     .help = "rents by GPU"},
    {.name = "tiers",
     .kind = OPTION_LIST,
     .offset = offsetof(struct prices, tiers),
     .table = tier_table,
     .item_size = sizeof(struct price_tier),
     .help = "capacity beyond what a node bundles"},
    {.name = "kwh",
     .kind = OPTION_FIGURE,
     .offset = offsetof(struct prices, usd_per_kwh),
     .unit = UNIT_USD_PER_KWH,
     .fallback = "0",
     .min = 0,
     .max = 10,
     .help = "electricity on top of the rent; 0 where the rent includes it"},
    {.name = "pue",
     .kind = OPTION_FIGURE,
     .offset = offsetof(struct prices, pue),
     .fallback = "1",
     .min = 1,
     .max = 3,
     .help = "power of the whole site over that of the machines"},
    {.name = "host_watts_per_gpu",
     .kind = OPTION_FIGURE,
     .offset = offsetof(struct prices, host_w_per_gpu),
     .unit = UNIT_WATTS,
     .fallback = "0",
     .min = 0,
     .max = 1e5,
     .help = "CPUs, fans and NICs, a GPU"},
    OPTION_END};

static const struct price_node *find_node(const struct prices *prices, const char *gpu) {
    const struct price_node *nodes = prices->nodes.items;
    for (size_t i = 0; i < prices->nodes.count; i++)
        if (strcmp(nodes[i].gpu, gpu) == 0)
            return &nodes[i];
    return NULL;
}

const struct price_tier *cost_price_of(const struct prices *prices, const char *device) {
    const struct price_tier *tiers = prices->tiers.items;
    for (size_t i = 0; i < prices->tiers.count; i++)
        if (strcmp(tiers[i].device, device) == 0)
            return &tiers[i];
    return NULL;
}

/* Bytes of a device that the nodes' rent includes. */
static double bundled_bytes(const struct price_node *node, const char *device, double gpus) {
    if (strcmp(device, "dram") == 0)
        return node->dram_bytes_per_gpu.value * gpus;
    if (strcmp(device, "ssd") == 0)
        return node->ssd_bytes_per_gpu.value * gpus;
    return 0;
}

/* Wear alone: how fast, and how long it lasts. */
static void set_wear(const struct cost_tier *tier, double life_s, struct cost_wear *wear) {
    wear->dwpd = tier->capacity_bytes > 0 ? tier->written_bytes_per_s * 86400 / tier->capacity_bytes : 0;
    wear->lasts_s = life_s;
    if (tier->endurance_dwpd > 0 && wear->dwpd > tier->endurance_dwpd)
        wear->lasts_s = life_s * tier->endurance_dwpd / wear->dwpd;
}

static int add_tier(const struct prices *prices, const struct cost_tier *tier, double bundled, struct cost_wear *wear,
                    double *watts, struct cost *out, struct error *err) {
    double extra_bytes = tier->capacity_bytes > bundled ? tier->capacity_bytes - bundled : 0;
    const struct price_tier *price = cost_price_of(prices, tier->device);
    wear->bundled_bytes = tier->capacity_bytes - extra_bytes;
    set_wear(tier, price ? price->life_s.value : 0, wear);
    bool wears = tier->endurance_dwpd > 0 && wear->dwpd > tier->endurance_dwpd;
    if (extra_bytes <= 0 && !wears)
        return 0;
    if (!price)
        return error_set(err,
                         "prices '%s' have no price for device '%s'\n"
                         "  hint: add it under tiers: in configs/prices/%s.yaml, or give the tier another device:",
                         prices->name, tier->device, prices->name);
    double life_h = price->life_s.value / 3600, lasts_h = wear->lasts_s / 3600;
    out->tier_usd_per_hour += extra_bytes * price->usd_per_byte.value / life_h;
    if (wears)
        wear->usd_per_hour = tier->capacity_bytes * price->usd_per_byte.value * (1 / lasts_h - 1 / life_h);
    out->wear_usd_per_hour += wear->usd_per_hour;
    *watts += extra_bytes * price->w_per_tb.value * 1e-12;
    out->basis = basis_weaker(out->basis, price->usd_per_byte.basis);
    return 0;
}

int cost_of_fleet(const struct prices *prices, const struct cost_input *input, struct cost *out, struct error *err) {
    *out = (struct cost){.basis = BASIS_MEASURED};
    const struct price_node *node = find_node(prices, input->gpu), none = {0};
    const struct figure *rent = node ? &node->usd_per_gpu_hour : input->gpu_usd_per_hour;
    if (!rent)
        return error_set(err,
                         "prices '%s' have no rent for GPU '%s'\n"
                         "  hint: add it under nodes: in configs/prices/%s.yaml, or choose other prices",
                         prices->name, input->gpu, prices->name);
    MUST(input->tier_count <= COST_TIERS_MAX);
    out->gpu_usd_per_hour = rent->value * input->gpus;
    out->basis = basis_weaker(out->basis, rent->basis);
    double used = input->gpu_utilisation < 0 ? 0 : input->gpu_utilisation > 1 ? 1 : input->gpu_utilisation;
    double gpu_w = input->gpu_idle_w + (input->gpu_tdp_w - input->gpu_idle_w) * used;
    double watts = input->gpus * (gpu_w + prices->host_w_per_gpu.value);
    for (size_t t = 0; t < input->tier_count; t++) {
        const struct cost_tier *tier = &input->tiers[t];
        double bundled = bundled_bytes(node ? node : &none, tier->device, input->gpus);
        if (add_tier(prices, tier, bundled, &out->tiers[t], &watts, out, err) != 0)
            return -1;
    }
    out->watts = watts * (prices->pue.value > 0 ? prices->pue.value : 1);
    out->energy_usd_per_hour = out->watts * 1e-3 * prices->usd_per_kwh.value;
    out->usd_per_hour =
        out->gpu_usd_per_hour + out->tier_usd_per_hour + out->wear_usd_per_hour + out->energy_usd_per_hour;
    double usd = out->usd_per_hour * input->duration_s / 3600, tokens = input->prompt_tokens + input->output_tokens;
    out->usd_per_million_tokens = tokens > 0 ? usd / tokens * 1e6 : 0;
    out->usd_per_million_output_tokens = input->output_tokens > 0 ? usd / input->output_tokens * 1e6 : 0;
    out->joules_per_output_token = input->output_tokens > 0 ? out->watts * input->duration_s / input->output_tokens : 0;
    return 0;
}
