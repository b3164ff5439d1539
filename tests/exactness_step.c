/* The real step's host side: is the float64 reference right by hand and causal, do its weights lie apart, and is every
 * row of the committed list one that the step model prices? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/models.h"
#include "validate/measured.h"
#include "validate/step/step.h"

static void test_bf16(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++)
        if ((bits & 0x7fff) <= 0x7f80)
            assert_int_equal(step_to_bf16(step_from_bf16((uint16_t)bits)), bits);
    assert_int_equal(step_to_bf16(1.0 + 1.0 / 256), 0x3f80); /* halfway: to the even one */
    assert_int_equal(step_to_bf16(1.0 + 3.0 / 256), 0x3f82);
    assert_int_equal(step_to_bf16(1.0 + 1.01 / 256), 0x3f81);
    assert_true(isnan(step_from_bf16(step_to_bf16(NAN))));
    static const uint16_t got[] = {0x3f80, 0x4000}; /* 1, 2 */
    static const double want[] = {1, 2.5};
    assert_float_equal(step_error(got, want, 2), 0.5 / sqrt(7.25), 1e-12);
    static const uint16_t broken[] = {0x7fc0, 0x4000};
    assert_true(isnan(step_error(broken, want, 2)));
}

/* Nothing overlaps, all lies within, sixteen bytes aligned; a page is what the loop's tiers count with. */
static void test_layout(void **state) {
    (void)state;
    static const struct step_dims *const models[] = {&step_llama, &step_qwen};
    for (int m = 0; m < 2; m++) {
        const struct step_dims *d = models[m];
        struct step_layout l = step_layout(d);
        size_t hidden = (size_t)d->hidden, heads = (size_t)(d->q_heads * d->head), ffn = (size_t)d->ffn;
        assert_true(l.qkv >= l.norm1 + hidden && l.bias >= l.qkv + (size_t)step_qkv_width(d) * hidden);
        assert_true(l.o >= l.bias + (size_t)step_qkv_width(d) && l.norm2 >= l.o + hidden * heads);
        assert_true(l.gate_up >= l.norm2 + hidden && l.down >= l.gate_up + 2 * ffn * hidden);
        assert_true(l.layer >= l.down + hidden * ffn && l.elements >= l.layers + (size_t)d->layers * l.layer);
        assert_true((l.layers | l.layer | l.qkv | l.bias | l.o | l.gate_up | l.down | l.head) % 128 == 0);
        assert_true(d->hidden % 8 == 0 && d->hidden <= 8192 && d->ffn % 8 == 0 && d->vocab % 8 == 0);
    }
    assert_int_equal(2 * step_page_elements(&step_llama), 2 << 20);
    assert_int_equal(2 * step_page_elements(&step_qwen), 917504);
}

static const struct step_dims tiny = {"tiny", 1, 4, 2, 1, 2, 4, 8, true, 100.0, 0.0};

static uint16_t *weights_of(const struct step_dims *d, unsigned seed) {
    struct step_layout l = step_layout(d);
    uint16_t *w = malloc(2 * l.elements);
    assert_non_null(w);
    for (size_t i = 0; i < l.elements; i++) {
        seed = seed * 1664525U + 1013904223U;
        w[i] = step_to_bf16((double)(seed >> 8) / (1 << 24) - 0.5);
    }
    return w;
}

/* One token: attention gives its own V, whatever Q and K are. Done again by hand. */
static void test_one_token(void **state) {
    (void)state;
    struct step_layout l = step_layout(&tiny);
    uint16_t *w = weights_of(&tiny, 3);
    const uint16_t *layer = w + l.layers;
    double x[4], n[4], v[2], wide[8], out[8], squares = 0;
    int token = 5;
    for (int i = 0; i < 4; i++) {
        x[i] = step_from_bf16(w[l.embedding + 20 + (size_t)i]);
        squares += x[i] * x[i];
    }
    for (int i = 0; i < 4; i++)
        n[i] = x[i] / sqrt(squares / 4) * step_from_bf16(layer[l.norm1 + (size_t)i]);
    for (size_t i = 0; i < 2; i++) { /* rows 6 and 7 of Q, Q, K, V heads of two */
        v[i] = step_from_bf16(layer[l.bias + 6 + i]);
        for (size_t k = 0; k < 4; k++)
            v[i] += step_from_bf16(layer[l.qkv + (6 + i) * 4 + k]) * n[k];
    }
    squares = 0;
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++)
            x[i] += step_from_bf16(layer[l.o + i * 4 + k]) * v[k % 2];
        squares += x[i] * x[i];
    }
    for (size_t i = 0; i < 4; i++)
        n[i] = x[i] / sqrt(squares / 4) * step_from_bf16(layer[l.norm2 + i]);
    for (size_t i = 0; i < 8; i++) {
        wide[i] = 0;
        for (size_t k = 0; k < 4; k++)
            wide[i] += step_from_bf16(layer[l.gate_up + i * 4 + k]) * n[k];
    }
    squares = 0;
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++)
            x[i] += step_from_bf16(layer[l.down + i * 4 + k]) * wide[k] / (1 + exp(-wide[k])) * wide[4 + k];
        squares += x[i] * x[i];
    }
    assert_int_equal(step_reference(&tiny, w, &token, 1, 0, 1, false, out), 0);
    for (size_t i = 0; i < 8; i++) {
        double sum = 0;
        for (size_t k = 0; k < 4; k++)
            sum +=
                step_from_bf16(w[l.head + i * 4 + k]) * x[k] / sqrt(squares / 4) * step_from_bf16(w[l.last_norm + k]);
        assert_float_equal(out[i], sum, 1e-12);
    }
    free(w);
}

