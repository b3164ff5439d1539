#include "validate/micro/copying.cuh"

#include <algorithm>
#include <cstring>
#include <random>

const char *const copy_ways[COPY_WAYS] = {"loop", "batch", "kernel"};

static __global__ void copy_kernel(void *const *to, void *const *from, size_t count, size_t words) {
    for (size_t b = blockIdx.x; b < count; b += gridDim.x) {
        const uint4 *in = (const uint4 *)from[b];
        uint4 *out = (uint4 *)to[b];
        for (size_t i = threadIdx.x; i < words; i += 4 * blockDim.x) {
            uint4 v[4];
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (i + (size_t)k * blockDim.x < words)
                    v[k] = in[i + (size_t)k * blockDim.x];
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (i + (size_t)k * blockDim.x < words)
                    out[i + (size_t)k * blockDim.x] = v[k];
        }
    }
}

void copies_submit(const struct copies &k, enum copy_way way, int ctas, cudaStream_t stream) {
    size_t n = k.to.size();
    if (way == COPY_LOOP) {
        for (size_t i = 0; i < n; i++)
            CUDA_OK(cudaMemcpyAsync(k.to[i], k.from[i], k.block, cudaMemcpyDefault, stream));
    } else if (way == COPY_BATCH) {
#if CUDART_VERSION >= 13000
        cudaMemcpyAttributes attributes = {};
        attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        size_t first = 0;
        CUDA_OK(cudaMemcpyBatchAsync((void *const *)k.to.data(), (const void *const *)k.from.data(), k.sizes.data(), n,
                                     &attributes, &first, 1, stream));
#else
        (void)n;
        skip("the batched call is CUDA 13's");
#endif
    } else {
        void **lists = k.lists->as<void *>();
        copy_kernel<<<ctas, 512, 0, stream>>>(lists, lists + n, n, k.block / 16);
        CUDA_OK(cudaGetLastError());
    }
}

struct copies copies_make(const struct area &area, size_t block, size_t count, bool to_host, bool adjacent) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    std::vector<size_t> a(area.space / block), b;
    for (size_t i = 0; i < a.size(); i++)
        a[i] = i;
    b = a;
    if (!adjacent) {
        std::shuffle(a.begin(), a.end(), random);
        std::shuffle(b.begin(), b.end(), random);
    }
    struct copies k;
    k.block = block;
    for (size_t i = 0; i < count; i++) {
        void *d = area.device + a[i] * block, *h = area.host + b[i] * block;
        k.to.push_back(to_host ? h : d);
        k.from.push_back(to_host ? d : h);
        k.sizes.push_back(block);
    }
    k.lists = std::make_unique<device_buffer>(16 * count);
    CUDA_OK(cudaMemcpy(k.lists->data, k.to.data(), 8 * count, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(k.lists->as<char>() + 8 * count, k.from.data(), 8 * count, cudaMemcpyHostToDevice));
    return k;
}

void copies_verify(const struct copies &k) {
    size_t n = k.to.size(), piece = std::min<size_t>(k.block, 256 << 10);
    std::vector<char> x(piece), y(piece);
    for (size_t j = 0; j < 64; j++) {
        size_t i = n == 1 ? 0 : j * (n - 1) / 63, at = (k.block - piece) / 63 * j;
        if (j == 63)
            at = k.block - piece;
        CUDA_OK(cudaMemcpy(x.data(), (char *)k.to[i] + at, piece, cudaMemcpyDefault));
        CUDA_OK(cudaMemcpy(y.data(), (char *)k.from[i] + at, piece, cudaMemcpyDefault));
        if (memcmp(x.data(), y.data(), piece))
            fail("block %zu arrived with other bytes at %zu", i, at);
        if (n == 1 && piece == k.block)
            break;
    }
}

void area_fill(struct context *c, const struct area &a) {
    fill_random(a.device, a.space, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
    CUDA_OK(cudaMemcpyAsync(a.host, a.device, a.space, cudaMemcpyDeviceToHost, c->stream));
    fill_random(a.device, a.space, (uint64_t)(now_s() * 1e9), FILL_BITS, c->stream);
    CUDA_OK(cudaStreamSynchronize(c->stream));
}
