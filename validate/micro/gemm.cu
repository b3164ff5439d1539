/* Products of the models' shapes by cuBLASLt, as its heuristics rank them: Y = X W^T, W cold, X warm (a kernel before
 * it in the step wrote it). Checked against float64. Weights of 4 bits: cuBLASLt has no such product for Hopper. */
#include "validate/micro/products.cuh"

#include <algorithm>
#include <cstring>
#include <unistd.h>

struct shape {
    const char *name;
    int n, k;
};
static const struct shape shapes[] = {
    {"llama8b_qkv", 6144, 4096},       {"llama8b_o", 4096, 4096},        {"llama8b_gate_up", 28672, 4096},
    {"llama8b_down", 4096, 14336},     {"llama8b_head", 128256, 4096},   {"qwen7b_qkv", 4608, 3584},
    {"qwen7b_gate_up", 37888, 3584},   {"qwen7b_down", 3584, 18944},     {"qwen32b_qkv", 10240, 5120},
    {"qwen32b_o", 5120, 5120},         {"qwen32b_gate_up", 51200, 5120}, {"qwen32b_down", 5120, 27648},
    {"llama70b_tp4_qkv", 2560, 8192},  {"llama70b_tp4_o", 8192, 2048},   {"llama70b_tp4_gate_up", 14336, 8192},
    {"llama70b_tp4_down", 8192, 7168},
};
static const struct shape *shape_named(const char *name) {
    for (const struct shape &s : shapes)
        if (!strcmp(s.name, name))
            return &s;
    fail("no shape %s", name);
}

/* X, workspace and Y, then as many places of W as fit: calls rotate over them. */
struct place {
    device_buffer memory;
    size_t bytes;
    bool fp8 = false, filled = false;
    static const size_t x_bytes = (size_t)1 << 29, y_bytes = (size_t)5 << 29;
    explicit place(size_t bytes_) : memory(bytes_), bytes(bytes_) {}
    char *x() const { return memory.as<char>(); }
    char *workspace() const { return x() + x_bytes; }
    char *y() const { return workspace() + product_workspace; }
    char *w() const { return y() + y_bytes; }
    size_t w_bytes() const { return bytes - x_bytes - product_workspace - y_bytes; }
    void fill(struct context *c, bool e4m3) {
        if (!filled || fp8 != e4m3)
            fill_random(memory.data, bytes, (uint64_t)(now_s() * 1e9), e4m3 ? FILL_E4M3 : FILL_BF16, c->stream);
        filled = true;
        fp8 = e4m3;
    }
};

struct gemm_bench {
    struct product product;
    const struct product_library &library;
    const struct place &place;
    size_t weights;
    int places;
    gemm_bench(const struct product_library &l, const struct place &p, const struct shape &s, int m, bool fp8)
        : product(l, m, s.n, s.k, s.k, fp8, product_workspace), library(l), place(p) {
        size_t x = (size_t)m * (size_t)s.k, y = 2 * (size_t)m * (size_t)s.n;
        weights = (size_t)s.n * (size_t)s.k * (fp8 ? 1 : 2);
        if ((fp8 ? x : 2 * x) > place.x_bytes || y > place.y_bytes || weights > place.w_bytes())
            fail("larger than the buffers");
        places = (int)std::min<size_t>(12, place.w_bytes() / weights);
    }
    void launch(struct context *c, int algorithm, int call) const {
        product.launch(library, algorithm, place.w() + (size_t)(call % places) * weights, place.x(), place.y(),
                       place.workspace(), product_workspace, c->stream);
    }
    double check(struct context *c, int algorithm) const {
        CUDA_OK(cudaMemsetAsync(place.y(), 0xff, 2 * (size_t)product.m * (size_t)product.n, c->stream));
        launch(c, algorithm, 0);
        return product_check(c, library, place.x(), product.k, place.w(), place.y(), product.m, product.n, product.k,
                             product.fp8);
    }
};

static struct row gemm_row(struct context *c, const struct shape &s, int m, bool fp8) {
    struct row row;
    row.params = text("shape=%s m=%d n=%d k=%d %s", s.name, m, s.n, s.k, fp8 ? "e4m3" : "bf16");
    row.flops = 2.0 * m * (double)s.n * s.k;
    double least = ((double)s.n * s.k + (double)m * s.k) * (fp8 ? 1 : 2) + 2.0 * m * s.n;
    row.bytes = m < 256 ? least : 0.0;
    row.ceiling = m < 256 ? c->ceilings->hbm_read_bytes_per_s : c->ceilings->bf16_flops * (fp8 ? 2.0 : 1.0);
    return row;
}

