/* Do kernel policies do what they say: by-regime is what runs without one, to the bit; nothing is cheaper than the
 * oracle; one kernel loses where it does not fit; and a run of equal steps keeps to it? */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "policies/kernel.h"
#include "sim/cli/scenario.h"
#include "tests/random_scenario.h"
#include "tests/run_verb.h"

static const char *const kernels[] = {"by-regime",
                                      "oracle",
                                      "one",
                                      "{name: one, kernel: split, product: split-k}",
                                      "{name: one, kernel: split, product: library}",
                                      "{name: one, kernel: single-pass, product: library}"};
enum { KERNELS = sizeof kernels / sizeof *kernels };

/* `kernel` NULL: none is named. */
static void load(const char *model, const char *kernel, struct scenario *scenario) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-kernel-%d.yaml", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "name: kernel\nmodel: %s\nnode: hgx-h200\ninstances: 1\nengine: none\n"
            "serving: {token_budget: 2048%s%s}\n"
            "workload:\n  generate:\n    arrivals: {process: poisson, rate: 2/s}\n    duration: 40 s\n"
            "    first_prompt: {median: 1500, sigma: 1.2, min: 16, max: 30000}\n"
            "    output: {median: 150, sigma: 0.8, min: 2, max: 1000}\n",
            model, kernel ? ", kernel: " : "", kernel ? kernel : "");
    fclose(file);
    struct error error = {0};
    if (scenario_load(path, NULL, 0, NULL, scenario, &error) != 0)
        fail_msg("%s", error.text);
    assert_false(scenario->variants[0].failed);
    unlink(path);
}

struct sums {
    double ttft_mean, tpot_mean, bytes, flops;
    int64_t ttft_p99, tpot_p99, e2e_max;
    sim_time end_ns;
    uint64_t steps, ended;
};

static struct sums run_with(const char *model, const char *kernel, bool exact_steps) {
    struct scenario scenario;
    load(model, kernel, &scenario);
    struct variant_run run = {
        .variant = &scenario.variants[0], .load = 1, .seed = 5, .audit = !exact_steps, .exact_steps = exact_steps};
    struct metrics metrics;
    struct cluster_result result;
    struct error error = {0};
    if (variant_simulate(&run, &metrics, &result, &error) != 0)
        fail_msg("%s", error.text);
    struct sums sums = {.ttft_mean = histogram_mean(metrics.ttft),
                        .tpot_mean = histogram_mean(metrics.tpot),
                        .bytes = result.model_bytes,
                        .flops = result.model_flops,
                        .ttft_p99 = histogram_percentile(metrics.ttft, 0.99),
                        .tpot_p99 = histogram_percentile(metrics.tpot, 0.99),
                        .e2e_max = histogram_percentile(metrics.e2e, 1),
                        .end_ns = result.last_end_ns,
                        .steps = result.steps,
                        .ended = result.finished};
    assert_true(sums.ended > 40);
    metrics_destroy(&metrics);
    scenario_free(&scenario);
    return sums;
}

/* A model with sliding windows too: its layers are asked apart. */
static void default_is_by_regime(void **state) {
    (void)state;
    static const char *const models[] = {"llama-3.1-8b", "gpt-oss-20b"};
    for (size_t i = 0; i < 2; i++) {
        struct sums none = run_with(models[i], NULL, false), named = run_with(models[i], "by-regime", false);
        assert_memory_equal(&none, &named, sizeof none);
    }
}

static void exact_steps(void **state) {
    (void)state;
    for (size_t i = 0; i < KERNELS; i++) {
        struct sums runs = run_with("llama-3.1-8b", kernels[i], false),
                    exact = run_with("llama-3.1-8b", kernels[i], true);
        runs.bytes = exact.bytes = runs.flops = exact.flops = 0; /* sums of doubles, in another order */
        assert_memory_equal(&runs, &exact, sizeof runs);
    }
}

static const int64_t batches[] = {1, 2, 4, 8, 9, 16, 17, 40, 128, 256}, contexts[] = {64, 500, 4000, 32000, 120000},
                     prompts[] = {0, 64, 500, 2048};

static struct step_shape shape_of(int64_t batch, int64_t context, int64_t prompt) {
    struct step_shape shape = {.decode_seqs = batch,
                               .decode_context = batch * context,
                               .decode_longest = batch > 0 ? context : 0,
                               .logits = batch + (prompt > 0)};
    if (prompt > 0) {
        shape.prefill_seqs = 1;
        shape.prefill_tokens = shape.prefill_context = prompt;
        shape.prefill_pairs = prompt * (prompt + 1) / 2;
        shape.prefill_squares = prompt * prompt;
    }
    return shape;
}

/* Step by step the oracle is never above any other; the rule is within 2 % of it; and each single kernel loses 5 % or
 * more somewhere. */
