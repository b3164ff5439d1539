/* A count-min sketch: how often ids were seen, about, in little memory. An id has one 8-bit counter in each of `rows`
 * rows, and its count is the smallest of them. Plain: all of them grow with each sight. Conservative: only those that
 * are the smallest, which errs less. Either way a count is never below the true one, up to 255 and but for halving. */
#ifndef POLICIES_EVICT_SKETCH_H
#define POLICIES_EVICT_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

enum { SKETCH_MOST = UINT8_MAX };
struct sketch {
    uint8_t *counters; /* rows of `width` */
    uint64_t width;
    uint32_t rows;
    bool conservative;
};
/* `width` counters a row, at least 1. */
void sketch_create(struct sketch *s, uint64_t width, uint32_t rows, bool conservative);
void sketch_destroy(struct sketch *s);
void sketch_add(struct sketch *s, uint64_t id);
uint32_t sketch_count(const struct sketch *s, uint64_t id);
/* Halves every counter, so that what was seen long ago weighs less. */
void sketch_halve(struct sketch *s);

#endif
