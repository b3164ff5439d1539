/* The routed experts of a layer: gate and up together, then down, for tokens that choose experts evenly. Grouped
 * products of cuBLAS for bf16; it has none for e4m3, so those are single products on eight streams of one graph, as is
 * `loop` for bf16. Routing, activation and the sum over a token's experts are not in it. */
#include "validate/micro/decode_bench.cuh"
#include "validate/micro/products.cuh"

#include <algorithm>
#include <cublas_v2.h>
#include <map>
#include <random>

struct moe_shape {
    const char *name;
    int experts, top, width, hidden;
};

/* One draw of experts, and the arguments of its two grouped products. */
struct draw {
    std::vector<int> expert, rows; /* of each expert that is read */
    std::vector<size_t> first;     /* row of X where its tokens begin */
    std::vector<int> n[2], k[2], x_stride;
    std::unique_ptr<device_buffer> pointers[2]; /* W, X, Y of each */
};

struct moe_bench {
    const struct moe_shape &shape;
    int batch;
    bool fp8;
    static const size_t part = (size_t)128 << 20; /* each of X, the middle and Y */
    size_t element, layer;                        /* bytes of a value; of all experts of a layer */
    int layers;
    char *x, *mid, *y, *w;
    std::vector<struct draw> draws;
    moe_bench(const struct moe_shape &s, int tokens, bool e4m3, int draw_count, char *memory, size_t bytes);
    double experts_read() const {
        double sum = 0.0;
        for (const struct draw &d : draws)
            sum += (double)d.expert.size();
        return sum / (double)draws.size();
    }
    /* product 0: gate and up; 1: down, over the first half of the product before */
    const char *weights(size_t call, size_t i, int product) const {
        size_t one = (size_t)shape.width * (size_t)shape.hidden * element, e = (size_t)draws[call].expert[i];
        return w + (call % (size_t)layers) * layer +
               (product ? (size_t)shape.experts * 2 * one + e * one : e * 2 * one);
    }
    const char *in(size_t call, size_t i, int product) const {
        size_t row = draws[call].first[i];
        /* e4m3 has no product that writes e4m3 here: its second one reads rows of X's kind, as many bytes */
        return product ? (fp8 ? x + row * (size_t)shape.width : mid + row * 4 * (size_t)shape.width)
                       : x + row * (size_t)shape.hidden * element;
    }
    char *out(size_t call, size_t i, int product) const {
        size_t row = draws[call].first[i];
        return product ? y + row * 2 * (size_t)shape.hidden : mid + row * 4 * (size_t)shape.width;
    }
    int n(int product) const { return product ? shape.hidden : 2 * shape.width; }
    int k(int product) const { return product ? shape.width : shape.hidden; }
    int stride(int product) const { return product && !fp8 ? 2 * shape.width : k(product); }
    double check(struct context *c, const struct product_library &library) const;
};

static std::vector<int> choices(const struct moe_shape &s, int batch, std::mt19937_64 &random) {
    std::vector<int> count((size_t)s.experts, 0), all((size_t)s.experts);
    for (int e = 0; e < s.experts; e++)
        all[(size_t)e] = e;
    for (int t = 0; t < batch; t++)
        for (int i = 0; i < s.top; i++) {
            std::swap(all[(size_t)i], all[(size_t)i + random() % (uint64_t)(s.experts - i)]);
            count[(size_t)all[(size_t)i]]++;
        }
    return count;
}