static void gemm_rows(struct context *c, const struct product_library &library, struct place *place,
                      const struct shape &s, int m, bool fp8) {
    if (c->quick && ((m != 1 && m != 16 && m != 256 && m != 4096) || strncmp(s.name, "llama", 5)))
        return;
    row_try(c, "cublaslt", text("shape=%s m=%d %s", s.name, m, fp8 ? "e4m3" : "bf16"), [&] {
        place->fill(c, fp8);
        struct gemm_bench b(library, *place, s, m, fp8);
        int best = 0, inner = 2.0 * m * (double)s.n * s.k > 2e11 ? 2 : 6, calls = 0;
        double first_s = 0.0, best_s = 1e9;
        for (int a = 0; a < b.product.count; a++) {
            double t = time_device(c, m < 1024 ? 3 : 2, inner, [&](int) { b.launch(c, a, calls++); }).min_s;
            if (a == 0)
                first_s = t;
            if (t < best_s)
                best_s = t, best = a;
        }
        for (int a : {0, best}) {
            if (a && best_s > 0.97 * first_s)
                break;
            struct row row = gemm_row(c, s, m, fp8);
            row.variant = a ? "cublaslt_best" : "cublaslt";
            row.error = b.check(c, a);
            row.note = text("algorithm %d of %d%s%s; waves=%.2f workspace=%zu", a, b.product.count, fp8 ? "; " : "",
                            fp8 ? fp8_mode_names[library.fp8] : "", (double)b.product.found[a].wavesCount,
                            b.product.found[a].workspaceSize);
            for (double warm = now_s();
                 m >= 512 && now_s() < warm + (m >= 1024 ? 0.1 : 0.03);) { /* the clock that a prefill sees */
                b.launch(c, a, calls++);
                CUDA_OK(cudaStreamSynchronize(c->stream));
            }
            row_write(c, row, time_device(c, c->quick ? 5 : 15, inner, [&](int) { b.launch(c, a, calls++); }));
            if (!best)
                break;
        }
    });
}

/* What an engine with one kernel for all batches has: the kernel that is chosen for `chosen_for` tokens, run with m. */
static void borrowed_row(struct context *c, const struct product_library &library, struct place *place,
                         const struct shape &s, int m, int chosen_for, int splits, const char *variant) {
    if (c->quick && m != 1 && m != 16)
        return;
    row_try(c, variant, text("shape=%s m=%d bf16", s.name, m), [&] {
        place->fill(c, false);
        struct gemm_bench b(library, *place, s, m, false), lender(library, *place, s, chosen_for, false);
        b.product.borrow(library, lender.product.found[0].algo, splits);
        int splits_now = 0, tile = 0, calls = 0;
        size_t unused;
        const cublasLtMatmulAlgo_t *algorithm = &b.product.found[0].algo;
        cublasLtMatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits_now, 4, &unused);
        cublasLtMatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID, &tile, 4, &unused);
        struct row row = gemm_row(c, s, m, false);
        row.variant = variant;
        row.error = b.check(c, 0);
        row.note = text("chosen for m=%d; splits=%d tile_id=%d waves=%.2f workspace=%zu", chosen_for, splits_now, tile,
                        (double)b.product.found[0].wavesCount, b.product.found[0].workspaceSize);
        row_write(c, row, time_device(c, c->quick ? 5 : 15, 6, [&](int) { b.launch(c, 0, calls++); }));
    });
}

static size_t spare_memory(void) {
    size_t unused, all;
    CUDA_OK(cudaMemGetInfo(&unused, &all));
    return std::min((size_t)12 << 30, unused * 3 / 4) & ~(size_t)4095;
}

void group_gemm(struct context *c) {
    struct place place(spare_memory());
    struct product_library library(c);
    for (int m : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192})
        for (const struct shape &s : shapes)
            if (m <= 1024 || s.n < 100000) /* the head sees one token a sequence */
                gemm_rows(c, library, &place, s, m, false);
    for (int m : {640, 768, 896, 1056, 1152, 1280, 1536, 2176}) /* where a wave of tiles ends */
        for (const char *name : {"llama8b_o", "llama8b_gate_up", "qwen7b_down"})
            gemm_rows(c, library, &place, *shape_named(name), m, false);
    for (int m : {1, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192})
        for (const char *name : {"llama8b_qkv", "llama8b_o", "llama8b_gate_up", "llama8b_down", "qwen32b_gate_up",
                                 "llama70b_tp4_qkv", "llama70b_tp4_gate_up", "llama70b_tp4_down"})
            gemm_rows(c, library, &place, *shape_named(name), m, true);
    row_try(c, "cublaslt", "4-bit weights",
            [] { skip("no library of the toolkit multiplies 4-bit weights on Hopper"); });
}

/* --- one kernel for all batches: for many tokens, for few, and split over the depth whatever the batch. */
void group_one_kernel(struct context *c) {
    struct place place(spare_memory());
    struct product_library library(c);
    for (const char *name : {"llama8b_qkv", "llama8b_o", "llama8b_gate_up", "llama8b_down"})
        for (int m : {1, 2, 4, 8, 16, 32, 64, 128, 256}) { /* kernels for many, for few, and split over the depth */
            borrowed_row(c, library, &place, *shape_named(name), m, 512, 0, "chosen_for_512");
            borrowed_row(c, library, &place, *shape_named(name), m, 8, 0, "chosen_for_8");
            for (int splits : {1, 2, 4})
                if (m <= 16)
                    borrowed_row(c, library, &place, *shape_named(name), m, m, splits,
                                 splits == 1   ? "splits_1"
                                 : splits == 2 ? "splits_2"
                                               : "splits_4");
        }
}

