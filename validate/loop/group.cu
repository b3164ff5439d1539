/* group loop: the serving loop over Llama-3.1-8B with random weights, at two rates of the committed trace. */
#include "validate/loop/serve.cuh"
#include "validate/step/verify.cuh"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/statvfs.h>

enum { BLOCKS_HBM = 8192, BLOCKS_DRAM = 12288, BLOCKS_SSD = 16384, BUDGET = 2048, SEQUENCES = 64, LONGEST = 8192 };

/* The step's decoder as the loop asks for it. Decode steps are graphs, one for each batch and number of splits; steps
 * with prompts go kernel by kernel. */
class looped_decoder : public loop_decoder {
  public:
    looped_decoder(struct context *c, struct prefill_library *prefill)
        : decoder_(c, step_llama, {BLOCKS_HBM, BUDGET, SEQUENCES, LONGEST, 32}, prefill) {
        ids_.resize(BUDGET);
        decoder_.fill_pool((uint64_t)(now_s() * 1e9));
        decoder_.warm_up();
        for (int batch = 1; batch <= SEQUENCES; batch++)
            capture(batch, c->gpu.multiProcessorCount, c->stream);
    }
    ~looped_decoder() override {
        for (auto &graph : graphs_)
            cudaGraphExecDestroy(graph.second);
    }
    char *pool(void) override { return decoder_.pool(); }
    size_t page_bytes(void) const override { return decoder_.page_bytes(); }
    size_t graphs(void) const { return graphs_.size(); }

    void prepare(const struct loop_batch &batch) override {
        see_tokens();
        sequences_.clear();
        requests_.clear();
        size_t used = 0;
        for (uint32_t i = 0; i < batch.count; i++) {
            const struct loop_item &item = batch.items[i];
            int *ids = ids_.data() + used;
            uint32_t from = item.context - item.query;
            for (uint32_t k = 0; k < item.query; k++)
                ids[k] = token_at(item.request, from + k, i < batch.decodes);
            used += item.query;
            sequences_.push_back({(int)item.query, (int)item.context, item.blocks, ids});
            requests_.push_back(item.request);
        }
        decoder_.prepare(sequences_.data(), (int)batch.count, (int)batch.decodes);
        graph_ = nullptr;
        if (batch.decodes == batch.count) {
            auto found = graphs_.find({(int)batch.count, decoder_.splits()});
            graph_ = found == graphs_.end() ? nullptr : found->second;
        }
    }
    void enqueue(cudaStream_t stream) override {
        decoder_.upload(stream);
        if (graph_)
            CUDA_OK(cudaGraphLaunch(graph_, stream));
        else
            decoder_.run(stream);
        decoder_.download(stream);
    }

  private:
    /* All numbers of splits that the rule can give for the batch. */
    void capture(int batch, int sms, cudaStream_t stream) {
        std::vector<uint32_t> pages(LONGEST / STEP_PAGE, 0);
        struct decode_problem p = {};
        p.sequences = batch;
        p.kv_heads = step_llama.kv_heads;
        for (p.longest = 256; p.longest <= LONGEST; p.longest += 256) {
            int splits = decode_splits(&p, sms);
            if (graphs_.count({batch, splits}))
                continue;
            sequences_.assign((size_t)batch, {1, p.longest, pages.data(), ids_.data()});
            decoder_.prepare(sequences_.data(), batch, batch);
            decoder_.upload(stream);
            CUDA_OK(cudaStreamSynchronize(stream)); /* before the next one overwrites what is copied */
            graphs_[{batch, splits}] = decoder_.capture();
        }
    }
    /* The tokens that the last step sampled. */
    void see_tokens(void) {
        for (size_t i = 0; i < requests_.size(); i++) {
            if (requests_[i] >= last_.size())
                last_.resize(requests_[i] + 1, 0);
            last_[requests_[i]] = decoder_.next()[i];
        }
    }
    /* A prompt's tokens depend on their place alone, so that equal prefixes are equal; a decode's is the last sampled.
     */
    int token_at(uint32_t request, uint32_t position, bool decode) const {
        if (decode && request < last_.size())
            return last_[request];
        return (int)(position * 2654435761u % (uint32_t)step_llama.vocab);
    }

