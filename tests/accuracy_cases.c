/* Do the published cases hold where results/cases.md says so, and is a wrong question told apart from a wrong answer?
 */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

static char *page(void) {
    FILE *file = fopen("results/cases.md", "r");
    assert_non_null(file);
    return run_taken(file);
}

/* The committed page is what the cases say today. */
static void page_is_true(void **state) {
    (void)state;
    struct said said = RUN_VERB(cases, NULL, NULL);
    char *committed = page();
    assert_string_equal(said.err, "");
    assert_int_equal(said.code, 0);
    if (strcmp(said.out, committed) != 0)
        fail_msg("results/cases.md is old; hint: build/tiersim cases -o results/cases.md\n%s", said.out);
    assert_non_null(strstr(said.out, "| holds |"));
    free(committed);
    said_free(&said);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(page_is_true), cmocka_unit_test(by_hand),
                                       cmocka_unit_test(wrong_questions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
