/* What the files of the curves share. */
#ifndef SIM_MEMORY_CURVE_IMPL_H
#define SIM_MEMORY_CURVE_IMPL_H

#include "sim/memory/curve.h"

/* One way to find the sizes. Flat: `find`, then `use` of one access after another. Prefix: `find` of all of a request's
 * blocks, then one `use` of them all. */
struct curve_way {
    /* The smallest of the sizes at which the block of access `at` is there: its number, `count` for none. */
    uint32_t (*find)(void *self, uint64_t at);
    /* Accesses first..first+count-1 have been made. */
    void (*use)(void *self, uint64_t first, uint32_t count);
    void (*destroy)(void *self);
    void *self;
};

struct curve_way curve_by_rank(const struct replay_setup *setup, const uint64_t *sizes, size_t count, bool frequency);
struct curve_way curve_by_levels(const struct replay_setup *setup, const uint64_t *sizes, size_t count);

/* Number of the first size that is at least `need`, `count` for none. */
static inline uint32_t curve_first_size(const uint64_t *sizes, size_t count, uint64_t need) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sizes[middle] < need)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

#endif
