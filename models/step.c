/* The cost of a step: two table rows (by tokens, by logits) and the attention kernels over the step's sums. */
#include "models/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/step_model.h"

/* Bytes a rank needs beside weights and KV: the widest intermediate tensors of a full step in bf16, logits of up to 256
 * sequences in fp32, and NCCL's buffers (342 to 392 MB: aiconfigurator's system files). */
static double activation_bytes(const struct step_model *model) {
    const struct arch *a = &model->arch;
    double tp = (double)model->tp, tokens = (double)model->max_tokens, hidden = (double)a->hidden;
    double dense = a->experts == 0 || a->dense_layers > 0 ? 3.0 * (double)a->ffn / tp : 0.0;
    double visits = (double)(a->experts_per_token + a->shared_experts);
    double moe = a->experts > 0 ? visits * (3.0 * (double)a->moe_ffn / tp + 2.0 * hidden) : 0.0;
    double widest = dense > moe ? dense : moe;
    double logits = (tokens < 256.0 ? tokens : 256.0) * (double)a->vocab * 4.0;
    return tokens * 2.0 * (4.0 * hidden + widest) + logits + (model->tp > 1 ? 367e6 : 0.0);
}

static int check_fit(const struct step_model *model, struct error *err) {
    double need = model->weight_bytes + model->activation_bytes, have = model->gpu.hbm_capacity_bytes.value;
    if (need <= have)
        return 0;
    int64_t tp = model->tp;
    while (tp < 4096 && arch_weight_bytes(&model->arch, model->weight_dtype, tp) + model->activation_bytes > have)
        tp *= 2;
    return error_set(err,
                     "%s in %s does not fit %lld x %s: a GPU needs %.1f GiB for weights and %.1f GiB for activations, "
                     "and has %.1f GiB\n"
                     "  hint: use tp %lld or more, or narrower weights",
                     model->arch.name, dtype_names[model->weight_dtype], (long long)model->tp, model->gpu.name,
                     model->weight_bytes / 1073741824.0, model->activation_bytes / 1073741824.0, have / 1073741824.0,
                     (long long)tp);
}

static int check_options(const struct step_model_options *o, struct error *err) {
    const struct arch *a = o->arch;
    if (arch_check(a, err) != 0)
        return -1;
    if (o->tp < 1 || a->q_heads % o->tp != 0)
        return error_set(err, "%s: %lld query heads do not divide over tp %lld\n  hint: use a tp that divides %lld",
                         a->name, (long long)a->q_heads, (long long)o->tp, (long long)a->q_heads);
    if (a->kv_lora == 0 && a->kv_heads % o->tp != 0 && o->tp % a->kv_heads != 0)
        return error_set(err,
                         "%s: %lld KV heads do not divide over tp %lld\n  hint: use a divisor or a multiple of %lld",
                         a->name, (long long)a->kv_heads, (long long)o->tp, (long long)a->kv_heads);
    if (o->kv_dtype == DTYPE_INT4)
        return error_set(err, "a 4-bit KV cache has no kernel constants\n  hint: use bf16 or fp8");
    if (o->max_step_tokens < 1)
        return error_set(err, "max_step_tokens %lld\n  hint: at least 1", (long long)o->max_step_tokens);
    return 0;
}

/* Per-token constants of the attention kernels of one rank and layer. */
static void set_attention(struct step_model *model) {
    const struct arch *a = &model->arch;
    double heads = (double)a->q_heads / (double)model->tp;
    double bytes = arch_kv_bytes_per_token(a, model->kv_dtype, model->tp) / (double)a->layers;
    model->window_layers = (double)a->window_layers;
    model->full_layers = (double)(a->layers - a->window_layers);
    model->decode.bytes_per_token = model->prefill.bytes_per_token = bytes;
    if (a->kv_lora > 0) { /* decode attends to latents (64 query heads share a tile), prefill to heads of their own */
        double latent = (double)(a->kv_lora + a->rope_dim), dim = (double)(a->nope_dim + a->rope_dim + a->v_dim);
        model->decode.tiles_per_sequence = ceil(heads / 64.0);
        model->decode.flops_per_token = 2.0 * heads * (latent + (double)a->kv_lora);
        model->prefill.flops_per_pair = 2.0 * heads * dim;
        model->prefill.io_per_token = 2.0 * 2.0 * heads * dim;
        model->prefill.tiles_per_sequence = heads;
        model->prefill.rows_per_token = 1.0;
        return;
    }
    double kv_heads = a->kv_heads > model->tp ? (double)a->kv_heads / (double)model->tp : 1.0;
    model->decode.tiles_per_sequence = model->prefill.tiles_per_sequence = kv_heads;
    model->decode.flops_per_token = model->prefill.flops_per_pair = 4.0 * heads * (double)a->head_dim;
    model->prefill.io_per_token = 2.0 * 2.0 * (heads + kv_heads) * (double)a->head_dim;
    model->prefill.rows_per_token = model->decode.group = heads / kv_heads;
}

