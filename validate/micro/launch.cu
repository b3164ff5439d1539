/* What launches cost: t0 of the models, and the gap a layer. */
#include "validate/cuda/bench.cuh"

static __global__ void nothing(int *p) {
    if (p)
        *p = 1;
}

void group_launch(struct context *c) {
    for (int n : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000}) {
        struct row row;
        row.params = text("kernels=%d", n);
        row_try(c, "stream", row.params, [&] {
            row.variant = "stream_host";
            row.note = "host's clock; one submission after another";
            row_write(c, row, time_host(c, 30, [&] {
                          for (int i = 0; i < n; i++)
                              nothing<<<1, 32, 0, c->stream>>>(nullptr);
                      }));
        });
        row_try(c, "graph", row.params, [&] {
            cudaGraph_t graph;
            cudaGraphExec_t exec;
            CUDA_OK(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal));
            for (int i = 0; i < n; i++)
                nothing<<<1, 32, 0, c->stream>>>(nullptr);
            CUDA_OK(cudaStreamEndCapture(c->stream, &graph));
            CUDA_OK(cudaGraphInstantiate(&exec, graph, 0));
            row.variant = "graph_device";
            row.note = "device's clock; replays back to back";
            row_write(c, row, time_device(c, 30, 4, [&](int) { CUDA_OK(cudaGraphLaunch(exec, c->stream)); }));
            row.variant = "graph_host";
            row.note = "host's clock";
            row_write(c, row, time_host(c, 30, [&] { CUDA_OK(cudaGraphLaunch(exec, c->stream)); }));
            cudaGraphExecDestroy(exec);
            cudaGraphDestroy(graph);
        });
        row_try(c, "stream_device", row.params, [&] {
            row.variant = "stream_device";
            row.note = "device's clock; enqueued before the first starts";
            if (n <= 512)
                row_write(c, row, time_device(c, 30, 1, [&](int) {
                              for (int i = 0; i < n; i++)
                                  nothing<<<1, 32, 0, c->stream>>>(nullptr);
                          }));
        });
    }
}
