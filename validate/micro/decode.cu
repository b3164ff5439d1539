/* Decode attention: the core of the fit. Every row is checked against float64 before it is timed, KV is cold. */
#include "validate/micro/decode_bench.cuh"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <cuda_bf16.h>
#include <random>

decode_bench::decode_bench(struct context *c, const struct decode_point &d, void *pool, size_t pool_bytes) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    p = {};
    p.sequences = d.sequences, p.kv_heads = d.kv_heads, p.group = d.group, p.head_size = d.head_size;
    p.page_size = d.page_size, p.dtype = d.dtype, p.layout = d.layout;
    p.scale = 1.0f / sqrtf((float)d.head_size);
    p.k = pool, p.v = (char *)pool + pool_bytes;
    double mean = d.skew > 1 ? 2.0 * d.context / (1.0 + d.skew) : d.context;
    int64_t pages = 0;
    tokens = 0;
    for (int s = 0; s < d.sequences; s++) { /* no length is a multiple of the page */
        int n = (int)(d.skew > 1 && s % 2 ? mean * d.skew : mean);
        n -= (int)(random() % (uint64_t)std::min(d.page_size - 1, std::max(1, n / 64)));
        n -= n % d.page_size ? 0 : 1;
        lengths.push_back(n);
        tokens += n;
        pages += (n + d.page_size - 1) / d.page_size;
        p.longest = std::max(p.longest, n);
    }
    p.table_width = (p.longest + d.page_size - 1) / d.page_size;
    size_t page_bytes = (size_t)d.page_size * (size_t)d.kv_heads * (size_t)d.head_size * (d.dtype == KV_BF16 ? 2 : 1);
    int64_t in_pool = (int64_t)(pool_bytes / page_bytes);
    /* 256 MB of KV between two uses of a page, over four times L2; at least two tables */
    int64_t wanted = (int64_t)(256e6 / (2.0 * (double)pages * (double)page_bytes)) + 2;
    tables = (int)std::min<int64_t>(in_pool / pages, std::min<int64_t>(wanted, 256));
    if (tables < 2)
        fail("the pool of %zu bytes holds %lld pages, %lld are wanted", 2 * pool_bytes, (long long)in_pool,
             2 * (long long)pages);
    std::vector<int> order((size_t)std::min<int64_t>(in_pool, tables * pages));
    for (size_t i = 0; i < order.size(); i++) /* spread over the pool, then shuffled */
        order[i] = (int)((double)i * (double)in_pool / (double)order.size());
    std::shuffle(order.begin(), order.end(), random);
    table_ints = (size_t)p.sequences * (size_t)p.table_width;
    std::vector<int> host(table_ints * (size_t)tables, 0);
    size_t next = 0;
    for (int t = 0; t < tables; t++)
        for (int s = 0; s < d.sequences; s++)
            for (int i = 0; i * d.page_size < lengths[(size_t)s]; i++)
                host[(size_t)t * table_ints + (size_t)s * (size_t)p.table_width + (size_t)i] = order[next++];
    p.splits = 1;
    p.splits = d.splits ? d.splits : decode_splits(&p, c->gpu.multiProcessorCount);
    p.ctas =
        d.splits ? std::min(256, d.splits * p.sequences * p.kv_heads) : decode_ctas(&p, c->gpu.multiProcessorCount);
    size_t elements = (size_t)p.sequences * (size_t)(p.kv_heads * p.group * p.head_size);
    q = std::make_unique<device_buffer>(2 * elements);
    o = std::make_unique<device_buffer>(2 * elements);
    partial = std::make_unique<device_buffer>(4 * decode_partial_floats(&p));
    done = std::make_unique<device_buffer>(sizeof(unsigned) * (size_t)(p.sequences * p.kv_heads));
    table = std::make_unique<device_buffer>(4 * host.size());
    length = std::make_unique<device_buffer>(4 * lengths.size());
    fill_random(q->data, 2 * elements, random(), FILL_BF16, c->stream);
    CUDA_OK(cudaMemsetAsync(done->data, 0, sizeof(unsigned) * (size_t)(p.sequences * p.kv_heads), c->stream));
    CUDA_OK(cudaMemcpyAsync(table->data, host.data(), 4 * host.size(), cudaMemcpyHostToDevice, c->stream));
    CUDA_OK(cudaMemcpyAsync(length->data, lengths.data(), 4 * lengths.size(), cudaMemcpyHostToDevice, c->stream));
    CUDA_OK(cudaStreamSynchronize(c->stream));
    p.q = q->data, p.o = o->data, p.partial = partial->as<float>(), p.done = done->as<unsigned>();
    p.table = table->as<int>(), p.lengths = length->as<int>();
}

