/* What copies and a decode beside them take from each other; joules of decoding. */
#include "validate/micro/copying.cuh"
#include "validate/micro/decode_bench.cuh"

#include <algorithm>

/* A decode in a loop on one stream, copies in a loop on another: what each loses. */
static void overlap_row(struct context *c, const struct area &a, struct decode_bench *b, enum copy_way way,
                        bool to_host, size_t block, int ctas) {
    std::string params = text("dir=%s block=%zu ctas=%d", to_host ? "d2h" : "h2d", block, ctas);
    row_try(c, copy_ways[way], params, [&] {
        cudaStream_t other;
        cudaEvent_t e[4];
        CUDA_OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
        for (cudaEvent_t &x : e)
            CUDA_OK(cudaEventCreate(&x));
        size_t n = std::min<size_t>(2048, ((size_t)256 << 20) / block);
        struct copies k = copies_make(a, block, n, to_host, false);
        float ms;
        auto copy_alone = [&] {
            CUDA_OK(cudaEventRecord(e[0], other));
            copies_submit(k, way, ctas, other);
            CUDA_OK(cudaEventRecord(e[1], other));
        };
        std::vector<double> alone, beside, decode_alone, decode_beside;
        const int calls = 24;
        for (int rep = -1; rep < 9; rep++) { /* interleaved: copy alone, decode alone, both */
            copy_alone();
            CUDA_OK(cudaDeviceSynchronize());
            CUDA_OK(cudaEventElapsedTime(&ms, e[0], e[1]));
            alone.push_back(1e-3 * (double)ms);
            for (int both = 0; both < 2; both++) {
                spin(c->stream, 300e-6);
                for (int i = 0; i < (both ? 4 : 0); i++)
                    b->launch(c, DECODE_LATEST, i);
                CUDA_OK(cudaEventRecord(e[2], c->stream));
                for (int i = 0; i < calls; i++)
                    b->launch(c, DECODE_LATEST, i);
                CUDA_OK(cudaEventRecord(e[3], c->stream));
                if (both)
                    copy_alone();
                CUDA_OK(cudaDeviceSynchronize());
                CUDA_OK(cudaEventElapsedTime(&ms, e[2], e[3]));
                (both ? decode_beside : decode_alone).push_back(1e-3 * (double)ms / calls);
            }
            CUDA_OK(cudaEventElapsedTime(&ms, e[0], e[1]));
            beside.push_back(1e-3 * (double)ms);
        }
        struct timing t = timing_of(beside), t0 = timing_of(alone), d = timing_of(decode_beside),
                      d0 = timing_of(decode_alone);
        struct row row;
        row.variant = copy_ways[way];
        row.params = params;
        row.bytes = (double)(block * n);
        row.ceiling = to_host ? c->ceilings->d2h_bytes_per_s : c->ceilings->h2d_bytes_per_s;
        row.note = text("copy_alone_us=%.2f decode_alone_us=%.3f decode_beside_us=%.3f decode_window_us=%.1f",
                        t0.median_s * 1e6, d0.median_s * 1e6, d.median_s * 1e6, d.median_s * calls * 1e6);
        row_write(c, row, t);
        copies_verify(k);
        cudaStreamDestroy(other);
        for (cudaEvent_t &x : e)
            cudaEventDestroy(x);
    });
}

void group_overlap(struct context *c) {
    const size_t space = (size_t)1 << 30, half = (size_t)4 << 30;
    device_buffer device(space), pool(2 * half);
    host_buffer host(space);
    struct area a = {device.as<char>(), host.data, space};
    area_fill(c, a);
    fill_random(pool.data, 2 * half, 5, FILL_BF16, c->stream);
    struct decode_bench bench(c, {64, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0}, pool.data, half);
    for (int to_host = 0; to_host < 2; to_host++)
        for (size_t kb : {64, 2048}) {
            overlap_row(c, a, &bench, COPY_BATCH, to_host, kb << 10, 0);
            for (int ctas : {4, 16})
                overlap_row(c, a, &bench, COPY_KERNEL, to_host, kb << 10, ctas);
        }
}

/* Joules a call by the driver's counter, which moves every few tens of milliseconds: half a second of work or more. */
void group_energy(struct context *c) {
    if (nvml_joules() <= 0.0)
        skip("the driver has no energy counter");
    const size_t half = (size_t)4 << 30;
    device_buffer pool(2 * half);
    fill_random(pool.data, 2 * half, 5, FILL_BF16, c->stream);
    struct row row;
    row.variant = "idle";
    row.note = "a context is open; nothing runs";
    CUDA_OK(cudaDeviceSynchronize());
    double from = nvml_joules(), start = now_s();
    while (now_s() < start + 2.0)
        ;
    double seconds = now_s() - start;
    row.joules = nvml_joules() - from;
    row_write(c, row, {seconds, seconds, seconds, seconds, 1, 0.0});
    for (int sequences : {1, 8, 64})
        row_try(c, "decode", text("batch=%d", sequences), [&] {
            struct decode_point d = {sequences, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0};
            struct decode_bench b(c, d, pool.data, half);
            int calls = 0;
            for (double warm = now_s(); now_s() < warm + 0.5;) {
                b.launch(c, DECODE_LATEST, 0);
                CUDA_OK(cudaStreamSynchronize(c->stream));
            }
            double j = nvml_joules(), t = now_s();
            while (now_s() < t + 1.5) {
                for (int i = 0; i < 64; i++)
                    b.launch(c, DECODE_LATEST, calls++);
                CUDA_OK(cudaStreamSynchronize(c->stream));
            }
            double wall = now_s() - t;
            struct row r;
            r.variant = "decode";
            r.params = decode_params(d, b);
            r.bytes = decode_kv_bytes(&b.p, b.tokens);
            r.joules = (nvml_joules() - j) / calls;
            r.ceiling = c->ceilings->hbm_read_bytes_per_s;
            r.note = text("watts=%.1f", r.joules * calls / wall);
            row_write(c, r, {wall / calls, wall / calls, wall / calls, wall / calls, calls, 0.0});
        });
}