static void set_engine(struct step_model *model, const struct engine_profile *engine) {
    if (engine == NULL)
        return;
    model->host = true;
    model->asynchronous = engine->asynchronous;
    model->prompts_apart = engine->prompts_apart;
    model->host_s = engine->step_s.value;
    model->host_per_sequence_s = engine->per_sequence_s.value;
    model->host_spread = engine->spread;
    model->host_basis = basis_weaker(engine->step_s.basis, engine->per_sequence_s.basis);
    const double *sizes = engine->graph_sizes.items;
    size_t count = engine->graph_sizes.count;
    if (count == 0)
        return;
    model->pads_max = (int64_t)sizes[count - 1];
    model->pads = calloc((size_t)model->pads_max + 1, sizeof *model->pads);
    MUST(model->pads != NULL);
    size_t at = 0;
    for (int64_t n = 0; n <= model->pads_max; n++) {
        while (at + 1 < count && sizes[at] < (double)n)
            at++;
        model->pads[n] = (int64_t)sizes[at];
    }
}

int step_model_create(const struct step_model_options *options, struct step_model **out, struct error *err) {
    if (check_options(options, err) != 0)
        return -1;
    struct step_model *model = calloc(1, sizeof *model);
    MUST(model != NULL);
    model->arch = *options->arch;
    model->gpu = *options->gpu;
    model->tp = options->tp;
    model->max_tokens = options->max_step_tokens;
    model->weight_dtype = options->weight_dtype;
    model->kv_dtype = options->kv_dtype;
    model->weight_bytes = arch_weight_bytes(options->arch, options->weight_dtype, options->tp);
    model->activation_bytes = activation_bytes(model);
    if (machine_resolve(options, &model->machine, err) != 0 || check_fit(model, err) != 0) {
        step_model_destroy(model);
        return -1;
    }
    model->drawn = options->draw != NULL;
    model->kernels = options->kernels;
    for (int op = 0; op < OP_COUNT && model->drawn; op++)
        for (int octave = 0; octave < DRAW_OCTAVES; octave++)
            model->own[op][octave] = draw_product(options->draw, op, octave, options->profile->gemm.fit.spread);
    set_attention(model);
    set_engine(model, options->engine);
    struct step_row *tokens = calloc((size_t)model->max_tokens + 1, sizeof *tokens);
    struct step_row *logits = calloc((size_t)model->max_tokens + 1, sizeof *logits);
    MUST(tokens != NULL && logits != NULL);
    for (int64_t n = 1; n <= model->max_tokens; n++) {
        tokens[n] = token_row(model, n);
        logits[n] = head_row(model, n);
    }
    model->by_tokens = tokens;
    model->by_logits = logits;
    *out = model;
    return 0;
}

void step_model_destroy(struct step_model *model) {
    if (model == NULL)
        return;
    free(model->by_tokens);
    free(model->by_logits);
    free(model->pads);
    free(model);
}

int64_t step_padded_tokens(const struct step_model *model, const struct step_shape *shape) {
    int64_t tokens = shape->decode_seqs + shape->prefill_tokens;
    if (shape->prefill_tokens == 0 && tokens <= model->pads_max)
        return model->pads[tokens];
    return tokens;
}

struct decode_world {
    const struct step_model *model;
    const struct decode_load *load;
};

static double decode_kernel_seconds(const void *world, uint32_t kernel) {
    const struct decode_world *w = world;
    struct decode_load load = *w->load;
    load.chosen = 1 + (int)kernel;
    return decode_seconds(&w->model->machine.decode, &load);
}

/* Notes in the load which kernel the chooser takes, if there is one. */
static void choose_decode(const struct step_model *model, struct decode_load *load) {
    if (!model->kernels.choose)
        return;
    struct decode_world world = {model, load};
    struct kernel_question question = {.kind = KERNEL_OF_DECODE,
                                       .rule = decode_pick(&model->machine.decode, load),
                                       .count = DECODE_KERNELS,
                                       .names = decode_kernel_names,
                                       .sequences = load->sequences,
                                       .tiles = load->sequences * load->tiles_per_sequence,
                                       .context = load->context,
                                       .longest = load->longest,
                                       .sms = model->machine.decode.sms,
                                       .seconds = decode_kernel_seconds,
                                       .world = &world};
    uint32_t kernel = model->kernels.choose(model->kernels.self, &question);
    MUST(kernel < DECODE_KERNELS);
    load->chosen = 1 + (int)kernel;
}

