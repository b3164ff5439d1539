/* Prefill attention by cuDNN over pages of 16 tokens, as an engine has it; some points over contiguous K and V too.
 * Pages are cold (tables rotate over the pool), Q is fresh from the kernel before it in a step, so it may be warm. */
#include "validate/kernels/prefill.cuh"
#include "validate/micro/decode_bench.cuh"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

struct prefill_point {
    int batch, length, prefix, q_heads, kv_heads, head, page;
    enum prefill_way way;
};

/* What a point needs on the device. */
struct prefill_bench {
    struct prefill_shape shape;
    struct prefill_data data;
    int tables, rotated; /* page tables; copies of Q and O */
    size_t table_ints, rows;
    std::unique_ptr<device_buffer> q, o, table, lengths, workspace;
    prefill_bench(struct context *c, const struct prefill_point &d, const struct pool &pool);
    struct prefill_data at(int call) const {
        struct prefill_data now = data;
        size_t elements = rows * (size_t)(shape.q_heads * shape.head_size) * (size_t)(call % rotated);
        now.q = (const char *)data.q + 2 * elements;
        now.o = (char *)data.o + 2 * elements;
        if (shape.page_size)
            now.table = data.table + (size_t)(call % tables) * table_ints;
        return now;
    }
};

prefill_bench::prefill_bench(struct context *c, const struct prefill_point &d, const struct pool &pool) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    int keys = d.prefix + d.length;
    shape = {d.q_heads, d.kv_heads, d.head, d.batch, d.length, keys, d.page, 0, 0, d.way, 0};
    rows = (size_t)d.batch * (size_t)d.length;
    size_t elements = rows * (size_t)(d.q_heads * d.head);
    rotated = (int)std::min<size_t>(16, std::max<size_t>(1, ((size_t)256 << 20) / (2 * elements)));
    q = std::make_unique<device_buffer>(2 * elements * (size_t)rotated);
    o = std::make_unique<device_buffer>(2 * elements * (size_t)rotated);
    fill_random(q->data, 2 * elements * (size_t)rotated, random(), FILL_BF16, c->stream);
    std::vector<int> host(2 * (size_t)d.batch);
    for (int s = 0; s < d.batch; s++) {
        host[(size_t)s] = d.length;
        host[(size_t)(d.batch + s)] = keys;
    }
    lengths = std::make_unique<device_buffer>(4 * host.size());
    CUDA_OK(cudaMemcpy(lengths->data, host.data(), 4 * host.size(), cudaMemcpyHostToDevice));
    data = {q->data,
            pool.memory.data,
            (char *)pool.memory.data + pool.half,
            nullptr,
            lengths->as<int>(),
            lengths->as<int>() + d.batch,
            o->data,
            1.0f / sqrtf((float)d.head),
            nullptr};
    tables = 1;
    table_ints = 0;
    if (!d.page)
        return;
    size_t width = (size_t)prefill_table_width(&shape);
    table_ints = (size_t)d.batch * width;
    shape.pages = (int)(pool.half / (2 * (size_t)d.page * (size_t)(d.kv_heads * d.head)));
    tables = (int)std::min<size_t>(16, (size_t)shape.pages / table_ints);
    if (tables < 1)
        fail("the pool holds %d pages, %zu are wanted", shape.pages, table_ints);
    std::vector<int> order(table_ints * (size_t)tables);
    for (size_t i = 0; i < order.size(); i++)
        order[i] = (int)((double)i * (double)shape.pages / (double)order.size());
    std::shuffle(order.begin(), order.end(), random);
    table = std::make_unique<device_buffer>(4 * order.size());
    CUDA_OK(cudaMemcpy(table->data, order.data(), 4 * order.size(), cudaMemcpyHostToDevice));
    data.table = table->as<int>();
}

static float bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
}

/* Sampled rows against float64: the first and last token of each sequence, and others. */
static double check(struct context *c, const struct prefill_bench &b, const std::function<void(int)> &launch) {
    const struct prefill_shape &s = b.shape;
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    std::vector<int> rows;
    auto add = [&](int seq, int token) {
        rows.insert(rows.end(), {seq, token, (int)(random() % (uint64_t)s.q_heads)});
    };
    for (int i = 0; i < s.sequences; i++) {
        add(i, 0);
        add(i, s.most_new - 1);
    }
    while (rows.size() < 3 * 64)
        add((int)(random() % (uint64_t)s.sequences), (int)(random() % (uint64_t)s.most_new));
    size_t count = rows.size() / 3, d = (size_t)s.head_size, width = (size_t)s.q_heads * d;
    device_buffer at(4 * rows.size()), ref(8 * count * d), scores(8 * count * (size_t)s.most_keys);
    CUDA_OK(cudaMemcpy(at.data, rows.data(), 4 * rows.size(), cudaMemcpyHostToDevice));
    struct prefill_data first = b.at(0);
    CUDA_OK(prefill_reference(&s, &first, at.as<int>(), (int)count, ref.as<double>(), scores.as<double>(), c->stream));
    CUDA_OK(cudaMemsetAsync(first.o, 0xff, 2 * b.rows * width, c->stream));
    launch(0);
    std::vector<double> want(count * d);
    std::vector<uint16_t> got(b.rows * width);
    CUDA_OK(cudaStreamSynchronize(c->stream));
    CUDA_OK(cudaMemcpy(want.data(), ref.data, 8 * want.size(), cudaMemcpyDeviceToHost));
    CUDA_OK(cudaMemcpy(got.data(), first.o, 2 * got.size(), cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < got.size(); i++)
        if ((got[i] & 0x7f80) == 0x7f80)
            fail("output %zu of %zu is not finite or was not written", i, got.size());
    double wrong = 0.0, all = 0.0;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < d; i++) {
            size_t row = (size_t)rows[3 * r] * (size_t)s.most_new + (size_t)rows[3 * r + 1];
            double x = bf16(got[row * width + (size_t)rows[3 * r + 2] * d + i]), y = want[r * d + i];
            wrong += (x - y) * (x - y);
            all += y * y;
        }
    double error = sqrt(wrong / all);
    if (!(error < 2e-2))
        fail("differs from the float64 reference by %.2e", error);
    return error;
}

