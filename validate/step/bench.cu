/* group step: whole steps of Llama-3.1-8B and Qwen2.5-7B with random weights. */
#include "validate/step/verify.cuh"

#include <algorithm>
#include <random>

static const double pool_most = 60e9, kept_free = 1.5e9; /* bytes: of KV; for plans and graphs */
enum { STAGING_PAGES = 256 };

/* Copies of whole pages on a stream of their own while a step runs. They are of pages that no step uses. */
struct traffic {
    struct host_buffer host;
    cudaStream_t stream = nullptr;
    struct device_event go;
    size_t page;
    char *pool;
    explicit traffic(step_decoder &decoder)
        : host(STAGING_PAGES * decoder.page_bytes()), go(cudaEventDisableTiming), page(decoder.page_bytes()),
          pool(decoder.pool()) {
        CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    }
    ~traffic() {
        cudaStreamSynchronize(stream);
        cudaStreamDestroy(stream);
    }
    void start(struct context *c, size_t count, bool to_host) {
        CUDA_OK(cudaEventRecord(go.event, c->stream));
        CUDA_OK(cudaStreamWaitEvent(stream, go.event, 0));
        for (size_t done = 0; done < count;) {
            size_t n = std::min<size_t>(STAGING_PAGES, count - done);
            char *a = pool, *b = host.data; /* the first pages are kept for it */
            CUDA_OK(to_host ? cudaMemcpyAsync(b, a, n * page, cudaMemcpyDeviceToHost, stream)
                            : cudaMemcpyAsync(a, b, n * page, cudaMemcpyHostToDevice, stream));
            done += n;
        }
    }
};

/* One model: its decoder, and sequences over pages in random order. */
struct step_bench {
    const struct step_dims &dims;
    step_decoder decoder;
    int64_t pages;
    struct traffic traffic;
    std::vector<uint32_t> order;
    std::vector<int> ids;
    step_bench(struct context *c, const struct step_dims &d, int64_t count, struct prefill_library *prefill)
        : dims(d), decoder(c, d, {count, 8192 + 256, 256 + 32, 16384 + 2048, 1}, prefill), pages(count),
          traffic(decoder) {
        std::mt19937_64 random((uint64_t)(now_s() * 1e9));
        for (int64_t i = STAGING_PAGES; i < count; i++)
            order.push_back((uint32_t)i);
        std::shuffle(order.begin(), order.end(), random);
        for (int i = 0; i < 8192; i++)
            ids.push_back((int)(random() % (uint64_t)d.vocab));
        decoder.fill_pool(random());
        CUDA_OK(cudaStreamSynchronize(c->stream));
    }
    void prepare(struct context *c, const struct step_point &p);
};

void step_bench::prepare(struct context *c, const struct step_point &p) {
    std::vector<struct step_sequence> sequences;
    size_t used = 0;
    auto add = [&](int query, int context) {
        size_t count = ((size_t)context + STEP_PAGE - 1) / STEP_PAGE;
        if (used + count > order.size())
            fail("too few pages");
        sequences.push_back({query, context, order.data() + used, ids.data() + sequences.size() % 4096});
        used += count;
    };
    for (int i = 0; i < p.batch; i++)
        add(1, p.context);
    if (p.chunk) {
        add(p.chunk, p.chunk + p.prefix);
        sequences.back().ids = ids.data();
    }
    decoder.prepare(sequences.data(), (int)sequences.size(), p.batch);
    decoder.upload(c->stream);
    decoder.run(c->stream); /* libraries load their kernels */
    CUDA_OK(cudaStreamSynchronize(c->stream));
}

/* Ends the graph with the row. */
struct graph_exec {
    cudaGraphExec_t exec = nullptr;
    ~graph_exec() {
        if (exec)
            cudaGraphExecDestroy(exec);
    }
};

