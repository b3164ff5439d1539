/* Kernel choice: which of several kernels does a piece of a step. One for all, or by regime: a low-latency kernel that
 * splits the work while few sequences decode, a high-throughput one for many.
 *
 * There are two kinds of work. Decode attention ("split": a context is shared by several CTAs, "single-pass": a CTA
 * takes a whole one) is asked for each step and each kind of layer. Matrix products ("library": tile and split that
 * the library picks for the shape; "plain": one tile of 128 x 128 for all shapes; "split-k": the depth is shared by
 * CTAs always) are asked once for each shape and number of tokens, when the step model is made. Prices of both are
 * models/attention.c's and models/gemm.c's. */
#ifndef POLICIES_KERNEL_H
#define POLICIES_KERNEL_H

#include "policies/registry.h"

enum kernel_work { KERNEL_DECODE, KERNEL_PRODUCT };
/* Numbers of the kernels in view->kernels. */
enum { KERNEL_SPLIT, KERNEL_SINGLE_PASS };
enum { KERNEL_LIBRARY, KERNEL_PLAIN, KERNEL_SPLIT_K };

struct kernel_view {
    enum kernel_work work;
    uint32_t rule; /* the kernel that today's engines take: the profile's rule, the library's heuristic */
    uint32_t kernel_count;
    const char *const *kernels;
    /* KERNEL_DECODE; a layer's: with a sliding window what it sees of the contexts. */
    double sequences, tiles; /* CTAs without splitting, on `sms` */
    double context_tokens;   /* summed */
    double longest_context;
    /* KERNEL_PRODUCT: m x k by k x n, m the step's tokens. */
    double m, n, k;
    double sms;
    /* Predicted seconds of this work under kernel number `kernel`. */
    double (*predict_s)(const void *world, uint32_t kernel);
    const void *world;
};
struct kernel_policy {
    struct policy policy; /* Required. First. */
    /* Required. A kernel, 0..kernel_count-1. The same view must give the same answer: runs of equal steps ask at a few
     * of their steps only. */
    uint32_t (*choose)(const void *options, const struct kernel_view *view);
};

#endif