void decode_bench::resplit(int splits) {
    p.splits = splits;
    partial = std::make_unique<device_buffer>(4 * decode_partial_floats(&p));
    p.partial = partial->as<float>();
}
void decode_bench::launch(struct context *c, enum decode_version version, int call) {
    struct decode_problem now = p;
    now.table = p.table + (size_t)(call % tables) * table_ints;
    CUDA_OK(decode_launch(version, &now, c->stream));
}

static double bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
double decode_bench::check(struct context *c, enum decode_version version) {
    size_t row = (size_t)(p.kv_heads * p.group * p.head_size), elements = (size_t)p.sequences * row;
    struct decode_problem few = p;
    few.sequences = std::min(p.sequences, p.longest > 8192 ? 2 : 4);
    device_buffer ref(8 * (size_t)few.sequences * row);
    device_buffer scores(8 * (size_t)few.sequences * (size_t)(p.kv_heads * p.group) * (size_t)p.longest);
    CUDA_OK(decode_reference(&few, ref.as<double>(), scores.as<double>(), c->stream));
    CUDA_OK(cudaMemsetAsync(p.o, 0xff, 2 * elements, c->stream)); /* NaN: what is not written is seen */
    launch(c, version, 0);
    std::vector<double> want((size_t)few.sequences * row);
    std::vector<uint16_t> got(elements);
    CUDA_OK(cudaStreamSynchronize(c->stream));
    CUDA_OK(cudaMemcpy(want.data(), ref.data, 8 * want.size(), cudaMemcpyDeviceToHost));
    CUDA_OK(cudaMemcpy(got.data(), p.o, 2 * elements, cudaMemcpyDeviceToHost));
    double wrong = 0.0, all = 0.0, apart = 0.0, sum = 0.0;
    std::vector<uint16_t> simple(got);
    if (version > DECODE_V2) { /* all sequences against the simplest kernel that is fast enough for it */
        launch(c, DECODE_V2, 0);
        CUDA_OK(cudaStreamSynchronize(c->stream));
        CUDA_OK(cudaMemcpy(simple.data(), p.o, 2 * elements, cudaMemcpyDeviceToHost));
    }
    for (size_t i = 0; i < elements; i++) {
        double x = bf16(got[i]), y = bf16(simple[i]);
        if (!std::isfinite(x))
            fail("output %zu of %zu is not finite or was not written", i, elements);
        apart += (x - y) * (x - y);
        sum += y * y;
        if (i < want.size()) {
            wrong += (x - want[i]) * (x - want[i]);
            all += want[i] * want[i];
        }
    }
    double error = sqrt(wrong / all);
    if (!(sqrt(apart / sum) < 1e-2))
        fail("differs from v2 by %.2e over all sequences", sqrt(apart / sum));
    if (!(error < 1e-2))
        fail("differs from the float64 reference by %.2e", error);
    return error;
}

std::string decode_params(const struct decode_point &d, const struct decode_bench &b) {
    return text(
        "batch=%d context=%d tokens=%lld longest=%d kv_heads=%d group=%d head=%d page=%d %s %s skew=%d splits=%d%s",
        d.sequences, d.context, (long long)b.tokens, b.p.longest, d.kv_heads, d.group, d.head_size, d.page_size,
        d.dtype == KV_BF16 ? "bf16" : "e4m3", d.layout == KV_NHD ? "nhd" : "hnd", d.skew, b.p.splits,
        d.splits ? "" : " rule");
}

