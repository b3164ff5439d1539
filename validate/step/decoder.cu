#include "validate/step/decoder.cuh"

#include <algorithm>
#include <cmath>
#include <cstring>

enum { SMALL = 64, NEW_LEAST = 128, KEYS_LEAST = 256 }; /* products are rounded above SMALL tokens, plans from these */

static int power_of_two(int x) {
    int p = NEW_LEAST;
    while (p < x)
        p *= 2;
    return p;
}
static int multiple(int x, int of) {
    return (x + of - 1) / of * of;
}
static struct step_limits even(struct step_limits limits) {
    limits.sequences = multiple(limits.sequences, 32); /* what follows in the metadata stays aligned */
    return limits;
}
static size_t partial_bytes(const struct step_dims &d, const struct step_limits &limits) {
    struct decode_problem p = {};
    p.sequences = limits.sequences;
    p.kv_heads = d.kv_heads;
    p.head_size = d.head;
    p.splits = 1; /* more only while tiles x splits are no more than the SMs */
    return sizeof(float) * decode_partial_floats(&p);
}

step_decoder::step_decoder(struct context *c, const struct step_dims &dims, const struct step_limits &limits,
                           struct prefill_library *prefill)
    : c_(c), dims_(dims), limits_(even(limits)), at_(step_layout(&dims)), prefill_(prefill),
      rows_(std::max(multiple(limits.tokens, limits.rounding), (int)SMALL)),
      tall_(rows_ + (limits.rounding > 1 ? power_of_two(limits.tokens) : 0)),
      width_((limits.longest + STEP_PAGE - 1) / STEP_PAGE), library_(c), weights_(2 * at_.elements),
      pool_((size_t)limits.pages * 2 * step_page_elements(&dims)),
      turns_(sizeof(float2) * (size_t)limits.longest * (size_t)(dims.head / 2)),
      x_(2 * (size_t)rows_ * (size_t)dims.hidden), normed_(2 * (size_t)rows_ * (size_t)dims.hidden),
      qkv_(2 * (size_t)rows_ * (size_t)step_qkv_width(&dims)),
      q_(2 * (size_t)tall_ * (size_t)(dims.q_heads * dims.head)),
      attended_(2 * (size_t)tall_ * (size_t)(dims.q_heads * dims.head)),
      delta_(2 * (size_t)rows_ * (size_t)dims.hidden), wide_(4 * (size_t)rows_ * (size_t)dims.ffn),
      gated_(2 * (size_t)rows_ * (size_t)dims.ffn), logits_(2 * (size_t)limits_.sequences * (size_t)dims.vocab),
      sampled_(sizeof(int) * (size_t)limits_.sequences), workspace_(product_workspace),
      partial_(partial_bytes(dims, limits_)),
      done_(sizeof(unsigned) * (size_t)limits_.sequences * (size_t)dims.kv_heads), meta_(sizeof(int) * meta_ints()),
      table_(sizeof(int) * (size_t)limits_.sequences * (size_t)width_), host_meta_(sizeof(int) * meta_ints()),
      host_table_(sizeof(int) * (size_t)limits_.sequences * (size_t)width_),
      next_(sizeof(int) * (size_t)limits_.sequences) {
    size_t rows = 2 * (size_t)rows_, tall = 2 * (size_t)tall_ * (size_t)(dims.q_heads * dims.head);
    make_weights((uint64_t)(now_s() * 1e9));
    CUDA_OK(step_turns(turns_.as<float2>(), limits_.longest, dims_.head, dims_.rope_theta, c_->stream));
    /* Rows past the last token are read by products of rounded sizes, and by attention: nothing there may be a NaN. */
    CUDA_OK(cudaMemsetAsync(x_.data, 0, rows * (size_t)dims.hidden, c_->stream));
    CUDA_OK(cudaMemsetAsync(normed_.data, 0, rows * (size_t)dims.hidden, c_->stream));
    CUDA_OK(cudaMemsetAsync(gated_.data, 0, rows * (size_t)dims.ffn, c_->stream));
    CUDA_OK(cudaMemsetAsync(q_.data, 0, tall, c_->stream));
    CUDA_OK(cudaMemsetAsync(attended_.data, 0, tall, c_->stream));
    CUDA_OK(cudaMemsetAsync(done_.data, 0, sizeof(unsigned) * (size_t)limits_.sequences * (size_t)dims.kv_heads,
                            c_->stream));
    CUDA_OK(cudaMemsetAsync(table_.data, 0, sizeof(int) * (size_t)limits_.sequences * (size_t)width_, c_->stream));
    CUDA_OK(cudaStreamSynchronize(c_->stream));
}
step_decoder::~step_decoder() {
    cudaStreamSynchronize(c_->stream);
}

