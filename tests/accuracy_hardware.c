/* How far is a GPU by its datasheet from what was timed on it? Decode attention of vLLM 0.24's kernels (aiconfigurator
 * @095f58a5) on GPUs that no profile of ours was fitted on, with 32 query and 8 KV heads of 128 in bf16. Only contexts
 * beyond the L2. Kernels differ from GPU to GPU (FlashAttention 2 and 3, trtllm-gen), as they do in what the rule's
 * interval must cover. */
#include <math.h>

#include "tests/models.h"

static const struct {
    const char *gpu;
    int64_t batch, context;
    double seconds;
} timed[] = {
    {"h200-sxm", 8, 8192, 83e-6},      {"h200-sxm", 32, 8192, 269e-6},     {"h200-sxm", 128, 4096, 493e-6},
    {"h200-sxm", 1, 65536, 84e-6},     {"b200-sxm", 8, 8192, 47.5e-6},     {"b200-sxm", 32, 8192, 157e-6},
    {"b200-sxm", 128, 4096, 301e-6},   {"b200-sxm", 1, 65536, 56e-6},      {"l40s", 8, 8192, 427e-6},
    {"l40s", 32, 8192, 1672e-6},       {"l40s", 128, 4096, 2991e-6},       {"l40s", 1, 65536, 432e-6},
    {"rtx-pro-6000", 8, 8192, 196e-6}, {"rtx-pro-6000", 32, 8192, 724e-6}, {"rtx-pro-6000", 128, 4096, 1421e-6},
    {"rtx-pro-6000", 1, 65536, 196e-6}};
enum { TIMED = sizeof timed / sizeof *timed };

/* One layer of Llama-3.1-8B, whose heads these are. */
static struct step_op attention(const struct step_model *model, int64_t batch, int64_t context) {
    struct step_shape shape = {
        .decode_seqs = batch, .decode_context = batch * context, .decode_longest = context, .logits = batch};
    struct step_op ops[STEP_OPS_MAX];
    int count = step_ops(model, &shape, ops);
    for (int i = 0; i < count; i++) {
        if (strcmp(ops[i].name, "attention_decode") != 0)
            continue;
        ops[i].seconds /= 32;
        ops[i].low_s /= 32;
        ops[i].high_s /= 32;
        return ops[i];
    }
    fail_msg("no attention");
    return ops[0];
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_datasheets(void **state) {
    (void)state;
    double off[TIMED];
    int inside = 0;
    for (int i = 0; i < TIMED; i++) {
        struct models models = models_open(timed[i].gpu);
        struct error err;
        must_load(load_profile_named("h100-sxm", (struct place){0}, models.arena, &models.profile, &err), &err);
        struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
        struct step_op op = attention(model, timed[i].batch, timed[i].context);
        bool held = op.low_s <= timed[i].seconds && timed[i].seconds <= op.high_s;
        printf("%s, %lld x %lld: %.0f us (%.0f to %.0f), timed %.0f: %+.0f %%%s\n", timed[i].gpu,
               (long long)timed[i].batch, (long long)timed[i].context, op.seconds * 1e6, op.low_s * 1e6,
               op.high_s * 1e6, timed[i].seconds * 1e6, 100 * (op.seconds / timed[i].seconds - 1),
               held ? "" : ", outside");
        off[i] = fabs(op.seconds / timed[i].seconds - 1);
        inside += held;
        assert_int_equal(op.basis, BASIS_SPEC);
        step_model_destroy(model);
        arena_destroy(models.arena);
    }
    qsort(off, TIMED, sizeof *off, ascending);
    printf("median %.1f %%, worst %.1f %%; %d of %d within the 90 %% interval\n", 100 * off[TIMED / 2],
           100 * off[TIMED - 1], inside, TIMED);
    assert_true(off[TIMED / 2] < 0.2 && off[TIMED - 1] < 0.6);
    assert_true(inside >= TIMED * 3 / 4); /* they share GPUs, so it is far fewer than 16 that are independent */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_datasheets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
