#include "validate/loop/serve.cuh"

#include <unistd.h>

struct served {
    loop_decoder *decoder;
    loop_pages *pages;
    cudaStream_t stream;
    cudaEvent_t begins, ends;
    double start_s;
};

static double served_now(void *self) {
    return now_s() - ((struct served *)self)->start_s;
}
static void served_step(void *self, const struct loop_batch *batch, struct loop_step_time *out) {
    struct served *s = (struct served *)self;
    CUDA_OK(cudaEventRecord(s->begins, s->stream));
    out->launched_s = served_now(self);
    s->decoder->enqueue(*batch, s->stream);
    CUDA_OK(cudaEventRecord(s->ends, s->stream));
    CUDA_OK(cudaStreamSynchronize(s->stream));
    out->end_s = served_now(self);
    float device_ms = 0.0F;
    CUDA_OK(cudaEventElapsedTime(&device_ms, s->begins, s->ends));
    out->device_s = (double)device_ms * 1e-3;
}
static void served_move(void *self, uint32_t move, const struct loop_move *what) {
    ((struct served *)self)->pages->start(move, *what);
}
static bool served_landed(void *self, uint32_t move) {
    return ((struct served *)self)->pages->landed(move);
}
/* Looks again every 50 us: a step takes a hundred times as long. */
static void served_rest(void *self, double until_s) {
    double left_s = until_s - served_now(self);
    if (left_s > 0)
        usleep(left_s < 50e-6 ? (useconds_t)(left_s * 1e6) : 50);
}

struct opened_loop {
    struct loop loop;
    struct loop_trace trace = {};
    ~opened_loop() {
        if (trace.count)
            loop_close(&loop);
        loop_trace_free(&trace);
    }
};

void loop_serve(struct context *c, loop_decoder &decoder, const struct loop_job &job) {
    char why[LOOP_TEXT];
    struct opened_loop opened;
    struct loop_trace trace;
    if (!loop_trace_read(job.trace, job.options.block_tokens, job.rate_scale, &trace, why))
        fail("%s", why);
    loop_pages pages(decoder.pool(), decoder.page_bytes(), job.options.blocks, c->dir);
    pages.verify();
    struct served served = {&decoder, &pages, c->stream, nullptr, nullptr, 0.0};
    struct loop_platform platform = {&served, served_now, served_step, served_move, served_landed, served_rest};
    loop_open(&opened.loop, &job.options, &platform, &trace);
    opened.trace = trace;
    CUDA_OK(cudaEventCreate(&served.begins));
    CUDA_OK(cudaEventCreate(&served.ends));
    served.start_s = now_s();
    loop_run(&opened.loop);
    cudaEventDestroy(served.begins);
    cudaEventDestroy(served.ends);
    if (!loop_write(&opened.loop, c->dir, job.name, why))
        fail("%s", why);
}
