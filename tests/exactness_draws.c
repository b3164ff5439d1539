/* Are intervals what they must be: of ranks, of closed forms, of nothing that errs; by first order and by draws? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/cli/catalogue.h"
#include "sim/cli/report.h"

static const double normal_90 = 1.6448536269514722;

/* ---- intervals ---- */

static void test_ranks(void **state) {
    (void)state;
    double values[39], low, high;
    for (int i = 0; i < 39; i++)
        values[i] = 39 - i;
    draws_interval(values, 39, &low, &high);
    assert_true(low == 2 && high == 38);
    draws_interval(values, 19, &low, &high);
    assert_true(low == 1 && high == 19);
    draws_interval(values, 20, &low, &high); /* rank 1.05 from either end */
    assert_true(fabs(low - 1.05) < 1e-12 && fabs(high - 19.95) < 1e-12);
    draws_interval(values, 2, &low, &high);
    assert_true(low == 1 && high == 2);
    draws_interval(values, 1, &low, &high);
    assert_true(low == 1 && high == 1);
    assert_true(draws_level(19) == 0.9 && draws_level(1000) == 0.9 && fabs(draws_level(2) - 1.0 / 3) < 1e-12);
}

static void test_factor(void **state) {
    (void)state;
    for (int i = -800; i <= 800; i++) {
        double x = i * 0.01;
        assert_true(fabs(error_factor(x) / exp(x) - 1) < 1e-12);
    }
    assert_true(error_factor(0) == 1);
}

/* ---- a GPU by its datasheet ---- */

struct world {
    struct arena *arena;
    struct arch *arch;
    struct gpu *gpu;
    struct kernel_profile profile;
};

static struct world world_of(const char *model, const char *gpu) {
    struct world w = {.arena = arena_create()};
    struct place nowhere = {0};
    struct kernel_profile *profile;
    struct error err;
    if (load_arch(model, nowhere, w.arena, &w.arch, &err) != 0 || load_gpu(gpu, nowhere, w.arena, &w.gpu, &err) != 0 ||
        load_profile_named("h100-sxm", nowhere, w.arena, &profile, &err) != 0)
        fail_msg("%s", err.text);
    w.profile = *profile;
    return w;
}

