/* Are the random streams random, and independent of each other? Seeds are fixed: these statistics are the same each
 * time, and bounds of about four standard errors say that they are what chance would give. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_statistics.h>

#include "sim/engine/random.h"

enum { SAMPLES = 100000, BINS = 256 };

static void assert_near(double value, double expected, double tolerance) {
    if (fabs(value - expected) > tolerance)
        fail_msg("%.9g is not within %.3g of %.9g", value, tolerance, expected);
}

/* The probability of a chi-square this large, of equally likely bins. */
static double chi2_p(const unsigned *counts, unsigned bins, double expected) {
    double chi2 = 0;
    for (unsigned i = 0; i < bins; i++)
        chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
    return gsl_cdf_chisq_Q(chi2, bins - 1);
}

static void check_uniform(const double *x) {
    unsigned counts[BINS] = {0};
    for (int i = 0; i < SAMPLES; i++)
        counts[(int)(x[i] * BINS)]++;
    assert_near(gsl_stats_mean(x, 1, SAMPLES), 0.5, 4 / sqrt(12.0 * SAMPLES));
    assert_near(gsl_stats_variance(x, 1, SAMPLES), 1 / 12.0, 4 * sqrt(1 / 180.0 / SAMPLES));
    assert_near(gsl_stats_lag1_autocorrelation(x, 1, SAMPLES), 0, 4 / sqrt(SAMPLES));
    double p = chi2_p(counts, BINS, (double)SAMPLES / BINS);
    assert_true(p > 1e-4 && p < 1 - 1e-4);
}

/* Along a stream; and across streams, the first number of each: that is how entities use them. */
static void uniform_along_and_across(void **state) {
    (void)state;
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    double *x = malloc(SAMPLES * sizeof *x);
    random_seek(rng, 7, RANDOM_ARRIVAL, 0);
    for (int i = 0; i < SAMPLES; i++)
        x[i] = gsl_rng_uniform(rng);
    check_uniform(x);
    for (int i = 0; i < SAMPLES; i++) {
        random_seek(rng, 7, RANDOM_LENGTH, (uint64_t)i);
        x[i] = gsl_rng_uniform(rng);
    }
    check_uniform(x);
    for (int i = 0; i < SAMPLES; i++) {
        random_seek(rng, (uint64_t)i, RANDOM_LENGTH, 3);
        x[i] = gsl_rng_uniform(rng);
    }
    check_uniform(x);
    free(x);
    gsl_rng_free(rng);
}

static void bits_are_even(void **state) {
    (void)state;
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    random_seek(rng, 11, RANDOM_TEST, 0);
    unsigned ones[32] = {0};
    for (int i = 0; i < SAMPLES; i++) {
        unsigned long word = gsl_rng_get(rng);
        for (int bit = 0; bit < 32; bit++)
            ones[bit] += word >> bit & 1;
    }
    for (int bit = 0; bit < 32; bit++)
        assert_near(ones[bit], SAMPLES / 2.0, 4.5 * sqrt(SAMPLES / 4.0));
    gsl_rng_free(rng);
}

/* Seed, stream and entity each make another stream: no correlation between any two of them. */
static void streams_are_independent(void **state) {
    (void)state;
    static const struct {
        uint64_t seed;
        enum random_stream stream;
        uint64_t entity;
    } keys[] = {{0, RANDOM_ARRIVAL, 0}, {1, RANDOM_ARRIVAL, 0}, {0, RANDOM_LENGTH, 0},
                {0, RANDOM_ARRIVAL, 1}, {1, RANDOM_LENGTH, 1},  {0, RANDOM_ARRIVAL, UINT64_C(1) << 32}};
    enum { STREAMS = sizeof keys / sizeof *keys };
    double *x[STREAMS];
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    for (int s = 0; s < STREAMS; s++) {
        x[s] = malloc(SAMPLES * sizeof *x[s]);
        random_seek(rng, keys[s].seed, keys[s].stream, keys[s].entity);
        for (int i = 0; i < SAMPLES; i++)
            x[s][i] = gsl_rng_uniform(rng);
    }
    for (int a = 0; a < STREAMS; a++)
        for (int b = 0; b < a; b++)
            assert_near(gsl_stats_correlation(x[a], 1, x[b], 1, SAMPLES), 0, 4.5 / sqrt(SAMPLES));
    for (int s = 0; s < STREAMS; s++)
        free(x[s]);
    gsl_rng_free(rng);
}

/* What GSL makes of them. */
static void distributions_come_out(void **state) {
    (void)state;
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    double *x = malloc(SAMPLES * sizeof *x);
    random_seek(rng, 3, RANDOM_TEST, 1);
    for (int i = 0; i < SAMPLES; i++)
        x[i] = gsl_ran_exponential(rng, 2.0);
    assert_near(gsl_stats_mean(x, 1, SAMPLES), 2, 4 * 2 / sqrt(SAMPLES));
    assert_near(gsl_stats_variance(x, 1, SAMPLES), 4, 4 * 4 * sqrt(8.0 / SAMPLES));
    for (int i = 0; i < SAMPLES; i++)
        x[i] = gsl_ran_gaussian(rng, 1.0);
    assert_near(gsl_stats_mean(x, 1, SAMPLES), 0, 4 / sqrt(SAMPLES));
    assert_near(gsl_stats_variance(x, 1, SAMPLES), 1, 4 * sqrt(2.0 / SAMPLES));
    unsigned die[6] = {0};
    for (int i = 0; i < SAMPLES; i++)
        die[gsl_rng_uniform_int(rng, 6)]++;
    assert_true(chi2_p(die, 6, SAMPLES / 6.0) > 1e-4);
    free(x);
    gsl_rng_free(rng);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_along_and_across),
        cmocka_unit_test(bits_are_even),
        cmocka_unit_test(streams_are_independent),
        cmocka_unit_test(distributions_come_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
