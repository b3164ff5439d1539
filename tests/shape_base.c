/* Do histograms keep what sorting would say, to a 1024th, in bounded memory, in whatever order values come? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/base/histogram.h"

enum { VALUES = 20000 };

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 11;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Values spread over `bits` powers of two. */
static void draw(int64_t *values, size_t count, int bits, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        int shift = bits > 0 ? (int)(next_random(&seed) % (uint64_t)bits) : 0;
        uint64_t high = UINT64_C(1) << shift;
        values[i] = (int64_t)(high | (next_random(&seed) & (high - 1)));
    }
}

static void close_to(int64_t got, int64_t exact) {
    if (fabs((double)got - (double)exact) > (double)exact / 1024)
        fail_msg("%lld is not %lld to a 1024th", (long long)got, (long long)exact);
}

/* Percentile p of n sorted values is the one of rank ceil(p * n / 100): integers leave no doubt. */
static void percentiles(void **state) {
    (void)state;
    static int64_t values[VALUES];
    static const size_t counts[] = {1, 2, 3, 7, 99, 100, 101, 1000, VALUES};
    static const int bits[] = {1, 11, 12, 20, 40, 53, 62};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t b = 0; b < sizeof bits / sizeof *bits; b++) {
            size_t n = counts[c];
            draw(values, n, bits[b], c * 10 + b);
            struct histogram *histogram = histogram_create();
            for (size_t i = 0; i < n; i++)
                histogram_add(histogram, values[i]);
            qsort(values, n, sizeof *values, by_value);
            for (size_t p = 1; p <= 100; p++) {
                int64_t exact = values[(p * n + 99) / 100 - 1], got = histogram_percentile(histogram, (double)p / 100);
                close_to(got, exact);
                if (exact < 2048)
                    assert_int_equal(got, exact); /* small values each have their own place */
            }
            assert_int_equal(histogram_percentile(histogram, 1), values[n - 1]);
            assert_int_equal(histogram_max(histogram), values[n - 1]);
            assert_int_equal(histogram_count(histogram), n);
            histogram_destroy(histogram);
        }
}

/* Any share, and counts where share * count is not exact in binary. */
static void ranks_of_many(void **state) {
    (void)state;
    struct histogram *histogram = histogram_create();
    for (int64_t value = 1; value <= 2000; value++)
        for (int i = 0; i < 500; i++)
            histogram_add(histogram, value);
    for (int64_t k = 1; k <= 2000; k++) /* the share k / 2000 ends exactly at value k */
        assert_int_equal(histogram_percentile(histogram, (double)k / 2000), k);
    assert_int_equal(histogram_percentile(histogram, 0.07), 140);
    assert_int_equal(histogram_percentile(histogram, 1e-9), 1);
    histogram_destroy(histogram);
}

static void every_magnitude(void **state) {
    (void)state;
    for (int power = 0; power < 63; power++)
        for (int64_t off = -1; off <= 1; off++) {
            int64_t value = (INT64_C(1) << power) + off;
            struct histogram *histogram = histogram_create();
            histogram_add(histogram, value);
            histogram_add(histogram, INT64_MAX);
            close_to(histogram_percentile(histogram, 0.5), value);
            assert_int_equal(histogram_percentile(histogram, 1), INT64_MAX);
            assert_int_equal(histogram_max(histogram), INT64_MAX);
            histogram_destroy(histogram);
        }
}

static void means(void **state) {
    (void)state;
    struct histogram *histogram = histogram_create();
    assert_true(histogram_mean(histogram) == 0 && histogram_max(histogram) == 0);
    assert_int_equal(histogram_percentile(histogram, 0.5), 0);
    /* A sum beyond 2^63, and small values that a sum of doubles would lose. */
    for (int i = 0; i < 4; i++)
        histogram_add(histogram, INT64_C(1) << 62);
    for (int i = 0; i < 4092; i++)
        histogram_add(histogram, 1);
    double exact = ((double)(UINT64_C(1) << 52) + 4092.0 / 4096);
    assert_true(histogram_mean(histogram) == exact);
    histogram_destroy(histogram);
}

static void counts_up_to_a_limit(void **state) {
    (void)state;
    static int64_t values[VALUES];
    draw(values, VALUES, 40, 8);
    struct histogram *histogram = histogram_create();
    for (size_t i = 0; i < VALUES; i++)
        histogram_add(histogram, values[i]);
    qsort(values, VALUES, sizeof *values, by_value);
    uint64_t before = 0;
    for (size_t i = 0; i < VALUES; i += 37) {
        int64_t limit = values[i];
        uint64_t low = 0, high = 0, got = histogram_count_up_to(histogram, limit);
        for (size_t k = 0; k < VALUES; k++) {
            low += (double)values[k] <= (double)limit * (1 - 1.0 / 1024);
            high += (double)values[k] <= (double)limit * (1 + 1.0 / 1024);
        }
        assert_true(got >= low && got <= high && got >= before);
        before = got;
    }
    assert_int_equal(histogram_count_up_to(histogram, INT64_MAX), VALUES);
    assert_int_equal(histogram_count_up_to(histogram, 0), 0);
    histogram_destroy(histogram);
}

/* The parts merged, in either order, are the whole. */
static void merging(void **state) {
    (void)state;
    static int64_t values[VALUES];
    draw(values, VALUES, 62, 9);
    struct histogram *whole = histogram_create(), *a = histogram_create(), *b = histogram_create(),
                     *ab = histogram_create(), *ba = histogram_create();
    for (size_t i = 0; i < VALUES; i++) {
        histogram_add(whole, values[i]);
        histogram_add(values[i] % 3 ? a : b, values[i]);
    }
    histogram_merge(ab, a);
    histogram_merge(ab, b);
    histogram_merge(ba, b);
    histogram_merge(ba, a);
    struct histogram *merged[] = {ab, ba};
    for (int m = 0; m < 2; m++) {
        assert_int_equal(histogram_count(merged[m]), VALUES);
        assert_int_equal(histogram_max(merged[m]), histogram_max(whole));
        assert_true(histogram_mean(merged[m]) == histogram_mean(whole));
        for (int p = 1; p <= 1000; p++)
            assert_int_equal(histogram_percentile(merged[m], p / 1000.0), histogram_percentile(whole, p / 1000.0));
    }
    histogram_destroy(whole), histogram_destroy(a), histogram_destroy(b), histogram_destroy(ab), histogram_destroy(ba);
    histogram_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles), cmocka_unit_test(ranks_of_many),        cmocka_unit_test(every_magnitude),
        cmocka_unit_test(means),       cmocka_unit_test(counts_up_to_a_limit), cmocka_unit_test(merging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
