#include "models/hardware.h"

#include <stddef.h>

#define FIGURE(key, member, unit_, fallback_, text)                                                                    \
    {                                                                                                                  \
        .name = key, .kind = OPTION_FIGURE, .offset = offsetof(struct gpu, member), .unit = unit_,                     \
        .fallback = fallback_, .max = 1e18, .help = text                                                               \
    }

const struct option gpu_options[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct gpu, name), .help = "what tables call the GPU"},
    {.name = "description",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct gpu, description),
     .fallback = "",
     .help = "form factor and memory, for people"},
    {.name = "architecture",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct gpu, architecture),
     .fallback = "",
     .help = "of its SMs, in small letters: a profile is trusted further on GPUs of the architecture it was fitted on"},
    FIGURE("hbm_capacity", hbm_capacity_bytes, UNIT_BYTES, NULL, "memory that the driver reports"),
    FIGURE("hbm_bandwidth", hbm_bandwidth_bytes_per_s, UNIT_BYTES_PER_S, NULL, "datasheet memory bandwidth"),
    FIGURE("l2", l2_bytes, UNIT_BYTES, NULL, "last-level cache"),
    FIGURE("bf16", bf16_flops, UNIT_FLOPS, NULL, "dense BF16 rate"),
    FIGURE("fp8", fp8_flops, UNIT_FLOPS, NULL, "dense FP8 rate; 0: not supported, FP8 weights run at the BF16 rate"),
    FIGURE("sms", sms, UNIT_NONE, NULL, "streaming multiprocessors or compute units"),
    FIGURE("nvlink", nvlink_bytes_per_s, UNIT_BYTES_PER_S, NULL,
           "bandwidth to peer GPUs in one direction; 0: over PCIe"),
    FIGURE("pcie", pcie_bytes_per_s, UNIT_BYTES_PER_S, NULL,
           "bandwidth of the host link in one direction (C2C where that is the link)"),
    FIGURE("tdp", tdp_w, UNIT_WATTS, NULL, "power limit"),
    FIGURE("idle", idle_w, UNIT_WATTS, NULL, "power at rest with memory clocked"),
    FIGURE("price", price_usd_per_hour, UNIT_USD_PER_HOUR, NULL, "rent on demand, for a node that names no price"),
    {.name = "profile",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct gpu, profile),
     .fallback = "",
     .help = "kernel profile measured on it (configs/profiles); empty: scaled from h100-sxm by datasheet"},
    OPTION_END,
};