/* The figures are worked out apart from models/draw.c, from the same table. */
static void test_hardware(void **state) {
    (void)state;
    static const struct {
        const char *gpu;
        double floor, memory, compute, prefill, fixed;
    } cases[] = {{"h100-sxm", 0.05, 0, 0, 0, 0},
                 {"h200-sxm", 0.05, 0.05, 0.05, 0.05, 0.05},
                 {"gh200", 0.07, 0.07, 0.07, 0.07, 0.07},
                 {"b200-sxm", 0.05, 0.13777, 0.10440, 0.23019, 0.23019},
                 {"l40s", 0.12, 0.13777, 0.12, 0.23019, 0.23019},
                 {"mi300x", 0.3, 0.3, 0.3, 0.3, 0.3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = world_of("llama-3.1-8b", cases[i].gpu);
        w.profile.spec_spread = cases[i].floor;
        double spread[SHARES];
        hardware_spread(&w.profile, w.gpu, spread);
        const double expected[SHARE_ALL] = {cases[i].memory, cases[i].compute, cases[i].prefill, cases[i].fixed};
        for (int s = 0; s < SHARE_ALL; s++)
            if (fabs(hypot(spread[s], spread[SHARE_ALL]) - expected[s]) > 1e-5)
                fail_msg("%s: share %d: %.5f, not %.5f", cases[i].gpu, s, hypot(spread[s], spread[SHARE_ALL]),
                         expected[s]);
        assert_true(spread[SHARE_ALL] == (i == 0 ? 0 : cases[i].floor));
        arena_destroy(w.arena);
    }
}

/* ---- steps ---- */

/* Each fit's errors x `scale`. */
static void scale_quality(struct fit_quality *q, double scale) {
    q->spread *= scale;
    q->sigma *= scale;
    q->spread_outside *= scale;
}
static void scale_errors(struct kernel_profile *p, double scale) {
    struct collective_fit *collectives = p->collectives.items;
    scale_quality(&p->gemm.fit, scale);
    scale_quality(&p->decode_bf16.split, scale);
    scale_quality(&p->decode_bf16.single, scale);
    scale_quality(&p->decode_fp8.split, scale);
    scale_quality(&p->decode_fp8.single, scale);
    scale_quality(&p->prefill.fit, scale);
    for (size_t i = 0; i < p->collectives.count; i++)
        scale_quality(&collectives[i].fit, scale);
    p->small.spread *= scale;
    p->spec_spread *= scale;
}

static struct step_model *model_of(const struct world *w, int64_t tp, const struct draw *draw) {
    struct step_model *model;
    struct error err;
    struct step_model_options options = {.arch = w->arch,
                                         .gpu = w->gpu,
                                         .profile = &w->profile,
                                         .tp = tp,
                                         .max_step_tokens = 1, /* rows beyond the table are computed */
                                         .page_tokens = 16,
                                         .draw = draw};
    if (step_model_create(&options, &model, &err) != 0)
        fail_msg("%s", err.text);
    return model;
}

static struct draw normals(const struct world *w, uint64_t number) {
    struct variant v = {.kernels = (struct kernel_profile *)&w->profile, .gpu = w->gpu};
    struct draw draw = {0};
    draw_normals(&v, 7, number, &draw);
    return draw;
}

/* 90 % of `count` draws of a step. */
static void drawn_interval(const struct world *w, int64_t tp, const struct step_shape *shape, size_t count, double *low,
                           double *high) {
    double *seconds = calloc(count, sizeof *seconds);
    assert_non_null(seconds);
    for (size_t i = 0; i < count; i++) {
        struct draw draw = normals(w, i);
        struct step_model *model = model_of(w, tp, &draw);
        seconds[i] = step_cost(model, shape).seconds;
        step_model_destroy(model);
    }
    draws_interval(seconds, count, low, high);
    free(seconds);
}

static struct step_shape decode_shape(int64_t batch, int64_t context) {
    return (struct step_shape){
        .decode_seqs = batch, .decode_context = batch * context, .decode_longest = context, .logits = batch};
}
static struct step_shape prefill_shape(int64_t q, int64_t context) {
    return (struct step_shape){.prefill_seqs = 1,
                               .prefill_tokens = q,
                               .prefill_context = context,
                               .prefill_pairs = q * context - q * (q - 1) / 2,
                               .prefill_squares = q * q,
                               .logits = 1};
}

static double attention_s(const struct step_model *model, const struct step_shape *shape) {
    struct step_op ops[STEP_OPS_MAX];
    int count = step_ops(model, shape, ops);
    for (int i = 0; i < count; i++)
        if (strcmp(ops[i].name, "attention_decode") == 0)
            return ops[i].seconds;
    return 0;
}

/* Only decode attention errs: a step is rest + attention x exp(e), e normal, and its quantiles have a closed form. Of n
 * draws the quantile at p has a standard error of sqrt(p (1 - p)/n)/density: 0.047 standard deviations of e for n =
 * 2000, p = 0.05; four of them are allowed. The first order, exp of the whole, differs from it by 2 % of the width. */
static void test_closed_form(void **state) {
    (void)state;
    enum { DRAWS = 2000 };
    struct world w = world_of("llama-3.1-8b", "h100-sxm");
    scale_errors(&w.profile, 0);
    w.profile.decode_bf16.split.sigma = w.profile.decode_bf16.single.sigma = 0.04;
    w.profile.decode_bf16.split.spread = w.profile.decode_bf16.single.spread = 0.03;
    w.profile.decode_bf16.split.spread_outside = w.profile.decode_bf16.single.spread_outside = 0.12;
    static const struct {
        int64_t batch, context;
        double sigma; /* within the range 0.04 and 0.03, beyond it 0.04 and 0.12 */
    } cases[] = {{32, 8192, 0.05}, {256, 32768, 0.12649110640673517}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct step_shape shape = decode_shape(cases[i].batch, cases[i].context);
        struct step_model *model = model_of(&w, 1, NULL);
        struct step_cost cost = step_cost(model, &shape);
        double attention = attention_s(model, &shape), rest = cost.seconds - attention, low, high;
        assert_true(attention > 0.3 * cost.seconds);
        drawn_interval(&w, 1, &shape, DRAWS, &low, &high);
        double e_low = log((low - rest) / attention) / cases[i].sigma,
               e_high = log((high - rest) / attention) / cases[i].sigma;
        printf("decode %lld x %lld: quantiles at %.3f and %.3f standard deviations\n", (long long)cases[i].batch,
               (long long)cases[i].context, e_low, e_high);
        assert_true(fabs(e_low + normal_90) < 4 * 0.0473 && fabs(e_high - normal_90) < 4 * 0.0473);
        double exact_low = rest + attention * exp(-normal_90 * cases[i].sigma),
               exact_high = rest + attention * exp(normal_90 * cases[i].sigma), width = exact_high - exact_low;
        assert_true(fabs(cost.low_s - exact_low) < 0.04 * width && fabs(cost.high_s - exact_high) < 0.04 * width);
        step_model_destroy(model);
    }
    arena_destroy(w.arena);
}

/* A product's own error: at any one number of tokens the spread; at two far apart 0.3 of its variance in common. 4000
 * draws: a standard error of 0.016 of the correlation, 1.1 % of the spread; four are allowed. */
static void test_own(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    struct world w = world_of("llama-3.1-8b", "h100-sxm");
    double a2 = 0, b2 = 0, ab = 0, ops = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct draw draw = normals(&w, i);
        double a = log(draw_product(&draw, 3, 4, 0.07)), b = log(draw_product(&draw, 3, 9, 0.07));
        a2 += a * a;
        b2 += b * b;
        ab += a * b;
        ops += a * log(draw_product(&draw, 5, 4, 0.07));
    }
    assert_true(fabs(sqrt(a2 / DRAWS) / 0.07 - 1) < 0.045 && fabs(sqrt(b2 / DRAWS) / 0.07 - 1) < 0.045);
    assert_true(fabs(ab / sqrt(a2 * b2) - 0.3) < 4 * 0.016);
    assert_true(fabs(ops / a2) < 4 * 0.016);
    arena_destroy(w.arena);
}