static void bounds(void **state) {
    (void)state;
    double worst[KERNELS] = {0};
    struct scenario scenarios[KERNELS];
    for (size_t k = 0; k < KERNELS; k++)
        load("llama-3.1-8b", kernels[k], &scenarios[k]);
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (size_t c = 0; c < sizeof contexts / sizeof *contexts; c++)
            for (size_t p = 0; p < sizeof prompts / sizeof *prompts; p++) {
                struct step_shape shape = shape_of(batches[b], contexts[c], prompts[p]);
                double oracle_s = step_cost(scenarios[1].variants[0].model, &shape).seconds;
                for (size_t k = 0; k < KERNELS; k++) {
                    double loss = step_cost(scenarios[k].variants[0].model, &shape).seconds / oracle_s - 1;
                    assert_true(loss > -1e-12);
                    if (loss > worst[k])
                        worst[k] = loss;
                }
            }
    for (size_t k = 0; k < KERNELS; k++) {
        print_message("%s: at most %.2f %% above the oracle\n", kernels[k], 100 * worst[k]);
        scenario_free(&scenarios[k]);
    }
    assert_true(worst[0] <= 0.02 && worst[1] == 0);
    assert_true(worst[2] > 0.05 && worst[3] > 0.05 && worst[5] > 0.05);
}

static double op_seconds(const struct step_model *model, const struct step_shape *shape, const char *name) {
    struct step_op ops[STEP_OPS_MAX];
    int count = step_ops(model, shape, ops);
    for (int i = 0; i < count; i++)
        if (strcmp(ops[i].name, name) == 0)
            return ops[i].seconds;
    fail_msg("no op %s", name);
    return 0;
}

/* Products of up to 8 rows: where tiles of 128 are fewer than the SMs (n = 4096: 32 of 132) a split depth is worth half
 * of the time or more, where they are more (n = 28672: 224) next to nothing; a prompt's products lose by splitting. */
static void products(void **state) {
    (void)state;
    struct scenario library, plain, split;
    load("llama-3.1-8b", "by-regime", &library);
    load("llama-3.1-8b", "{name: one, product: plain}", &plain);
    load("llama-3.1-8b", "{name: one, product: split-k}", &split);
    const struct step_model *best = library.variants[0].model, *tiles = plain.variants[0].model,
                            *halves = split.variants[0].model;
    static const char *const names[] = {"qkv", "o_proj", "gate_up", "down"};
    for (int64_t m = 1; m <= 8; m *= 2) {
        struct step_shape shape = shape_of(m, 1000, 0);
        double over[4];
        for (int i = 0; i < 4; i++)
            over[i] = op_seconds(tiles, &shape, names[i]) / op_seconds(best, &shape, names[i]);
        print_message("%d rows, plain over library: qkv %.2f, o %.2f, gate_up %.2f, down %.2f\n", (int)m, over[0],
                      over[1], over[2], over[3]);
        assert_true(over[1] > 1.5 && over[3] > 2 && over[2] < 1.25);
        for (int i = 0; i < 4; i++) {
            double halved = op_seconds(halves, &shape, names[i]) / op_seconds(best, &shape, names[i]);
            assert_true(halved >= 1 && halved < 1.2);
        }
        assert_true(op_seconds(halves, &shape, "down") == op_seconds(best, &shape, "down"));
    }
    struct step_shape prompt = shape_of(0, 0, 2048);
    for (int i = 0; i < 4; i++) {
        double one = op_seconds(tiles, &prompt, names[i]) / op_seconds(best, &prompt, names[i]),
               halved = op_seconds(halves, &prompt, names[i]) / op_seconds(best, &prompt, names[i]);
        print_message("2048 rows, %s: plain %.2f, split-k %.2f of the library\n", names[i], one, halved);
        assert_true(one >= 1 && one < 1.25 && halved > 1.05);
    }
    scenario_free(&library);
    scenario_free(&plain);
    scenario_free(&split);
}

/* A line over a run stays within 0.5 % of its steps, and ends where the kernel changes. */
static void lines(void **state) {
    (void)state;
    for (size_t k = 0; k < KERNELS; k++) {
        struct scenario scenario;
        load("llama-3.1-8b", kernels[k], &scenario);
        const struct step_model *model = scenario.variants[0].model;
        struct step_shape shape = shape_of(4, 400, 0);
        struct step_segment line = step_segment(model, &shape, 400);
        const char *first = step_decode_kernel(model, &shape);
        for (int64_t i = 0; i < line.steps; i++) {
            struct step_shape later = step_shape_later(&shape, i);
            double exact = step_cost(model, &later).seconds * 1e9 * (double)STEP_FIXED_ONE,
                   off = (double)(line.a + line.b * i) / exact - 1;
            assert_string_equal(step_decode_kernel(model, &later), first);
            assert_true(off < 0.005 && off > -0.005);
        }
        if (k == 0) { /* the profile splits from 512 tokens on */
            assert_int_equal(line.steps, 112);
            assert_string_equal(first, "single-pass");
        }
        scenario_free(&scenario);
    }
}

static void wrong_names(void **state) {
    (void)state;
    struct said said = RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--set", "serving.kernel=orcle");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "serving.kernel=orcle: unknown kernel policy 'orcle'"));
    assert_non_null(strstr(said.err, "did you mean 'oracle'?"));
    said_free(&said);
    said = RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--set", "serving.kernel={name: one, kernel: spit}");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "did you mean 'split'?"));
    said_free(&said);
    said = RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--set", "serving.kernel={name: oracle, kernel: split}");
    assert_int_equal(said.code, 2);
    assert_non_null(strstr(said.err, "takes no options"));
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(default_is_by_regime),
                                       cmocka_unit_test(exact_steps),
                                       cmocka_unit_test(bounds),
                                       cmocka_unit_test(products),
                                       cmocka_unit_test(lines),
                                       cmocka_unit_test(wrong_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
