/* Do an engine's ways of launching, and kernels' uneven ends, cost what they should and never less than nothing? */
#include <math.h>

#include "tests/models.h"
#include "tests/text_scenario.h"

static double attention_s(const struct step_model *model, const struct step_shape *shape) {
    struct step_op ops[STEP_OPS_MAX];
    int count = step_ops(model, shape, ops);
    for (int i = 0; i < count; i++)
        if (strcmp(ops[i].name, "attention_prefill") == 0)
            return ops[i].seconds;
    return 0;
}

/* So many equal prompts in a step. */
static struct step_shape prompts(int64_t count, int64_t tokens) {
    return (struct step_shape){.prefill_seqs = count,
                               .prefill_tokens = count * tokens,
                               .prefill_context = count * tokens,
                               .prefill_pairs = count * tokens * (tokens + 1) / 2,
                               .prefill_squares = count * tokens * tokens,
                               .logits = count};
}

static void prompts_apart(void **state) {
    (void)state;
    struct models models = models_open("h200-sxm");
    struct engine_profile engine = {.prompts_apart = true};
    struct step_model_options options = {.arch = models_arch(&models, "llama-3.1-8b"),
                                         .gpu = models.gpu,
                                         .profile = models.profile,
                                         .engine = &engine,
                                         .tp = 1,
                                         .max_step_tokens = 64,
                                         .page_tokens = 16};
    struct step_model *together = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16), *apart;
    struct error err;
    must_load(step_model_create(&options, &apart, &err), &err);
    struct step_shape one = prompts(1, 500), four = prompts(4, 500);
    assert_true(step_cost(apart, &one).seconds == step_cost(together, &one).seconds);
    assert_true(fabs(attention_s(apart, &four) / (4 * attention_s(together, &one)) - 1) < 1e-12);
    double longer = attention_s(apart, &four) - attention_s(together, &four);
    assert_true(longer > 0);
    assert_true(fabs(step_cost(apart, &four).seconds - step_cost(together, &four).seconds - longer) < 1e-9);
    double bytes[2], flops[2];
    step_work(apart, &four, &bytes[0], &flops[0]);
    step_work(together, &four, &bytes[1], &flops[1]);
    assert_true(fabs(bytes[0] / bytes[1] - 1) < 1e-12 && fabs(flops[0] / flops[1] - 1) < 1e-12);
    step_model_destroy(together);
    step_model_destroy(apart);
    arena_destroy(models.arena);
}

/* The longer the longest of a batch of the same tokens, the longer decode attention takes; never less than alone. */
static void longest_ends_alone(void **state) {
    (void)state;
    struct models models = models_open("h200-sxm");
    struct step_model *model = models_step(&models, "llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16);
    for (int64_t batch = 2; batch <= 256; batch *= 2) {
        double before = 0;
        for (int64_t tenths = 10; tenths <= 20 * batch && tenths <= 10 * batch; tenths += 5) {
            struct step_shape shape = {.decode_seqs = batch,
                                       .decode_context = batch * 4096,
                                       .decode_longest = 4096 * tenths / 10,
                                       .logits = batch},
                              alone = {.decode_seqs = 1,
                                       .decode_context = 4096 * tenths / 10,
                                       .decode_longest = 4096 * tenths / 10,
                                       .logits = 1};
            double seconds = step_cost(model, &shape).seconds;
            if (tenths > 10 && batch >= 16) /* below, contexts are split by the longest: more splits may be faster */
                assert_true(seconds >= before);
            assert_true(seconds > 0.95 * step_cost(model, &alone).seconds);
            before = seconds;
        }
    }
    step_model_destroy(model);
    arena_destroy(models.arena);
}

static struct taken served(const char *engine, bool exact_steps) {
    char path[64], text[2048];
    snprintf(path, sizeof path, "/tmp/tiersim-engine-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "name: test\nasynchronous: no\nstep: {value: 2 us, basis: spec, source: test}\n"
            "per_sequence: {value: 0 s, basis: spec, source: test}\n"
            "request: {value: 0 s, basis: spec, source: test}\n%s",
            engine);
    fclose(file);
    snprintf(text, sizeof text,
             TEXT_FLEET
             "engine: %s\ntiers:\n  - {name: hbm}\n  - {name: dram, capacity: 64 GB, write: fill}\nworkload:\n"
             "  generate:\n    arrivals: {process: poisson, rate: 1/s}\n    duration: 150 s\n"
             "    first_prompt: {median: 3000, sigma: 0.1, min: 2000, max: 4000}\n    turns: {kind: uniform, min: 1, "
             "max: 1}\n    output: {median: 40, sigma: 0.3, min: 4, max: 100}\n",
             path);
    struct scenario scenario;
    struct error error = {0};
    if (text_load(text, &scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct taken taken;
    text_simulate(&scenario, exact_steps, &taken);
    scenario_free(&scenario);
    remove(path);
    return taken;
}

static double mean_e2e_s(const struct taken *taken) {
    double sum = 0;
    for (size_t i = 0; i < taken->count; i++)
        sum += (double)(taken->requests[i].end_ns - taken->requests[i].arrival_ns) * 1e-9;
    return sum / (double)taken->count;
}

/* A prompt's blocks take so long to DRAM; each prompt's own tokens wait for that once at least. */
static void copies_hold_steps(void **state) {
    (void)state;
    struct taken plain = served("", false), held = served("copies_hold_steps: yes\n", false),
                 exact = served("copies_hold_steps: yes\n", true);
    assert_true(plain.count > 100 && plain.count == held.count && held.count == exact.count);
    double copy_s = 3000 * 131072.0 / 64e9; /* a median prompt at the link's nominal rate */
    double later_s = mean_e2e_s(&held) - mean_e2e_s(&plain);
    print_message("mean E2E %.4f s, held back %.4f s: %.4f s later; a prompt's copy takes %.4f s\n", mean_e2e_s(&plain),
                  mean_e2e_s(&held), later_s, copy_s);
    assert_true(later_s > 0.5 * copy_s);
    for (size_t i = 0; i < held.count; i++)
        assert_true(held.requests[i].end_ns == exact.requests[i].end_ns &&
                    held.requests[i].first_token_ns == exact.requests[i].first_token_ns);
    taken_free(&plain);
    taken_free(&held);
    taken_free(&exact);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(prompts_apart), cmocka_unit_test(longest_ends_alone),
                                       cmocka_unit_test(copies_hold_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
