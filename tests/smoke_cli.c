/* Does every verb start, help, say what it should in lines that fit, and end with the right code? The program itself is
 * asked where it lies beside the tests (`make all tests`). */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

#include <fcntl.h>
#include <stdbool.h>

enum { COLUMNS = 98 };

static void fits(const char *text) {
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        if (length > COLUMNS)
            fail_msg("%zu columns: %.*s", length, (int)length, line);
        if (length > 0 && line[length - 1] == ' ')
            fail_msg("trailing blank: %.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

/* What was said on stdout is well, fits and holds each of `parts` (NULL-ended). */
static void said_well(struct said said, const char *const *parts) {
    assert_string_equal(said.err, "");
    assert_int_equal(said.code, EXIT_FINE);
    fits(said.out);
    for (; *parts; parts++)
        if (!strstr(said.out, *parts))
            fail_msg("no '%s' in:\n%s", *parts, said.out);
    said_free(&said);
}
#define SAYS(said, ...) said_well(said, (const char *const[]){__VA_ARGS__, NULL})

static void helps(void **state) {
    (void)state;
    SAYS(RUN_VERB(run, NULL, "--help"), "Usage: tiersim run [OPTION...] SCENARIO.yaml", "--set=", "--db=", "--seed=");
    SAYS(RUN_VERB(step, NULL, "--help"), "Usage: tiersim step", "--kv-dtype=", "--weight-dtype=", "--query=", "--tp=");
    SAYS(RUN_VERB(transfer, NULL, "--help"), "Usage: tiersim transfer", "--from=", "--to=", "--blocks=", "--api=");
    SAYS(RUN_VERB(cache, NULL, "--help"), "Usage: tiersim cache", "--policy=", "--size=", "--semantics=");
    SAYS(RUN_VERB(list, NULL, "--help"), "Usage: tiersim list", "policies, models, hardware");
    SAYS(RUN_VERB(calibrate, NULL, "--help"), "usage: tiersim calibrate -o DIR", "--continue");
    SAYS(RUN_VERB(fit, NULL, "--help"), "Usage: tiersim fit", "--output=");
    SAYS(RUN_VERB(docs, NULL, "--help"), "usage: tiersim docs config|schema|database");
}

static void steps(void **state) {
    (void)state;
    SAYS(RUN_VERB(step, NULL, "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--batch", "1", "--context", "1024"),
         "llama-3.1-8b on 1 x h100-sxm: 1 sequence, context 1024, decode\n", "\nattention_decode ", "\nstep ",
         "90 % interval ");
    SAYS(RUN_VERB(step, NULL, "-m", "deepseek-v3", "-g", "h200-sxm", "--tp", "8", "--weight-dtype", "fp8", "-b", "8",
                  "-c", "8192", "-q", "512", "--engine", "vllm-sync"),
         "8 sequences, context 8192, prefill\n", "\nall_reduce", "\nhost ", "Host work is the engine's.");
}

static void transfers(void **state) {
    (void)state;
    static const char *const tiers[] = {"dram", "ssd", "flash", "object", "peer"};
    for (size_t t = 0; t < sizeof tiers / sizeof *tiers; t++)
        for (int out = 0; out < 2; out++)
            SAYS(RUN_VERB(transfer, NULL, "--from", out ? "hbm" : tiers[t], "--to", out ? tiers[t] : "hbm", "--gpu",
                          "h100-sxm", "--bytes", "20 MB", "--blocks", "4"),
                 "20 MB from ", " on hgx-h100 (h100-sxm), 4 blocks of 5 MB, one call\n", "; bound by ");
}

static void lists(void **state) {
    (void)state;
    SAYS(RUN_VERB(list, NULL, "policies"), "evict\n", "\n  lru: ", "\nroute\n");
    SAYS(RUN_VERB(list, NULL, "models"), "\nllama-3.1-70b ", "\ndeepseek-v3 ");
    SAYS(RUN_VERB(list, NULL, "hardware"), "\nh100-sxm ", "\nmi300x ");
    SAYS(RUN_VERB(list, NULL, "nodes"), "\nhgx-h100: ");
    SAYS(RUN_VERB(list, NULL, "engines"), "vllm\n");
    SAYS(RUN_VERB(list, NULL, "connectors"), "remote-pull\n");
    SAYS(RUN_VERB(list, NULL, "prices"), "2026-11: ");
    SAYS(RUN_VERB(list, NULL, "workloads"), "coding-agents: ");
    SAYS(RUN_VERB(list, NULL, "scenarios"), "long-context-agents: ", "smoke: ");
    struct said said = RUN_VERB(list, NULL, "model");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_string_equal(said.err, "tiersim: no catalogue 'model'\n  hint: did you mean 'models'?\n");
    said_free(&said);
}

static void documents(void **state) {
    (void)state;
    static const char *const pages[][2] = {{"config", "# Configuration reference\n"},
                                           {"schema", "{\"$schema\":"},
                                           {"database", "# The results database\n"}};
    for (int i = 0; i < 3; i++) {
        struct said said = RUN_VERB(docs, NULL, pages[i][0]);
        assert_int_equal(said.code, EXIT_FINE);
        assert_memory_equal(said.out, pages[i][1], strlen(pages[i][1]));
        said_free(&said);
    }
    struct said said = RUN_VERB(docs, NULL, "everything");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_string_equal(said.out, "");
    said_free(&said);
}

/* The story of a run: everything in it, with and without an SLO and all there is. */
static void stories(void **state) {
    (void)state;
#define SMOKE(...) RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "-j", "1", __VA_ARGS__)
    SAYS(SMOKE("--seed", "3"), "Does everything run?\nllama-3.1-8b bf16, tp 1, 2 instances on 1 node of 8 h100-sxm\n",
         "\nvariant ", "\n hbm ", "* the cheapest.", "from: H hbm, D dram, S ssd, ",
         "One missed context (median: ", "What it rests on:\n  - decode steps: ", "  - links: copy measured",
         "  - prices of 2026-11: spec\n", "  - seed 3, ");
    SAYS(SMOKE("--set", "slo.ttft_p99=2 s"), "SLO: TTFT p99 <= 2 s\n", "What would flip that:\n", " more an hour for '",
         "% less load on '", "rows are at the highest load that keeps the SLO; GPUs: for load 1.\n");
    SAYS(SMOKE("--set", "slo.ttft_p99=1 us"), "\n hbm        none    - ",
         "\nnone: no load keeps the SLO; that row is at the scenario's load.\n");
    SAYS(SMOKE("--set", "slo.ttft_p99=1 us", "--no-search"), "\nrequests: a node's, a second.\n",
         "more each could: leave out\n    --no-search to");
    SAYS(SMOKE("--wide"), "\nssd: load 1, ", "  time of requests: ", "\n  tier ", "\n  link ");
}

/* The program beside the tests; false: it is not built. */
static bool program(char path[4096]) {
    ssize_t length = readlink("/proc/self/exe", path, 4000);
    assert_true(length > 0);
    path[length] = 0;
    for (int up = 0; up < 2; up++)
        *strrchr(path, '/') = 0;
    strcat(path, "/tiersim");
    return access(path, X_OK) == 0;
}

static char program_path[4096];
static int execute(int count, char **words) {
    (void)count;
    words[0] = program_path;
    execv(program_path, words);
    return 98;
}
#define PROGRAM(...) run_words(execute, NULL, (const char *const[]){"tiersim", __VA_ARGS__})

static void main_program(void **state) {
    (void)state;
    if (!program(program_path)) {
        print_message("%s is not built: skipped\n", program_path);
        skip();
    }
    struct said said = PROGRAM("--version", NULL);
    assert_int_equal(said.code, EXIT_FINE);
    assert_true(strncmp(said.out, "tiersim ", 8) == 0 && strlen(said.out) > 9 && strchr(said.out, '\n'));
    said_free(&said);
    struct said help = PROGRAM("--help", NULL), none = PROGRAM(NULL);
    assert_int_equal(help.code, EXIT_FINE);
    assert_int_equal(none.code, EXIT_BAD_INPUT);
    assert_string_equal(none.err, help.out);
    assert_string_equal(none.out, "");
    static const char *const verbs[] = {"run", "why",      "step",  "transfer", "cache", "list",
                                        "fit", "validate", "trace", "cases",    "docs"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        char line[32];
        snprintf(line, sizeof line, "\n  %-10s ", verbs[i]);
        assert_non_null(strstr(help.out, line));
        SAYS(PROGRAM(verbs[i], "--help", NULL), verbs[i]);
    }
    said_free(&help);
    said_free(&none);
    said = PROGRAM("rum", NULL);
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_string_equal(said.err, "tiersim: unknown verb 'rum'\n  hint: did you mean 'run'?\n");
    said_free(&said);
    said = PROGRAM("step", "--batch", "0", NULL);
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(strstr(said.err, "tiersim step: --batch '0' is not a whole number of at least 1\n"));
    said_free(&said);
}

/* A full disk is no success. */
static int into_full(int count, char **words) {
    int full = open("/dev/full", O_WRONLY);
    if (full < 0 || dup2(full, 1) < 0)
        return 97;
    return execute(count, words);
}
static void full_disk(void **state) {
    (void)state;
    if (!program(program_path) || access("/dev/full", W_OK) != 0) {
        print_message("no program, or no /dev/full: skipped\n");
        skip();
    }
    struct said said = run_words(into_full, NULL, (const char *const[]){"tiersim", "list", "models", NULL});
    assert_int_equal(said.code, EXIT_RUN_FAILED);
    assert_string_equal(said.err, "tiersim: writing to standard output: No space left on device\n");
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(helps),        cmocka_unit_test(steps),
                                       cmocka_unit_test(transfers),    cmocka_unit_test(lists),
                                       cmocka_unit_test(documents),    cmocka_unit_test(stories),
                                       cmocka_unit_test(main_program), cmocka_unit_test(full_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