void step_decoder::make_weights(uint64_t seed) {
    bf16 *w = weights_.as<bf16>();
    float of_hidden = 1.0f / sqrtf((float)dims_.hidden), of_ffn = 1.0f / sqrtf((float)dims_.ffn);
    float of_heads = 1.0f / sqrtf((float)(dims_.q_heads * dims_.head));
    auto put = [&](size_t at, size_t count, float scale, bool around_one) {
        CUDA_OK(step_fill(w + at, (count + 127) & ~(size_t)127, seed++, scale, around_one, c_->stream));
    };
    size_t hidden = (size_t)dims_.hidden, width = (size_t)step_qkv_width(&dims_), ffn = (size_t)dims_.ffn;
    put(at_.embedding, (size_t)dims_.vocab * hidden, 1.0f, false);
    put(at_.head, (size_t)dims_.vocab * hidden, of_hidden, false);
    put(at_.last_norm, hidden, 0.1f, true);
    for (int l = 0; l < dims_.layers; l++) {
        size_t layer = at_.layers + (size_t)l * at_.layer;
        put(layer + at_.norm1, hidden, 0.1f, true);
        put(layer + at_.qkv, width * hidden, of_hidden, false);
        put(layer + at_.bias, width, 0.5f, false);
        put(layer + at_.o, hidden * (size_t)(dims_.q_heads * dims_.head), of_heads, false);
        put(layer + at_.norm2, hidden, 0.1f, true);
        put(layer + at_.gate_up, 2 * ffn * hidden, of_hidden, false);
        put(layer + at_.down, hidden * ffn, of_ffn, false);
    }
}
void step_decoder::fill_pool(uint64_t seed) {
    CUDA_OK(
        step_fill(pool_.as<bf16>(), (size_t)limits_.pages * step_page_elements(&dims_), seed, 1.0f, false, c_->stream));
}

/* ---- products ---- */

int step_decoder::rounded(int tokens) const {
    return tokens <= SMALL ? tokens : multiple(tokens, limits_.rounding);
}

struct step_decoder::operands step_decoder::operands(enum matrix which, int layer) const {
    const bf16 *w = weights_.as<bf16>(), *own = w + at_.layers + (size_t)layer * at_.layer;
    switch (which) {
    case QKV:
        return {step_qkv_width(&dims_), dims_.hidden, own + at_.qkv, normed_.as<bf16>(), qkv_.as<bf16>()};
    case OUT:
        return {dims_.hidden, dims_.q_heads * dims_.head, own + at_.o, attended_.as<bf16>(), delta_.as<bf16>()};
    case GATE_UP:
        return {2 * dims_.ffn, dims_.hidden, own + at_.gate_up, normed_.as<bf16>(), wide_.as<bf16>()};
    case DOWN:
        return {dims_.hidden, dims_.ffn, own + at_.down, gated_.as<bf16>(), delta_.as<bf16>()};
    default:
        return {dims_.vocab, dims_.hidden, w + at_.head, normed_.as<bf16>(), logits_.as<bf16>()};
    }
}

/* Seconds of one product, its weights cold: each call takes the next layer's. */
double step_decoder::try_algorithm(const struct product &p, int algorithm, enum matrix which) {
    int calls = p.m >= 1024 ? 2 : 6;
    device_event from, to;
    auto launch = [&](int call) {
        struct operands o = operands(which, call % dims_.layers);
        p.launch(library_, algorithm, o.weight, o.x, o.y, workspace_.data, product_workspace, c_->stream);
    };
    launch(0);
    spin(c_->stream, 40e-6);
    CUDA_OK(cudaEventRecord(from.event, c_->stream));
    for (int i = 1; i <= calls; i++)
        launch(i);
    CUDA_OK(cudaEventRecord(to.event, c_->stream));
    CUDA_OK(cudaEventSynchronize(to.event));
    float ms;
    CUDA_OK(cudaEventElapsedTime(&ms, from.event, to.event));
    return 1e-3 * (double)ms / calls;
}