void pool_fill(struct context *c, struct pool *pool, enum kv_dtype dtype) {
    if (!pool->filled || pool->dtype != dtype)
        fill_random(pool->memory.data, 2 * pool->half, (uint64_t)(now_s() * 1e9),
                    dtype == KV_BF16 ? FILL_BF16 : FILL_E4M3, c->stream);
    pool->filled = true;
    pool->dtype = dtype;
}
size_t pool_half(void) {
    size_t unused, all;
    CUDA_OK(cudaMemGetInfo(&unused, &all));
    return std::min((size_t)8 << 30, unused / 4) & ~((size_t)0xffff);
}

replay::replay(struct context *c, int count, const std::function<void(int)> &call) : inner(count) {
    cudaGraph_t captured;
    call(0); /* what loads lazily may not do so while a stream is captured */
    CUDA_OK(cudaStreamSynchronize(c->stream));
    CUDA_OK(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeRelaxed));
    try {
        for (int i = 0; i < inner; i++)
            call(i);
    } catch (...) {
        if (cudaStreamEndCapture(c->stream, &captured) == cudaSuccess && captured)
            cudaGraphDestroy(captured);
        cudaGetLastError();
        throw;
    }
    CUDA_OK(cudaStreamEndCapture(c->stream, &captured));
    cudaError_t status = cudaGraphInstantiate(&graph, captured, 0);
    cudaGraphDestroy(captured);
    CUDA_OK(status);
}
double replay::once(struct context *c) {
    return time_device(c, 1, 1, [&](int) { CUDA_OK(cudaGraphLaunch(graph, c->stream)); }).median_s / inner;
}
struct timing replay::time(struct context *c, int reps) {
    struct timing t = time_device(c, reps, 1, [&](int) { CUDA_OK(cudaGraphLaunch(graph, c->stream)); });
    return {t.median_s / inner, t.p10_s / inner, t.p90_s / inner, t.min_s / inner, t.count, 0.0};
}

static void decode_row(struct context *c, struct pool *pool, const struct decode_point &d, enum decode_version version,
                       const char *name) {
    std::string label = text("batch=%d context=%d kv_heads=%d group=%d head=%d page=%d", d.sequences, d.context,
                             d.kv_heads, d.group, d.head_size, d.page_size);
    row_try(c, name, label, [&] {
        pool_fill(c, pool, d.dtype);
        struct decode_bench b(c, d, pool->memory.data, pool->half);
        if (version == DECODE_V3 && !d.splits)
            b.resplit(decode_splits_v3(&b.p, c->gpu.multiProcessorCount, decode_occupancy(&b.p)));
        struct row row;
        row.error = b.check(c, version);
        row.bytes = decode_kv_bytes(&b.p, b.tokens);
        row.flops = 4.0 * (double)b.tokens * d.kv_heads * d.group * d.head_size;
        row.ceiling = c->ceilings->hbm_read_bytes_per_s;
        row.variant = version < DECODE_V3 || version == DECODE_V4
                          ? name
                          : text("%s_%s", name, b.p.splits > 1 ? "split" : "single");
        row.params = decode_params(d, b);
        int inner = row.bytes > 1e9 ? 4 : 16, calls = 0;
        row_write(c, row,
                  time_device(c,
                              version == DECODE_V1 ? 3
                              : c->quick           ? 9
                                                   : 30,
                              inner, [&](int) { b.launch(c, version, calls++); }));
    });
}

