/* Can docs/add-a-policy.md be followed? The skeleton is copied under another name, built outside the tree as the page
 * says, and loaded: it is listed, takes its option, and answers as the built-in one does. */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

#include <stdbool.h>

static char folder[] = "/tmp/tiersim-policies-XXXXXX";

static bool shell(const char *command) {
    return system(command) == 0; /* the page's own lines */
}

static char *page_line(const char *beginning) {
    FILE *file = fopen("docs/add-a-policy.md", "r");
    assert_non_null(file);
    static char line[1024];
    while (fgets(line, sizeof line, file))
        if (strncmp(line, beginning, strlen(beginning)) == 0 && strstr(line, "-shared")) {
            fclose(file);
            line[strcspn(line, "\n")] = 0;
            return line;
        }
    fail_msg("docs/add-a-policy.md has no line '%s...'", beginning);
    return NULL;
}

static void outside_the_tree(void **unused) {
    (void)unused;
    if (!shell("cc --version >/dev/null 2>&1")) {
        print_message("no cc here\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    char command[4096], plugin[4096], trace[4096];
    /* From a folder whose `policies` and `sim` are this tree's. */
    snprintf(command, sizeof command, "ln -s $PWD/policies $PWD/sim %s && cd %s && %s", folder, folder,
             page_line("sed "));
    assert_true(shell(command));
    snprintf(plugin, sizeof plugin, "%s/mine.so", folder);
    snprintf(trace, sizeof trace, "%s/loop.txt", folder);
    FILE *file = fopen(trace, "w");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++)
        fprintf(file, "%d\n", i % 7 ? i % 90 : i * 31 % 400);
    fclose(file);

    struct said list = RUN_VERB(list, NULL, "policies", "--plugin", plugin);
    assert_int_equal(list.code, 0);
    assert_non_null(strstr(list.out, "mine"));
    said_free(&list);
    struct said own = RUN_VERB(cache, NULL, trace, "--plugin", plugin, "--policy",
                               "{name: mine, spare: 1},skeleton,mine", "--size", "50", "--json");
    if (own.code != 0)
        fail_msg("%s", own.err);
    /* Misses of the three, in order. */
    long misses[3];
    const char *at = own.out;
    for (int i = 0; i < 3; i++) {
        at = strstr(at, "\"misses\":");
        assert_non_null(at);
        at += strlen("\"misses\":");
        misses[i] = strtol(at, NULL, 10);
    }
    assert_int_equal(misses[1], misses[2]);
    assert_int_not_equal(misses[0], misses[1]);
    said_free(&own);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_true(shell(command));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(outside_the_tree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