/* --- power: the same product as a burst after 200 ms of idling, and as a serving GPU has it, on and on. */
static double enqueue_window(struct context *c, const struct gemm_bench &b, int calls, int *next, cudaEvent_t from,
                             cudaEvent_t to) {
    CUDA_OK(cudaEventRecord(from, c->stream));
    for (int i = 0; i < calls; i++)
        b.launch(c, 0, (*next)++);
    CUDA_OK(cudaEventRecord(to, c->stream));
    return now_s();
}
static double window_seconds(cudaEvent_t from, cudaEvent_t to) {
    float ms;
    CUDA_OK(cudaEventSynchronize(to));
    CUDA_OK(cudaEventElapsedTime(&ms, from, to));
    return 1e-3 * (double)ms;
}

static void burst_row(struct context *c, const struct gemm_bench &b, struct row row, double call_s) {
    device_event from, to;
    std::vector<double> seconds;
    int calls = std::max(1, (int)(20e-3 / call_s)), next = 0, mhz = 0;
    for (int rep = 0; rep < (c->quick ? 3 : 6); rep++) {
        CUDA_OK(cudaStreamSynchronize(c->stream));
        usleep(200000);
        enqueue_window(c, b, calls, &next, from.event, to.event);
        mhz = nvml_sm_mhz();
        seconds.push_back(window_seconds(from.event, to.event) / calls);
    }
    row.variant = "burst";
    row.note = text("20 ms of %d calls after 200 ms idle", calls);
    struct timing t = timing_of(seconds);
    t.sm_mhz = mhz;
    row_write(c, row, t);
}

static void sustained_row(struct context *c, const struct gemm_bench &b, struct row row, double call_s) {
    const int windows = c->quick ? 60 : 120, calls = std::max(1, (int)(10e-3 / call_s));
    std::vector<std::unique_ptr<device_event>> from, to;
    for (int i = 0; i < windows; i++) {
        from.push_back(std::make_unique<device_event>());
        to.push_back(std::make_unique<device_event>());
    }
    std::vector<double> late;
    std::vector<int> mhz;
    std::string trace;
    int next = 0;
    double joules = 0.0, at = 0.0, elapsed = 0.0, start = now_s();
    for (int i = -2; i < windows; i++) { /* two windows are always enqueued */
        if (i + 2 < windows)
            enqueue_window(c, b, calls, &next, from[(size_t)i + 2]->event, to[(size_t)i + 2]->event);
        if (i < 0)
            continue;
        double s = window_seconds(from[(size_t)i]->event, to[(size_t)i]->event) / calls;
        elapsed = now_s();
        mhz.push_back(nvml_sm_mhz());
        if (i == windows / 2)
            joules = nvml_joules(), at = elapsed;
        if (i >= windows / 2)
            late.push_back(s);
        for (int mark : {1, 2, 5, 10, 20, 50, 100})
            if (i == mark)
                trace += text(" %.0fms:%.1fus/%dMHz", (elapsed - start) * 1e3, s * 1e6, mhz.back());
    }
    struct timing t = timing_of(late);
    std::sort(mhz.begin() + windows / 2, mhz.end());
    t.sm_mhz = mhz[(size_t)(windows / 2 + windows) / 2];
    double watts = (nvml_joules() - joules) / (elapsed - at);
    if (joules > 0.0)
        row.joules = watts * t.median_s;
    row.variant = "sustained";
    row.note = text("watts=%.0f; after%s", joules > 0.0 ? watts : 0.0, trace.c_str());
    row_write(c, row, t);
}

void group_power(struct context *c) {
    struct place place(spare_memory());
    struct product_library library(c);
    static const struct {
        const char *shape;
        int m;
        bool fp8;
    } points[] = {{"llama8b_gate_up", 16, false},     {"llama8b_gate_up", 256, false},
                  {"llama8b_gate_up", 1024, false},   {"llama8b_gate_up", 8192, false},
                  {"llama70b_tp4_down", 2048, false}, {"llama8b_gate_up", 256, true},
                  {"llama8b_gate_up", 8192, true}};
    for (const auto &p : points) {
        if (c->quick && p.m != 8192)
            continue;
        row_try(c, "sustained", text("shape=%s m=%d %s", p.shape, p.m, p.fp8 ? "e4m3" : "bf16"), [&] {
            place.fill(c, p.fp8);
            const struct shape &s = *shape_named(p.shape);
            struct gemm_bench b(library, place, s, p.m, p.fp8);
            struct row row = gemm_row(c, s, p.m, p.fp8);
            row.error = b.check(c, 0);
            double call_s = time_device(c, 3, 2, [&](int i) { b.launch(c, 0, i); }).median_s;
            burst_row(c, b, row, call_s);
            sustained_row(c, b, row, call_s);
        });
    }
}
