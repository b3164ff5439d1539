/* Are wrong units and broken promises refused, with place and remedy, however long what is quoted? */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/base/error.h"
#include "sim/base/histogram.h"
#include "sim/base/int_map.h"
#include "sim/base/unit.h"

static void wrong_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum unit unit;
        const char *message;
    } cases[] = {
        {"64GB", UNIT_BYTES_PER_S, "'64GB' is not bytes per second\n  hint: write it like 3.35 TB/s"},
        {"64 GB/s", UNIT_BYTES, "'64 GB/s' is not bytes\n  hint: write it like 80 GiB"},
        {"64", UNIT_BYTES, "'64' is not bytes\n  hint: write it like 80 GiB"},
        {"400 Gb/s", UNIT_BYTES_PER_S, "'400 Gb/s' is not bytes per second\n  hint: write it like 3.35 TB/s"},
        {"64 gb", UNIT_BYTES, NULL},
        {"64 GBs", UNIT_BYTES, NULL},
        {"/s", UNIT_BYTES_PER_S, NULL},
        {"5", UNIT_SECONDS, "'5' is not time\n  hint: write it like 5 us"},
        {"5 m", UNIT_SECONDS, NULL},
        {"2.95", UNIT_USD_PER_HOUR, "'2.95' is not dollars per hour\n  hint: write it like $2.95/h"},
        {"$2.95", UNIT_USD_PER_HOUR, NULL},
        {"2.95/h", UNIT_USD_PER_HOUR, NULL},
        {"$0.1", UNIT_USD_PER_BYTE, NULL},
        {"$0.1GB", UNIT_USD_PER_BYTE, NULL},
        {"$5", UNIT_BYTES, NULL},
        {"$ 5", UNIT_USD, NULL},
        {"$0", UNIT_BYTES, NULL},
        {"5 %", UNIT_NONE, "'5 %' is not a number\n  hint: write it like 8"},
        {"", UNIT_NONE, "'' is not a number\n  hint: write it like 8"},
        {" ", UNIT_TOKENS, NULL},
        {"-", UNIT_NONE, NULL},
        {".", UNIT_NONE, NULL},
        {"e5", UNIT_NONE, NULL},
        {"1e", UNIT_NONE, NULL},
        {"1.2.3", UNIT_NONE, NULL},
        {"1,000", UNIT_NONE, NULL},
        {"1 000", UNIT_NONE, NULL},
        {"0x10", UNIT_NONE, NULL},
        {"-0x10", UNIT_NONE, NULL},
        {"inf", UNIT_NONE, NULL},
        {"-inf", UNIT_NONE, NULL},
        {"nan", UNIT_NONE, NULL},
        {"1e999", UNIT_NONE, NULL},
        {"1e999999999999999999999", UNIT_NONE, NULL},
        {"1e300 EB", UNIT_BYTES, NULL},
        {"5 furlongs that nobody has ever heard of", UNIT_SECONDS, NULL},
        {"yes", UNIT_NONE, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        double value;
        if (unit_parse(cases[i].text, cases[i].unit, &value, &err) == 0)
            fail_msg("'%s' was taken for %s", cases[i].text, unit_name(cases[i].unit));
        assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
        assert_non_null(strstr(err.text, "\n  hint: write it like "));
        if (cases[i].message)
            assert_string_equal(err.text, cases[i].message);
    }
}

static void places(void **state) {
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, "%d %s\n  hint: none", 3, "things"), -1);
    assert_string_equal(err.text, "3 things\n  hint: none");
    assert_int_equal(error_at(&err, (struct place){"a.yaml", 4, 7}, "wrong\n  hint: right"), -1);
    assert_string_equal(err.text, "a.yaml:4:7: wrong\n  hint: right");
    assert_int_equal(error_at(&err, (struct place){"a.yaml", 0, 0}, "wrong"), -1);
    assert_string_equal(err.text, "a.yaml: wrong");
    assert_int_equal(error_at(&err, (struct place){NULL, 4, 7}, "wrong"), -1);
    assert_string_equal(err.text, "wrong");
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
}

/* What is quoted can be of any length; the place and the remedy stay. */
static void long_messages_keep_their_remedy(void **state) {
    (void)state;
    struct error err;
    for (int length = 1900; length < 2200; length++) {
        error_at(&err, (struct place){"a.yaml", 4, 7}, "unknown '%0*d'\n  hint: know it", length, 1);
        size_t written = strlen(err.text), remedy = strlen("\n  hint: know it");
        assert_true(written < sizeof err.text);
        assert_memory_equal(err.text, "a.yaml:4:7: unknown '000", 24);
        assert_string_equal(err.text + written - remedy, "\n  hint: know it");
        assert_true(strstr(err.text, "...\n  hint") != NULL || written == (size_t)length + 38);
    }
    error_set(&err, "%09000d\n  hint: %09000d", 1, 2); /* both too long */
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_non_null(strstr(err.text, "...\n  hint: 000"));
    /* A quoted text that looks like a remedy is not the remedy. */
    error_set(&err, "'%02000d\n  hint: trust me%02000d' is wrong\n  hint: mend it", 1, 2);
    assert_string_equal(err.text + strlen(err.text) - 16, "\n  hint: mend it");
    char path[5000];
    memset(path, 'p', sizeof path);
    memcpy(path + sizeof path - 6, ".yaml", 6);
    error_at(&err, (struct place){path, 4, 7}, "wrong\n  hint: right");
    assert_memory_equal(err.text, "...ppp", 6);
    assert_non_null(strstr(err.text, "p.yaml:4:7: wrong\n  hint: right"));
}

/* Runs `broken` in a child; it must abort and say why. */
static void aborts(void (*broken)(void), const char *why) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        broken();
        _exit(0);
    }
    close(ends[1]);
    char said[512] = "";
    for (size_t used = 0; used < sizeof said - 1;) {
        ssize_t more = read(ends[0], said + used, sizeof said - 1 - used);
        if (more <= 0)
            break;
        used += (size_t)more;
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!strstr(said, why) || !strstr(said, "\n  hint: "))
        fail_msg("'%s' does not say '%s'", said, why);
}

static void add_negative(void) {
    histogram_add(histogram_create(), -1);
}
static void put_nothing(void) {
    int_map_put(int_map_create(), 1, INT_MAP_NONE);
}
static void promise(void) {
    MUST(1 + 1 == 3);
}

static void broken_promises(void **state) {
    (void)state;
    aborts(add_negative, "histogram.c:");
    aborts(put_nothing, "value != INT_MAP_NONE");
    aborts(promise, "bad_input_base.c:");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_units),
        cmocka_unit_test(places),
        cmocka_unit_test(long_messages_keep_their_remedy),
        cmocka_unit_test(broken_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
