/* Does `tiersim run` refuse what is wrong at its place, with the remedy, to the letter, and with exit code 2? And does
 * it go on where only a request or a variant is at fault? */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

static const char scenario[] = "name: base\n"
                               "model: llama-3.1-8b\n"
                               "node: hgx-h100\n"
                               "instances: 1\n"
                               "serving: {block_tokens: 64, kv_capacity: 4 GiB}\n"
                               "tiers:\n"
                               "  - {name: hbm}\n"
                               "  - {name: dram, capacity: 32 GB, scope: node, write: fill}\n"
                               "workload:\n"
                               "  generate:\n"
                               "    arrivals: {process: poisson, rate: 1/s}\n"
                               "    duration: 10 s\n"
                               "    first_prompt: {median: 3000, sigma: 0.8, min: 16, max: 20000}\n"
                               "    output: {median: 12, sigma: 0.8, min: 1, max: 100}\n";
static const char replay[] = "name: replay\n"
                             "model: llama-3.1-8b\n"
                             "node: hgx-h100\n"
                             "instances: 1\n"
                             "serving: {block_tokens: 64, kv_capacity: 4 GiB}\n"
                             "workload: {trace: t.jsonl}\n";
#define LINE_1 "{\"timestamp\": 0, \"input_length\": 1000, \"output_length\": 5, \"hash_ids\": [0, 1]}\n"

static char folder[] = "/tmp/tiersim-run-XXXXXX";

