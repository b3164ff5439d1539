/* What a policy keeps in memory for each block it holds. */
#include <stdlib.h>

#include "sim/base/arena.h"
#include "sim/memory/replay.h"

enum { SMALLER = 4, PLACES = 65536 };

struct replay_miniatures {
    struct replay_trace *traces[2]; /* of `slots` and of slots / SMALLER blocks' caches */
    uint64_t slots;
};

/* Finaliser of SplitMix64 (public domain): where among PLACES a block stands. */
static uint16_t place_of(uint64_t id) {
    id += UINT64_C(0x9e3779b97f4a7c15);
    id = (id ^ id >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    id = (id ^ id >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint16_t)((id ^ id >> 31) >> 48);
}

/* Adds to the miniature those of the request's blocks that stand below `below`, if there are any. */
static void add_request(struct replay_trace *small, const struct replay_trace *trace, uint32_t r,
                        const uint16_t *places, uint32_t below, uint64_t *ids) {
    struct replay_request added = trace->requests[r];
    const uint32_t *from = trace->ids + added.first;
    uint32_t blocks = added.blocks;
    added.blocks = 0;
    for (uint32_t i = 0; i < blocks; i++)
        if (places[from[i]] < below)
            ids[added.blocks++] = from[i];
    if (added.blocks > 0)
        replay_trace_add(small, &added, ids, NULL);
}

struct replay_miniatures *replay_miniatures_create(const struct replay_trace *trace, uint64_t blocks) {
    blocks = blocks < trace->unique ? blocks : trace->unique;
    uint64_t slots = blocks < STATE_BLOCKS ? blocks : STATE_BLOCKS;
    if (slots < SMALLER)
        return NULL;
    struct replay_miniatures *m = calloc(1, sizeof *m);
    uint16_t *places = lazy_alloc(trace->unique, sizeof *places);
    uint64_t *ids = malloc(((size_t)trace->longest + 1) * sizeof *ids);
    MUST(m != NULL && ids != NULL);
    m->slots = slots;
    for (uint64_t id = 0; id < trace->unique; id++)
        places[id] = place_of(id);
    /* By a factor of four, so that tables that double grow alike. */
    uint32_t below[2] = {(uint32_t)(PLACES * slots / blocks), (uint32_t)(PLACES * (slots / SMALLER) / blocks)};
    for (int i = 0; i < 2; i++)
        m->traces[i] = replay_trace_create(trace->block_tokens);
    for (uint32_t r = 0; r < trace->request_count; r++) {
        add_request(m->traces[0], trace, r, places, below[0] > 0 ? below[0] : 1, ids);
        add_request(m->traces[1], trace, r, places, below[1] > 0 ? below[1] : 1, ids);
    }
    free(ids);
    lazy_free(places, trace->unique, sizeof *places);
    return m;
}

void replay_miniatures_destroy(struct replay_miniatures *m) {
    if (!m)
        return;
    replay_trace_destroy(m->traces[0]);
    replay_trace_destroy(m->traces[1]);
    free(m);
}

/* Bytes that the policy holds at the end of the miniature. */
static double held_at(const struct replay_setup *setup, const struct replay_trace *trace, uint64_t slots) {
    struct replay_result result;
    uint64_t bytes = 0;
    struct replay_setup own = *setup;
    own.trace = trace;
    own.admit = NULL;
    own.prefix = own.full_blocks = own.by_tier = false;
    own.marks = NULL;
    own.skip = 0;
    own.capacity_bytes = 0;
    own.capacity_blocks = slots;
    own.state_bytes = &bytes;
    int64_t *next_use = own.policy->policy.needs & NEED_FUTURE ? replay_foresee(own.trace, false) : NULL;
    own.next_use = next_use;
    replay_run(&own, &result);
    free(next_use);
    return (double)bytes;
}

double replay_state_bytes(const struct replay_setup *setup, const struct replay_miniatures *m) {
    if (!m || m->traces[0]->count == 0 || m->traces[1]->count == 0)
        return -1;
    /* What does not grow with the cache is in both. */
    uint64_t fewer = m->slots / SMALLER;
    return (held_at(setup, m->traces[0], m->slots) - held_at(setup, m->traces[1], fewer)) / (double)(m->slots - fewer);
}
