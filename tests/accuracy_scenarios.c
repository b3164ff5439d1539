/* Do the what-ifs of configs/scenarios say what docs/scenarios claims of them? */
#include "sim/cli/verbs.h"
#include "tests/figures.h"

/* Memory alone: at one load, a token comes faster by less than the bandwidth does, and the first token of a long prompt
 * hardly at all; capacity that nobody needs changes nothing. */
static void hbm4(void **state) {
    (void)state;
    static const char *const tpot[] = {"tpot_s", "p50", NULL}, *const ttft[] = {"ttft_s", "p50", NULL};
    struct said said = RUN_VERB(run, NULL, "configs/scenarios/hbm4.yaml", "--json", "--no-search");
    assert_int_equal(said.code, 0);
    struct figures token = figures_of(said.out, tpot), first = figures_of(said.out, ttft);
    assert_int_equal(token.count, 6);
    double faster = token.values[0] / token.values[2];
    assert_true(faster > 1.3 && faster <= 18.0 / 4.8);
    assert_true(token.values[0] / token.values[1] > 1.2 && token.values[0] / token.values[1] <= 12.0 / 4.8);
    assert_true(token.values[3] == token.values[2] && first.values[3] == first.values[2]);
    double prefill = first.values[4] / first.values[5];
    assert_true(prefill >= 1 && prefill < 1.15); /* 1.09 to 1.10 by the median, queueing included */
    said_free(&said);
}

static double figure(const char *text, const char *key) {
    struct json_reader *reader = json_create();
    struct json_value root, at;
    const char *why;
    double value;
    assert_true(json_parse(reader, text, strlen(text), &root, &why));
    assert_true(json_get(root, key, &at) && json_real(at, &value));
    json_destroy(reader);
    return value;
}

static const char *const mean_ttft[] = {"ttft_s", "mean", NULL};
static const char *const prompts[] = {"reuse", "prompt_tokens", NULL};
static const char *const computed[] = {"reuse", "computed_tokens", NULL};

/* 32 k tokens of an 8B model from the store, unloaded: at least ten times as fast as computing them. And in a fleet of
 * those sessions, each tier takes from what is computed. */
static void external_kv_cache(void **state) {
    (void)state;
    struct said compute = RUN_VERB(step, NULL, "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--batch", "1",
                                   "--context", "32768", "--query", "32768", "--json");
    struct said fetch = RUN_VERB(transfer, NULL, "--from", "flash", "--to", "hbm", "--gpu", "h100-sxm", "--bytes",
                                 "4294967296", "--blocks", "128", "--json");
    assert_int_equal(compute.code, 0);
    assert_int_equal(fetch.code, 0);
    double ratio = figure(compute.out, "seconds") / figure(fetch.out, "seconds");
    print_message("32,768 tokens: computing takes %.1f times as long as fetching\n", ratio);
    assert_true(ratio >= 10);
    said_free(&compute);
    said_free(&fetch);
    struct said said = RUN_VERB(run, NULL, "configs/scenarios/external-kv-cache.yaml", "--json", "--no-search", "--set",
                                "stop_after=12 min", "--set", "warmup=6 min");
    assert_int_equal(said.code, 0);
    struct figures ttft = figures_of(said.out, mean_ttft), all = figures_of(said.out, prompts),
                   new = figures_of(said.out, computed);
    assert_int_equal(ttft.count, 4);
    assert_true(ttft.values[0] > 2 * ttft.values[1] && ttft.values[1] > 1.2 * ttft.values[2]);
    assert_true(new.values[0] > 0.8 * all.values[0] && new.values[2] < 0.1 * all.values[2]);
    said_free(&said);
}

/* The DL380a: with 256 agents DRAM does what NVMe does; with 512 it loses most of its hits, and NVMe does not. */
static void dram_collapses(void **state) {
    (void)state;
    static const char *const usd[] = {"cost", "usd_per_million_tokens", NULL};
#ifdef __SANITIZE_ADDRESS__
    print_message("a minute under sanitizers, and accuracy_cases runs it small there: skipped\n");
    skip();
#endif
    struct said said = RUN_VERB(run, NULL, "configs/cases/dl380a.yaml", "--json");
    assert_int_equal(said.code, 0);
    struct figures cost = figures_of(said.out, usd), all = figures_of(said.out, prompts),
                   new = figures_of(said.out, computed);
    double hit[6];
    assert_int_equal(cost.count, 6);
    for (int i = 0; i < 6; i++)
        hit[i] = 1 - new.values[i] / all.values[i];
    print_message("hits of 256 agents %.2f %.2f %.2f, of 512 %.2f %.2f %.2f\n", hit[0], hit[1], hit[2], hit[3], hit[4],
                  hit[5]);
    assert_true(hit[1] > 0.75 && hit[2] > 0.75 && hit[5] > 0.75 && hit[0] < 0.2 && hit[3] < 0.2);
    assert_true(hit[4] < 0.6 * hit[1]);
    assert_true(cost.values[1] < cost.values[0] / 2);
    assert_true(cost.values[5] < cost.values[4] && cost.values[4] < cost.values[3]);
    said_free(&said);
}

