/* Faults of things that are not there, namespaces that cannot be, drives that endure nothing: refused at their place.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "tests/text_scenario.h"

#define BEFORE                                                                                                         \
    TEXT_FLEET "workload: {generate: {duration: 10 s}}\n"                                                              \
               "tiers:\n  - {name: hbm}\n  - {name: dram, capacity: 40 GB}\n  - {name: ssd, capacity: 1 TB, write: "   \
               "eviction}\n"

static void refused(const char *more, const char *where, const char *what, const char *hint) {
    char text[4096];
    struct scenario scenario;
    struct error error = {0};
    snprintf(text, sizeof text, "%s%s", BEFORE, more);
    assert_int_equal(text_load(text, &scenario, &error), -1);
    assert_int_equal(error.exit_code, EXIT_BAD_INPUT);
    if (!strstr(error.text, where) || !strstr(error.text, what) || !strstr(error.text, hint))
        fail_msg("%s", error.text);
}

static void faults_of_nothing(void **state) {
    (void)state;
    refused("faults:\n  - {kind: lose, of: sdd, at: 1 s, for: 1 s}\n", ":12:22:", "tier 'sdd', which is not there",
            "did you mean 'ssd'?");
    refused("faults:\n  - {kind: flap, of: pcei, at: 1 s, for: 1 s}\n", ":12:22:", "link 'pcei'",
            "did you mean 'pcie'?");
    refused("faults:\n  - {kind: slow, of: flash, at: 1 s, for: 1 s}\n", ":12:22:", "link 'flash'", "there are: ");
    refused("faults:\n  - {kind: lose, of: hbm, at: 1 s, for: 1 s}\n", ":12:22:", "HBM is lost with the process",
            "kind: restart");
    refused("faults:\n  - {kind: restart, unit: 1, at: 1 s, for: 1 s}\n", ":12:5:", "unit 1, and there is 1",
            "count from 0");
    refused("faults:\n  - {kind: lose, of: ssd, at: 1 s}\n", ":12:22:", "without an end", "mtbf: and mttr:");
    refused("faults:\n  - {kind: lose, of: ssd, for: 1 s, mtbf: 1 h, mttr: 1 s}\n", ":12:22:", "or with two", "hint");
    refused("faults:\n  - {kind: flap, of: ssd, at: 1 s, for: 9 s, down: 1 s}\n", ":12:22:", "down: and up:", "hint");
    refused("faults:\n  - {kind: brake, at: 1 s}\n", ":12:12:", "'kind: brake' is not known", "lose, slow, flap");
}

static void namespaces_of_nothing(void **state) {
    (void)state;
    refused("namespaces: {rules: [{tier: drma, ttl: 1 s}]}\n", ":11:29:", "no tier is called 'drma'",
            "did you mean 'dram'?");
    refused("namespaces: {tenants: 2, rules: [{tier: dram, tenant: 2}]}\n", ":11:41:", "tenant 2", "count from 0");
    refused("namespaces: {share: all, tenants: 2, rules: [{tier: dram, tenant: 1}]}\n", ":11:53:", "all tenants share",
            "share: tenant");
    refused("namespaces: {rules: [{tier: hbm, quota_share: 50 %}]}\n", ":11:29:", "quota_share of hbm", "in bytes");
    refused("namespaces: {rules: [{tier: dram, pin: 30 GB}]}\n", ":11:29:", "more than half", "smaller pin");
    refused("namespaces: {tenants: 5000}\n", ":11:13:", "more than 2048 namespaces", "hint");
    refused("namespaces: {deletes: [{at: 1 s, tenant: 1}]}\n", ":11:13:", "not there", "count from 0");
}

static void drives_that_endure_nothing(void **state) {
    (void)state;
    struct scenario scenario;
    struct error error = {0};
    assert_int_equal(text_load(TEXT_FLEET "workload: {generate: {duration: 10 s}}\ntiers:\n  - {name: hbm}\n"
                                          "  - {name: ssd, capacity: 1 TB, endurance_dwpd: 0}\n",
                               &scenario, &error),
                     -1);
    assert_non_null(strstr(error.text, ":9:49: 'endurance_dwpd: 0' is out of range"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults_of_nothing), cmocka_unit_test(namespaces_of_nothing),
                                       cmocka_unit_test(drives_that_endure_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
