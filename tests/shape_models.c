/* Do costs move the way hardware does, and do straight segments stay on the full model? */
#include <math.h>

#include "models/ops.h"
#include "tests/models.h"

static struct step_shape decode_of(int64_t n, int64_t context) {
    return (struct step_shape){.decode_seqs = n, .decode_context = n * context, .decode_longest = context, .logits = n};
}
static struct step_shape prefill_of(int64_t q, int64_t context) {
    return (struct step_shape){.prefill_seqs = 1,
                               .prefill_tokens = q,
                               .prefill_context = context,
                               .prefill_pairs = q * context - q * (q - 1) / 2,
                               .prefill_squares = q * q,
                               .logits = 1};
}

/* Within 0.5 % of step_cost at every step, exact at the first, never falling, whatever the shape. */
static void segments_of(const char *gpu) {
    struct models models = models_open(gpu);
    for (int kind = 0; kind < MODELS_KINDS; kind++) {
        struct step_model *model = models_step(&models, models_kinds[kind].name, models_kinds[kind].tp,
                                               models_kinds[kind].weights, models_kinds[kind].kv);
        int64_t window = models_arch(&models, models_kinds[kind].name)->window, taken = 0;
        for (uint64_t i = 0; i < 400; i++) {
            struct step_shape shape = models_shape(i, window);
            uint64_t random = i;
            int64_t max_steps = models_between(&random, 1, shape.prefill_seqs > 0 ? 30 : 3000);
            struct step_segment line = step_segment(model, &shape, max_steps);
            assert_true(line.a > 0 && line.b >= 0 && line.steps >= 1 && line.steps <= max_steps);
            taken += line.steps > 1;
            int64_t stride = line.steps > 200 ? line.steps / 200 : 1;
            for (int64_t step = 0; step < line.steps; step += stride) {
                struct step_shape later = step_shape_later(&shape, step);
                double exact = step_cost(model, &later).seconds * 1e9 * (double)STEP_FIXED_ONE,
                       off = (double)(line.a + line.b * step) / exact - 1.0;
                if (fabs(off) > (step == 0 ? 1e-9 : 0.005))
                    fail_msg("%s shape %d step %d: off by %.3f %%", models_kinds[kind].name, (int)i, (int)step,
                             100 * off);
            }
        }
        assert_true(taken > 300); /* not by giving up */
        step_model_destroy(model);
    }
    arena_destroy(models.arena);
}
static void test_segments(void **state) {
    (void)state;
    segments_of("h100-sxm");
    segments_of("h200-sxm");
}

/* A line never crosses from one decode kernel to the other. */
static void test_segments_keep_one_kernel(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
    struct step_op ops[STEP_OPS_MAX];
    for (int64_t context = 400; context < 520; context += 7) {
        struct step_shape shape = decode_of(2, context);
        struct step_segment line = step_segment(model, &shape, 1000);
        struct step_shape last = step_shape_later(&shape, line.steps - 1);
        const char *kernels[2] = {"", ""};
        for (int end = 0; end < 2; end++) {
            int count = step_ops(model, end ? &last : &shape, ops);
            for (int k = 0; k < count; k++)
                if (strcmp(ops[k].name, "attention_decode") == 0)
                    kernels[end] = ops[k].kernel;
        }
        assert_string_equal(kernels[0], kernels[1]);
        assert_true(strlen(kernels[0]) > 0);
    }
    step_model_destroy(model);
    arena_destroy(models.arena);
}

static void test_grows(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
    for (int64_t n = 1; n <= 64; n *= 2) {
        double before = 0;
        for (int64_t context = 600; context <= 120000; context = context * 3 / 2) {
            struct step_shape shape = decode_of(n, context);
            double seconds = step_cost(model, &shape).seconds;
            assert_true(seconds > before);
            before = seconds;
        }
    }
    /* A chunk behind a longer prefix costs more; 32 decodes cost far less than 32 steps of one. */
    struct step_shape first = prefill_of(2048, 2048), second = prefill_of(2048, 32768);
    assert_true(step_cost(model, &second).seconds > step_cost(model, &first).seconds);
    struct step_shape one = decode_of(1, 1000), many = decode_of(32, 1000);
    assert_true(step_cost(model, &many).seconds < 4.0 * step_cost(model, &one).seconds);
    step_model_destroy(model);
    arena_destroy(models.arena);
}

static void test_narrower_is_faster(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    struct step_shape shape = decode_of(4, 8000);
    double seconds[3];
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        struct step_model *model = models_step(&models, "llama-3.1-8b", 1, (enum dtype)dtype, DTYPE_BF16);
        seconds[dtype] = step_cost(model, &shape).seconds;
        step_model_destroy(model);
    }
    assert_true(seconds[DTYPE_FP8] < seconds[DTYPE_BF16] && seconds[DTYPE_INT4] < seconds[DTYPE_FP8]);
    double before = 1.0;
    for (int64_t tp = 1; tp <= 8; tp *= 2) {
        struct step_model *model = models_step(&models, "llama-3.1-8b", tp, DTYPE_BF16, DTYPE_BF16);
        double now = step_cost(model, &shape).seconds;
        assert_true(now < before && (tp == 1 || now > before / 2.0)); /* faster, never by as much as the GPUs */
        before = now;
        step_model_destroy(model);
    }
    arena_destroy(models.arena);
}