moe_bench::moe_bench(const struct moe_shape &s, int tokens, bool e4m3, int draw_count, char *memory, size_t bytes)
    : shape(s), batch(tokens), fp8(e4m3), element(e4m3 ? 1 : 2) {
    /* fixed places: what one row writes must never be the next row's input */
    size_t rows = (size_t)tokens * (size_t)s.top;
    x = memory;
    mid = x + part;
    y = mid + part;
    w = y + part;
    if (rows * 2 * (size_t)std::max(s.hidden, 2 * s.width) > part)
        fail("larger than the buffers");
    layer = (size_t)s.experts * 3 * (size_t)s.width * (size_t)s.hidden * element;
    size_t left = bytes - std::min(bytes, (size_t)(w - memory));
    if (left < layer)
        skip("%.1f GB of weights do not fit", 1e-9 * (double)layer);
    layers = (int)std::min<size_t>(4, left / layer);
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    for (int d = 0; d < draw_count; d++) {
        struct draw draw;
        std::vector<int> count = choices(s, tokens, random);
        size_t row = 0;
        for (int e = 0; e < s.experts; e++)
            if (count[(size_t)e]) {
                draw.expert.push_back(e);
                draw.rows.push_back(count[(size_t)e]);
                draw.first.push_back(row);
                row += (size_t)count[(size_t)e];
            }
        draws.push_back(std::move(draw));
    }
    for (size_t d = 0; d < draws.size() && !fp8; d++)
        for (int product = 0; product < 2; product++) {
            std::vector<const void *> list;
            size_t many = draws[d].expert.size();
            for (int which = 0; which < 3; which++)
                for (size_t i = 0; i < many; i++)
                    list.push_back(which == 0   ? weights(d, i, product)
                                   : which == 1 ? in(d, i, product)
                                                : out(d, i, product));
            draws[d].pointers[product] = std::make_unique<device_buffer>(8 * list.size());
            CUDA_OK(cudaMemcpy(draws[d].pointers[product]->data, list.data(), 8 * list.size(), cudaMemcpyHostToDevice));
            draws[d].n[product].assign(many, n(product));
            draws[d].k[product].assign(many, k(product));
        }
}

/* Both products of up to eight experts of the first draw. */
double moe_bench::check(struct context *c, const struct product_library &library) const {
    double worst = 0.0;
    size_t many = draws[0].expert.size(), step = std::max<size_t>(1, many / 8);
    for (size_t i = 0; i < many; i += step)
        for (int product = 0; product < 2; product++)
            worst =
                std::max(worst, product_check(c, library, in(0, i, product), stride(product), weights(0, i, product),
                                              out(0, i, product), draws[0].rows[i], n(product), k(product), fp8));
    return worst;
}

static void grouped(struct context *c, cublasHandle_t blas, const struct moe_bench &b, size_t call) {
    const struct draw &d = b.draws[call % b.draws.size()];
    size_t many = d.expert.size();
    static const std::vector<cublasOperation_t> t(512, CUBLAS_OP_T), none(512, CUBLAS_OP_N);
    static const std::vector<float> ones(512, 1.0f), zeros(512, 0.0f);
    static const std::vector<int> singles(512, 1);
    for (int product = 0; product < 2; product++) {
        std::vector<int> strides(many, b.stride(product));
        void **list = d.pointers[product]->as<void *>();
        cublasStatus_t status = cublasGemmGroupedBatchedEx(
            blas, t.data(), none.data(), d.n[product].data(), d.rows.data(), d.k[product].data(), ones.data(),
            (const void *const *)list, CUDA_R_16BF, d.k[product].data(), (const void *const *)(list + many),
            CUDA_R_16BF, strides.data(), zeros.data(), list + 2 * many, CUDA_R_16BF, d.n[product].data(), (int)many,
            singles.data(), CUBLAS_COMPUTE_32F);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED)
            skip("cuBLAS has no grouped product of bf16 on this GPU");
        if (status != CUBLAS_STATUS_SUCCESS)
            fail("cublasGemmGroupedBatchedEx: %s", cublasGetStatusString(status));
        (void)c;
    }
}

/* Single products, over eight streams that meet after each of the two. */
struct looped {
    enum { STREAMS = 8 };
    const struct product_library &library;
    std::map<int, std::unique_ptr<struct product>> plans[2]; /* by rows */
    device_buffer workspaces;
    cudaStream_t streams[STREAMS];
    device_event fork{cudaEventDisableTiming}, join{cudaEventDisableTiming};
    static const size_t workspace = (size_t)4 << 20;
    looped(const struct product_library &l, const struct moe_bench &b) : library(l), workspaces(STREAMS * workspace) {
        for (const struct draw &d : b.draws)
            for (int rows : d.rows)
                for (int p = 0; p < 2; p++)
                    if (!plans[p].count(rows))
                        plans[p][rows] =
                            std::make_unique<struct product>(l, rows, b.n(p), b.k(p), b.stride(p), b.fp8, workspace);
        for (cudaStream_t &s : streams)
            CUDA_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    }
    ~looped() {
        for (cudaStream_t s : streams)
            cudaStreamDestroy(s);
    }
    void launch(struct context *c, const struct moe_bench &b, size_t call) {
        call %= b.draws.size();
        const struct draw &d = b.draws[call];
        for (int p = 0; p < 2; p++) {
            CUDA_OK(cudaEventRecord(fork.event, c->stream));
            for (size_t s = 0; s < STREAMS && s < d.expert.size(); s++) {
                CUDA_OK(cudaStreamWaitEvent(streams[s], fork.event, 0));
                for (size_t i = s; i < d.expert.size(); i += STREAMS)
                    plans[p].at(d.rows[i])->launch(library, 0, b.weights(call, i, p), b.in(call, i, p),
                                                   b.out(call, i, p), workspaces.as<char>() + s * workspace, workspace,
                                                   streams[s]);
                CUDA_OK(cudaEventRecord(join.event, streams[s]));
                CUDA_OK(cudaStreamWaitEvent(c->stream, join.event, 0));
            }
        }
    }
};

