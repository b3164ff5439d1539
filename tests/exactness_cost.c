/* Are rent, tiers, wear, energy and watts what the arithmetic says by hand, and is the price a token that of the
 * highest load that keeps the SLO? */
#include "sim/cli/capacity.h"
#include "tests/run_verb.h"

#include <math.h>

static void near(const char *what, double got, double expected) {
    if (fabs(got - expected) > 1e-12 * fabs(expected))
        fail_msg("%s: %.17g, not %.17g", what, got, expected);
}

#define FIGURE(number) .value = (number), .source = "by hand", .basis = BASIS_SPEC
/* A year here is 8760 h, so lives are round numbers of hours. */
static struct price_node nodes[] = {{"g", {FIGURE(3)}, {FIGURE(250e9)}, {FIGURE(4e12)}}};
static struct price_tier tiers[] = {{"dram", {FIGURE(10e-9)}, {FIGURE(40000 * 3600.0)}, {FIGURE(40)}},
                                    {"ssd", {FIGURE(0.25e-9)}, {FIGURE(50000 * 3600.0)}, {FIGURE(2)}}};
static const struct prices prices = {.name = "hand",
                                     .date = "today",
                                     .nodes = {nodes, 1},
                                     .tiers = {tiers, 2},
                                     .usd_per_kwh = {FIGURE(0.1)},
                                     .pue = {FIGURE(1.25)},
                                     .host_w_per_gpu = {FIGURE(300)}};
/* 16 GPUs half used for an hour: 3.6 M prompt and 0.4 M output tokens. */
static struct cost_input input_of(const struct cost_tier *with, size_t count) {
    return (struct cost_input){.gpu = "g",
                               .gpus = 16,
                               .gpu_tdp_w = 700,
                               .gpu_idle_w = 100,
                               .gpu_utilisation = 0.5,
                               .tiers = with,
                               .tier_count = count,
                               .duration_s = 3600,
                               .prompt_tokens = 3.6e6,
                               .output_tokens = 0.4e6};
}
static struct cost cost_of(const struct cost_input *input) {
    struct cost cost;
    struct error err;
    if (cost_of_fleet(&prices, input, &cost, &err) != 0)
        fail_msg("%s", err.text);
    return cost;
}

static void rent_and_power(void **state) {
    (void)state;
    struct cost_input input = input_of(NULL, 0);
    struct cost cost = cost_of(&input);
    near("rent", cost.gpu_usd_per_hour, 48);            /* 16 x $3 */
    near("watts", cost.watts, 16 * (400 + 300) * 1.25); /* half way from idle to TDP, the host, the site: 14 kW */
    near("energy", cost.energy_usd_per_hour, 1.4);      /* 14 kW x $0.1 */
    near("$/h", cost.usd_per_hour, 49.4);
    near("$/Mtok", cost.usd_per_million_tokens, 49.4 / 4); /* an hour, 4 Mtok */
    near("$/Mtok of output", cost.usd_per_million_output_tokens, 49.4 / 0.4);
    near("J/token", cost.joules_per_output_token, 14000.0 * 3600 / 0.4e6);
    assert_int_equal(cost.basis, BASIS_SPEC);
    input.gpu_utilisation = 1.5; /* rounding in a sum of shares: never above the TDP */
    near("watts at most", cost_of(&input).watts, 16 * (700 + 300) * 1.25);
    input.prompt_tokens = input.output_tokens = 0;
    cost = cost_of(&input);
    assert_true(cost.usd_per_million_tokens == 0 && cost.joules_per_output_token == 0);
}

/* 16 GPUs bundle 4 TB of DRAM and 64 TB of SSD: what is more is bought and powered. */
static void tiers_beyond_the_bundle(void **state) {
    (void)state;
    const struct cost_tier with[] = {{"dram", 5e12, 0, 0}, {"ssd", 60e12, 1e9, 0}};
    struct cost_input input = input_of(with, 2);
    struct cost cost = cost_of(&input);
    near("tiers", cost.tier_usd_per_hour, 1e12 * 10e-9 / 40000); /* 1 TB of DRAM at $10/GB over 40000 h */
    near("watts", cost.watts, (16 * 700 + 1 * 40) * 1.25);       /* and its 40 W */
    near("bundled DRAM", cost.tiers[0].bundled_bytes, 4e12);
    near("bundled SSD", cost.tiers[1].bundled_bytes, 60e12);
    near("writes a day", cost.tiers[1].dwpd, 1e9 * 86400 / 60e12); /* told, though it is said not to wear */
    assert_true(cost.wear_usd_per_hour == 0);
    near("$/h", cost.usd_per_hour, 48 + 0.25 + cost.watts / 1000 * 0.1);
}

/* 64 TB of SSD at 1 DWPD, written 3 times a day: it lasts a third of its life, so two more sets are bought. */
static void wear(void **state) {
    (void)state;
    struct cost_tier with = {"ssd", 64e12, 3 * 64e12 / 86400, 1};
    struct cost_input input = input_of(&with, 1);
    struct cost cost = cost_of(&input);
    near("writes a day", cost.tiers[0].dwpd, 3);
    near("lasts", cost.tiers[0].lasts_s, 50000 * 3600.0 / 3);
    near("wear", cost.wear_usd_per_hour, 2 * 64e12 * 0.25e-9 / 50000);
    near("the tier's", cost.tiers[0].usd_per_hour, cost.wear_usd_per_hour);
    assert_true(cost.tier_usd_per_hour == 0); /* within the rent; its replacement is not */
    with.written_bytes_per_s = 64e12 / 86400; /* just what it endures */
    cost = cost_of(&input);
    assert_true(cost.wear_usd_per_hour == 0);
    near("lives", cost.tiers[0].lasts_s, 50000 * 3600.0);
    with.written_bytes_per_s *= 1 + 1e-9;
    assert_true(cost_of(&input).wear_usd_per_hour > 0);
}