/* Tokens that choose 4 of 128 experts each read 29 of them at batch 8. */
static void test_experts_read(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    const struct arch *arch = models_arch(&models, "gpt-oss-120b");
    struct step_model *model = models_step(&models, "gpt-oss-120b", 4, DTYPE_BF16, DTYPE_BF16);
    struct step_op ops[STEP_OPS_MAX];
    struct step_shape shape = decode_of(8, 1000);
    int count = step_ops(model, &shape, ops);
    double expert = 3.0 * (double)(arch->hidden * arch->moe_ffn) * 2.0 / 4.0 * (double)arch->layers;
    for (int k = 0; k < count; k++) {
        if (strcmp(ops[k].name, "experts") != 0)
            continue;
        assert_true(fabs(ops[k].bytes / expert - 29.0) < 0.5);
        count = -1;
    }
    assert_int_equal(count, -1);
    step_model_destroy(model);
    arena_destroy(models.arena);
}

/* Layers with a window stop growing when it is full. */
static void test_window(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    struct step_model *model = models_step(&models, "gpt-oss-20b", 1, DTYPE_BF16, DTYPE_BF16);
    double bytes[2], flops;
    for (int i = 0; i < 2; i++) {
        struct step_shape shape = decode_of(1, i ? 20000 : 10000);
        shape.decode_window = 128;
        step_work(model, &shape, &bytes[i], &flops);
    }
    assert_true(fabs(bytes[1] - bytes[0] - 10000.0 * 12.0 * 2048.0) <
                1.0); /* 12 of 24 layers, 2048 bytes a token each */
    step_model_destroy(model);
    arena_destroy(models.arena);
}

/* Asynchronous engines hide host work behind the GPU's; decode pads to the next captured graph. */
static void test_engine(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    double sizes[] = {1, 2, 4, 8};
    struct engine_profile engine = {.name = "test",
                                    .asynchronous = true,
                                    .step_s = {1e-3, BASIS_SPEC, "test"},
                                    .per_sequence_s = {1e-3, BASIS_SPEC, "test"},
                                    .graph_sizes = {sizes, 4}};
    struct step_model_options options = {.arch = models_arch(&models, "llama-3.1-8b"),
                                         .gpu = models.gpu,
                                         .profile = models.profile,
                                         .engine = &engine,
                                         .tp = 1,
                                         .max_step_tokens = 64,
                                         .page_tokens = 16};
    struct step_model *bare = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16), *model;
    struct error err;
    must_load(step_model_create(&options, &model, &err), &err);
    struct step_shape one = decode_of(1, 1000), eight = decode_of(8, 1000), five = decode_of(5, 1600);
    assert_true(step_cost(model, &one).seconds == step_cost(bare, &one).seconds);
    assert_true(fabs(step_cost(model, &eight).seconds - 9e-3) < 1e-12);
    step_model_destroy(model);
    engine.asynchronous = false;
    must_load(step_model_create(&options, &model, &err), &err);
    assert_true(fabs(step_cost(model, &one).seconds - step_cost(bare, &one).seconds - 2e-3) < 1e-12);
    /* 5 sequences run as 8: their products cost what 8 sequences' do. */
    double bytes[2], flops[2];
    step_work(model, &five, &bytes[0], &flops[0]);
    step_work(bare, &five, &bytes[1], &flops[1]);
    assert_true(flops[0] > 1.4 * flops[1]);
    step_model_destroy(model);
    step_model_destroy(bare);
    arena_destroy(models.arena);
}

/* A GPU without a profile of its own: rates scale with the datasheet, and everything says `spec`. */
static void test_other_gpus_are_spec(void **state) {
    (void)state;
    struct models h100 = models_open("h100-sxm"), other = models_open("gh200");
    struct step_model *a = models_step(&h100, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16),
                      *b = models_step(&other, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
    struct step_shape shape = decode_of(16, 32000);
    struct step_cost slow = step_cost(a, &shape), fast = step_cost(b, &shape);
    assert_int_equal(fast.basis, BASIS_SPEC);
    assert_true(slow.seconds / fast.seconds > 1.1 && slow.seconds / fast.seconds < 4.0 / 3.35);
    assert_true((fast.high_s - fast.low_s) / fast.seconds > (slow.high_s - slow.low_s) / slow.seconds);
    step_model_destroy(a);
    step_model_destroy(b);
    arena_destroy(h100.arena);
    arena_destroy(other.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),     cmocka_unit_test(test_segments_keep_one_kernel),
        cmocka_unit_test(test_grows),        cmocka_unit_test(test_narrower_is_faster),
        cmocka_unit_test(test_experts_read), cmocka_unit_test(test_window),
        cmocka_unit_test(test_engine),       cmocka_unit_test(test_other_gpus_are_spec)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
