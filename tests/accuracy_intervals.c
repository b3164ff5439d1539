/* Are the intervals of results/policies/meaning.md what they say? tools/intervals.py checks itself on known cases:
 * equal policies are marked in one of twenty comparisons, 95 % hold the truth where sessions are alike within. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void check_themselves(void **unused) {
    (void)unused;
    if (system("python3 -c 'import random' >/dev/null 2>&1") != 0) {
        print_message("no python3 here\n");
        skip();
    }
    FILE *script = fopen("tools/intervals.py", "r");
    if (!script) {
        print_message("tools/intervals.py is not here\n");
        skip();
    }
    fclose(script);
    assert_int_equal(system("python3 tools/intervals.py >&2"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(check_themselves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