static void moe_row(struct context *c, cublasHandle_t blas, const struct product_library &library,
                    const struct moe_shape &s, int batch, bool fp8, bool loop, char *memory, size_t bytes) {
    if (c->quick && batch != 8 && batch != 128)
        return;
    struct row row;
    row.variant = loop ? "loop" : "grouped";
    row.params = text("shape=%s batch=%d experts=%d top=%d width=%d hidden=%d %s", s.name, batch, s.experts, s.top,
                      s.width, s.hidden, fp8 ? "e4m3" : "bf16");
    row_try(c, row.variant.c_str(), row.params, [&] {
        struct moe_bench b(s, batch, fp8, 8, memory, bytes);
        size_t visits = (size_t)batch * (size_t)s.top;
        double read = b.experts_read();
        row.flops = 6.0 * (double)visits * s.width * s.hidden;
        row.bytes = read * 3.0 * s.width * s.hidden * (fp8 ? 1 : 2);
        row.ceiling = c->ceilings->hbm_read_bytes_per_s;
        row.note = text("experts read: %.1f", read);
        CUDA_OK(cudaMemsetAsync(b.mid, 0xff, visits * 4 * (size_t)s.width, c->stream));
        CUDA_OK(cudaMemsetAsync(b.y, 0xff, visits * 2 * (size_t)s.hidden, c->stream));
        if (loop) {
            struct looped l(library, b);
            l.launch(c, b, 0);
            row.error = b.check(c, library);
            struct replay replay(c, 8, [&](int i) { l.launch(c, b, (size_t)i); });
            row_write(c, row, replay.time(c, c->quick ? 5 : 15));
        } else {
            grouped(c, blas, b, 0);
            row.error = b.check(c, library);
            row_write(c, row, time_device(c, c->quick ? 5 : 15, 8, [&](int i) { grouped(c, blas, b, (size_t)i); }));
        }
    });
}

void group_moe_gemm(struct context *c) {
    size_t unused, all;
    CUDA_OK(cudaMemGetInfo(&unused, &all));
    size_t bytes = std::min((size_t)12 << 30, unused * 3 / 4) & ~(size_t)4095;
    device_buffer memory(bytes);
    struct product_library library(c);
    cublasHandle_t blas;
    if (cublasCreate(&blas))
        fail("cublasCreate failed");
    cublasSetStream(blas, c->stream);
    static const struct moe_shape models[] = {{"mixtral_8x7b_tp2", 8, 2, 7168, 4096},
                                              {"gpt_oss_120b", 128, 4, 2880, 2880},
                                              {"qwen3_30b", 128, 8, 768, 2048},
                                              {"deepseek_v3_tp8", 256, 8, 256, 7168}};
    static const struct moe_shape others[] = {{"plain", 16, 2, 1024, 4096},
                                              {"plain", 32, 4, 1024, 4096},
                                              {"plain", 64, 2, 1024, 4096},
                                              {"plain", 64, 8, 1024, 4096},
                                              {"plain", 256, 4, 1024, 2048}};
    for (bool fp8 : {false, true}) {
        fill_random(memory.data, bytes, (uint64_t)(now_s() * 1e9), fp8 ? FILL_E4M3 : FILL_BF16, c->stream);
        for (const struct moe_shape &s : models)
            for (int batch : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512})
                if (!fp8 || batch == 1 || batch == 8 || batch == 32 || batch == 128 || batch == 512)
                    moe_row(c, blas, library, s, batch, fp8, fp8, memory.as<char>(), bytes);
        for (const struct moe_shape &s : others)
            for (int batch : {2, 16, 128})
                if (!fp8)
                    moe_row(c, blas, library, s, batch, false, false, memory.as<char>(), bytes);
        for (int batch : {1, 16, 128}) /* what the grouped kernel is worth */
            if (!fp8)
                moe_row(c, blas, library, models[1], batch, false, true, memory.as<char>(), bytes);
    }
    cublasDestroy(blas);
}
