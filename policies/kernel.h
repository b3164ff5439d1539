/* Kernel choice: which of a profile's attention kernels a run of steps uses. One for all, or by regime: a low-latency
 * split-KV kernel while few sequences decode, a high-throughput one for many, another for prompts. */
#ifndef POLICIES_KERNEL_H
#define POLICIES_KERNEL_H

#include "policies/registry.h"

struct kernel_view {
    uint32_t sequences;       /* that take part in the step */
    uint64_t query_tokens;    /* of all of them */
    uint64_t context_tokens;  /* that they attend to, summed */
    uint64_t longest_context; /* of one of them */
    uint32_t kernel_count;
    const char *const *kernels; /* names in the kernel profile */
    /* Predicted seconds of the step's attention under kernel number `kernel`, as measured. */
    double (*predict_s)(const void *world, uint32_t kernel);
    const void *world;
};
struct kernel_policy {
    struct policy policy; /* Required. First. */
    /* Required. A kernel, 0..kernel_count-1. */
    uint32_t (*choose)(const void *options, const struct kernel_view *view);
};

#endif
