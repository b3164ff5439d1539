/* Is what `tiersim why` says of 10 % more in line with physics, and nothing where it says nothing? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/cli/sensitivity.h"
#include "tests/run_verb.h"
#include "tests/text_scenario.h"

struct asked {
    struct scenario scenario;
    struct verdict verdict;
    struct effects base;
    struct knob knobs[KNOBS_MAX];
    size_t count;
};

static struct asked ask(const char *text) {
    struct asked asked;
    struct error error = {0};
    if (text_load(text, &asked.scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct reach reach = {.variant = &asked.scenario.variants[0], .seed = 1, .threads = 1};
    knob_run(&reach, NULL, 0, NULL, &asked.verdict, &asked.base);
    assert_false(asked.base.failed);
    asked.count = knobs_of(reach.variant, asked.verdict.base, asked.knobs);
    return asked;
}
static void asked_free(struct asked *asked) {
    verdict_free(&asked->verdict);
    scenario_free(&asked->scenario);
}

static struct effects turned(const struct asked *asked, size_t knob, double change) {
    struct reach reach = {.variant = &asked->scenario.variants[0], .seed = 1, .threads = 1};
    struct verdict verdict;
    struct effects effects;
    knob_run(&reach, &asked->knobs[knob], change, NULL, &verdict, &effects);
    assert_false(effects.failed);
    verdict_free(&verdict);
    return effects;
}

/* Relative change of a figure by 10 % more of the knob of that kind. */
static double change_by(const struct asked *asked, enum knob_kind kind, int effect) {
    for (size_t k = 0; k < asked->count; k++)
        if (asked->knobs[k].kind == kind)
            return turned(asked, k, 0.1).values[effect] / asked->base.values[effect] - 1;
    fail_msg("no such knob");
    return 0;
}

#define FLEET "name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nengine: none\n"
#define TIERS                                                                                                          \
    "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 6 GB, write: fill}\n  - {name: ssd, capacity: 64 GB, write: " \
    "eviction}\n"
#define LENGTHS(prompt, output)                                                                                        \
    "    first_prompt: {median: " prompt ", sigma: 0.2, min: 16, max: 60000}\n    turns: {kind: uniform, min: 1, "     \
    "max: 1}\n    output: {median: " output ", sigma: 0.2, min: 2, max: 4000}\n"

/* A token a sequence and step: its time is weights and KV over bandwidth, and small kernels. */
static void decode_is_bandwidth(void **state) {
    (void)state;
    struct asked asked = ask(FLEET "workload:\n  generate:\n    arrivals: {process: poisson, rate: 0.5/s}\n"
                                   "    duration: 100 s\n" LENGTHS("100", "800"));
    double bandwidth = change_by(&asked, KNOB_HBM_BANDWIDTH, EFFECT_E2E_MEAN),
           flops = change_by(&asked, KNOB_FLOPS, EFFECT_E2E_MEAN);
    print_message("decode: 10 %% more bandwidth %+.2f %%, FLOPS %+.2f %%\n", 100 * bandwidth, 100 * flops);
    assert_true(bandwidth < -0.06 && bandwidth > 1 / 1.1 - 1 && fabs(flops) < 0.005);
    asked_free(&asked);
}

/* Long prompts one at a time: products. Queueing multiplies it, so few come. */
static void prefill_is_flops(void **state) {
    (void)state;
    struct asked asked = ask(FLEET "workload:\n  generate:\n    arrivals: {process: poisson, rate: 0.05/s}\n"
                                   "    duration: 600 s\n" LENGTHS("16000", "2"));
    double bandwidth = change_by(&asked, KNOB_HBM_BANDWIDTH, EFFECT_TTFT_P50),
           flops = change_by(&asked, KNOB_FLOPS, EFFECT_TTFT_P50);
    print_message("prefill: 10 %% more bandwidth %+.2f %%, FLOPS %+.2f %%\n", 100 * bandwidth, 100 * flops);
    assert_true(flops < -0.06 && flops > 1 / 1.1 - 1 - 0.02 && bandwidth > -0.03);
    asked_free(&asked);
}

