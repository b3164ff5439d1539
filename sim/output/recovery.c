#include "sim/output/recovery.h"

#include <stdlib.h>

#include "sim/base/error.h"

enum { SLICES = 20 };

struct slice {
    uint64_t prompt, hits;
};
struct recovery {
    int64_t slice_ns;
    struct slice *slices;
    uint64_t count;
};

struct recovery *recovery_create(int64_t window_ns) {
    struct recovery *recovery = calloc(1, sizeof *recovery);
    MUST(recovery != NULL && window_ns >= SLICES);
    recovery->slice_ns = window_ns / SLICES;
    return recovery;
}

void recovery_destroy(struct recovery *recovery) {
    if (recovery)
        free(recovery->slices);
    free(recovery);
}

void recovery_take(struct recovery *recovery, int64_t first_token_ns, uint64_t prompt_tokens, uint64_t hit_tokens) {
    uint64_t at = (uint64_t)(first_token_ns / recovery->slice_ns);
    if (at >= recovery->count) {
        uint64_t count = 2 * at + 64;
        recovery->slices = realloc(recovery->slices, count * sizeof *recovery->slices);
        MUST(recovery->slices != NULL);
        for (uint64_t i = recovery->count; i < count; i++)
            recovery->slices[i] = (struct slice){0};
        recovery->count = count;
    }
    recovery->slices[at].prompt += prompt_tokens;
    recovery->slices[at].hits += hit_tokens;
}

/* The ratio of the window that begins with a slice; below 0: nothing is in it. */
static double ratio_of(const struct recovery *recovery, uint64_t first) {
    struct slice sum = {0};
    for (uint64_t i = first; i < first + SLICES && i < recovery->count; i++) {
        sum.prompt += recovery->slices[i].prompt;
        sum.hits += recovery->slices[i].hits;
    }
    return sum.prompt > 0 ? (double)sum.hits / (double)sum.prompt : -1;
}

struct recovered recovery_after(const struct recovery *recovery, int64_t begin_ns, int64_t end_ns, double share) {
    struct recovered out = {0};
    /* The slices in which it begins and ends count for neither side. */
    uint64_t begin = (uint64_t)(begin_ns / recovery->slice_ns), over = (uint64_t)(end_ns / recovery->slice_ns) + 1,
             slices = recovery->count;
    while (slices > 0 && recovery->slices[slices - 1].prompt == 0)
        slices--;
    if (begin < SLICES || slices == 0 || (out.before = ratio_of(recovery, begin - SLICES)) < 0)
        return out;
    out.lowest = 1;
    for (uint64_t first = begin + 1; first + SLICES <= slices; first++) {
        double ratio = ratio_of(recovery, first);
        if (ratio < 0)
            continue;
        out.known |= first >= over;
        out.lowest = ratio < out.lowest ? ratio : out.lowest;
        if (first < over || ratio < share * out.before)
            continue;
        out.regained = true;
        if (first > over)
            out.after_s = ((double)(first + SLICES) * (double)recovery->slice_ns - (double)end_ns) * 1e-9;
        return out;
    }
    return out;
}
