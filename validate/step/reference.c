/* A decoder in float64, written to be read: one sequence from its first token, no cache, no pages. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/step/step.h"

double step_from_bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}
uint16_t step_to_bf16(double x) {
    float narrow = (float)x;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if ((bits & 0x7fffffffU) > 0x7f800000U)
        return (uint16_t)(bits >> 16 | 0x40U); /* not a number */
    return (uint16_t)((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}
double step_error(const uint16_t *got, const double *want, size_t count) {
    double wrong = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        double off = step_from_bf16(got[i]) - want[i];
        wrong += off * off;
        all += want[i] * want[i];
    }
    return sqrt(wrong / all);
}

struct run {
    const struct step_dims *d;
    const uint16_t *weights;
    struct step_layout at;
    bool rounded;
    int length;
    double *x, *normed, *qkv, *mixed, *wide, *scores; /* [length][...] but scores: [length] */
};

static double stored(const struct run *r, double x) {
    return r->rounded ? step_from_bf16(step_to_bf16(x)) : x;
}
/* out[i] = w[i] . in; inputs: a multiple of four, whose sums do not wait for one another. */
static void product(const struct run *r, const uint16_t *w, int outputs, int inputs, const double *in, double *out) {
    for (int i = 0; i < outputs; i++) {
        const uint16_t *row = w + (size_t)i * (size_t)inputs;
        double sum[4] = {0, 0, 0, 0};
        for (int k = 0; k < inputs; k += 4)
            for (int part = 0; part < 4; part++)
                sum[part] += step_from_bf16(row[k + part]) * in[k + part];
        out[i] = stored(r, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
}
static void norm(const struct run *r, const uint16_t *w, const double *in, double *out) {
    double squares = 0;
    for (int i = 0; i < r->d->hidden; i++)
        squares += in[i] * in[i];
    double scale = 1 / sqrt(squares / r->d->hidden + r->d->epsilon);
    for (int i = 0; i < r->d->hidden; i++)
        out[i] = stored(r, in[i] * scale * step_from_bf16(w[i]));
}
/* Pairs (i, i + head/2) turn by position x theta^(-2i/head). */
static void rotate(const struct run *r, double *head, int position) {
    int half = r->d->head / 2;
    for (int i = 0; i < half; i++) {
        double angle = position * pow(r->d->rope_theta, -2.0 * i / r->d->head);
        double a = head[i], b = head[i + half];
        head[i] = stored(r, a * cos(angle) - b * sin(angle));
        head[i + half] = stored(r, b * cos(angle) + a * sin(angle));
    }
}

static void attend(const struct run *r, int token, int head, double *out) {
    const struct step_dims *d = r->d;
    size_t width = (size_t)step_qkv_width(d), size = (size_t)d->head;
    size_t kv = (size_t)(head / (d->q_heads / d->kv_heads));
    const double *q = r->qkv + (size_t)token * width + (size_t)head * size;
    const double *keys = r->qkv + ((size_t)d->q_heads + kv) * size, *values = keys + (size_t)d->kv_heads * size;
    double top = -HUGE_VAL, total = 0;
    for (int t = 0; t <= token; t++) {
        double sum = 0;
        for (size_t i = 0; i < size; i++)
            sum += q[i] * keys[(size_t)t * width + i];
        r->scores[t] = sum / sqrt(d->head);
        top = fmax(top, r->scores[t]);
    }
    for (int t = 0; t <= token; t++)
        total += r->scores[t] = exp(r->scores[t] - top);
    for (size_t i = 0; i < size; i++) {
        double sum = 0;
        for (int t = 0; t <= token; t++)
            sum += r->scores[t] * values[(size_t)t * width + i];
        out[i] = stored(r, sum / total);
    }
}

static void attention(const struct run *r, const uint16_t *layer) {
    const struct step_dims *d = r->d;
    int width = step_qkv_width(d), heads = d->q_heads * d->head;
    for (int t = 0; t < r->length; t++) {
        double *qkv = r->qkv + (size_t)t * (size_t)width;
        norm(r, layer + r->at.norm1, r->x + (size_t)t * (size_t)d->hidden, r->normed);
        product(r, layer + r->at.qkv, width, d->hidden, r->normed, qkv);
        for (int i = 0; d->bias && i < width; i++)
            qkv[i] += step_from_bf16(layer[r->at.bias + (size_t)i]);
        for (int h = 0; h < d->q_heads + d->kv_heads; h++)
            rotate(r, qkv + (size_t)h * (size_t)d->head, t);
        for (int i = (d->q_heads + d->kv_heads) * d->head; i < width; i++)
            qkv[i] = stored(r, qkv[i]);
    }
    for (int t = 0; t < r->length; t++) {
        double *x = r->x + (size_t)t * (size_t)d->hidden;
        for (int h = 0; h < d->q_heads; h++)
            attend(r, t, h, r->mixed + (size_t)h * (size_t)d->head);
        product(r, layer + r->at.o, d->hidden, heads, r->mixed, r->normed);
        for (int i = 0; i < d->hidden; i++)
            x[i] = stored(r, x[i] + r->normed[i]);
    }
}

static void feed_forward(const struct run *r, const uint16_t *layer) {
    const struct step_dims *d = r->d;
    for (int t = 0; t < r->length; t++) {
        double *x = r->x + (size_t)t * (size_t)d->hidden, *up = r->wide + d->ffn;
        norm(r, layer + r->at.norm2, x, r->normed);
        product(r, layer + r->at.gate_up, 2 * d->ffn, d->hidden, r->normed, r->wide);
        for (int i = 0; i < d->ffn; i++)
            r->wide[i] = stored(r, r->wide[i] / (1 + exp(-r->wide[i])) * up[i]);
        product(r, layer + r->at.down, d->hidden, d->ffn, r->wide, r->normed);
        for (int i = 0; i < d->hidden; i++)
            x[i] = stored(r, x[i] + r->normed[i]);
    }
}

static void decode_all(const struct run *r, const int *tokens, int from, int count, double *out) {
    const struct step_dims *d = r->d;
    for (int t = 0; t < r->length; t++)
        for (int i = 0; i < d->hidden; i++)
            r->x[(size_t)t * (size_t)d->hidden + (size_t)i] =
                step_from_bf16(r->weights[r->at.embedding + (size_t)tokens[t] * (size_t)d->hidden + (size_t)i]);
    for (int l = 0; l < d->layers; l++) {
        const uint16_t *layer = r->weights + r->at.layers + (size_t)l * r->at.layer;
        attention(r, layer);
        feed_forward(r, layer);
    }
    for (int t = 0; t < count; t++) {
        norm(r, r->weights + r->at.last_norm, r->x + (size_t)(from + t) * (size_t)d->hidden, r->normed);
        product(r, r->weights + r->at.head, d->vocab, d->hidden, r->normed, out + (size_t)t * (size_t)d->vocab);
    }
}

int step_reference(const struct step_dims *d, const uint16_t *weights, const int *tokens, int length, int from,
                   int count, bool rounded, double *out) {
    size_t n = (size_t)length, hidden = (size_t)d->hidden, heads = (size_t)d->q_heads * (size_t)d->head;
    size_t sizes[] = {n * hidden, hidden, n * (size_t)step_qkv_width(d), heads, 2 * (size_t)d->ffn, n}, all = 0;
    for (size_t i = 0; i < 6; i++)
        all += sizes[i];
    double *memory = (double *)malloc(all * sizeof *memory), *parts[6], *at = memory;
    if (!memory)
        return -1;
    for (size_t i = 0; i < 6; at += sizes[i++])
        parts[i] = at;
    struct run run = {d,        weights,  step_layout(d), rounded,  length,  parts[0],
                      parts[1], parts[2], parts[3],       parts[4], parts[5]};
    decode_all(&run, tokens, from, count, out);
    free(memory);
    return 0;
}