const char *step_decode_kernel(const struct step_model *model, const struct step_shape *shape) {
    struct decode_load load;
    if (!decode_load_full(model, shape, &load) && !decode_load_window(model, shape, &load))
        return "";
    return decode_kernel_names[decode_pick(&model->machine.decode, &load)];
}

bool decode_load_full(const struct step_model *model, const struct step_shape *shape, struct decode_load *load) {
    if (shape->decode_seqs == 0 || model->full_layers == 0)
        return false;
    *load = model->decode;
    load->sequences = (double)shape->decode_seqs;
    load->context = (double)shape->decode_context;
    load->longest =
        (double)(shape->decode_longest > 0 ? shape->decode_longest : shape->decode_context / shape->decode_seqs);
    if (model->arch.index_topk > 0) { /* sparse attention reads the chosen latents, and every index key */
        double mean = load->context / load->sequences,
               chosen = mean < (double)model->arch.index_topk ? mean : (double)model->arch.index_topk;
        double index = (double)model->arch.index_dim + 4.0, bytes = load->bytes_per_token;
        load->bytes_per_token = ((bytes - index) * chosen + index * mean) / mean;
        load->flops_per_token *= chosen / mean;
    }
    choose_decode(model, load);
    return true;
}

bool decode_load_window(const struct step_model *model, const struct step_shape *shape, struct decode_load *load) {
    if (shape->decode_seqs == 0 || model->window_layers == 0)
        return false;
    double window = (double)model->arch.window, n = (double)shape->decode_seqs,
           mean = (double)shape->decode_context / n;
    *load = model->decode;
    load->sequences = n;
    double full = n * window,
           held = shape->decode_window > 0 ? (double)shape->decode_window : n * (mean < window ? mean : window);
    load->context = held < full ? held : full;
    load->longest =
        shape->decode_longest > 0 && (double)shape->decode_longest < window ? (double)shape->decode_longest : window;
    choose_decode(model, load);
    return true;
}

double prefill_kernels(const struct step_model *model, const struct step_shape *shape) {
    return model->prompts_apart && shape->prefill_seqs > 1 ? (double)shape->prefill_seqs : 1.0;
}

/* Of one of the kernels: the mean prompt, where they run apart. */
static void share_out(const struct step_model *model, const struct step_shape *shape, struct prefill_load *load) {
    double kernels = prefill_kernels(model, shape);
    load->sequences /= kernels;
    load->tokens /= kernels;
    load->context /= kernels;
    load->pairs /= kernels;
}

bool prefill_load_full(const struct step_model *model, const struct step_shape *shape, struct prefill_load *load) {
    if (shape->prefill_tokens == 0 || model->full_layers == 0)
        return false;
    *load = model->prefill;
    load->sequences = (double)(shape->prefill_seqs > 0 ? shape->prefill_seqs : 1);
    load->tokens = (double)shape->prefill_tokens;
    load->context = (double)shape->prefill_context;
    load->pairs = (double)shape->prefill_pairs;
    if (model->arch.index_topk > 0) {
        double most = load->tokens * (double)model->arch.index_topk;
        if (load->pairs > most)
            load->pairs = most;
    }
    share_out(model, shape, load);
    return true;
}

bool prefill_load_window(const struct step_model *model, const struct step_shape *shape, struct prefill_load *load) {
    if (shape->prefill_tokens == 0 || model->window_layers == 0)
        return false;
    double window = (double)model->arch.window;
    *load = model->prefill;
    load->sequences = (double)(shape->prefill_seqs > 0 ? shape->prefill_seqs : 1);
    load->tokens = (double)shape->prefill_tokens;
    double reach = load->tokens + load->sequences * window, most = load->tokens * window;
    load->context = (double)shape->prefill_context < reach ? (double)shape->prefill_context : reach;
    load->pairs = (double)shape->prefill_pairs < most ? (double)shape->prefill_pairs : most;
    share_out(model, shape, load);
    return true;
}

static double attention_seconds(const struct step_model *model, const struct step_shape *shape) {
    struct decode_load decode;
    struct prefill_load prefill;
    double seconds = 0;
    if (shape->decode_seqs > 0) {
        if (decode_load_full(model, shape, &decode))
            seconds += model->full_layers * decode_seconds(&model->machine.decode, &decode);
        if (decode_load_window(model, shape, &decode))
            seconds += model->window_layers * decode_seconds(&model->machine.decode, &decode);
    }
    if (shape->prefill_tokens > 0) {
        double kernels = prefill_kernels(model, shape);
        if (prefill_load_full(model, shape, &prefill))
            seconds += model->full_layers * kernels * prefill_seconds(&model->machine.prefill, &prefill);
        if (prefill_load_window(model, shape, &prefill))
            seconds += model->window_layers * kernels * prefill_seconds(&model->machine.prefill, &prefill);
    }
    return seconds;
}

