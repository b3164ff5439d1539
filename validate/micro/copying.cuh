/* Blocks copied between two places of memory, by a loop of calls, by one batched call or by a kernel. */
#ifndef VALIDATE_MICRO_COPYING_CUH
#define VALIDATE_MICRO_COPYING_CUH

#include "validate/cuda/bench.cuh"

#include <memory>

enum copy_way { COPY_LOOP, COPY_BATCH, COPY_KERNEL, COPY_WAYS };
extern const char *const copy_ways[COPY_WAYS];

struct copies {
    std::vector<void *> to, from;
    std::vector<size_t> sizes;
    std::unique_ptr<device_buffer> lists; /* to, then from: for the kernel, on the GPU that was current */
    size_t block;
};
/* Pinned memory and a GPU's, `space` bytes each. */
struct area {
    char *device, *host;
    size_t space;
};

/* `count` blocks at scattered places of both sides; adjacent: one after another. */
struct copies copies_make(const struct area &area, size_t block, size_t count, bool to_host, bool adjacent);
/* ctas: of the kernel. */
void copies_submit(const struct copies &k, enum copy_way way, int ctas, cudaStream_t stream);
/* Compares up to 64 of the blocks, the first and the last among them: all of a small one, pieces of a large one. */
void copies_verify(const struct copies &k);
/* Fresh random bytes on both sides, others in each. */
void area_fill(struct context *c, const struct area &area);

#endif
