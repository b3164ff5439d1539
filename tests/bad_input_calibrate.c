/* Does `tiersim calibrate` say plainly what is missing: the program, a GPU, the rest of a run that did not end? */
#include "tests/run_verb.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

static char folder[] = "/tmp/calibrateXXXXXX";

static void write_file(const char *name, const char *text, mode_t mode) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}
static bool there(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void not_built(void **state) {
    (void)state;
    assert_int_equal(setenv("PATH", "/nonexistent::/dev", 1), 0);
    struct said said = RUN_VERB(calibrate, NULL, "-o", folder);
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_string_equal(said.out, "");
    assert_non_null(strstr(said.err, "no tiersim-calibrate beside this program or on PATH\n  hint: `make` builds it"));
    assert_non_null(strstr(said.err, "docs/calibrate.md"));
    said_free(&said);
    said = RUN_VERB(calibrate, NULL, NULL);
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_int_equal(strncmp(said.err, "usage: tiersim calibrate", 24), 0);
    said_free(&said);
}

/* Its arguments and its exit code pass through; a file that may not be run is none. */
static void starts_it(void **state) {
    (void)state;
    assert_int_equal(setenv("PATH", folder, 1), 0);
    write_file("tiersim-calibrate", "#!/bin/sh\necho \"$# $1 $2 $3\"\nexit 7\n", 0644);
    struct said said = RUN_VERB(calibrate, NULL, "-o", "a b", "--quick");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    said_free(&said);
    write_file("tiersim-calibrate", "#!/bin/sh\necho \"$# $1 $2 $3\"\nexit 7\n", 0755);
    said = RUN_VERB(calibrate, NULL, "-o", "a b", "--quick");
    assert_string_equal(said.err, "");
    assert_string_equal(said.out, "3 -o a b --quick\n");
    assert_int_equal(said.code, 7);
    said_free(&said);
}

static char measurer[4096];
static int execute(int count, char **words) {
    (void)count;
    execv(measurer, words);
    return 98;
}
#define MEASURE(...) run_words(execute, NULL, (const char *const[]){"tiersim-calibrate", __VA_ARGS__, NULL})

static bool find_measurer(void) {
    ssize_t length = readlink("/proc/self/exe", measurer, 4000);
    assert_true(length > 0);
    measurer[length] = 0;
    for (int up = 0; up < 2; up++)
        *strrchr(measurer, '/') = 0;
    strcat(measurer, "/tiersim-calibrate");
    return access(measurer, X_OK) == 0;
}
static void refused(struct said said, const char *why) {
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    if (!strstr(said.err, why) || !strstr(said.err, "\n  hint: "))
        fail_msg("no '%s' with a hint in:\n%s", why, said.err);
    said_free(&said);
}

static void measurer_refuses(void **state) {
    (void)state;
    if (!find_measurer()) {
        print_message("%s is not built: skipped\n", measurer);
        skip();
    }
    refused(MEASURE("-o", folder, "--only", "gem"), "there is no group 'gem'");
    static const char *const rates[] = {"", "fast", "1,", "0", "-2", "1.94;3", "1,nan"};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        refused(MEASURE("-o", folder, "--loop-rates", rates[i]), "--loop-rates");
    struct said said = MEASURE("-o", "/proc/none");
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_string_equal(said.err, "tiersim-calibrate: /proc/none: No such file or directory\n");
    said_free(&said);
    /* A run that did not end is neither taken for a whole one nor thrown away. */
    write_file("rows.csv.part", "group,variant\nceilings,hbm_read\n", 0644);
    write_file("rows.csv.done", "options quick=1 only=\ndone ceilings 0 1 2 3 4\n", 0644);
    refused(MEASURE("-o", folder), "rows.csv.part: a run that did not end");
    refused(MEASURE("-o", folder, "--continue"), "the run before was of 'quick=1 only='");
    assert_true(there("rows.csv.part") && !there("rows.csv"));
}

static void no_gpu(void **state) {
    (void)state;
    if (!find_measurer() || access("/dev/nvidiactl", F_OK) == 0) {
        print_message("not built, or there is a GPU: skipped\n");
        skip();
    }
    refused(MEASURE("-o", folder, "--quick", "--continue"), "tiersim-calibrate: no GPU: ");
    assert_true(there("rows.csv.part") && there("rows.csv.done") && !there("rows.csv") && !there("machine.txt"));
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {"tiersim-calibrate", "rows.csv.part", "rows.csv.done", "machine.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return -1;
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(not_built), cmocka_unit_test(starts_it),
                                       cmocka_unit_test(measurer_refuses), cmocka_unit_test(no_gpu)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