#define BUSY                                                                                                           \
    FLEET "serving: {block_tokens: 64, kv_capacity: 3 GB}\n" TIERS                                                     \
          "workload:\n  generate:\n    arrivals: {process: poisson, rate: 2/s}\n    duration: 60 s\n"                  \
          "    system_tokens: 1024\n    first_prompt: {median: 3000, sigma: 0.8, min: 16, max: 20000}\n"               \
          "    output: {median: 120, sigma: 0.8, min: 1, max: 1000}\n    turns: {kind: uniform, min: 1, max: 4}\n"     \
          "    think_time: {kind: exponential, mean: 4}\n"

/* Knobs that are left out would have changed nothing, to the last bit; nor does any by 0 %. */
static void nothing_is_nothing(void **state) {
    (void)state;
    struct asked asked = ask(BUSY);
    size_t idle = 0, moved = 0;
    for (size_t k = 0; k < asked.count; k++) {
        bool is_idle = asked.knobs[k].idle != NULL;
        struct effects same = turned(&asked, k, 0), more = turned(&asked, k, 0.1);
        for (int e = 0; e < EFFECTS; e++) {
            assert_true(same.values[e] == asked.base.values[e]);
            if (is_idle && e != EFFECT_USD) /* more of a tier that is never full costs more all the same */
                assert_true(more.values[e] == asked.base.values[e]);
        }
        idle += is_idle;
        moved += more.values[EFFECT_TTFT_MEAN] != asked.base.values[EFFECT_TTFT_MEAN];
    }
    print_message("%zu knobs, %zu left out, %zu move the mean TTFT\n", asked.count, idle, moved);
    assert_true(idle >= 3 && moved >= 4);
    asked_free(&asked);
}

static void bad_arguments(void **state) {
    (void)state;
    static const struct {
        const char *words[6], *said;
    } bad[] = {{{"tiersim why", "configs/scenarios/smoke.yaml", "--sensitivity=0"}, "from -50 to 1000"},
               {{"tiersim why", "configs/scenarios/smoke.yaml", "--sensitivity=ten"}, "not 'ten'"},
               {{"tiersim why", "configs/scenarios/smoke.yaml", "--seeds=0"}, "--seeds takes a whole number"},
               {{"tiersim why", "configs/scenarios/smoke.yaml", "--variant", "drm"}, "did you mean 'dram'?"},
               {{"tiersim why"}, "which scenario?"},
               {{"tiersim why", "nowhere.yaml"}, "nowhere.yaml"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct said said = run_words(verb_why, NULL, bad[i].words);
        assert_int_equal(said.code, 2);
        assert_non_null(strstr(said.err, bad[i].said));
        said_free(&said);
    }
}

static void says_it(void **state) {
    (void)state;
    struct said said = RUN_VERB(why, NULL, "configs/scenarios/smoke.yaml", "--variant", "ssd", "--sensitivity"),
                json = RUN_VERB(why, NULL, "configs/scenarios/smoke.yaml", "--json", "--sensitivity=5%", "--seeds=3");
    assert_int_equal(said.code, 0);
    assert_int_equal(json.code, 0);
    assert_non_null(strstr(said.out, "TTFT about p99"));
    assert_non_null(strstr(said.out, "HBM bandwidth"));
    assert_non_null(strstr(json.out, "\"change\":0.05"));
    assert_non_null(strstr(json.out, "\"why\":\"nothing went over it\""));
    said_free(&said);
    said_free(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(decode_is_bandwidth), cmocka_unit_test(prefill_is_flops),
                                       cmocka_unit_test(nothing_is_nothing), cmocka_unit_test(bad_arguments),
                                       cmocka_unit_test(says_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
