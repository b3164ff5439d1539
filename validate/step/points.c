/* Shapes, where weights lie, which steps are measured. */
#include <stdio.h>

#include "validate/step/step.h"

const struct step_dims step_llama = {"llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, 128256, false, 500000.0, 1e-5};
const struct step_dims step_qwen = {"qwen2.5-7b", 28, 3584, 28, 4, 128, 18944, 152064, true, 1000000.0, 1e-6};

static size_t take(size_t *at, size_t elements) {
    size_t from = *at;
    *at += (elements + 127) & ~(size_t)127;
    return from;
}

struct step_layout step_layout(const struct step_dims *d) {
    struct step_layout l;
    size_t hidden = (size_t)d->hidden, vocab = (size_t)d->vocab, ffn = (size_t)d->ffn, at = 0;
    size_t width = (size_t)step_qkv_width(d), heads = (size_t)d->q_heads * (size_t)d->head;
    l.norm1 = take(&at, hidden);
    l.qkv = take(&at, width * hidden);
    l.bias = take(&at, width);
    l.o = take(&at, hidden * heads);
    l.norm2 = take(&at, hidden);
    l.gate_up = take(&at, 2 * ffn * hidden);
    l.down = take(&at, hidden * ffn);
    l.layer = at;
    at = 0;
    l.embedding = take(&at, vocab * hidden);
    l.head = take(&at, vocab * hidden);
    l.last_norm = take(&at, hidden);
    l.layers = take(&at, l.layer * (size_t)d->layers);
    l.elements = at;
    return l;
}

int64_t step_pages(const struct step_point *p) {
    int64_t of_decode = (p->context + STEP_PAGE - 1) / STEP_PAGE;
    return p->batch * of_decode + (p->chunk + p->prefix + STEP_PAGE - 1) / STEP_PAGE;
}

struct listing {
    int64_t pages;
    int count, all;
    bool quick;
    struct step_point *out;
};
static void add(struct listing *list, enum step_kind kind, int batch, int context, int chunk, int prefix,
                enum step_offload offload) {
    struct step_point p = {kind, batch, context, chunk, prefix, offload};
    if (step_pages(&p) > list->pages || list->count == STEP_POINTS_MAX)
        return;
    if (list->all++ % 5 == 0 || !list->quick)
        list->out[list->count++] = p;
}

int step_points(int64_t pages, bool quick, struct step_point out[STEP_POINTS_MAX]) {
    static const int batches[] = {1, 4, 16, 32, 64, 128, 256}, contexts[] = {128, 1024, 4096, 16384};
    static const int lengths[] = {256, 512, 1024, 2048, 4096, 8192}, chunks[] = {512, 2048}, prefixes[] = {4096, 16384};
    static const int mixed_chunks[] = {256, 512, 1536}, decodes[] = {8, 32, 96}, mixed_contexts[] = {1024, 4096};
    struct listing list = {pages, 0, 0, quick, out};
    for (int b = 0; b < 7; b++)
        for (int c = 0; c < 4; c++)
            add(&list, STEP_DECODE, batches[b], contexts[c], 0, 0, STEP_ALONE);
    for (int i = 0; i < 6; i++)
        add(&list, STEP_PREFILL, 0, 0, lengths[i], 0, STEP_ALONE);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            add(&list, STEP_PREFILL, 0, 0, chunks[i], prefixes[k], STEP_ALONE);
    for (int i = 0; i < 3; i++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 2; c++)
                add(&list, STEP_MIXED, decodes[b], mixed_contexts[c], mixed_chunks[i], 0, STEP_ALONE);
    static const enum step_offload ways[] = {STEP_D2H, STEP_H2D};
    for (int w = 0; w < 2; w++) {
        add(&list, STEP_DECODE, 16, 1024, 0, 0, ways[w]);
        add(&list, STEP_DECODE, 64, 1024, 0, 0, ways[w]);
        add(&list, STEP_DECODE, 64, 4096, 0, 0, ways[w]);
        add(&list, STEP_PREFILL, 0, 0, 2048, 0, ways[w]);
        add(&list, STEP_PREFILL, 0, 0, 512, 4096, ways[w]);
        add(&list, STEP_MIXED, 32, 1024, 512, 0, ways[w]);
    }
    return list.count;
}

void step_params(const struct step_dims *d, const struct step_point *p, char out[STEP_PARAMS]) {
    static const char *const offloads[] = {"none", "d2h", "h2d"};
    const char *offload = offloads[p->offload];
    if (p->kind == STEP_DECODE)
        snprintf(out, STEP_PARAMS, "model=%s kind=decode batch=%d context=%d offload=%s", d->name, p->batch, p->context,
                 offload);
    else if (p->kind == STEP_PREFILL)
        snprintf(out, STEP_PARAMS, "model=%s kind=prefill chunk=%d prefix=%d offload=%s", d->name, p->chunk, p->prefix,
                 offload);
    else
        snprintf(out, STEP_PARAMS, "model=%s kind=mixed chunk=%d prefix=%d decodes=%d context=%d offload=%s", d->name,
                 p->chunk, p->prefix, p->batch, p->context, offload);
}

static double layer_weights(const struct step_dims *d) {
    double hidden = d->hidden, heads = (double)d->q_heads * d->head;
    return hidden * step_qkv_width(d) + hidden * heads + 3.0 * hidden * d->ffn;
}
double step_bytes(const struct step_dims *d, const struct step_point *p) {
    double token = 2.0 * 2.0 * (double)step_page_half(d) / STEP_PAGE * d->layers;
    double tokens = (double)p->batch * p->context + p->chunk + p->prefix;
    return 2.0 * (layer_weights(d) * d->layers + (double)d->vocab * d->hidden) + token * tokens;
}
double step_flops(const struct step_dims *d, const struct step_point *p) {
    double rows = (double)p->batch + p->chunk, logits = (double)p->batch + (p->chunk > 0);
    double context = (double)p->chunk + p->prefix;
    double pairs = (double)p->batch * p->context + p->chunk * context - 0.5 * p->chunk * (p->chunk - 1.0);
    return 2.0 * rows * layer_weights(d) * d->layers + 2.0 * logits * d->vocab * d->hidden +
           4.0 * pairs * d->q_heads * d->head * d->layers;
}