static int begin(void **state) {
    (void)state;
    catalogues_from_here();
    assert_non_null(mkdtemp(folder));
    return 0;
}
static int finish(void **state) {
    (void)state;
    static const char *const files[] = {"s.yaml", "t.jsonl", "a.yaml", "b.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

/* s.yaml: the text with its only `from` made `to`. */
static void put_edited(const char *text, const char *from, const char *to) {
    char edited[4096];
    const char *at = strstr(text, from);
    assert_non_null(at);
    assert_null(strstr(at + 1, from));
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    put_file(folder, "s.yaml", edited);
}

static void refused_as(struct said said, const char *message) {
    assert_string_equal(said.err, message);
    assert_string_equal(said.out, "");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    said_free(&said);
}

struct bad {
    const char *from, *to, *message;
};
static void all_refused(const char *text, const struct bad *bad, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put_edited(text, bad[i].from, bad[i].to);
        refused_as(RUN_VERB(run, folder, "s.yaml"), bad[i].message);
    }
}
#define ALL_REFUSED(text, bad) all_refused(text, bad, sizeof(bad) / sizeof *(bad))

static void keys_and_values(void **state) {
    (void)state;
    static const struct bad bad[] = {
        {"instances:", "instanses:", "s.yaml:4:1: unknown key 'instanses'\n  hint: did you mean 'instances'?\n"},
        {"first_prompt", "frist_prompt",
         "s.yaml:13:5: unknown key 'frist_prompt'\n  hint: did you mean 'first_prompt'?\n"},
        {"instances: 1", "slo: {ttft_p98: 1 s}",
         "s.yaml:4:7: unknown key 'ttft_p98'\n  hint: did you mean 'ttft_p90'?\n"},
        {"32 GB", "32 GB/s", "s.yaml:8:28: 'capacity': '32 GB/s' is not bytes\n  hint: write it like 80 GiB\n"},
        {"duration: 10 s", "duration: 10 GB",
         "s.yaml:12:15: 'duration': '10 GB' is not time\n  hint: write it like 5 us\n"},
        {"instances: 1", "instances: 70000",
         "s.yaml:4:12: 'instances: 70000' is out of range\n  hint: it goes from 0 to 65535\n"},
        {"rate: 1/s", "rate: -1/s",
         "s.yaml:11:40: 'rate: -1/s' is out of range\n  hint: it goes from 1e-09/s to 1e+09/s\n"}};
    ALL_REFUSED(scenario, bad);
}

static void names(void **state) {
    (void)state;
    static const struct bad bad[] = {
        {"llama-3.1-8b", "llama-3.1-8",
         "s.yaml:2:8: no 'llama-3.1-8' in configs/models\n  hint: did you mean 'llama-3.1-8b'?\n"},
        {"hgx-h100", "hgx-h10", "s.yaml:3:7: no 'hgx-h10' in configs/nodes\n  hint: did you mean 'hgx-h100'?\n"},
        {"instances: 1", "gpu: {bandwidth: 1 TB/s}",
         "s.yaml:4:6: a GPU is a name, or a mapping with a base: NAME\n"
         "  hint: {base: h200-sxm, hbm_bandwidth: {value: 9.6 TB/s, source: a what-if}}\n"},
        {"instances: 1", "gpu: {base: h20-sxm}",
         "s.yaml:4:13: no 'h20-sxm' in configs/hardware\n  hint: did you mean 'h200-sxm'?\n"},
        {"instances: 1", "gpu: {base: h200-sxm, hbm_bandwith: {value: 1 TB/s, source: me}}",
         "s.yaml:4:23: unknown key 'hbm_bandwith'\n  hint: did you mean 'hbm_bandwidth'?\n"},
        {"instances: 1", "engine: vlm", "s.yaml:4:9: no 'vlm' in configs/engines\n  hint: did you mean 'vllm'?\n"},
        {"scope: node", "evict: lru2", "s.yaml:8:42: unknown evict policy 'lru2'\n  hint: did you mean 'lru'?\n"},
        {"scope: node", "evict: {name: lru, depth: 1}",
         "s.yaml:8:54: policy 'lru' takes no options, found 'depth'\n  hint: write just 'lru'\n"},
        {"block_tokens: 64", "route: nearest",
         "s.yaml:5:18: unknown route policy 'nearest'\n  hint: `tiersim list policies` names what there is\n"},
        {"block_tokens: 64", "batch: chunkd",
         "s.yaml:5:18: unknown batch policy 'chunkd'\n  hint: did you mean 'chunked'?\n"},
        {"block_tokens: 64", "reuse: fech",
         "s.yaml:5:18: unknown reuse policy 'fech'\n  hint: did you mean 'fetch'?\n"}};
    ALL_REFUSED(scenario, bad);
}

/* What is written well, and cannot be. */
static void fleets(void **state) {
    (void)state;
    static const struct bad bad[] = {
        {"llama-3.1-8b", "llama-3.1-405b",
         "s.yaml:2:8: llama-3.1-405b in bf16 does not fit 1 x h100-sxm: a GPU needs 756.0 GiB for weights and 3.7 GiB "
         "for activations, and has 79.6 GiB\n  hint: use tp 16 or more, or narrower weights\n"},
        {"instances: 1", "tp: 16",
         "s.yaml:3:7: tp is 16, and node 'hgx-h100' has 8 GPUs\n"
         "  hint: an instance lies within a node: a smaller tp, or another node\n"},
        {"block_tokens: 64", "prefill_instances: 1",
         "s.yaml:3:7: prefill_instances is 1 of 1 instances, and nobody is left to decode\n"
         "  hint: a smaller prefill_instances, or more instances\n"},
        {"instances: 1", "instances: 9",
         "s.yaml:3:7: 9 instances of tp 1 need more than the 8 GPUs of 1 node\n  hint: nodes: 2\n"},
        {"name: dram", "name: tape",
         "s.yaml:8:12: node 'hgx-h100' has no path from 'tape' to 'hbm'\n"
         "  hint: add {from: tape, to: hbm, via: [...]} to its paths\n"},
        {"name: dram, capacity: 32 GB", "name: dram, device: tape, capacity: 32 GB",
         "s.yaml:8:12: prices '2026-11' have no price for device 'tape'\n"
         "  hint: add it under tiers: in configs/prices/2026-11.yaml, or give the tier another device:\n"},
        {"model: llama", "variants: [{name: a}, {name: a}]\nmodel: llama",
         "s.yaml:2:30: two variants are called 'a'\n  hint: rename one of them\n"},
        {"model: llama", "variants: [{tp: 2}]\nmodel: llama",
         "s.yaml:2:12: a variant has no name\n  hint: {name: dram, ...}\n"}};
    ALL_REFUSED(scenario, bad);
}

/* A node whose path goes over a link that it has not. */
static void no_link(void **state) {
    (void)state;
    char node[4400];
    snprintf(node, sizeof node,
             "include: %s/nodes/hgx-h100.yaml\npaths:\n  - {from: dram, to: hbm, via: [dram, pcei, copy]}\n",
             getenv("TIERSIM_CONFIGS"));
    put_file(folder, "a.yaml", node);
    put_edited(scenario, "hgx-h100", "a.yaml");
    refused_as(RUN_VERB(run, folder, "s.yaml"),
               "a.yaml:3:22: the path from 'dram' to 'hbm' goes over 'pcei', and the node has no such link\n"
               "  hint: did you mean 'pcie'?\n");
}

static void files(void **state) {
    (void)state;
    refused_as(RUN_VERB(run, folder, "nowhere.yaml"),
               "cannot read 'nowhere.yaml': No such file or directory\n"
               "  hint: check the path; relative ones count from the working directory\n");
    refused_as(RUN_VERB(run, folder, "smok"), "no 'smok' in configs/scenarios\n  hint: did you mean 'smoke'?\n");
    put_edited(scenario, "name: base", "include: nowhere.yaml");
    refused_as(RUN_VERB(run, folder, "s.yaml"),
               "s.yaml:1:10: cannot read 'nowhere.yaml': No such file or directory\n"
               "  hint: check the path; relative ones count from the file that names them\n");
    put_file(folder, "a.yaml", "name: a\ninclude: b.yaml\n");
    put_file(folder, "b.yaml", "model: llama-3.1-8b\ninclude: a.yaml\n");
    refused_as(RUN_VERB(run, folder, "a.yaml"),
               "b.yaml:2:10: 'a.yaml' includes itself, directly or through another file\n"
               "  hint: break the cycle\n");
    struct said said = RUN_VERB(run, folder, "smoke", "--json"); /* a name, from anywhere */
    assert_int_equal(said.code, EXIT_FINE);
    said_free(&said);
    put_file(folder, "s.yaml", scenario);
    refused_as(RUN_VERB(run, folder, "s.yaml", "--db", "nowhere/a.db"),
               "cannot write results to 'nowhere/a.db': unable to open database file\n"
               "  hint: check that the folder exists and can be written\n");
    refused_as(RUN_VERB(run, folder, "s.yaml", "--db", "s.yaml"),
               "cannot write results to 's.yaml': file is not a database\n"
               "  hint: it is no database: give --db another file\n");
}

static void options(void **state) {
    (void)state;
    put_file(folder, "s.yaml", scenario);
    refused_as(RUN_VERB(run, folder, "s.yaml", "--set", "nodess=2"),
               "--set nodess=2: unknown key 'nodess'\n  hint: did you mean 'nodes'?\n");
    refused_as(RUN_VERB(run, folder, "s.yaml", "--set", "tiers.flash.capacity=2 TB"),
               "--set tiers.flash.capacity=2 TB: the list has no item 'flash'\n"
               "  hint: use its number from 0, or the name of the item\n");
    refused_as(RUN_VERB(run, folder, "s.yaml", "--set", "nodes"),
               "--set 'nodes' is not PATH=VALUE\n  hint: --set serving.block_tokens=64\n");
#define USAGE "Try `tiersim run --help' or `tiersim run --usage' for more information.\n"
    refused_as(RUN_VERB(run, folder, "s.yaml", "--seed", "x"),
               "tiersim run: --seed takes a whole number from 0, not 'x'\n" USAGE);
    refused_as(RUN_VERB(run, folder, "s.yaml", "--sed", "1"), "tiersim run: unrecognized option '--sed'\n" USAGE);
    refused_as(RUN_VERB(run, folder, "s.yaml", "-j", "0"), "tiersim run: -j takes a number from 1, not '0'\n" USAGE);
    refused_as(RUN_VERB(run, folder, "s.yaml", "t.yaml"),
               "tiersim run: one scenario at a time; found 't.yaml' too\n" USAGE);
    refused_as(RUN_VERB(run, folder, "--json"),
               "tiersim run: which scenario?\n  hint: tiersim run configs/scenarios/long-context-agents.yaml\n" USAGE);
}

static void traces(void **state) {
    (void)state;
    static const struct {
        const char *trace, *message;
    } bad[] = {{LINE_1 "{\"timestamp\": 100, \"input_length\": 10", "t.jsonl:2:1: not a JSON line: "},
               {LINE_1 "{\"timestamp\": 100, \"input_len\": 1000, \"output_length\": 5, \"hash_ids\": [0, 2]}\n",
                "t.jsonl:2:1: 'input_length' is missing\n  hint: is the line cut off, or of another format?\n"},
               {LINE_1 "{\"timestamp\": 100, \"input_length\": -1, \"output_length\": 5, \"hash_ids\": [0, 2]}\n",
                "t.jsonl:2:1: 'input_length' is -1, outside 1 to 100000000\n  hint: mend or drop the line\n"},
               {LINE_1 "{\"timestamp\": 100, \"input_length\": 5000, \"output_length\": 5, \"hash_ids\": [0, 2]}\n",
                "t.jsonl:2:1: 2 hash_ids for 5000 input tokens\n"
                "  hint: there is one for each 512 tokens, the last may be partial\n"},
               {"one\ntwo\n",
                "t.jsonl:1:1: no known trace format begins like this\n"
                "  hint: Mooncake or Bailian JSONL, Azure CSV, agentic JSON, plain or .zst; or give format:\n"}};
    put_file(folder, "s.yaml", replay);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_file(folder, "t.jsonl", bad[i].trace);
        struct said said = RUN_VERB(run, folder, "s.yaml");
        if (i == 0) { /* what the JSON reader found is in its own words */
            assert_memory_equal(said.err, bad[i].message, strlen(bad[i].message));
            assert_non_null(strstr(said.err, "\n  hint: mend or drop the line; is the file cut off?\n"));
            assert_int_equal(said.code, EXIT_BAD_INPUT);
            said_free(&said);
        } else {
            refused_as(said, bad[i].message);
        }
    }
    static const struct bad workloads[] = {
        {"t.jsonl", "gone.jsonl",
         "s.yaml:6:19: no trace 'gone.jsonl' here, in $TIERSIM_TRACES or in ../shared/traces\n"
         "  hint: check the name, or set TIERSIM_TRACES to the traces' directory\n"},
        {"t.jsonl", "t.jsonl, format: moncake",
         "s.yaml:6:36: unknown trace format 'moncake'\n  hint: did you mean 'mooncake'?\n"},
        {"t.jsonl", "t.jsonl, generate: {duration: 1 s}",
         "s.yaml:6:38: a workload is a trace or a generator, not both\n  hint: leave out trace: or generate:\n"}};
    ALL_REFUSED(replay, workloads);
}

