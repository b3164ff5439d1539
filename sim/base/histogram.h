/* A log-linear histogram of non-negative integers: every value keeps its 10 leading bits, so a percentile is
 * right to 1/1024 of itself, in memory that does not grow with the number of values. */
#ifndef SIM_BASE_HISTOGRAM_H
#define SIM_BASE_HISTOGRAM_H

#include <stdint.h>

struct histogram;
struct histogram *histogram_create(void);
void histogram_destroy(struct histogram *histogram);
void histogram_add(struct histogram *histogram, int64_t value); /* value >= 0 */
void histogram_add_many(struct histogram *histogram, int64_t value, uint64_t times);
void histogram_merge(struct histogram *into, const struct histogram *from);
uint64_t histogram_count(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram); /* exact; 0 when empty */
/* Nearest rank: the smallest value v such that at least share (0..1] of the values are <= v, to 1/1024; 0 when empty.
 */
int64_t histogram_percentile(const struct histogram *histogram, double share);
/* Number of values <= limit, up to the resolution. */
uint64_t histogram_count_up_to(const struct histogram *histogram, int64_t limit);
int64_t histogram_max(const struct histogram *histogram); /* exact; 0 when empty */

#endif