/* The pod's flash: nothing where sessions come back soon and to the same node; much where they stay away for longer
 * than DRAM holds them, or move. */
static void flash_pod(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    print_message("half a minute under sanitizers, and determinism_run runs it small there: skipped\n");
    skip();
#endif
    struct said said = RUN_VERB(run, NULL, "configs/scenarios/flash-pod.yaml", "--json", "--no-search", "--set",
                                "workload.generate.duration=40 min", "--set", "warmup=25 min");
    assert_int_equal(said.code, 0);
    struct figures ttft = figures_of(said.out, mean_ttft), new = figures_of(said.out, computed);
    assert_int_equal(ttft.count, 6);
    double stays = ttft.values[0] / ttft.values[1], away = ttft.values[2] / ttft.values[3],
           moves = ttft.values[4] / ttft.values[5];
    print_message("mean TTFT without the pod's flash over with it: stays %.3f, away for long %.2f, moves %.2f\n", stays,
                  away, moves);
    assert_true(stays > 0.98 && stays < 1.02);
    assert_true(away > 2 && new.values[2] > 2 * new.values[3]);
    assert_true(moves > 1.2 && new.values[4] > 1.5 * new.values[5]);
    said_free(&said);
}

/* The first three minutes of a recorded hour; skipped where the trace is not. Settings may be NULL. */
static struct said three_minutes(const char *setting, const char *value) {
    const char *const words[] = {
        "tiersim run", "configs/scenarios/prefill-decode.yaml", "--json", "--set", "stop_after=3 min", setting, value,
        NULL};
    struct said said = run_words(verb_run, NULL, words);
    if (said.code != 0 && strstr(said.err, "no trace")) {
        said_free(&said);
        print_message("mooncake/conversation_trace.jsonl is not here: skipped\n");
        skip();
    }
    assert_int_equal(said.code, 0);
    return said;
}

/* The variants of prefill-decode.yaml. */
enum { TOGETHER, LAYERWISE, AT_END, THREE_OF_EIGHT, SMALL_CHUNKS, APART_VARIANTS };

/* Prefill and decode apart on half of the instances each: nobody's tokens wait for another's prompt, but fewer compute
 * prompts. KV that is handed over at the end only comes later, and the second token with it. Small chunks do much of
 * what the two apart do. A turn does not begin where its session's KV is. */
static void prefill_decode(void **state) {
    (void)state;
    static const char *const tpot[] = {"tpot_s", "p99", NULL}, *const first[] = {"ttft_s", "p50", NULL};
    static const char *const hits[] = {"reuse", "hit_tokens", "hbm", NULL};
    struct said said = three_minutes(NULL, NULL);
    struct figures late = figures_of(said.out, tpot), ttft = figures_of(said.out, first),
                   hbm = figures_of(said.out, hits);
    assert_int_equal(late.count, APART_VARIANTS);
    print_message("TPOT p99 together %.4f, apart layer by layer %.4f, at the end %.4f s\n", late.values[TOGETHER],
                  late.values[LAYERWISE], late.values[AT_END]);
    assert_true(late.values[LAYERWISE] < 0.9 * late.values[TOGETHER] &&
                late.values[LAYERWISE] < 0.9 * late.values[AT_END]);
    assert_true(late.values[THREE_OF_EIGHT] < late.values[LAYERWISE]);
    assert_true(late.values[SMALL_CHUNKS] < 0.7 * late.values[TOGETHER]);
    assert_true(ttft.values[THREE_OF_EIGHT] > ttft.values[LAYERWISE]);
    assert_true(ttft.values[LAYERWISE] > 1.5 * ttft.values[TOGETHER]);
    assert_true(ttft.values[SMALL_CHUNKS] < 1.2 * ttft.values[TOGETHER]);
    assert_true(hbm.values[LAYERWISE] < 0.7 * hbm.values[TOGETHER]);
    said_free(&said);
}

/* At the highest load that keeps an SLO: half of the instances for prompts are too many, three of eight carry more than
 * all together, and so do small chunks. */
static void prefill_decode_at_slo(void **state) {
    (void)state;
    static const char *const carried[] = {"at_slo", "throughput", "requests_per_s", NULL};
    struct said said = three_minutes("--set", "slo={tpot_p90: 15 ms, ttft_p90: 3 s}");
    struct figures most = figures_of(said.out, carried);
    assert_int_equal(most.count, APART_VARIANTS);
    assert_true(most.values[AT_END] < most.values[LAYERWISE] && most.values[LAYERWISE] < most.values[TOGETHER]);
    assert_true(most.values[THREE_OF_EIGHT] > most.values[TOGETHER]);
    assert_true(most.values[SMALL_CHUNKS] > most.values[TOGETHER]);
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hbm4),           cmocka_unit_test(external_kv_cache),
                                       cmocka_unit_test(dram_collapses), cmocka_unit_test(flash_pod),
                                       cmocka_unit_test(prefill_decode), cmocka_unit_test(prefill_decode_at_slo)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