/* The heuristics' first, or the one that is 3 % faster: the same rule as the rows of group gemm. */
const struct step_decoder::chosen &step_decoder::choose(enum matrix which, int m) {
    struct chosen &chosen = products_[{which, m}];
    if (chosen.product)
        return chosen;
    struct operands o = operands(which, 0);
    auto product = std::make_unique<struct product>(library_, m, o.n, o.k, o.k, false, product_workspace);
    double best = INFINITY;
    chosen.algorithm = -1;
    for (int a = 0; a < product->count; a++) {
        try {
            double seconds = try_algorithm(*product, a, which);
            if (chosen.algorithm < 0 || seconds < 0.97 * best) {
                best = seconds;
                chosen.algorithm = a;
            }
        } catch (const failure &) {
            cudaGetLastError(); /* the heuristics may name one that does not run */
        }
    }
    if (chosen.algorithm < 0)
        fail("no algorithm of cuBLASLt runs m=%d n=%d k=%d", m, o.n, o.k);
    chosen.product = std::move(product);
    return chosen;
}
void step_decoder::multiply(enum matrix which, int layer, int m, cudaStream_t stream) {
    auto found = products_.find({which, m});
    if (found == products_.end() || !found->second.product)
        fail("a step runs that was not prepared");
    struct operands o = operands(which, layer);
    found->second.product->launch(library_, found->second.algorithm, o.weight, o.x, o.y, workspace_.data,
                                  product_workspace, stream);
}

/* ---- what a step needs ---- */

struct prefill_plan *step_decoder::plan(int query, int context) {
    char why[PREFILL_WHY] = "";
    if (!prefill_)
        skip("prefill attention is cuDNN's, which is not here or failed its check");
    bool round = limits_.rounding > 1;
    int most_new = round ? power_of_two(query) : query;
    int most_keys = round ? std::max((int)KEYS_LEAST, std::max(most_new, power_of_two(context))) : context;
    struct prefill_shape shape = {};
    shape.q_heads = dims_.q_heads;
    shape.kv_heads = dims_.kv_heads;
    shape.head_size = dims_.head;
    shape.sequences = 1;
    shape.most_new = most_new;
    shape.most_keys = most_keys;
    shape.page_size = STEP_PAGE;
    shape.pages = (int)limits_.pages;
    shape.page_stride = step_page_elements(&dims_);
    shape.way = PREFILL_GATHER; /* what the rule picks for many tokens; never written past a page */
    struct prefill_plan *made = prefill_plan(prefill_, &shape, why);
    if (!made)
        fail("%s", why);
    size_t bytes = prefill_workspace(made);
    if (!room_ || bytes > room_bytes_) {
        room_.reset(); /* waits for the GPU */
        room_ = std::make_unique<device_buffer>(bytes);
        room_bytes_ = bytes;
    }
    return made;
}

/* Into pinned memory: lengths, last rows, pairs of new tokens and keys, tokens; and the table of pages. */
void step_decoder::place(const struct step_sequence *sequences, int count) {
    int *meta = (int *)host_meta_.data, *table = (int *)host_table_.data, row = 0;
    struct step_token *tokens = (struct step_token *)(meta + tokens_at());
    for (int s = 0; s < count; s++) {
        const struct step_sequence &own = sequences[s];
        int pages = (own.context + STEP_PAGE - 1) / STEP_PAGE;
        for (int i = 0; i < own.query; i++) {
            int position = own.context - own.query + i;
            tokens[row++] = {own.ids[i], position, (int)own.pages[position / STEP_PAGE], 0};
        }
        meta[s] = own.context;
        meta[last_at() + (size_t)s] = row - 1;
        meta[pair_at(s)] = own.query;
        meta[pair_at(s) + 32] = own.context;
        for (int i = 0; i < pages; i++)
            table[(size_t)s * (size_t)width_ + (size_t)i] = (int)own.pages[i];
        used_width_ = std::max(used_width_, pages);
    }
}