    step_decoder decoder_;
    std::map<std::pair<int, int>, cudaGraphExec_t> graphs_;
    cudaGraphExec_t graph_ = nullptr;
    std::vector<struct step_sequence> sequences_;
    std::vector<uint32_t> requests_;
    std::vector<int> ids_, last_;
};

/* Of the file's blocks, those that the disk has room for. */
static uint32_t blocks_on_disk(struct context *c, size_t page_bytes) {
    struct statvfs disk;
    if (statvfs(c->dir, &disk))
        fail("%s: %s", c->dir, strerror(errno));
    double fit = 0.9 * (double)disk.f_bavail * (double)disk.f_frsize / (double)page_bytes;
    if (fit < 64)
        fail("%s: too little room for the loop's file", c->dir);
    if (fit < BLOCKS_SSD)
        printf("  the disk has room for %.0f of %d blocks\n", fit, (int)BLOCKS_SSD);
    return fit < BLOCKS_SSD ? (uint32_t)fit : (uint32_t)BLOCKS_SSD;
}

static void rate_rows(struct context *c, looped_decoder &decoder, double rate_scale) {
    std::string params = text("model=%s rate_scale=%g", step_llama.name, rate_scale);
    row_try(c, "serve", params, [&] {
        std::string name = text("%g", rate_scale);
        struct loop_job job = {};
        job.trace = c->loop_trace;
        job.name = name.c_str();
        job.rate_scale = rate_scale;
        job.requests = c->quick ? 60 : 0;
        job.options.block_tokens = STEP_PAGE;
        job.options.token_budget = BUDGET;
        job.options.max_sequences = SEQUENCES;
        job.options.blocks[LOOP_HBM] = BLOCKS_HBM;
        job.options.blocks[LOOP_DRAM] = BLOCKS_DRAM;
        job.options.blocks[LOOP_SSD] = blocks_on_disk(c, decoder.page_bytes());
        struct loop_summary s = loop_serve(c, decoder, job);
        std::string note =
            text("%u requests in %.1f s; %zu steps; of %.0f input tokens from HBM %.0f DRAM %.0f SSD "
                 "%.0f; %u preempted; %u blocks on disk; loop_%s.csv steps_%s.csv",
                 s.requests, s.wall_s, s.host.size(), s.input_tokens, s.hit_tokens[LOOP_HBM], s.hit_tokens[LOOP_DRAM],
                 s.hit_tokens[LOOP_SSD], s.preemptions, job.options.blocks[LOOP_SSD], job.name, job.name);
        const struct {
            const char *variant;
            const std::vector<double> &seconds;
        } rows[] = {{"ttft", s.ttft}, {"tpot", s.tpot}, {"step_host", s.host}, {"step_device", s.device}};
        for (auto &r : rows) {
            struct row row;
            if (r.seconds.empty())
                continue;
            row.variant = r.variant;
            row.params = params;
            row.note = note;
            row_write(c, row, timing_of(r.seconds));
        }
    });
}

void group_loop(struct context *c) {
    char why[PREFILL_WHY] = "";
    struct prefill_library *prefill = prefill_open(why);
    row_try(c, "serve", "", [&] {
        if (!prefill)
            skip("prefill attention is cuDNN's: %s", why);
        struct step_verified fine = step_verify(c, prefill);
        if (!fine.decode || !fine.prefill)
            skip("a decoder that computes something else is not timed");
        double start = now_s();
        looped_decoder decoder(c, prefill);
        printf("  %s: %zu graphs, ready in %.1f s\n", step_llama.name, decoder.graphs(), now_s() - start);
        for (const char *at = c->loop_rates; *at; at += strcspn(at, ","), at += *at == ',')
            rate_rows(c, decoder, strtod(at, nullptr));
    });
    prefill_close(prefill);
}
