#include "sim/serve/run.h"

#include "sim/base/error.h"

int64_t run_cap(const struct step_segment *segment, int64_t steps) {
    const int64_t limit = INT64_C(1) << 61;
    if (segment->a > 0 && steps > limit / segment->a)
        steps = limit / segment->a;
    /* b*j*(j-1)/2 <= limit, without forming the product first. */
    while (steps > 1 && segment->b > 0 && (steps - 1) / 2 > limit / segment->b / steps)
        steps /= 2;
    return steps < 1 ? 1 : steps;
}

int64_t run_boundary_after(const struct step_segment *segment, int64_t steps, sim_time elapsed_ns) {
    int64_t low = 1, high = steps;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (run_elapsed_ns(segment, middle) > elapsed_ns)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