double step_host_seconds(const struct step_model *model, const struct step_shape *shape) {
    if (!model->host)
        return 0;
    return model->host_s + model->host_per_sequence_s * (double)(shape->decode_seqs + shape->prefill_seqs);
}

static const struct step_row *row_at(const struct step_row *table, int64_t max, int64_t n) {
    return n <= max ? &table[n] : NULL;
}

double step_seconds(const struct step_model *model, const struct step_shape *shape) {
    int64_t tokens = step_padded_tokens(model, shape);
    const struct step_row *body = row_at(model->by_tokens, model->max_tokens, tokens);
    const struct step_row *head = row_at(model->by_logits, model->max_tokens, shape->logits);
    double gpu_s = (body ? body->seconds : token_row(model, tokens).seconds) +
                   (head ? head->seconds : head_row(model, shape->logits).seconds) + attention_seconds(model, shape);
    if (!model->host)
        return gpu_s;
    double host_s = step_host_seconds(model, shape);
    if (!model->asynchronous)
        return gpu_s + host_s;
    return gpu_s > host_s ? gpu_s : host_s;
}

/* Where the host sets the time, what the GPU's share is wrong by is hidden. */
static void add_host_error(const struct step_model *model, const struct step_shape *shape, double seconds,
                           struct uncertainty *error) {
    double host_s = step_host_seconds(model, shape);
    if (model->asynchronous && host_s < seconds)
        return;
    if (model->asynchronous)
        *error = (struct uncertainty){0};
    error->common[ERROR_HOST] = model->host_spread * host_s;
}

struct step_cost step_cost(const struct step_model *model, const struct step_shape *shape) {
    struct step_row body = token_row(model, step_padded_tokens(model, shape)), head = head_row(model, shape->logits);
    struct step_cost cost = {.seconds = step_seconds(model, shape)};
    struct uncertainty error = body.error;
    uncertainty_add(&error, &head.error);
    cost.basis = basis_weaker((enum basis)body.basis, (enum basis)head.basis);
    struct decode_load decode;
    struct prefill_load prefill;
    struct price parts[4];
    int count = 0;
    if (decode_load_full(model, shape, &decode))
        parts[count++] = decode_price(&model->machine, &decode, model->full_layers);
    if (decode_load_window(model, shape, &decode))
        parts[count++] = decode_price(&model->machine, &decode, model->window_layers);
    double kernels = prefill_kernels(model, shape);
    if (prefill_load_full(model, shape, &prefill))
        parts[count++] = prefill_price(&model->machine, &prefill, model->full_layers * kernels);
    if (prefill_load_window(model, shape, &prefill))
        parts[count++] = prefill_price(&model->machine, &prefill, model->window_layers * kernels);
    for (int i = 0; i < count; i++) {
        uncertainty_add(&error, &parts[i].error);
        cost.basis = basis_weaker(cost.basis, parts[i].basis);
    }
    if (model->host)
        add_host_error(model, shape, cost.seconds, &error);
    if (model->host)
        cost.basis = basis_weaker(cost.basis, model->host_basis);
    error_interval(cost.seconds, uncertainty_s(&error), &cost.low_s, &cost.high_s);
    return cost;
}

void step_work(const struct step_model *model, const struct step_shape *shape, double *bytes, double *flops) {
    struct step_row body = token_row(model, step_padded_tokens(model, shape)), head = head_row(model, shape->logits);
    struct decode_load d;
    struct prefill_load p;
    double b = body.bytes + head.bytes, f = body.flops + head.flops;
    for (int window = 0; window < 2; window++) {
        double layers = window ? model->window_layers : model->full_layers;
        if (window ? decode_load_window(model, shape, &d) : decode_load_full(model, shape, &d)) {
            b += layers * d.context * d.bytes_per_token;
            f += layers * d.context * d.flops_per_token;
        }
        if (window ? prefill_load_window(model, shape, &p) : prefill_load_full(model, shape, &p)) {
            layers *= prefill_kernels(model, shape);
            b += layers * (p.tokens * p.io_per_token + (p.context - p.tokens) * p.bytes_per_token);
            f += layers * p.pairs * p.flops_per_pair;
        }
    }
    *bytes = (double)model->tp * b;
    *flops = (double)model->tp * f;
}

double step_model_kv_capacity_bytes(const struct step_model *model, double utilisation, double reserve_bytes) {
    double rank = model->gpu.hbm_capacity_bytes.value * utilisation - model->weight_bytes - model->activation_bytes -
                  reserve_bytes;
    return rank > 0 ? rank * (double)model->tp : 0.0;
}