void group_versions(struct context *c) {
    struct pool pool = {device_buffer(2 * pool_half()), pool_half(), KV_BF16, false};
    static const char *const names[] = {"v1", "v2", "v3", "v4", "v5"};
    const struct decode_point points[] = {{1, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {32, 4096, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {64, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {64, 8192, 4, 7, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {64, 8192, 8, 4, 128, 16, KV_E4M3, KV_NHD, 1, 0},
                                          {64, 4096, 32, 1, 64, 16, KV_BF16, KV_HND, 1, 0},
                                          /* v3 and on: */
                                          {1, 512, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {1, 2048, 8, 8, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {1, 32768, 8, 8, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {4, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {16, 1024, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {16, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {20, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {40, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {128, 1024, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {128, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0},
                                          {64, 4096, 8, 8, 64, 16, KV_E4M3, KV_NHD, 1, 0},
                                          {64, 4096, 8, 8, 64, 16, KV_BF16, KV_NHD, 1, 0},
                                          {32, 4096, 8, 4, 128, 16, KV_BF16, KV_NHD, 8, 0},
                                          {128, 4096, 8, 4, 128, 16, KV_BF16, KV_NHD, 32, 0}};
    int old = 0;
    for (const struct decode_point &d : points) {
        for (int v = old++ < 6 ? 0 : 2; v < 5; v++)
            if (v || d.sequences * (int64_t)d.context < 300000)
                decode_row(c, &pool, d, (enum decode_version)v, names[v]);
    }
}

void group_decode(struct context *c) {
    struct pool pool = {device_buffer(2 * pool_half()), pool_half(), KV_BF16, false};
    std::vector<struct decode_point> points;
    const struct decode_point base = {1, 0, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0};
    auto add = [&](int sequences, int context, auto change) {
        struct decode_point d = base;
        d.sequences = sequences;
        d.context = context;
        change(d);
        points.push_back(d);
    };
    auto as_it_is = [](struct decode_point &) {};
    for (int b : {1, 2, 4, 8, 16, 32, 64, 128, 256}) /* batch x context up to 4 GB of KV */
        for (int n : {256, 1024, 4096, 8192, 16384, 32768, 131072})
            if ((int64_t)b * n <= 1048576 && (!c->quick || n == 4096))
                add(b, n, as_it_is);
    for (int heads : {1, 4, 8}) /* shapes */
        for (int group : {1, 4, 5, 7, 8})
            for (int b : {2, 16, 128})
                add(b, 4096, [&](struct decode_point &d) { d.kv_heads = heads, d.group = group; });
    for (int heads : {1, 4}) /* few heads, long contexts */
        for (int b : {1, 8, 32})
            for (int n : {16384, 131072})
                if ((int64_t)b * n * heads <= 8388608)
                    add(b, n, [&](struct decode_point &d) { d.kv_heads = heads; });
    for (int page : {8, 32, 64, 256})
        for (enum kv_layout layout : {KV_NHD, KV_HND})
            for (int b : {4, 64})
                add(b, 8192, [&](struct decode_point &d) { d.page_size = page, d.layout = layout; });
    for (int b : {1, 4, 16, 64, 256}) /* e4m3; heads of 64 */
        for (int n : {1024, 4096, 16384}) {
            add(b, n, [&](struct decode_point &d) { d.dtype = KV_E4M3; });
            if (n == 4096) {
                add(b, n, [&](struct decode_point &d) { d.head_size = 64, d.group = 8; });
                add(b, n, [&](struct decode_point &d) { d.head_size = 64, d.group = 8, d.dtype = KV_E4M3; });
            }
        }
    for (int b : {1, 2, 4, 8, 16, 32, 64, 128, 256})
        for (int n : {512, 2048, 8192, 32768, 131072})
            if ((int64_t)b * n <= 2097152 && !c->quick)
                add(b, n, [&](struct decode_point &d) { d.dtype = KV_E4M3; });
    for (int group : {1, 8})
        for (int heads : {4, 8})
            for (int b : {2, 8, 32, 128})
                add(b, 4096, [&](struct decode_point &d) { d.kv_heads = heads, d.group = group, d.dtype = KV_E4M3; });
    for (int b : {2, 8, 32, 128})
        for (int n : {1024, 8192})
            add(b, n, [&](struct decode_point &d) { d.head_size = 64, d.group = 8, d.dtype = KV_E4M3; });
    for (int skew : {2, 4, 8, 16, 32})
        for (int b : {8, 32, 128})
            add(b, 4096, [&](struct decode_point &d) { d.skew = skew; });
    for (int b : {1, 2, 4, 6, 8, 12, 16, 20, 24, 32}) /* where split and single pass cross */
        for (int splits : {1, 2, 4, 8, 16, 33})
            if (b * splits <= 128)
                add(b, 8192, [&](struct decode_point &d) { d.splits = splits; });
    for (const struct decode_point &d : points)
        decode_row(c, &pool, d, DECODE_LATEST, "v5");
}
