#include "validate/step/verify.cuh"

#include <algorithm>
#include <random>

/* bf16 is rounded at the same places on both sides: what remains is a rounding that fell the other way, and the weights
 * of attention, which the kernels round. A wrong index gives about 1. */
static const double tolerance = 3e-2;

static const struct step_dims small_dims[] = {
    {"small, group 4", 2, 256, 8, 2, 128, 256, 512, false, 500000.0, 1e-5},
    {"small, group 7 and bias", 2, 256, 7, 1, 128, 384, 512, true, 1000000.0, 1e-6},
};

/* Sequences over scattered pages, and what they should give. */
struct small_run {
    struct context *c;
    const struct step_dims &dims;
    step_decoder decoder;
    std::vector<uint16_t> weights;
    std::vector<std::vector<int>> ids;
    std::vector<std::vector<uint32_t>> pages;
    std::vector<std::vector<double>> want; /* [sequence][position][vocab] */
    double worst = 0.0;

    small_run(struct context *context, const struct step_dims &d, struct prefill_library *prefill,
              const std::vector<int> &lengths);
    struct step_sequence at(size_t sequence, int context, int query) const {
        return {query, context, pages[sequence].data(), ids[sequence].data() + (context - query)};
    }
    void step(const std::vector<struct step_sequence> &sequences, int decodes, bool graph, const char *what);
    void compare(const std::vector<struct step_sequence> &sequences, const char *what);
};

static struct step_limits small_limits(void) {
    struct step_limits limits = {96, 512, 32, 640, 32};
    return limits;
}

small_run::small_run(struct context *context, const struct step_dims &d, struct prefill_library *prefill,
                     const std::vector<int> &lengths)
    : c(context), dims(d), decoder(context, d, small_limits(), prefill), weights(step_layout(&d).elements) {
    std::mt19937_64 random((uint64_t)(now_s() * 1e9));
    std::vector<uint32_t> order((size_t)small_limits().pages);
    for (size_t i = 0; i < order.size(); i++)
        order[i] = (uint32_t)i;
    std::shuffle(order.begin(), order.end(), random);
    /* Pages begin as noise: what is read without having been written would be seen. */
    decoder.fill_pool(random());
    CUDA_OK(cudaStreamSynchronize(c->stream));
    CUDA_OK(cudaMemcpy(weights.data(), decoder.weights(), 2 * weights.size(), cudaMemcpyDeviceToHost));
    size_t used = 0;
    for (int length : lengths) {
        std::vector<int> own((size_t)length);
        for (int &id : own)
            id = (int)(random() % (uint64_t)d.vocab);
        size_t count = ((size_t)length + STEP_PAGE - 1) / STEP_PAGE;
        if (used + count > order.size())
            fail("the check's pool is too small");
        pages.emplace_back(order.begin() + (long)used, order.begin() + (long)(used + count));
        used += count;
        want.emplace_back((size_t)length * (size_t)d.vocab);
        if (step_reference(&d, weights.data(), own.data(), length, 0, length, true, want.back().data()))
            fail("no memory for the reference");
        ids.push_back(own);
    }
}

void small_run::compare(const std::vector<struct step_sequence> &sequences, const char *what) {
    std::vector<uint16_t> got;
    size_t vocab = (size_t)dims.vocab;
    decoder.logits(&got);
    for (size_t s = 0; s < sequences.size(); s++) {
        size_t which = 0;
        while (sequences[s].pages != pages[which].data())
            which++;
        const uint16_t *row = got.data() + s * vocab;
        double error = step_error(row, want[which].data() + (size_t)(sequences[s].context - 1) * vocab, vocab);
        if (!(error < tolerance))
            fail("%s: sequence %zu of %zu, %d new tokens of %d: logits differ from the float64 reference by %.2e", what,
                 s, sequences.size(), sequences[s].query, sequences[s].context, error);
        worst = std::max(worst, error);
        size_t top = 0;
        for (size_t i = 1; i < vocab; i++)
            if (step_from_bf16(row[i]) > step_from_bf16(row[top]))
                top = i;
        if ((size_t)decoder.next()[s] != top)
            fail("%s: token %d was sampled, the largest logit is of %zu", what, decoder.next()[s], top);
    }
}

void small_run::step(const std::vector<struct step_sequence> &sequences, int decodes, bool graph, const char *what) {
    decoder.prepare(sequences.data(), (int)sequences.size(), decodes);
    decoder.upload(c->stream);
    if (graph) {
        cudaGraphExec_t exec = decoder.capture();
        cudaError_t status = cudaGraphLaunch(exec, c->stream);
        decoder.download(c->stream);
        cudaError_t after = cudaStreamSynchronize(c->stream);
        cudaGraphExecDestroy(exec);
        CUDA_OK(status);
        CUDA_OK(after);
    } else {
        decoder.run(c->stream);
        decoder.download(c->stream);
        CUDA_OK(cudaStreamSynchronize(c->stream));
    }
    compare(sequences, what);
}

double step_verify_decode(struct context *c, const struct step_dims &dims) {
    small_run run(c, dims, nullptr, {40, 21});
    for (int t = 1; t <= 40; t++) {
        std::vector<struct step_sequence> now = {run.at(0, t, 1)};
        if (t > 19)
            now.push_back(run.at(1, t - 19, 1));
        run.step(now, (int)now.size(), t % 8 == 0, "decode");
    }
    return run.worst;
}

double step_verify_prefill(struct context *c, const struct step_dims &dims, struct prefill_library *prefill) {
    small_run run(c, dims, prefill, {580, 203, 90});
    run.step({run.at(0, 70, 70)}, 0, false, "first chunk");
    run.step({run.at(0, 530, 460)}, 0, false, "chunk over a prefix");
    run.step({run.at(0, 531, 1)}, 1, true, "decode over a prompt, split");
    run.step({run.at(1, 200, 200)}, 0, false, "whole prompt");
    run.step({run.at(0, 532, 1), run.at(1, 201, 1), run.at(2, 37, 37)}, 2, false, "decodes and a chunk");
    run.step({run.at(1, 202, 1), run.at(0, 579, 47), run.at(2, 77, 40)}, 1, false, "a decode and two chunks");
    run.step({run.at(0, 580, 1), run.at(1, 203, 1), run.at(2, 78, 1)}, 3, true, "three decodes");
    return run.worst;
}

struct step_verified step_verify(struct context *c, struct prefill_library *prefill) {
    struct step_verified fine = {true, prefill != nullptr};
    auto check = [&](const struct step_dims &d, const char *what, const std::function<double(void)> &body) {
        int failed = c->failed, left_out = c->left_out;
        std::string params = text("check=%s instance=%s", what, d.bias ? "group7_bias" : "group4");
        row_try(c, "verify", params, [&] {
            struct row row;
            double start = now_s();
            row.params = params;
            row.variant = "verify";
            row.error = body();
            row.note = "logits against float64; the time is of the whole check";
            row_write(c, row, timing_of({now_s() - start}));
        });
        return c->failed == failed && c->left_out == left_out;
    };
    for (const struct step_dims &d : small_dims) {
        fine.decode = check(d, "decode", [&] { return step_verify_decode(c, d); }) && fine.decode;
        bool so = check(d, "prefill", [&] {
            if (!prefill)
                skip("prefill attention is cuDNN's, which is not here");
            return step_verify_prefill(c, d, prefill);
        });
        fine.prefill = so && fine.prefill;
    }
    return fine;
}
