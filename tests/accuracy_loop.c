/* Does the simulator say what a real serving loop took? Its 591 requests at 40 % load (results/calibration/h200), from
 * configs/scenarios/measured-loop.yaml: nothing in that scenario was fitted on the requests' times. */
#include <math.h>

#include "tests/run_verb.h"

static double ratio_of(const char *text, const char *latency, const char *quantile) {
    const char *at = strstr(text, latency);
    assert_non_null(at);
    at = strstr(at, quantile);
    assert_non_null(at);
    at = strstr(at, "\"ratio\":");
    assert_non_null(at);
    return strtod(at + strlen("\"ratio\":"), NULL);
}

static void loop_at_40_percent(void **state) {
    (void)state;
    static const char *const latencies[] = {"\"ttft_s\":{", "\"tpot_s\":{"};
    static const struct {
        const char *name;
        double most; /* the project's targets, and a tenth of them */
    } quantiles[] = {{"\"quantile\":\"p50\"", 0.055}, {"\"quantile\":\"p90\"", 0.055}, {"\"quantile\":\"p99\"", 0.11}};
    struct said said = RUN_VERB(validate, NULL, "configs/scenarios/measured-loop.yaml",
                                "results/calibration/h200/loop_1.94.csv@1.94", "--json");
    assert_int_equal(said.code, 0);
    for (int l = 0; l < 2; l++)
        for (int q = 0; q < 3; q++) {
            double ratio = ratio_of(said.out, latencies[l], quantiles[q].name);
            print_message("%s %s: predicted / measured %.3f\n", latencies[l], quantiles[q].name, ratio);
            assert_true(fabs(ratio - 1) <= quantiles[q].most);
        }
    said_free(&said);
}

/* What the loop's engine does is most of it: without, its steps follow each other too closely. */
static void engine_matters(void **state) {
    (void)state;
    struct said said = RUN_VERB(validate, NULL, "configs/scenarios/measured-loop.yaml",
                                "results/calibration/h200/loop_1.94.csv@1.94", "--json", "--set", "engine=none");
    assert_int_equal(said.code, 0);
    assert_true(ratio_of(said.out, "\"ttft_s\":{", "\"quantile\":\"p90\"") < 0.93);
    said_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loop_at_40_percent), cmocka_unit_test(engine_matters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