/* A request that no cache can hold: the run goes on, and says how many there were. */
static void too_long(void **state) {
    (void)state;
    char trace[4096], *at = trace + sprintf(trace, LINE_1 "{\"timestamp\": 100, \"input_length\": 60000, "
                                                          "\"output_length\": 5, \"hash_ids\": [0");
    for (int i = 1; i < 118; i++) /* 60000 tokens of 131072 B are 7.9 GB, and 4 GiB are there */
        at += sprintf(at, ", %d", i);
    strcpy(at, "]}\n");
    put_file(folder, "s.yaml", replay);
    put_file(folder, "t.jsonl", trace);
    struct said said = RUN_VERB(run, folder, "s.yaml", "--json");
    assert_string_equal(said.err, "");
    assert_int_equal(said.code, EXIT_FINE);
    assert_non_null(strstr(said.out, "\"requests\":{\"arrived\":2,\"finished\":1,\"rejected\":1,\"preempted\":0,"));
    said_free(&said);
    said = RUN_VERB(run, folder, "s.yaml");
    assert_int_equal(said.code, EXIT_FINE);
    assert_non_null(strstr(said.out, "Warning: 'replay' rejects 1 of 2 requests"));
    said_free(&said);
}

/* A tier above a faster one runs, and is told. An object store and DRAM of other nodes are tiers by configuration
 * alone.
 */
