/* Our decode kernel, split by its rule, against cuDNN's paged attention: the same pages, the same timer, turn by turn.
 * Of cuDNN's ways and engine configurations the fastest that is right is taken. */
#include "validate/kernels/prefill.cuh"
#include "validate/micro/decode_bench.cuh"

#include <algorithm>
#include <cmath>
#include <cstring>

struct rival {
    struct prefill_library *library;
    struct prefill_plan *plan;
    struct prefill_data data;
    size_t table_ints;
    int tables;
    void launch(struct context *c, int call) const {
        char why[PREFILL_WHY] = "";
        struct prefill_data now = data;
        now.table = data.table + (size_t)(call % tables) * table_ints;
        if (!prefill_run(library, plan, &now, c->stream, why))
            fail("%s", why);
    }
};

static double difference(struct context *c, const void *a, const void *b, size_t elements) {
    std::vector<uint16_t> x(elements), y(elements);
    CUDA_OK(cudaStreamSynchronize(c->stream));
    CUDA_OK(cudaMemcpy(x.data(), a, 2 * elements, cudaMemcpyDeviceToHost));
    CUDA_OK(cudaMemcpy(y.data(), b, 2 * elements, cudaMemcpyDeviceToHost));
    double wrong = 0.0, all = 0.0;
    for (size_t i = 0; i < elements; i++) {
        uint32_t p = (uint32_t)x[i] << 16, q = (uint32_t)y[i] << 16;
        float u, v;
        memcpy(&u, &p, 4);
        memcpy(&v, &q, 4);
        wrong += ((double)u - v) * ((double)u - v);
        all += (double)v * v;
    }
    return sqrt(wrong / all); /* NaN where something was not written */
}

/* The fastest of cuDNN's ways whose output is ours; `o` and `workspaces` are what it runs with. */
static struct rival fastest(struct context *c, struct prefill_library *library, struct decode_bench &b,
                            struct prefill_shape shape, const int *ones, device_buffer &o,
                            std::vector<std::unique_ptr<device_buffer>> &workspaces, std::string *reasons) {
    struct rival best = {};
    double best_s = INFINITY;
    size_t elements = (size_t)shape.sequences * (size_t)(shape.q_heads * shape.head_size);
    for (int way : {PREFILL_GRAPH, PREFILL_UNIFIED})
        for (shape.way = way, shape.config = 0; shape.config < 3; shape.config++) {
            char why[PREFILL_WHY] = "";
            struct prefill_plan *plan = prefill_plan(library, &shape, why);
            if (!plan) {
                if (!shape.config)
                    *reasons += text("%s %s; ", prefill_way_name((enum prefill_way)way), why);
                break;
            }
            workspaces.push_back(std::make_unique<device_buffer>(std::max<size_t>(256, prefill_workspace(plan))));
            struct rival one = {
                library,
                plan,
                {b.p.q, b.p.k, b.p.v, b.p.table, ones, b.p.lengths, o.data, b.p.scale, workspaces.back()->data},
                b.table_ints,
                b.tables};
            try {
                CUDA_OK(cudaMemsetAsync(o.data, 0xff, 2 * elements, c->stream));
                one.launch(c, 0);
                double error = difference(c, o.data, b.p.o, elements);
                if (!(error < 1e-2))
                    fail("differs by %.1e", error);
                double s = time_device(c, 3, 4, [&](int i) { one.launch(c, i); }).median_s;
                if (s < best_s)
                    best_s = s, best = one;
            } catch (const std::exception &e) {
                *reasons += text("%s %d %s; ", prefill_way_name((enum prefill_way)way), shape.config, e.what());
                cudaGetLastError();
            }
        }
    return best;
}