void step_decoder::prepare(const struct step_sequence *sequences, int count, int decodes) {
    if (count < 1 || count > limits_.sequences || decodes > count)
        fail("a step of %d sequences; at most %d", count, limits_.sequences);
    prefills_.clear();
    tokens_ = longest_ = used_width_ = 0;
    for (int s = 0; s < count; s++) {
        const struct step_sequence &own = sequences[s];
        if (own.query < 1 || own.query > own.context || own.context > limits_.longest || (s < decodes && own.query > 1))
            fail("a sequence of %d new tokens of %d; at most %d", own.query, own.context, limits_.longest);
        if (s < decodes)
            longest_ = std::max(longest_, own.context);
        else
            prefills_.push_back({plan(own.query, own.context), tokens_, s});
        tokens_ += own.query;
    }
    if (tokens_ > limits_.tokens)
        fail("a step of %d tokens; at most %d", tokens_, limits_.tokens);
    count_ = count;
    decodes_ = decodes;
    m_ = rounded(tokens_);
    for (enum matrix which : {QKV, OUT, GATE_UP, DOWN})
        choose(which, m_);
    choose(HEAD, count_);
    struct decode_problem p = {};
    p.sequences = decodes;
    p.kv_heads = dims_.kv_heads;
    p.longest = longest_;
    splits_ = decodes ? decode_splits(&p, c_->gpu.multiProcessorCount) : 1;
    place(sequences, count);
}

void step_decoder::upload(cudaStream_t stream) {
    size_t pitch = sizeof(int) * (size_t)width_;
    CUDA_OK(cudaMemcpyAsync(meta_.data, host_meta_.data, sizeof(int) * (tokens_at() + 4 * (size_t)tokens_),
                            cudaMemcpyHostToDevice, stream));
    CUDA_OK(cudaMemcpy2DAsync(table_.data, pitch, host_table_.data, pitch, sizeof(int) * (size_t)used_width_,
                              (size_t)count_, cudaMemcpyHostToDevice, stream));
}
void step_decoder::download(cudaStream_t stream) {
    CUDA_OK(cudaMemcpyAsync(next_.data, sampled_.data, sizeof(int) * (size_t)count_, cudaMemcpyDeviceToHost, stream));
}

/* ---- the kernels ---- */

void step_decoder::decode_attention(const bf16 *keys, cudaStream_t stream) {
    struct decode_problem p = {};
    p.sequences = decodes_;
    p.kv_heads = dims_.kv_heads;
    p.group = dims_.q_heads / dims_.kv_heads;
    p.head_size = dims_.head;
    p.page_size = STEP_PAGE;
    p.table_width = width_;
    p.longest = longest_;
    p.page_stride = step_page_elements(&dims_);
    p.dtype = KV_BF16;
    p.layout = KV_NHD;
    p.splits = splits_;
    p.scale = 1.0f / sqrtf((float)dims_.head);
    p.q = q_.data;
    p.k = keys;
    p.v = keys + step_page_half(&dims_);
    p.table = table_.as<int>();
    p.lengths = meta_.as<int>();
    p.o = attended_.data;
    p.partial = partial_.as<float>();
    p.done = done_.as<unsigned>();
    CUDA_OK(decode_launch(DECODE_LATEST, &p, stream));
}

void step_decoder::attend(int layer, cudaStream_t stream) {
    const bf16 *keys = pool_.as<bf16>() + 2 * (size_t)layer * step_page_half(&dims_);
    if (decodes_)
        decode_attention(keys, stream);
    size_t width = (size_t)(dims_.q_heads * dims_.head);
    /* In order: a plan that was rounded up may write zeros past its own rows, over those of the next. */
    for (const struct attention &a : prefills_) {
        char why[PREFILL_WHY] = "";
        struct prefill_data data = {};
        data.q = q_.as<bf16>() + (size_t)a.row * width;
        data.k = keys;
        data.v = keys + step_page_half(&dims_);
        data.table = table_.as<int>() + (size_t)a.sequence * (size_t)width_;
        data.new_tokens = meta_.as<int>() + pair_at(a.sequence);
        data.keys = data.new_tokens + 32;
        data.o = attended_.as<bf16>() + (size_t)a.row * width;
        data.scale = 1.0f / sqrtf((float)dims_.head);
        data.workspace = room_->data;
        if (!prefill_run(prefill_, a.plan, &data, stream, why))
            fail("%s", why);
    }
}