static void slower_above_faster(void **state) {
    (void)state;
    static const char text[] =
        "name: order\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\nstop_after: 5 s\ntiers: [{name: hbm}, {name: "
        "%s, "
        "scope: pod, capacity: 1 TB, write: fill}, {name: %s, scope: pod, capacity: 1 TB, write: eviction}]\nworkload: "
        "{generate: {duration: 5 s, arrivals: {process: poisson, rate: 10/s}}}\n";
    char filled[1024];
    snprintf(filled, sizeof filled, text, "object", "peer");
    put_file(folder, "s.yaml", filled);
    struct said said = RUN_VERB(run, folder, "s.yaml");
    assert_int_equal(said.code, EXIT_FINE);
    assert_non_null(strstr(said.out, "Warning: 'order' has its object above its peer, and reads from it take "));
    said_free(&said);
    snprintf(filled, sizeof filled, text, "peer", "object");
    put_file(folder, "s.yaml", filled);
    said = RUN_VERB(run, folder, "s.yaml");
    assert_int_equal(said.code, EXIT_FINE);
    assert_null(strstr(said.out, "Warning: 'order' has its "));
    said_free(&said);
}

/* One variant that cannot be is a row; when none is left it is the input that is at fault. */
static void variant_fails(void **state) {
    (void)state;
#define BOTH "name: both\nvariants: [{name: small}, {name: big, model: llama-3.1-405b}]"
#define MISFIT                                                                                                         \
    "s.yaml:2:46: llama-3.1-405b in bf16 does not fit 1 x h100-sxm: a GPU needs 756.0 GiB for weights and 3.7 GiB "    \
    "for activations, and has 79.6 GiB\n  hint: use tp 16 or more, or narrower weights\n"
    put_edited(scenario, "name: base", BOTH);
    struct said said = RUN_VERB(run, folder, "s.yaml", "--json");
    assert_int_equal(said.code, EXIT_RUN_FAILED);
    assert_string_equal(said.err, "variant 'big': " MISFIT);
    assert_non_null(strstr(said.out, "{\"name\":\"small\","));
    assert_non_null(
        strstr(said.out,
               "{\"name\":\"big\",\"clairvoyant\":false,\"error\":\"s.yaml:2:46: llama-3.1-405b in bf16 does not fit"));
    said_free(&said);
    said = RUN_VERB(run, folder, "s.yaml"); /* the table says it */
    assert_int_equal(said.code, EXIT_RUN_FAILED);
    assert_string_equal(said.err, "");
    assert_non_null(strstr(said.out, "\n big      failed\n"));
    assert_non_null(strstr(said.out, "\nbig failed: s.yaml:2:46: llama-3.1-405b in bf16 does not fit 1 x h100-sxm"));
    assert_non_null(strstr(said.out, "\n  hint: use tp 16 or more, or narrower weights\n"));
    said_free(&said);
    refused_as(RUN_VERB(run, folder, "s.yaml", "--set", "variants.small.model=llama-3.1-405b"),
               "--set variants.small.model=llama-3.1-405b: llama-3.1-405b in bf16 does not fit 1 x h100-sxm: a GPU "
               "needs 756.0 GiB for weights and 3.7 GiB for activations, and has 79.6 GiB\n"
               "  hint: use tp 16 or more, or narrower weights\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values), cmocka_unit_test(names),    cmocka_unit_test(fleets),
        cmocka_unit_test(no_link),         cmocka_unit_test(files),    cmocka_unit_test(options),
        cmocka_unit_test(traces),          cmocka_unit_test(too_long), cmocka_unit_test(slower_above_faster),
        cmocka_unit_test(variant_fails)};
    return cmocka_run_group_tests(tests, begin, finish);
}