static void no_price(void **state) {
    (void)state;
    const struct cost_tier tape = {"tape", 1e12, 0, 0};
    struct cost_input input = input_of(&tape, 1);
    struct cost cost;
    struct error err;
    assert_int_equal(cost_of_fleet(&prices, &input, &cost, &err), -1);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    assert_string_equal(err.text, "prices 'hand' have no price for device 'tape'\n"
                                  "  hint: add it under tiers: in configs/prices/hand.yaml, or give the tier another "
                                  "device:");
    input = input_of(NULL, 0);
    input.gpu = "h";
    assert_int_equal(cost_of_fleet(&prices, &input, &cost, &err), -1);
    assert_string_equal(err.text, "prices 'hand' have no rent for GPU 'h'\n"
                                  "  hint: add it under nodes: in configs/prices/hand.yaml, or choose other prices");
}

static const char population[] =
    "name: population\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
    "serving: {block_tokens: 64, kv_capacity: 6 GiB, token_budget: 2048}\n"
    "slo: {ttft_p99: 300 ms}\nwarmup: 10 s\n"
    "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 20 GB, scope: node, write: fill}\n"
    "workload:\n  generate:\n    duration: 120 s\n"
    "    arrivals: {process: population, population: 16, ramp: 5 s}\n"
    "    first_prompt: {median: 3000, sigma: 0.5, min: 100, max: 9000}\n"
    "    turn: {median: 300, sigma: 0.5, min: 10, max: 1000}\n"
    "    output: {median: 40, sigma: 0.5, min: 2, max: 200}\n"
    "    turns: {kind: uniform, min: 2, max: 6}\n"
    "    think_time: {kind: exponential, mean: 3}\n";

/* The bisection's answer keeps the SLO, and one session more, or 2 %, does not; the price is that of its own run. */
static void at_the_highest_load(void **state) {
    (void)state;
    char path[] = "/tmp/tiersim-cost-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, population, sizeof population - 1) == (ssize_t)sizeof population - 1);
    close(file);
    struct scenario scenario;
    struct error err;
    if (scenario_load(path, NULL, 0, NULL, &scenario, &err) != 0)
        fail_msg("%s", err.text);
    unlink(path);
    const struct variant *v = &scenario.variants[0];
    struct reach reach = {.variant = v, .seed = 1, .search = true, .threads = 1};
    struct verdict verdict;
    verdict_reach(&reach, &verdict);
    if (verdict.failed)
        fail_msg("%s", verdict.error.text);
    assert_true(verdict.best && verdict.above && verdict_priced(&verdict) == verdict.best);
    double sessions = variant_sessions(v, verdict.best->load);
    assert_true(sessions >= 1 && sessions != 16); /* it has searched */
    double above = variant_sessions(v, verdict.above->load);
    assert_true(above == sessions + 1 || (above > sessions && above <= 1.02 * sessions));
    for (int more = 0; more < 2; more++) {
        struct variant_run run = {.variant = v, .load = more ? verdict.above->load : sessions / 16, .seed = 1};
        struct metrics metrics;
        struct cluster_result result;
        struct cost cost;
        if (variant_simulate(&run, &metrics, &result, &err) != 0 ||
            variant_cost(v, &metrics, &result, &cost, &err) != 0)
            fail_msg("%s", err.text);
        double p99_s = metrics_percentile_s(metrics.ttft, 0.99);
        assert_int_equal(p99_s <= 0.3, !more);
        if (!more) {
            double hours = (double)(metrics.last_end_ns - INT64_C(10000000000)) / 3.6e12;
            double tokens = (double)(metrics.prompt_tokens + metrics.output_tokens);
            near("$/Mtok", verdict.best->cost.usd_per_million_tokens, 8 * 2.95 * hours / tokens * 1e6);
            near("the same run", verdict.best->cost.joules_per_output_token, cost.joules_per_output_token);
            assert_int_equal(verdict.best->result.order_hash, result.order_hash);
        }
        metrics_destroy(&metrics);
    }
    verdict_free(&verdict);
    scenario_free(&scenario);
}

/* Said where drives are written more often than they endure, with the figure of the JSON, and only there. */
static void wear_is_said(void **state) {
    (void)state;
#define SMOKE(...) RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--set", __VA_ARGS__)
    struct said said = SMOKE("tiers.ssd.endurance_dwpd=1", "--json");
    const char *key = "\"drive_writes_per_day\":{\"ssd\":", *at = strstr(said.out, key);
    assert_non_null(at);
    double dwpd = strtod(at + strlen(key), NULL);
    assert_true(dwpd > 1);
    said_free(&said);
    char warning[128], endures[64];
    snprintf(warning, sizeof warning, "\nWarning: 'ssd' writes its ssd %.1f times a day, and that endures 1:", dwpd);
    said = SMOKE("tiers.ssd.endurance_dwpd=1");
    assert_non_null(strstr(said.out, warning));
    said_free(&said);
    snprintf(endures, sizeof endures, "tiers.ssd.endurance_dwpd=%.17g", dwpd);
    said = SMOKE(endures);
    assert_int_equal(said.code, 0);
    assert_null(strstr(said.out, "times a day, and that endures"));
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rent_and_power), cmocka_unit_test(tiers_beyond_the_bundle), cmocka_unit_test(wear),
        cmocka_unit_test(no_price),       cmocka_unit_test(at_the_highest_load),     cmocka_unit_test(wear_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
