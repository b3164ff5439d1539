/* Do the published cases hold where results/cases.md says so, and is a wrong question told apart from a wrong answer?
 */
#include <dirent.h>
#include <stdbool.h>

#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

static char *page(void) {
    FILE *file = fopen("results/cases.md", "r");
    assert_non_null(file);
    return run_taken(file);
}

/* Every case, or every scenario of a folder: a test that is there runs. */
static int each(const char *folder, bool (*look)(const char *folder, const char *name)) {
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    int skipped = 0, seen = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char name[256];
        size_t length = strlen(entry->d_name);
        if (length < 6 || length > sizeof name || strcmp(entry->d_name + length - 5, ".yaml") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)length - 5, entry->d_name);
        seen++;
        skipped += !look(folder, name);
    }
    closedir(directory);
    assert_true(seen > 0);
    return skipped;
}

static bool without_trace(const struct said *said, const char *name) {
    if (!strstr(said->err, "no trace '"))
        return false;
    print_message("%s: no trace, skipped\n", name);
    return true;
}

/* The committed page says of this case what it says today. */
static bool page_says(const char *folder, const char *name) {
    (void)folder;
    if (strcmp(name, "gke-tiers-3") == 0 && !getenv("TIERSIM_LONG")) {
        print_message("%s: ten seconds: whole in check-long, small here\n", name);
        return true;
    }
    struct said said = RUN_VERB(cases, NULL, name);
    bool skipped = without_trace(&said, name);
    if (!skipped) {
        assert_string_equal(said.err, "");
        assert_int_equal(said.code, 0);
        const char *section = strstr(said.out, "\n## ");
        assert_non_null(section);
        char *committed = page();
        if (!strstr(committed, section))
            fail_msg("results/cases.md is old; hint: make cases\n%s", section);
        free(committed);
    }
    said_free(&said);
    return !skipped;
}

static void page_is_true(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    print_message("a minute under sanitizers, and `small` runs the same code there: skipped\n");
    skip();
#endif
    if (each("configs/cases", page_says) > 0)
        skip();
}

/* Each case runs at a size of seconds of its traffic, whatever it claims; hit ratios are small as they are. */
static bool runs_small(const char *folder, const char *name) {
    char path[512];
    if (strncmp(name, "hits-", 5) == 0)
        return true;
    snprintf(path, sizeof path, "%s/%s.yaml", folder, name);
    struct said said =
        RUN_VERB(run, NULL, path, "--json", "--no-search", "--set", "stop_after=4 s", "--set", "warmup=0 s", "-j", "1");
    bool skipped = without_trace(&said, name);
    if (!skipped) {
        assert_string_equal(said.err, "");
        assert_int_equal(said.code, 0);
        assert_non_null(strstr(said.out, "\"finished\":"));
    }
    said_free(&said);
    return !skipped;
}

static void small(void **state) {
    (void)state;
    assert_int_equal(each("configs/cases", runs_small), 0);
}

static const char scenario[] =
    "name: hand\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
    "workload:\n  generate:\n    arrivals: {process: poisson, rate: 1/s}\n    duration: 5 s\n"
    "    first_prompt: {kind: constant, mean: 100}\n    output: {kind: constant, mean: 3}\n"
    "claims:\n"
    "  - {claim: tokens, published: 3, within: 1, query: %s}\n";

static struct said told(const char *query) {
    char text[1024], folder[] = "/tmp/tiersim-cases-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, scenario, query);
    put_file(folder, "case.yaml", text);
    snprintf(path, sizeof path, "%s/case.yaml", folder);
    struct said said = RUN_VERB(cases, NULL, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    return said;
}

static void by_hand(void **state) {
    (void)state;
    struct said said = told("\"SELECT max(output_tokens) FROM requests\"");
    assert_non_null(strstr(said.out, "| tokens | 3 | 3 | 1.00 | holds |"));
    said_free(&said);
    said = told("\"SELECT 4\"");
    assert_int_equal(said.code, 0); /* a miss is an answer */
    assert_non_null(strstr(said.out, "| tokens | 3 | 4 | 1.33 | missed |"));
    said_free(&said);
}

static void wrong_questions(void **state) {
    (void)state;
    struct said said = told("SELECT tokens FROM nowhere");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(strstr(said.err, "case.yaml:12:"));
    assert_non_null(strstr(said.err, "no such table: nowhere\n  hint: docs/database.md has the tables"));
    assert_string_equal(said.out, "");
    said_free(&said);
    said = told("SELECT 1 WHERE 0");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(strstr(said.err, "the question has no answer"));
    said_free(&said);
    said = RUN_VERB(cases, NULL, "configs/scenarios/smoke.yaml");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(strstr(said.err, "claims nothing"));
    said_free(&said);
    said = RUN_VERB(cases, NULL, "ssd-clif");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(strstr(said.err, "did you mean 'ssd-cliff'?"));
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(page_is_true), cmocka_unit_test(small),
                                       cmocka_unit_test(by_hand), cmocka_unit_test(wrong_questions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
