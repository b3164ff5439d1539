/* What a policy keeps in memory for each block it holds. */
#include <stdlib.h>

#include "sim/memory/shards.h"

enum { SMALLER = 4 };

/* Bytes that the policy holds in a miniature whose cache has `slots` where the whole one has `blocks`. */
static double held_at(const struct replay_setup *setup, uint64_t blocks, uint64_t slots) {
    struct shards shards = {0};
    struct replay_result result;
    uint64_t bytes = 0;
    struct replay_setup own = *setup;
    own.admit = NULL;
    own.prefix = own.full_blocks = own.by_tier = false;
    own.marks = NULL;
    own.skip = 0;
    own.capacity_bytes = 0;
    own.capacity_blocks = slots;
    own.state_bytes = &bytes;
    if (slots < blocks) {
        shards_create(&shards, setup->trace, false, (double)slots / (double)blocks, 1, 0);
        own.trace = shards.samples[0];
    }
    int64_t *next_use = own.policy->policy.needs & NEED_FUTURE ? replay_foresee(own.trace, false) : NULL;
    own.next_use = next_use;
    replay_run(&own, &result);
    free(next_use);
    shards_destroy(&shards);
    return (double)bytes;
}

double replay_state_bytes(const struct replay_setup *setup, uint64_t blocks) {
    blocks = blocks < setup->trace->unique ? blocks : setup->trace->unique;
    uint64_t slots = blocks < STATE_BLOCKS ? blocks : STATE_BLOCKS;
    if (slots < SMALLER)
        return -1;
    /* What does not grow with the cache is in both. By a factor of four tables that double grow alike. */
    uint64_t fewer = slots / SMALLER;
    return (held_at(setup, blocks, slots) - held_at(setup, blocks, fewer)) / (double)(slots - fewer);
}
