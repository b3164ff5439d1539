#include "sim/base/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "sim/base/error.h"

/* Values below 2^11 have a bucket each; above, each power of two is cut into 2^10. */
enum { SUB_BITS = 10, EXACT = 1 << (SUB_BITS + 1), BUCKETS = EXACT + (62 - SUB_BITS) * (1 << SUB_BITS) };

struct histogram {
    uint64_t count;
    __extension__ unsigned __int128
        sum; /* 2^64 values of 2^63 still fit: exact, and the same in any order of merging */
    int64_t max;
    uint32_t used; /* buckets 0..used-1 may be non-zero */
    uint64_t buckets[BUCKETS];
};

static uint32_t bucket_of(int64_t value) {
    if (value < EXACT)
        return (uint32_t)value;
    int power = 63 - __builtin_clzll((unsigned long long)value); /* >= SUB_BITS + 1 */
    uint32_t sub = (uint32_t)(value >> (power - SUB_BITS)) & ((1u << SUB_BITS) - 1);
    return (uint32_t)(EXACT + (power - SUB_BITS - 1) * (1 << SUB_BITS)) + sub;
}

/* The middle of a bucket, so that the error is at most half its width either way. */
static int64_t value_of(uint32_t bucket) {
    if (bucket < EXACT)
        return bucket;
    uint32_t above = bucket - EXACT;
    int power = (int)(above >> SUB_BITS) + SUB_BITS + 1;
    int64_t width = INT64_C(1) << (power - SUB_BITS);
    return (INT64_C(1) << power) + (int64_t)(above & ((1u << SUB_BITS) - 1)) * width + (width - 1) / 2;
}

struct histogram *histogram_create(void) {
    struct histogram *histogram = calloc(1, sizeof *histogram);
    MUST(histogram != NULL);
    return histogram;
}

void histogram_destroy(struct histogram *histogram) {
    free(histogram);
}

void histogram_add(struct histogram *histogram, int64_t value) {
    histogram_add_many(histogram, value, 1);
}

void histogram_add_many(struct histogram *histogram, int64_t value, uint64_t times) {
    MUST(value >= 0);
    if (times == 0)
        return;
    uint32_t bucket = bucket_of(value);
    histogram->buckets[bucket] += times;
    if (bucket >= histogram->used)
        histogram->used = bucket + 1;
    histogram->count += times;
    histogram->sum += (unsigned __int128)(uint64_t)value * times;
    if (value > histogram->max)
        histogram->max = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (uint32_t i = 0; i < from->used; i++)
        into->buckets[i] += from->buckets[i];
    if (from->used > into->used)
        into->used = from->used;
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t histogram_count(const struct histogram *histogram) {
    return histogram->count;
}
double histogram_mean(const struct histogram *histogram) {
    return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}
int64_t histogram_max(const struct histogram *histogram) {
    return histogram->max;
}

int64_t histogram_percentile(const struct histogram *histogram, double share) {
    if (histogram->count == 0)
        return 0;
    /* 0.07 * 100 is a little more than 7: what rounding adds must not ask for one more value. */
    uint64_t rank = (uint64_t)ceil(share * (double)histogram->count * (1 - 1e-12)), seen = 0;
    if (rank < 1)
        rank = 1;
    if (rank >= histogram->count)
        return histogram->max;
    for (uint32_t i = 0; i < histogram->used; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return value_of(i) < histogram->max ? value_of(i) : histogram->max;
    }
    return histogram->max;
}

uint64_t histogram_count_up_to(const struct histogram *histogram, int64_t limit) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < histogram->used && value_of(i) <= limit; i++)
        seen += histogram->buckets[i];
    return seen;
}