void step_decoder::run(cudaStream_t stream) {
    const bf16 *w = weights_.as<bf16>();
    const int *meta = meta_.as<int>();
    const struct step_token *tokens = (const struct step_token *)(meta + tokens_at());
    bf16 *x = x_.as<bf16>(), *delta = delta_.as<bf16>(), *normed = normed_.as<bf16>();
    float epsilon = (float)dims_.epsilon;
    struct step_rope rope = {};
    rope.tokens = tokens;
    rope.qkv = qkv_.as<bf16>();
    rope.turns = turns_.as<float2>();
    rope.q = q_.as<bf16>();
    rope.page = step_page_elements(&dims_);
    rope.half = step_page_half(&dims_);
    rope.q_heads = dims_.q_heads;
    rope.kv_heads = dims_.kv_heads;
    rope.head = dims_.head;
    rope.page_tokens = STEP_PAGE;
    CUDA_OK(step_embed(tokens, tokens_, w + at_.embedding, dims_.hidden, x, stream));
    for (int l = 0; l < dims_.layers; l++) {
        const bf16 *own = w + at_.layers + (size_t)l * at_.layer;
        rope.bias = dims_.bias ? own + at_.bias : nullptr;
        rope.keys = pool_.as<bf16>() + 2 * (size_t)l * rope.half;
        CUDA_OK(step_norm(x, l ? delta : nullptr, own + at_.norm1, nullptr, tokens_, dims_.hidden, epsilon, normed,
                          stream));
        multiply(QKV, l, m_, stream);
        CUDA_OK(step_rotate(&rope, tokens_, stream));
        attend(l, stream);
        multiply(OUT, l, m_, stream);
        CUDA_OK(step_norm(x, delta, own + at_.norm2, nullptr, tokens_, dims_.hidden, epsilon, normed, stream));
        multiply(GATE_UP, l, m_, stream);
        CUDA_OK(step_gate(wide_.as<bf16>(), tokens_, dims_.ffn, gated_.as<bf16>(), stream));
        multiply(DOWN, l, m_, stream);
    }
    CUDA_OK(step_norm(x, delta, w + at_.last_norm, meta + last_at(), count_, dims_.hidden, epsilon, normed, stream));
    multiply(HEAD, 0, count_, stream);
    CUDA_OK(step_argmax(logits_.as<bf16>(), count_, dims_.vocab, sampled_.as<int>(), stream));
}

cudaGraphExec_t step_decoder::capture(void) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    run(c_->stream); /* kernels that are loaded at their first launch are there now */
    CUDA_OK(cudaStreamSynchronize(c_->stream));
    CUDA_OK(cudaStreamBeginCapture(c_->stream, cudaStreamCaptureModeThreadLocal));
    try {
        run(c_->stream);
    } catch (...) {
        cudaStreamEndCapture(c_->stream, &graph);
        if (graph)
            cudaGraphDestroy(graph);
        cudaGetLastError();
        throw;
    }
    CUDA_OK(cudaStreamEndCapture(c_->stream, &graph));
    cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    CUDA_OK(status);
    return exec;
}

void step_decoder::logits(std::vector<uint16_t> *out) {
    out->resize((size_t)count_ * (size_t)dims_.vocab);
    CUDA_OK(cudaStreamSynchronize(c_->stream));
    CUDA_OK(cudaMemcpy(out->data(), logits_.data, 2 * out->size(), cudaMemcpyDeviceToHost));
}

void step_decoder::warm_up(void) {
    std::vector<uint32_t> pages((size_t)width_);
    std::vector<int> ids((size_t)limits_.tokens);
    for (size_t i = 0; i < pages.size(); i++)
        pages[i] = (uint32_t)(i % (size_t)limits_.pages);
    for (int m = 1; m <= rows_ && m <= rounded(limits_.tokens); m = m < SMALL ? m + 1 : m + limits_.rounding)
        for (enum matrix which : {QKV, OUT, GATE_UP, DOWN})
            choose(which, rounded(m));
    for (int rows = 1; rows <= limits_.sequences; rows++)
        choose(HEAD, rows);
    for (int fresh = NEW_LEAST; prefill_ && fresh / 2 < limits_.tokens; fresh *= 2)
        for (int keys = std::max((int)KEYS_LEAST, fresh); keys / 2 < limits_.longest; keys *= 2) {
            struct step_sequence s = {std::min(fresh, limits_.tokens), std::min(keys, limits_.longest), pages.data(),
                                      ids.data()};
            prepare(&s, 1, 0);
            upload(c_->stream);
            run(c_->stream);
            CUDA_OK(cudaStreamSynchronize(c_->stream));
        }
}
