#include "validate/loop/serve.cuh"

#include <cstdlib>
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
    s->decoder->prepare(*batch);
    out->launched_s = served_now(self);
    CUDA_OK(cudaEventRecord(s->begins, s->stream));
    s->decoder->enqueue(s->stream);
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

static struct loop_summary summary_of(const struct loop &loop, double wall_s) {
    struct loop_summary out = {};
    out.wall_s = wall_s;
    out.requests = loop.trace->count;
    out.preemptions = loop.preemptions;
    for (uint32_t i = 0; i < loop.trace->count; i++) {
        const struct loop_request *r = &loop.requests[i];
        out.ttft.push_back(r->first_token_s - r->spec->arrival_s);
        if (r->spec->output_tokens > 1)
            out.tpot.push_back((r->end_s - r->first_token_s) / (r->spec->output_tokens - 1));
        out.input_tokens += r->spec->input_tokens;
        for (int t = 0; t < LOOP_TIERS; t++)
            out.hit_tokens[t] += r->hit_tokens[t];
    }
    for (uint32_t i = 0; i < loop.step_count; i++) {
        out.host.push_back(loop.steps[i].launched_s - loop.steps[i].start_s);
        out.device.push_back(loop.steps[i].device_s);
    }
    return out;
}

struct loop_summary loop_serve(struct context *c, loop_decoder &decoder, const struct loop_job &job) {
    char why[LOOP_TEXT];
    struct opened_loop opened;
    struct loop_trace trace;
    if (!loop_trace_read(job.trace, job.options.block_tokens, job.rate_scale, &trace, why))
        fail("%s", why);
    while (job.requests && trace.count > job.requests)
        free(trace.items[--trace.count].ids);
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
    double wall_s = now_s() - served.start_s;
    cudaEventDestroy(served.begins);
    cudaEventDestroy(served.ends);
    if (!loop_write(&opened.loop, c->dir, job.name, why))
        fail("%s", why);
    return summary_of(opened.loop, wall_s);
}
