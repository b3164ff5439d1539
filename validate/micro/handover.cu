/* A context of 32 k tokens handed from GPU to GPU, block by block, while both decode: what each of the three loses. */
#include "validate/micro/decode_bench.cuh"
#include "validate/micro/gpus.cuh"

#include <algorithm>

/* One end: a decode that goes on, and the blocks. */
struct end {
    struct other_gpu gpu;
    device_buffer pool, blocks;
    std::unique_ptr<struct decode_bench> decode;
    device_event from, to;
    static const size_t half = (size_t)4 << 30;
    end(struct context *c, int device, size_t bytes) : gpu(c, device), pool(2 * half), blocks(bytes) {
        fill_random(pool.data, 2 * half, (uint64_t)device + 5, FILL_BF16, gpu.c.stream);
        fill_random(blocks.data, bytes, (uint64_t)device + 7, FILL_BITS, gpu.c.stream);
        CUDA_OK(cudaStreamSynchronize(gpu.c.stream));
        decode = std::make_unique<struct decode_bench>(
            &gpu.c, decode_point{64, 8192, 8, 4, 128, 16, KV_BF16, KV_NHD, 1, 0}, pool.data, half);
    }
    void enqueue(int device, int calls) {
        CUDA_OK(cudaSetDevice(device));
        CUDA_OK(cudaEventRecord(from.event, gpu.c.stream));
        for (int i = 0; i < calls; i++)
            decode->launch(&gpu.c, DECODE_LATEST, i);
        CUDA_OK(cudaEventRecord(to.event, gpu.c.stream));
    }
    double call_s(int calls) {
        float ms;
        CUDA_OK(cudaEventSynchronize(to.event));
        CUDA_OK(cudaEventElapsedTime(&ms, from.event, to.event));
        return 1e-3 * (double)ms / calls;
    }
};

static void handover_row(struct context *c, int from, int to, size_t block) {
    const size_t tokens = 32768, bytes = tokens * 32 * 2 * 8 * 128 * 2; /* Llama-3.1-8B: 128 KiB a token */
    std::string params = text("from=%d to=%d tokens=%zu block=%zu", from, to, tokens, block);
    row_try(c, "handover", params, [&] {
        peers_enable(from, to);
        struct end a(c, from, bytes), b(c, to, bytes);
        struct area place = {b.blocks.as<char>(), a.blocks.as<char>(), bytes};
        struct copies k = copies_make(place, block, bytes / block, false, false);
        CUDA_OK(cudaSetDevice(from));
        cudaStream_t stream;
        CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        device_event begin, done;
        std::vector<double> alone, beside, decodes[2][2];
        const int calls = 48;
        auto copy = [&] {
            float ms;
            CUDA_OK(cudaSetDevice(from));
            spin(stream, 4e-3);
            CUDA_OK(cudaEventRecord(begin.event, stream));
            copies_submit(k, COPY_LOOP, 0, stream);
            CUDA_OK(cudaEventRecord(done.event, stream));
            CUDA_OK(cudaEventSynchronize(done.event));
            CUDA_OK(cudaEventElapsedTime(&ms, begin.event, done.event));
            return 1e-3 * (double)ms;
        };
        for (int rep = 0; rep < (c->quick ? 3 : 7); rep++)
            for (bool both : {false, true}) {
                if (!both)
                    alone.push_back(copy());
                a.enqueue(from, calls);
                b.enqueue(to, calls);
                if (both)
                    beside.push_back(copy());
                decodes[0][both].push_back(a.call_s(calls));
                decodes[1][both].push_back(b.call_s(calls));
            }
        CUDA_OK(cudaSetDevice(from));
        copies_verify(k);
        cudaStreamDestroy(stream);
        struct row row;
        row.variant = "handover";
        row.params = params;
        row.bytes = (double)bytes;
        row.note = text("copy_alone_us=%.1f sender_alone_us=%.2f sender_beside_us=%.2f receiver_alone_us=%.2f "
                        "receiver_beside_us=%.2f decode_window_us=%.0f",
                        timing_of(alone).median_s * 1e6, timing_of(decodes[0][0]).median_s * 1e6,
                        timing_of(decodes[0][1]).median_s * 1e6, timing_of(decodes[1][0]).median_s * 1e6,
                        timing_of(decodes[1][1]).median_s * 1e6, timing_of(decodes[0][1]).median_s * calls * 1e6);
        row_write(c, row, timing_of(beside));
    });
    cudaSetDevice(0);
}

void group_handover(struct context *c) {
    if (c->gpus < 2)
        skip("one GPU here: a hand-over was not measured");
    for (size_t block : {(size_t)64 << 10, (size_t)2 << 20}) {
        handover_row(c, 0, 1, block);
        if (c->gpus > 2)
            handover_row(c, 0, c->gpus - 1, block);
    }
}
