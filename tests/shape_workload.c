/* Do generators make what their words say: means, percentiles, bursts, regimes, turns, return times? Bounds are about
 * four standard errors of the number of draws; the seed is fixed, so a pass stays one. */
#include <math.h>

#include "tests/workload.h"

#define LENGTHS "first_prompt: {median: 1000, sigma: 0.5, min: 1, max: 1000000}, output: {kind: constant, mean: 7}"
#define ONE_TURN                                                                                                       \
    "turns: {kind: constant, mean: 1}, turn: {kind: constant, mean: 1}, think_time: {kind: constant, mean: 1}"

static void poisson_and_lognormal(void **state) {
    (void)state;
    struct workload_info info = info_of(
        "{generate: {duration: 10000 s, arrivals: {process: poisson, rate: 4/s}, " LENGTHS ", " ONE_TURN "}}", 1, 3);
    assert_float_equal((double)info.requests, 40000, 4 * sqrt(40000));
    assert_float_equal(info.gap_cv, 1, 0.03);
    assert_float_equal((double)histogram_percentile(info.prompt_tokens, 0.5), 1000, 15);
    /* exp(z * 0.5) at the 90 % point z = 1.2816; the mean is exp(0.5^2 / 2). */
    assert_float_equal((double)histogram_percentile(info.prompt_tokens, 0.9), 1000 * exp(0.5 * 1.2816), 40);
    assert_float_equal(histogram_mean(info.prompt_tokens), 1000 * exp(0.125), 15);
    assert_int_equal(histogram_max(info.output_tokens), 7);
    assert_int_equal(histogram_max(info.turns), 1);
    info_free(&info);
}

static void gamma_bursts(void **state) {
    (void)state;
    static const double cvs[] = {0.5, 1, 3};
    for (int i = 0; i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{generate: {duration: 20000 s, arrivals: {process: gamma, rate: 2/s, cv: %g}, " LENGTHS ", " ONE_TURN
                 "}}",
                 cvs[i]);
        struct workload_info info = info_of(text, 1, 5);
        assert_float_equal((double)info.requests, 40000, 4 * cvs[i] * sqrt(40000));
        assert_float_equal(info.gap_cv, cvs[i], 0.06 * cvs[i]);
        info_free(&info);
    }
}

/* A minute at 10 a second, a minute at 1: the busy ones hold ten times the quiet ones. */
static void regimes_switch(void **state) {
    (void)state;
    struct workload_info info =
        info_of("{generate: {duration: 6000 s, arrivals: {process: regimes, regimes: [{duration: 60 s, rate: 10/s}, "
                "{duration: 60 s, rate: 1/s}]}, " LENGTHS ", " ONE_TURN "}}",
                1, 7);
    assert_float_equal((double)info.requests, 50 * 600 + 50 * 60, 4 * sqrt(33000));
    /* Minutes are counted from the first arrival, a tenth of a second in: they all but coincide with the regimes. */
    assert_in_range(histogram_percentile(info.minute_requests, 0.25), 40, 80);
    assert_in_range(histogram_percentile(info.minute_requests, 0.75), 540, 660);
    info_free(&info);
}

static void load_multiplies(void **state) {
    (void)state;
    static const char text[] =
        "{generate: {duration: 5000 s, arrivals: {process: poisson, rate: 1/s}, " LENGTHS ", " ONE_TURN "}}";
    struct workload_info one = info_of(text, 1, 1), four = info_of(text, 4, 1);
    assert_float_equal((double)one.requests, 5000, 4 * sqrt(5000));
    assert_float_equal((double)four.requests, 20000, 4 * sqrt(20000));
    info_free(&one);
    info_free(&four);
}

/* Sessions come back after think times of a stated distribution, days long; what comes back is the session's own. */
static void returns_as_stated(void **state) {
    (void)state;
    struct workload_info info =
        info_of("{generate: {duration: 3 d, arrivals: {process: poisson, rate: 0.01/s}, first_prompt: {kind: constant, "
                "mean: 1600}, turn: {kind: constant, mean: 160}, output: {kind: constant, mean: 16}, turns: {kind: "
                "constant, mean: 9}, think_time: {kind: exponential, mean: 7200, max: 2592000}}}",
                1, 11);
    assert_int_equal(histogram_max(info.turns), 9);
    /* Exponential: the median is ln 2 of the mean. Each block of a turn's prompt but the new ones returns. */
    assert_float_equal((double)histogram_percentile(info.return_ms, 0.5) * 1e-3, 7200 * log(2), 0.06 * 7200);
    assert_float_equal(histogram_mean(info.return_ms) * 1e-3, 7200, 0.06 * 7200);
    info_free(&info);
}

/* A system prompt and documents are shared by all sessions: little of them is new. */
static void documents_are_shared(void **state) {
    (void)state;
    struct workload_info info = info_of(
        "{generate: {duration: 1000 s, arrivals: {process: poisson, rate: 5/s}, system_tokens: 3200, documents: "
        "10, document_tokens: 16000, first_prompt: {kind: constant, mean: 160}, output: {kind: constant, mean: "
        "16}, " ONE_TURN "}}",
        1, 13);
    double per_request = (double)info.prompt_total_tokens / (double)info.requests;
    assert_float_equal(per_request, 3200 + 16000 + 160, 1);
    double reused = (double)info.reused_tokens / (double)info.prompt_total_tokens;
    assert_float_equal(reused, 19200.0 / 19360.0, 0.005);
    assert_true(info.unique_blocks >= (3200 + 10 * 16000) / 16);
    info_free(&info);
}

static void seeds_decide(void **state) {
    (void)state;
    static const char text[] =
        "{generate: {duration: 500 s, arrivals: {process: poisson, rate: 1/s}, " LENGTHS ", " ONE_TURN "}}";
    struct workload_info a = info_of(text, 1, 1), again = info_of(text, 1, 1), other = info_of(text, 1, 2);
    assert_true(a.requests == again.requests && a.prompt_total_tokens == again.prompt_total_tokens &&
                a.gap_cv == again.gap_cv && a.span_s == again.span_s);
    assert_true(a.prompt_total_tokens != other.prompt_total_tokens && a.span_s != other.span_s);
    info_free(&a);
    info_free(&again);
    info_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poisson_and_lognormal), cmocka_unit_test(gamma_bursts),
        cmocka_unit_test(regimes_switch),        cmocka_unit_test(load_multiplies),
        cmocka_unit_test(returns_as_stated),     cmocka_unit_test(documents_are_shared),
        cmocka_unit_test(seeds_decide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
