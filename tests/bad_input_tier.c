/* Are traces of objects, and policies that cannot run where they are asked to, refused with place and remedy? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/memory/replay.h"

static void expect(int result, const struct error *err, const char *place, const char *what) {
    assert_int_equal(result, -1);
    assert_int_equal(err->exit_code, EXIT_BAD_INPUT);
    if (strncmp(err->text, place, strlen(place)) != 0)
        fail_msg("not at '%s': %s", place, err->text);
    if (!strstr(err->text, what))
        fail_msg("no '%s' in: %s", what, err->text);
    assert_non_null(strstr(err->text, "\n  hint: "));
}

static void broken_lines(void **unused) {
    (void)unused;
    static const struct {
        const char *text, *place, *what;
    } cases[] = {
        {"1\n2\nx\n", "t.txt:3:1: ", "'x'"},
        {"1,\n", "t.txt:1:1: ", "'1,'"},
        {"1,0\n", "t.txt:1:1: ", "SIZE at least 1"},
        {"1,2,3\n", "t.txt:1:1: ", "'1,2,3'"},
        {"-1\n", "t.txt:1:1: ", "'-1'"},
        {"18446744073709551616\n", "t.txt:1:1: ", "18446744073709551616"},
        {"7,4294967296", "t.txt:1:1: ", "7,4294967296"},
        {"", "t.txt:1:1: ", "no access"},
        {"\n\r\n\n", "t.txt:1:1: ", "no access"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct replay_trace *trace;
        struct error err = {0};
        int result = replay_read_lines(cases[i].text, strlen(cases[i].text), "t.txt", &trace, &err);
        expect(result, &err, cases[i].place, cases[i].what);
    }
    static const char fine[] = "5\r\n18446744073709551615,4294967295\n\n5,7";
    struct replay_trace *trace;
    struct error err = {0};
    assert_int_equal(replay_read_lines(fine, sizeof fine - 1, "t.txt", &trace, &err), 0);
    assert_true(trace->count == 3 && trace->unique == 2 && trace->ids[2] == trace->ids[0]);
    assert_true(trace->sizes[0] == 1 && trace->sizes[1] == UINT32_MAX && trace->sizes[2] == 7);
    replay_trace_destroy(trace);
}

static void broken_oracle(void **unused) {
    (void)unused;
    unsigned char records[72] = {0};
    struct replay_trace *trace;
    struct error err = {0};
    expect(replay_read_oracle(records, 0, "t.bin", &trace, &err), &err, "t.bin: ", "0 bytes");
    expect(replay_read_oracle(records, 71, "t.bin", &trace, &err), &err, "t.bin: ", "cut off");
    records[0] = 9; /* the first at 9 s, the second at 0 s */
    expect(replay_read_oracle(records, 72, "t.bin", &trace, &err), &err, "t.bin: ", "record 2");
    records[0] = 0;
    assert_int_equal(replay_read_oracle(records, 72, "t.bin", &trace, &err), 0);
    assert_true(trace->count == 3 && trace->unique == 1);
    replay_trace_destroy(trace);
}

static void policies_that_cannot_run(void **unused) {
    (void)unused;
    struct error err = {0};
    struct evict_policy policy = *(const struct evict_policy *)policy_find(POLICY_EVICT, "lru", &err);
    assert_int_equal(tier_can_run(&policy, 0, true, &err), 0);
    policy.policy.needs = NEED_TREE | NEED_FUTURE | NEED_COST;
    expect(tier_can_run(&policy, NEED_FUTURE, true, &err), &err, "policy 'lru'", "not known here: cost");
    assert_int_equal(tier_can_run(&policy, NEED_FUTURE | NEED_COST, true, &err), 0);
    policy.lifts = LIFT_NONE;
    assert_int_equal(tier_can_run(&policy, NEED_FUTURE | NEED_COST, false, &err), 0);
    expect(tier_can_run(&policy, NEED_FUTURE | NEED_COST, true, &err), &err, "policy 'lru'", "lifts to prefix");
    expect(policy_load_plugin("no-such-plugin.so", &err), &err, "cannot load plugin", "no-such-plugin.so");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(broken_lines), cmocka_unit_test(broken_oracle),
                                       cmocka_unit_test(policies_that_cannot_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
