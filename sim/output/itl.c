#include "sim/output/itl.h"

#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"

/* Sequences of an instance by when they had their last token, oldest first. */
struct group {
    int64_t since_ns;
    uint32_t sequences;
};
struct waiting {
    struct group *groups;
    uint32_t count, room;
};

struct itl {
    int64_t warmup_ns;
    struct histogram *gaps;
    struct waiting *waiting; /* by instance */
    size_t count;
};

struct itl *itl_create(int64_t warmup_ns) {
    struct itl *itl = calloc(1, sizeof *itl);
    MUST(itl != NULL);
    itl->warmup_ns = warmup_ns;
    itl->gaps = histogram_create();
    return itl;
}

void itl_destroy(struct itl *itl) {
    if (!itl)
        return;
    histogram_destroy(itl->gaps);
    for (size_t i = 0; i < itl->count; i++)
        free(itl->waiting[i].groups);
    free(itl->waiting);
    free(itl);
}

static struct waiting *waiting_of(struct itl *itl, size_t instance) {
    if (instance >= itl->count) {
        size_t count = instance + 1 > 2 * itl->count ? instance + 1 : 2 * itl->count;
        itl->waiting = realloc(itl->waiting, count * sizeof *itl->waiting);
        MUST(itl->waiting != NULL);
        memset(itl->waiting + itl->count, 0, (count - itl->count) * sizeof *itl->waiting);
        itl->count = count;
    }
    return &itl->waiting[instance];
}

static void wait_from(struct waiting *waiting, int64_t since_ns, uint32_t sequences) {
    if (sequences == 0)
        return;
    if (waiting->count == waiting->room) {
        waiting->room = waiting->room ? 2 * waiting->room : 4;
        waiting->groups = realloc(waiting->groups, waiting->room * sizeof *waiting->groups);
        MUST(waiting->groups != NULL);
    }
    waiting->groups[waiting->count++] = (struct group){since_ns, sequences};
}

/* Those who gave way meanwhile are not told apart: the oldest are taken to be here still. */
static void take_gaps(struct itl *itl, const struct waiting *waiting, const struct run_record *record) {
    int64_t step_ns = (record->end_ns - record->start_ns) / record->steps;
    uint32_t left = record->decode_sequences;
    for (uint32_t g = 0; g < waiting->count && left > 0; g++) {
        const struct group *group = &waiting->groups[g];
        uint32_t taken = group->sequences < left ? group->sequences : left;
        histogram_add_many(itl->gaps, record->start_ns - group->since_ns + step_ns, taken);
        left -= taken;
    }
    histogram_add_many(itl->gaps, step_ns, (uint64_t)record->decode_sequences * (record->steps - 1) + left);
}

void itl_run(struct itl *itl, const struct run_record *record) {
    struct waiting *waiting = waiting_of(itl, record->instance);
    if (record->decode_sequences > 0) {
        if (record->start_ns >= itl->warmup_ns)
            take_gaps(itl, waiting, record);
        waiting->count = 0;
        wait_from(waiting, record->end_ns, record->decodes_left);
    }
    wait_from(waiting, record->end_ns, record->decodes_joined);
}

const struct histogram *itl_gaps(const struct itl *itl) {
    return itl->gaps;
}
