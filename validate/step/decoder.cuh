/* A decoder with random bf16 weights over a paged pool: our decode kernel by its rule, prefill attention by cuDNN,
 * products by cuBLASLt, small kernels of its own. */
#ifndef VALIDATE_STEP_DECODER_CUH
#define VALIDATE_STEP_DECODER_CUH

#include "validate/kernels/decode.cuh"
#include "validate/kernels/prefill.cuh"
#include "validate/micro/products.cuh"
#include "validate/step/kernels.cuh"
#include "validate/step/step.h"

#include <map>
#include <memory>

/* A sequence of a step: `query` new tokens, the last of which sees `context` tokens, itself included. Its tokens' K and
 * V lie in `pages`, in order. ids: of the new tokens. */
struct step_sequence {
    int query, context;
    const uint32_t *pages;
    const int *ids;
};
struct step_limits {
    int64_t pages;                  /* of the pool */
    int tokens, sequences, longest; /* most of a step; longest context */
    /* Products are made for multiples of so many tokens, and attention's plans for powers of two: few kinds for a loop
     * whose steps all differ. 1: each step's own. */
    int rounding;
};

class step_decoder {
  public:
    /* prefill: NULL where there is none; then only decodes run. Throws failure, among others where memory is short. */
    step_decoder(struct context *c, const struct step_dims &dims, const struct step_limits &limits,
                 struct prefill_library *prefill);
    ~step_decoder();
    step_decoder(const step_decoder &) = delete;
    step_decoder &operator=(const step_decoder &) = delete;

    char *pool(void) { return pool_.as<char>(); }
    size_t page_bytes(void) const { return 2 * step_page_elements(&dims_); }
    const uint16_t *weights(void) const { return weights_.as<uint16_t>(); }
    void fill_pool(uint64_t seed);

    /* On the host: what the step needs, plans that are new among it. The first `decodes` sequences have one new token
     * each and go through the decode kernel. */
    void prepare(const struct step_sequence *sequences, int count, int decodes);
    void upload(cudaStream_t stream);   /* what prepare() wrote; it must have arrived before the next prepare() */
    void run(cudaStream_t stream);      /* the kernels: no allocation, no synchronisation; may be captured */
    void download(cudaStream_t stream); /* the sampled tokens, into next() */
    const int *next(void) const { return (const int *)next_.data; } /* a sequence each */
    /* A graph of run() as prepared: for any step of as many decodes with the same splits. The caller destroys it. */
    cudaGraphExec_t capture(void);
    int splits(void) const { return splits_; }
    void logits(std::vector<uint16_t> *out); /* of the last run, a row a sequence; waits */
    /* Makes and runs the plans of every step within the limits. */
    void warm_up(void);

  private:
    enum matrix { QKV, OUT, GATE_UP, DOWN, HEAD, MATRICES };
    struct chosen {
        std::unique_ptr<struct product> product;
        int algorithm;
    };
    struct operands {
        int n, k;
        const bf16 *weight, *x;
        bf16 *y;
    };
    void make_weights(uint64_t seed);
    int rounded(int tokens) const;
    struct operands operands(enum matrix which, int layer) const;
    const struct chosen &choose(enum matrix which, int m);
    double try_algorithm(const struct product &p, int algorithm, enum matrix which);
    void multiply(enum matrix which, int layer, int m, cudaStream_t stream);
    void place(const struct step_sequence *sequences, int count);
    struct prefill_plan *plan(int query, int context);
    void attend(int layer, cudaStream_t stream);
    void decode_attention(const bf16 *keys, cudaStream_t stream);

    struct context *c_;
    struct step_dims dims_;
    struct step_limits limits_;
    struct step_layout at_;
    struct prefill_library *prefill_;
    int rows_, tall_; /* of buffers of a row a token; of those that attention's plans may read past the last token */
    int width_;       /* of the page table */
    struct product_library library_;
    device_buffer weights_, pool_, turns_, x_, normed_, qkv_, q_, attended_, delta_, wide_, gated_, logits_, sampled_,
        workspace_, partial_, done_, meta_, table_;
    host_buffer host_meta_, host_table_, next_;
    std::unique_ptr<device_buffer> room_; /* cuDNN's */
    size_t room_bytes_ = 0;
    std::map<std::pair<int, int>, struct chosen> products_;

    /* As prepared. */
    struct attention {
        struct prefill_plan *plan;
        int row, sequence;
    };
    std::vector<struct attention> prefills_;
    int count_ = 0, decodes_ = 0, tokens_ = 0, m_ = 0, longest_ = 0, splits_ = 1, used_width_ = 0;

    /* Within the metadata, in ints: lengths, last rows, (new, keys) 128 bytes apart, tokens. */
    size_t last_at(void) const { return (size_t)limits_.sequences; }
    size_t pair_at(int sequence) const { return 2 * last_at() + 64 * (size_t)sequence; }
    size_t tokens_at(void) const { return 66 * last_at(); }
    size_t meta_ints(void) const { return tokens_at() + 4 * (size_t)limits_.tokens; }
};

#endif