/* A step's first-order interval is that of draws, within their sampling error and second order. */
static void test_first_order(void **state) {
    (void)state;
    enum { DRAWS = 1000 };
    static const char *const gpus[] = {"h100-sxm", "h200-sxm", "b200-sxm"};
    const struct step_shape shapes[] = {decode_shape(1, 1000), decode_shape(64, 4000), prefill_shape(2048, 2048),
                                        prefill_shape(2048, 60000)};
    for (size_t g = 0; g < sizeof gpus / sizeof *gpus; g++) {
        struct world w = world_of("llama-3.1-70b", gpus[g]);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct step_model *model = model_of(&w, 4, NULL);
            struct step_cost cost = step_cost(model, &shapes[s]);
            double low, high;
            step_model_destroy(model);
            drawn_interval(&w, 4, &shapes[s], DRAWS, &low, &high);
            double ratio = log(high / low) / log(cost.high_s / cost.low_s);
            printf("%s, shape %zu: first order %+.1f/%+.1f %%, draws %+.1f/%+.1f %%\n", gpus[g], s,
                   100 * (cost.low_s / cost.seconds - 1), 100 * (cost.high_s / cost.seconds - 1),
                   100 * (low / cost.seconds - 1), 100 * (high / cost.seconds - 1));
            assert_true(low < cost.seconds && cost.seconds < high);
            assert_true(ratio > 0.75 && ratio < 1.25);
        }
        arena_destroy(w.arena);
    }
}

/* No error, no width, to the bit; twice the error, twice the width. */
static void test_scale(void **state) {
    (void)state;
    const struct step_shape shape = decode_shape(16, 20000);
    double width[3];
    for (int scale = 0; scale < 3; scale++) {
        struct world w = world_of("llama-3.1-70b", "h200-sxm");
        struct step_model *model;
        double low, high;
        scale_errors(&w.profile, scale);
        model = model_of(&w, 4, NULL);
        struct step_cost cost = step_cost(model, &shape);
        step_model_destroy(model);
        drawn_interval(&w, 4, &shape, 200, &low, &high);
        if (scale == 0)
            assert_true(low == cost.seconds && high == cost.seconds && cost.low_s == cost.seconds &&
                        cost.high_s == cost.seconds);
        width[scale] = log(high / low);
        arena_destroy(w.arena);
    }
    assert_true(width[0] == 0 && width[1] > 0.02);
    assert_true(width[2] > 1.8 * width[1] && width[2] < 2.2 * width[1]);
}

/* ---- whole runs ---- */

static struct scenario load_scenario(const char *path, const char *const *sets, size_t count) {
    struct scenario scenario;
    struct error err;
    if (scenario_load(path, sets, count, NULL, &scenario, &err) != 0)
        fail_msg("%s", err.text);
    return scenario;
}

/* A run whose models do not err is the undrawn run, in every digit. */
static void test_nothing_errs(void **state) {
    (void)state;
    struct scenario scenario = load_scenario("configs/scenarios/smoke.yaml", NULL, 0);
    for (size_t i = 0; i < scenario.count; i++) {
        struct variant *v = &scenario.variants[i];
        scale_errors(v->kernels, i == 0 ? 0 : 1); /* the last two err, to see that this can fail */
        if (v->engine)
            v->engine->spread = 0;
        struct reach reach = {.variant = v, .seed = 1, .threads = 1};
        struct verdict verdict;
        struct drawn drawn;
        double figures[FIGURES];
        verdict_reach(&reach, &verdict);
        assert_false(verdict.failed);
        report_figures(v, &verdict, figures);
        draw_run(&reach, 1, 3, &drawn);
        assert_false(drawn.failed);
        bool same = memcmp(figures, drawn.figures, sizeof figures) == 0;
        assert_int_equal(same, i == 0);
        free(drawn.json);
        verdict_free(&verdict);
    }
    scenario_free(&scenario);
}

