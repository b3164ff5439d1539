/* GPUs, from datasheets and drivers: each figure with its source and basis. */
#ifndef MODELS_HARDWARE_H
#define MODELS_HARDWARE_H

#include "sim/base/option.h"

/* One file of configs/hardware/. */
struct gpu {
    const char *name;
    const char *description;
    const char *architecture;                /* "hopper"; GPUs of one differ little in the shares they reach */
    struct figure hbm_capacity_bytes;        /* what the driver reports */
    struct figure hbm_bandwidth_bytes_per_s; /* datasheet */
    struct figure l2_bytes;
    struct figure bf16_flops, fp8_flops; /* dense; fp8 0: not supported (runs at bf16 rate) */
    struct figure sms;                   /* streaming multiprocessors or compute units */
    struct figure nvlink_bytes_per_s;    /* one direction, to peers; 0: none (then PCIe) */
    struct figure pcie_bytes_per_s;      /* one direction, of the host link (C2C where that is the link) */
    struct figure tdp_w, idle_w;
    struct figure price_usd_per_hour; /* on demand, for when a node names no price */
    const char *profile; /* configs/profiles/NAME.yaml measured on it; NULL: scaled from h100-sxm, basis spec */
};
extern const struct option gpu_options[];

#endif