static void step_row(struct context *c, struct step_bench &b, const struct step_point &p) {
    char params[STEP_PARAMS];
    step_params(&b.dims, &p, params);
    const char *variant = p.kind == STEP_DECODE ? "graph" : "eager";
    row_try(c, variant, params, [&] {
        struct graph_exec graph;
        b.prepare(c, p);
        if (p.kind == STEP_DECODE)
            graph.exec = b.decoder.capture();
        auto launch = [&] {
            if (graph.exec)
                CUDA_OK(cudaGraphLaunch(graph.exec, c->stream));
            else
                b.decoder.run(c->stream);
        };
        struct row row;
        row.variant = variant;
        row.params = params;
        row.bytes = step_bytes(&b.dims, &p);
        row.flops = step_flops(&b.dims, &p);
        row.ceiling = c->ceilings->hbm_read_bytes_per_s;
        /* As a server has it: the host waits for each step's tokens before the next. */
        struct timing wall = time_host(c, c->quick ? 2 : 3, [&] {
            b.decoder.upload(c->stream);
            launch();
            b.decoder.download(c->stream);
        });
        size_t copied = 0;
        if (p.offload != STEP_ALONE) /* a tenth more than the link brings meanwhile, so that it is never idle */
            copied = (size_t)(1.1 * wall.median_s * 56e9 / (double)b.traffic.page) + 1;
        int reps = c->quick ? 3 : p.kind == STEP_DECODE ? 11 : 5;
        struct timing t = time_device(c, reps, 1, [&](int) {
            if (copied)
                b.traffic.start(c, copied, p.offload == STEP_D2H);
            launch();
        });
        CUDA_OK(cudaStreamSynchronize(b.traffic.stream));
        t.submit_s = wall.submit_s;
        row.note =
            text("host to host %.1f us; %.0f TFLOP/s; splits %d%s", 1e6 * wall.median_s, 1e-12 * row.flops / t.median_s,
                 b.decoder.splits(),
                 copied ? text("; %.0f MB copied beside it", 1e-6 * (double)(copied * b.traffic.page)).c_str() : "");
        row_write(c, row, t);
    });
}

static void model_rows(struct context *c, const struct step_dims &dims, struct prefill_library *prefill) {
    row_try(c, "model", text("model=%s", dims.name), [&] {
        size_t unused = 0, all = 0, page = 2 * step_page_elements(&dims);
        CUDA_OK(cudaMemGetInfo(&unused, &all));
        /* Weights; a row a token of what the layers hand on; logits. */
        double rows =
            2.0 * 8448 * (2.0 * dims.q_heads * dims.head + step_qkv_width(&dims) + 3.0 * dims.hidden + 3.0 * dims.ffn);
        double fixed = 2.0 * (double)step_layout(&dims).elements + rows + 2.0 * 288 * dims.vocab + kept_free;
        double left = std::min(pool_most, (double)unused - fixed);
        int64_t pages = (int64_t)(left / (double)page);
        if (pages < 1024 + STAGING_PAGES)
            skip("too little GPU memory: %.1f GB are free, weights and buffers take %.1f", 1e-9 * (double)unused,
                 1e-9 * fixed);
        double start = now_s();
        struct step_bench bench(c, dims, pages, prefill);
        printf("  %s: %lld pages of KV, ready in %.1f s\n", dims.name, (long long)pages, now_s() - start);
        struct step_point points[STEP_POINTS_MAX];
        int count = step_points(pages - STAGING_PAGES, c->quick, points);
        for (int i = 0; i < count; i++)
            step_row(c, bench, points[i]);
    });
}

void group_step(struct context *c) {
    char why[PREFILL_WHY] = "";
    struct prefill_library *prefill = prefill_open(why);
    if (!prefill)
        printf("  no prefill: %s\n", why);
    struct step_verified fine = step_verify(c, prefill);
    for (const struct step_dims *d : {&step_llama, &step_qwen})
        if (fine.decode)
            model_rows(c, *d, fine.prefill ? prefill : nullptr); /* without, its rows are skipped, and say so */
        else
            row_try(c, "model", text("model=%s", d->name),
                    [] { skip("steps that compute something else are not timed"); });
    prefill_close(prefill);
}