/* Links err by their own spread, and by nothing else. */
static void test_links(void **state) {
    (void)state;
    struct scenario scenario = load_scenario("configs/scenarios/smoke.yaml", NULL, 0);
    struct variant *v = &scenario.variants[1]; /* HBM and DRAM */
    struct node_link *links = v->node.links.items;
    scale_errors(v->kernels, 0);
    v->engine->spread = 0;
    double seen = 0;
    for (size_t i = 0; i < v->node.links.count; i++) {
        seen += links[i].spread;
        links[i].spread = 0;
    }
    assert_true(seen > 0); /* the catalogue has some */
    for (int errs = 0; errs < 2; errs++) {
        struct reach reach = {.variant = v, .seed = 1, .threads = 1};
        struct verdict verdict;
        struct drawn drawn;
        double figures[FIGURES];
        links[0].spread = errs ? 0.3 : 0; /* copy: what all loads go over */
        assert_string_equal(links[0].name, "copy");
        verdict_reach(&reach, &verdict);
        assert_false(verdict.failed);
        report_figures(v, &verdict, figures);
        draw_run(&reach, 1, 3, &drawn);
        assert_false(drawn.failed);
        assert_int_equal(memcmp(figures, drawn.figures, sizeof figures) == 0, !errs);
        free(drawn.json);
        verdict_free(&verdict);
    }
    scenario_free(&scenario);
}

/* One request of one step: its TTFT is that step, and so is its interval: prefill attention alone errs, by 10 % in all.
 * 400 draws: a standard error of 0.106 standard deviations; four are allowed. */
static void test_lone_request(void **state) {
    (void)state;
    enum { DRAWS = 400 };
    char path[] = "/tmp/tiersim-lone-XXXXXX.yaml";
    int file = mkstemps(path, 5);
    assert_true(file >= 0);
    static const char text[] = "name: lone\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nengine: none\n"
                               "serving: {token_budget: 8192}\nworkload:\n  generate:\n"
                               "    arrivals: {process: poisson, rate: 0.05/s}\n    duration: 100 s\n"
                               "    first_prompt: {kind: constant, mean: 8000}\n    output: {kind: constant, mean: 1}\n"
                               "    turns: {kind: constant, mean: 1}\n";
    assert_int_equal(write(file, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(file);
    struct scenario scenario = load_scenario(path, NULL, 0);
    struct variant *v = &scenario.variants[0];
    scale_errors(v->kernels, 0);
    v->kernels->prefill.fit.sigma = 0.06;
    v->kernels->prefill.fit.spread = 0.08;
    struct reach reach = {.variant = v, .seed = 1, .threads = 1};
    struct verdict verdict;
    double undrawn[FIGURES], ttft[DRAWS], low, high;
    verdict_reach(&reach, &verdict);
    assert_false(verdict.failed);
    report_figures(v, &verdict, undrawn);
    verdict_free(&verdict);
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct drawn drawn;
        draw_run(&reach, 1, i, &drawn);
        assert_false(drawn.failed);
        ttft[i] = drawn.figures[FIGURE_TTFT_P50];
        free(drawn.json);
    }
    draws_interval(ttft, DRAWS, &low, &high);
    struct step_shape shape = prefill_shape(8000, 8000);
    struct step_op ops[STEP_OPS_MAX];
    int count = step_ops(v->model, &shape, ops);
    double attention = 0, rest = undrawn[FIGURE_TTFT_P50];
    for (int i = 0; i < count; i++)
        if (strcmp(ops[i].name, "attention_prefill") == 0)
            attention = ops[i].seconds;
    rest -= attention;
    double e_low = log((low - rest) / attention) / 0.1, e_high = log((high - rest) / attention) / 0.1;
    printf("lone request: TTFT %.4g s, attention %.4g; quantiles at %.3f and %.3f standard deviations\n",
           undrawn[FIGURE_TTFT_P50], attention, e_low, e_high);
    assert_true(fabs(e_low + normal_90) < 4 * 0.106 && fabs(e_high - normal_90) < 4 * 0.106);
    scenario_free(&scenario);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranks),    cmocka_unit_test(test_factor),
                                       cmocka_unit_test(test_hardware), cmocka_unit_test(test_closed_form),
                                       cmocka_unit_test(test_own),      cmocka_unit_test(test_first_order),
                                       cmocka_unit_test(test_scale),    cmocka_unit_test(test_nothing_errs),
                                       cmocka_unit_test(test_links),    cmocka_unit_test(test_lone_request)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