static void versus_row(struct context *c, struct prefill_library *library, struct pool *pool,
                       const struct decode_point &d, int *won, int *points) {
    row_try(c, "versus", text("batch=%d context=%d group=%d page=%d", d.sequences, d.context, d.group, d.page_size),
            [&] {
                struct decode_bench b(c, d, pool->memory.data, pool->half);
                struct row row;
                row.error = b.check(c, DECODE_LATEST);
                row.bytes = decode_kv_bytes(&b.p, b.tokens);
                row.ceiling = c->ceilings->hbm_read_bytes_per_s;
                row.params = decode_params(d, b);
                size_t page_elements = (size_t)d.page_size * (size_t)(d.kv_heads * d.head_size);
                struct prefill_shape shape = {d.kv_heads * d.group,
                                              d.kv_heads,
                                              d.head_size,
                                              d.sequences,
                                              1,
                                              b.p.longest,
                                              d.page_size,
                                              (int)(pool->half / (2 * page_elements)),
                                              0,
                                              0,
                                              0};
                std::vector<int> host((size_t)d.sequences, 1);
                device_buffer ones(4 * host.size()), o(2 * (size_t)d.sequences * (size_t)(shape.q_heads * d.head_size));
                CUDA_OK(cudaMemcpy(ones.data, host.data(), 4 * host.size(), cudaMemcpyHostToDevice));
                std::vector<std::unique_ptr<device_buffer>> workspaces;
                std::string reasons;
                struct rival rival = fastest(c, library, b, shape, ones.as<int>(), o, workspaces, &reasons);
                if (!rival.plan)
                    fail("no way of cuDNN's works: %s", reasons.c_str());
                int inner = b.tables; /* a graph's replays read the same pages again, after all the others */
                struct replay ours(c, inner, [&](int i) { b.launch(c, DECODE_LATEST, i); }),
                    theirs(c, inner, [&](int i) { rival.launch(c, i); });
                std::vector<double> a, t;
                for (int i = 0; i < (c->quick ? 5 : 30); i++) {
                    a.push_back(ours.once(c));
                    t.push_back(theirs.once(c));
                }
                struct timing mine = timing_of(a), other = timing_of(t);
                row.variant = "ours";
                row.note = text("%.3f of cuDNN's rate", other.median_s / mine.median_s);
                row_write(c, row, mine);
                row.variant = text("cudnn_%s", prefill_way_name(prefill_plan_way(rival.plan)));
                row.note = text("engine %d; %s", prefill_plan_engine(rival.plan), reasons.c_str());
                row.error = -1.0;
                row_write(c, row, other);
                *won += other.median_s >= 0.95 * mine.median_s;
                ++*points;
            });
}

void group_versus(struct context *c) {
    char why[PREFILL_WHY] = "";
    struct prefill_library *library = prefill_open(why);
    if (!library)
        fail("%s", why);
    struct pool pool = {device_buffer(2 * pool_half()), pool_half(), KV_BF16, false};
    pool_fill(c, &pool, KV_BF16);
    const int list[24][4] = {/* batch, context, group, page */
                             {1, 512, 4, 16},   {1, 2048, 8, 64},  {1, 8192, 4, 16},   {1, 8192, 8, 16},
                             {1, 32768, 4, 16}, {1, 32768, 8, 64}, {4, 512, 8, 16},    {4, 2048, 4, 16},
                             {4, 8192, 4, 64},  {4, 32768, 8, 16}, {8, 4096, 4, 16},   {16, 1024, 4, 16},
                             {16, 8192, 4, 16}, {16, 8192, 8, 64}, {16, 32768, 4, 64}, {32, 512, 4, 16},
                             {32, 4096, 4, 16}, {32, 4096, 8, 64}, {32, 16384, 8, 16}, {64, 1024, 8, 16},
                             {64, 4096, 4, 64}, {64, 8192, 4, 16}, {128, 2048, 4, 16}, {128, 4096, 8, 64}};
    int won = 0, points = 0;
    for (auto &p : list)
        versus_row(c, library, &pool, {p[0], p[1], 8, p[2], 128, p[3], KV_BF16, KV_NHD, 1, 0}, &won, &points);
    printf("  versus: at least 0.95 of cuDNN's rate at %d of %d points\n", won, points);
    prefill_close(library);
}
