/* The same kernels whatever the load: one for attention, one for products. The defaults are those for throughput. */
#include "policies/kernel.h"

#include <stddef.h>

struct one_options {
    int kernel, product;
};
static const char *const decode_names[] = {"split", "single-pass", NULL};
static const char *const product_names[] = {"library", "plain", "split-k", NULL};
static const struct option one_table[] = {
    {.name = "kernel",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct one_options, kernel),
     .fallback = "single-pass",
     .choices = decode_names,
     .help = "of decode attention: a context shared by CTAs, or a CTA a context"},
    {.name = "product",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct one_options, product),
     .fallback = "plain",
     .choices = product_names,
     .help = "of matrix products: what the library picks, a tile of 128 x 128, or the depth split always"},
    OPTION_END};

static uint32_t always(const void *options, const struct kernel_view *view) {
    static const struct one_options throughput = {KERNEL_SINGLE_PASS, KERNEL_PLAIN};
    const struct one_options *own = options ? options : &throughput;
    return (uint32_t)(view->work == KERNEL_DECODE ? own->kernel : own->product);
}

static const struct kernel_policy one = {.policy = {.abi = POLICY_ABI,
                                                    .name = "one",
                                                    .rule = "one kernel for all steps",
                                                    .source = "baseline",
                                                    .options = one_table,
                                                    .options_size = sizeof(struct one_options)},
                                         .choose = always};
POLICY_REGISTER(kernel, one)
