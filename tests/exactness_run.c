/* Are the figures that only the table of `tiersim run` has those of the JSON, by hand? */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

#include <math.h>

static char folder[] = "/tmp/tiersim-table-XXXXXX";

static int begin(void **state) {
    (void)state;
    catalogues_from_here();
    assert_non_null(mkdtemp(folder));
    return 0;
}
static int finish(void **state) {
    (void)state;
    static const char *const files[] = {"s.yaml", "t.jsonl"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

/* The number behind a key of the JSON. */
static double number(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    assert_non_null(at);
    return strtod(at + strlen(quoted), NULL);
}

/* Three prompts of 1024 tokens a minute apart, the third like the first; HBM holds one and a half of them. The third
 * had been computed but for its last token: 960 tokens in whole blocks of 64, less what is left of them in HBM. */
static void again(void **state) {
    (void)state;
    put_file(folder, "s.yaml",
             "name: t\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
             "serving: {block_tokens: 64, kv_capacity: 200 MB}\nworkload: {trace: t.jsonl}\n");
    put_file(folder, "t.jsonl",
             "{\"timestamp\": 0, \"input_length\": 1024, \"output_length\": 2, \"hash_ids\": [0, 1]}\n"
             "{\"timestamp\": 60000, \"input_length\": 1024, \"output_length\": 2, \"hash_ids\": [2, 3]}\n"
             "{\"timestamp\": 120000, \"input_length\": 1024, \"output_length\": 2, \"hash_ids\": [0, 1]}\n");
    struct said said = RUN_VERB(run, folder, "s.yaml", "--json");
    double hits = number(said.out, "hbm");
    assert_true(number(said.out, "prompt_tokens") == 3072 && hits < 960);
    said_free(&said);
    char share[32];
    snprintf(share, sizeof share, " %.1f%% ", 100 * (960 - hits) / 3072);
    said = RUN_VERB(run, folder, "s.yaml");
    assert_string_equal(said.err, "");
    if (!strstr(said.out, share))
        fail_msg("no '%s' in\n%s", share, said.out);
    said_free(&said);
    said = RUN_VERB(run, folder, "s.yaml", "--set", "serving.kv_capacity=2 GB"); /* and with room for all, nothing */
    assert_non_null(strstr(said.out, " 0.0% "));
    said_free(&said);
}

/* Requests a second of a node; GPUs in whole nodes for the load that is asked for. */
static void sizes(void **state) {
    (void)state;
#define SMOKE(...)                                                                                                     \
    RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--set", "slo.ttft_p99=2 s", "--set", "variants=[{name: x}]",  \
             "--set", "load=3", __VA_ARGS__)
    struct said said = SMOKE("--json");
    const char *at_slo = strstr(said.out, "\"at_slo\":{");
    assert_non_null(at_slo);
    double best = number(at_slo, "load"), rate = number(at_slo, "requests_per_s");
    said_free(&said);
    said = SMOKE("--seed", "1");
    const char *row = strstr(said.out, "\n x ");
    assert_non_null(row);
    char first[16], second[16], third[16], expected[16];
    assert_int_equal(sscanf(row, "%15s %15s %15s", first, second, third), 3);
    snprintf(expected, sizeof expected, "%.3g/s", rate);
    assert_string_equal(second, expected);
    snprintf(expected, sizeof expected, "%.0f", 8 * ceil(3 / best - 1e-9));
    assert_string_equal(third, expected);
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(again), cmocka_unit_test(sizes)};
    return cmocka_run_group_tests(tests, begin, finish);
}
