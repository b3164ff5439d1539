/* Does a step come to what was published of whole engines? Nothing was tuned on these: kernels are fitted apart, small
 * kernels were timed apart. */
#include <math.h>

#include "tests/models.h"

/* Least squares over the contexts that a published law covers. */
static void law(struct step_model *model, double *intercept_s, double *slope_s) {
    double n = 0, x1 = 0, x2 = 0, y1 = 0, xy = 0;
    for (int64_t context = 1024; context <= 131072; context += 1024) {
        struct step_shape shape = {.decode_seqs = 1, .decode_context = context, .decode_longest = context, .logits = 1};
        double x = (double)context, y = step_cost(model, &shape).seconds;
        n += 1;
        x1 += x;
        x2 += x * x;
        y1 += y;
        xy += x * y;
    }
    *slope_s = (n * xy - x1 * y1) / (n * x2 - x1 * x1);
    *intercept_s = (y1 - *slope_s * x1) / n;
}

/* One H100, vLLM 0.19 with FA3, Llama-3.1-8B bf16, batch 1: ITL = 6.44 ms + 4.37e-5 ms a token (2026-04); with fp8 KV
 * 6.58 ms + 2.37e-5. */
static void test_decode_law(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    static const double intercept[] = {6.44e-3, 6.58e-3}, slope[] = {4.37e-8, 2.37e-8};
    for (int kv = 0; kv < 2; kv++) {
        struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, (enum dtype)kv);
        double a, b;
        law(model, &a, &b);
        printf("%s KV: %.3f ms + %.3e ms a token; published %.2f + %.2e\n", dtype_names[kv], a * 1e3, b * 1e3,
               intercept[kv] * 1e3, slope[kv] * 1e3);
        assert_true(fabs(a / intercept[kv] - 1.0) < 0.10);
        assert_true(fabs(b / slope[kv] - 1.0) < 0.08);
        step_model_destroy(model);
    }
    arena_destroy(models.arena);
}

/* Llama-3.1-70B FP8, concurrency 4: TPOT 17.4, 11.8, 9.1 ms at TP 2, 4, 8, host work included, so a GPU's step is no
 * longer than that; and it is no shorter than what the weights alone take by far: 10.5, 5.3, 2.6. */
static void test_tensor_parallel(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    static const double tpot_s[] = {17.4e-3, 11.8e-3, 9.1e-3};
    for (int i = 0; i < 3; i++) {
        struct step_model *model = models_step(&models, "llama-3.1-70b", INT64_C(2) << i, DTYPE_FP8, DTYPE_BF16);
        struct step_shape shape = {.decode_seqs = 4, .decode_context = 8000, .decode_longest = 2000, .logits = 4};
        double seconds = step_cost(model, &shape).seconds;
        printf("TP %d: %.1f ms; published %.1f\n", 2 << i, seconds * 1e3, tpot_s[i] * 1e3);
        assert_true(seconds < 1.05 * tpot_s[i] && seconds > 0.8 * tpot_s[i]);
        step_model_destroy(model);
    }
    arena_destroy(models.arena);
}

/* vLLM's own KV room on one H100 for the 8B at 0.9 of memory is 50 to 60 GiB; weights are 15 GiB. */
static void test_kv_capacity(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
    double gib = step_model_kv_capacity_bytes(model, 0.9, 0) / 1073741824.0;
    assert_true(gib > 50.0 && gib < 60.0);
    assert_true(fabs(gib - step_model_kv_capacity_bytes(model, 0.9, 1073741824.0) / 1073741824.0 - 1.0) < 1e-9);
    step_model_destroy(model);
    arena_destroy(models.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode_law), cmocka_unit_test(test_tensor_parallel),
                                       cmocka_unit_test(test_kv_capacity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