static void prefill_row(struct context *c, struct prefill_library *library, const struct pool &pool,
                        const struct prefill_point &d) {
    std::string params = text("length=%d prefix=%d batch=%d q_heads=%d kv_heads=%d head=%d page=%d%s", d.length,
                              d.prefix, d.batch, d.q_heads, d.kv_heads, d.head, d.page,
                              !d.page                   ? " contiguous"
                              : d.way == PREFILL_GRAPH  ? " in_place"
                              : d.way == PREFILL_GATHER ? " gathered"
                                                        : "");
    row_try(c, "cudnn", params, [&] {
        char why[PREFILL_WHY] = "";
        struct prefill_bench b(c, d, pool);
        struct prefill_plan *plan = prefill_plan(library, &b.shape, why);
        if (!plan)
            fail("%s", why);
        b.workspace = std::make_unique<device_buffer>(std::max<size_t>(256, prefill_workspace(plan)));
        b.data.workspace = b.workspace->data;
        auto launch = [&](int call) {
            struct prefill_data now = b.at(call);
            if (!prefill_run(library, plan, &now, c->stream, why))
                fail("%s", why);
        };
        struct row row;
        double tokens = (double)d.batch * d.length, context = tokens + (double)d.batch * d.prefix;
        row.error = check(c, b, launch);
        row.bytes = tokens * 4.0 * (d.q_heads + d.kv_heads) * d.head +
                    (context - tokens) * 4.0 * d.kv_heads * d.head; /* as models/attention.c counts */
        row.flops = tokens * (d.prefix + (d.length + 1.0) / 2.0) * 4.0 * d.q_heads * d.head;
        row.variant = text("cudnn_%s", prefill_way_name(prefill_plan_way(plan)));
        row.params = params;
        struct replay replay(c, row.flops > 1e11 ? 1 : 16, launch);
        struct timing t = replay.time(c, c->quick ? 5 : 30);
        row.note = text("%.0f TFLOP/s; engine %d; plan %.0f ms", row.flops / t.median_s * 1e-12,
                        prefill_plan_engine(plan), 1e3 * prefill_plan_seconds(plan));
        row_write(c, row, t);
    });
}

void group_prefill(struct context *c) {
    char why[PREFILL_WHY] = "";
    struct prefill_library *library = prefill_open(why);
    if (!library)
        fail("%s", why);
    struct pool pool = {device_buffer(2 * pool_half()), pool_half(), KV_BF16, false};
    pool_fill(c, &pool, KV_BF16);
    std::vector<struct prefill_point> points;
    const int heads[3][2] = {{32, 8}, {28, 4}, {16, 2}}; /* Llama-3.1-8B, Qwen2.5-7B, Llama-3.1-70B over four GPUs */
    for (auto &h : heads) {
        for (int n : {128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768})
            points.push_back({1, n, 0, h[0], h[1], 128, 16, PREFILL_ANY});
        for (int n : {128, 512, 2048, 8192})
            for (int prefix : {2048, 8192, 32768, 65536})
                points.push_back({1, n, prefix, h[0], h[1], 128, 16, PREFILL_ANY});
        const int batches[6][2] = {{4, 128}, {2, 2048}, {4, 1024}, {8, 512}, {16, 128}, {16, 512}};
        for (auto &b : batches)
            points.push_back({b[0], b[1], 0, h[0], h[1], 128, 16, PREFILL_ANY});
    }
    /* What pages cost: contiguous K and V, pages read in place, pages gathered first */
    const int ways[][3] = {{1, 512, 0},    {1, 2048, 0},    {1, 8192, 0},     {1, 128, 8192},
                           {1, 512, 8192}, {1, 512, 65536}, {1, 2048, 32768}, {16, 128, 0}};
    for (auto &w : ways) {
        points.push_back({w[0], w[1], w[2], 32, 8, 128, 0, PREFILL_ANY});
        for (enum prefill_way way : {PREFILL_GRAPH, PREFILL_GATHER})
            for (int page : {16, 64})
                points.push_back({w[0], w[1], w[2], 32, 8, 128, page, way});
    }
    for (const struct prefill_point &d : points)
        if (!c->quick || d.length == 512)
            prefill_row(c, library, pool, d);
    prefill_close(library);
}
