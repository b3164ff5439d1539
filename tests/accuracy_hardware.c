/* How far is a GPU by its datasheet from what was timed on it? Kernels of vLLM 0.24 in bf16 (aiconfigurator @095f58a5)
 * on GPUs that no profile of ours was fitted on, with 32 query and 8 KV heads of 128: decode attention over contexts
 * beyond the L2, and prefill attention. Kernels differ from GPU to GPU (FlashAttention 2 and 3, trtllm-gen), as they do
 * in what the rule's interval must cover. */
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

/* Shares of the datasheet's dense FLOPS, 4 x heads x 128 x tokens^2/2 of them, at 2k to 16k tokens. */
static const struct {
    const char *gpu;
    double flops, shares[4];
} prefills[] = {{"b200-sxm", 2250e12, {0.24, 0.37, 0.47, 0.55}},
                {"l40s", 362e12, {0.32, 0.49, 0.51, 0.51}},
                {"rtx-pro-6000", 467.8e12, {0.43, 0.54, 0.60, 0.64}}};
enum { PREFILL_GPUS = sizeof prefills / sizeof *prefills, LENGTHS = 4, PREFILLS = PREFILL_GPUS * LENGTHS };

/* The attention of one layer of Llama-3.1-8B, whose heads these are, by the H100's profile. */
static struct step_op priced(const char *gpu, const struct step_shape *shape, const char *name) {
    struct models models = models_open(gpu);
    struct error err;
    struct step_op ops[STEP_OPS_MAX], found = {0};
    must_load(load_profile_named("h100-sxm", (struct place){0}, models.arena, &models.profile, &err), &err);
    struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
    int count = step_ops(model, shape, ops);
    for (int i = 0; i < count; i++)
        if (strcmp(ops[i].name, name) == 0)
            found = ops[i];
    assert_true(found.seconds > 0 && found.basis == BASIS_SPEC);
    found.seconds /= 32;
    found.low_s /= 32;
    found.high_s /= 32;
    step_model_destroy(model);
    arena_destroy(models.arena);
    return found;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct tally {
    double off[TIMED];
    int count, inside;
};
static void tell(struct tally *tally, const char *what, const struct step_op *op, double seconds) {
    bool held = op->low_s <= seconds && seconds <= op->high_s;
    printf("%s: %.0f us (%.0f to %.0f), timed %.0f: %+.0f %%%s\n", what, op->seconds * 1e6, op->low_s * 1e6,
           op->high_s * 1e6, seconds * 1e6, 100 * (op->seconds / seconds - 1), held ? "" : ", outside");
    tally->off[tally->count++] = fabs(op->seconds / seconds - 1);
    tally->inside += held;
}

/* Points share GPUs, so far fewer of them are independent than there are. */
static void judge(struct tally *tally, double median_most, double worst_most) {
    int n = tally->count;
    qsort(tally->off, (size_t)n, sizeof *tally->off, ascending);
    printf("median %.1f %%, worst %.1f %%; %d of %d within the 90 %% interval\n", 100 * tally->off[n / 2],
           100 * tally->off[n - 1], tally->inside, n);
    assert_true(tally->off[n / 2] < median_most && tally->off[n - 1] < worst_most);
    assert_true(tally->inside >= n * 3 / 4);
}

static void test_decode(void **state) {
    (void)state;
    struct tally tally = {0};
    for (int i = 0; i < TIMED; i++) {
        int64_t batch = timed[i].batch, context = timed[i].context;
        struct step_shape shape = {
            .decode_seqs = batch, .decode_context = batch * context, .decode_longest = context, .logits = batch};
        struct step_op op = priced(timed[i].gpu, &shape, "attention_decode");
        char what[64];
        snprintf(what, sizeof what, "%s, %lld x %lld", timed[i].gpu, (long long)batch, (long long)context);
        tell(&tally, what, &op, timed[i].seconds);
    }
    judge(&tally, 0.2, 0.6);
}

static void test_prefill(void **state) {
    (void)state;
    struct tally tally = {0};
    for (int i = 0; i < PREFILLS; i++) {
        int gpu = i / LENGTHS;
        int64_t tokens = INT64_C(2048) << i % LENGTHS;
        struct step_shape shape = {.prefill_seqs = 1,
                                   .prefill_tokens = tokens,
                                   .prefill_context = tokens,
                                   .prefill_pairs = tokens * (tokens + 1) / 2,
                                   .prefill_squares = tokens * tokens,
                                   .logits = 1};
        struct step_op op = priced(prefills[gpu].gpu, &shape, "attention_prefill");
        char what[64];
        snprintf(what, sizeof what, "%s, prefill of %lld", prefills[gpu].gpu, (long long)tokens);
        double flop = 4.0 * 32 * 128 * (double)tokens * (double)tokens / 2;
        tell(&tally, what, &op, flop / (prefills[gpu].flops * prefills[gpu].shares[i % LENGTHS]));
    }
    judge(&tally, 0.3, 0.6);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_prefill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