/* A later token changes nothing before it, an earlier one all after it; their order counts; rounding is small. */
static void test_causal(void **state) {
    (void)state;
    const struct step_dims small = {"small", 2, 16, 4, 2, 8, 24, 32, true, 100.0, 1e-5};
    uint16_t *w = weights_of(&small, 7);
    int tokens[6] = {3, 9, 27, 1, 30, 8}, other[6];
    double a[6 * 32], b[6 * 32], off = 0, all = 0;
    assert_int_equal(step_reference(&small, w, tokens, 6, 0, 6, false, a), 0);
    memcpy(other, tokens, sizeof other);
    other[3] = 2;
    assert_int_equal(step_reference(&small, w, other, 6, 0, 6, false, b), 0);
    assert_memory_equal(a, b, 3 * 32 * sizeof *a);
    for (int t = 3; t < 6; t++)
        assert_true(memcmp(a + t * 32, b + t * 32, 32 * sizeof *a) != 0);
    assert_int_equal(step_reference(&small, w, tokens, 4, 3, 1, false, b), 0);
    assert_memory_equal(a + 3 * 32, b, 32 * sizeof *a);
    other[3] = tokens[3];
    other[0] = tokens[1];
    other[1] = tokens[0];
    assert_int_equal(step_reference(&small, w, other, 6, 5, 1, false, b), 0);
    assert_true(fabs(b[0] - a[5 * 32]) > 1e-6); /* positions turn the keys */
    assert_int_equal(step_reference(&small, w, tokens, 6, 0, 6, true, b), 0);
    for (int i = 0; i < 6 * 32; i++) {
        off += (a[i] - b[i]) * (a[i] - b[i]);
        all += a[i] * a[i];
    }
    printf("bf16 at each store: %.1e of the logits\n", sqrt(off / all));
    assert_true(off > 0 && sqrt(off / all) < 3e-2); /* what the check on the GPU allows */
    free(w);
}

static int count_kind(const struct step_point *points, int count, enum step_kind kind, bool offload) {
    int found = 0;
    for (int i = 0; i < count; i++)
        found += points[i].kind == kind && (points[i].offload != STEP_ALONE) == offload;
    return found;
}

/* Rows as the group writes them go through the reader and the model: each is priced, above its bound. */
static void test_points(void **state) {
    (void)state;
    static const struct step_dims *const models[] = {&step_llama, &step_qwen};
    static char folder[] = "/tmp/tiersim-step-XXXXXX";
    char path[64], params[STEP_PARAMS];
    struct step_point points[STEP_POINTS_MAX];
    int per_op[STEP_OPS] = {0}, total = 0;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs("group,variant,params,bytes,flops,us_median,us_p10,us_p90,us_min,n,us_submit,rate_per_s,ceiling_per_s,error,"
          "joules,sm_mhz,note\n",
          out);
    fputs("step,verify,check=decode instance=group4,0,0,1,1,1,1,1,0,0,0,0.004,0,0,logits\n", out);
    for (int m = 0; m < 2; m++) {
        int64_t pages = (int64_t)(60e9 / (2.0 * (double)step_page_elements(models[m])));
        int count = step_points(pages, false, points), quick = step_points(pages, true, points);
        assert_true(count > 5 * quick - 5 && count <= 5 * quick);
        for (int k = 0; k < 3; k++)
            assert_true(count_kind(points, quick, (enum step_kind)k, false) > 0);
        assert_int_equal(step_points(pages, false, points), count);
        per_op[0] += count_kind(points, count, STEP_DECODE, false);
        per_op[1] += count_kind(points, count, STEP_PREFILL, false);
        per_op[2] += count_kind(points, count, STEP_MIXED, false);
        for (int i = 0; i < count; i++, total++) {
            assert_true(step_pages(&points[i]) <= pages);
            step_params(models[m], &points[i], params);
            double bound_s =
                fmax(step_bytes(models[m], &points[i]) / 4.8e12, step_flops(models[m], &points[i]) / 989e12);
            fprintf(out, "step,graph,%s,1,1,%.4f,1,1,1,5,0,1,1,-1,0,1500,x\n", params, 1e6 * bound_s);
        }
    }
    fclose(out);
    per_op[3] = total - per_op[0] - per_op[1] - per_op[2];
    assert_true(total >= 110 && per_op[3] == 24);
    struct models open = models_open("h200-sxm");
    struct measured_rows rows;
    struct points predicted[STEP_OPS];
    struct error err;
    if (measured_read(folder, open.arena, &rows, &err) != 0 ||
        predict_steps(&rows, open.gpu, open.profile, (struct step_finder){load_arch}, open.arena, predicted, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(rows.failed, 0);
    double sum_s = 0;
    for (int op = 0; op < STEP_OPS; op++) {
        assert_int_equal(predicted[op].count, per_op[op]);
        for (size_t i = 0; i < predicted[op].count; i++) {
            const struct point *p = &predicted[op].items[i];
            if (!(p->predicted_s > p->row->seconds && p->predicted_s < 4 * p->row->seconds))
                fail_msg("%s: %g s predicted, the bound is %g", p->row->params, p->predicted_s, p->row->seconds);
            sum_s += p->predicted_s;
        }
    }
    printf("%d points, %.2f s of steps\n", total, sum_s);
    arena_destroy(open.arena);
    assert_int_equal(unlink(path) | rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bf16), cmocka_unit_test(test_layout),
                                       cmocka_unit_test(test_one_token), cmocka_unit_test(test_causal),
                                       cmocka_unit_test(test_points)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
