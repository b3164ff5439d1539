/* What a policy keeps in memory for each block it holds. */
#include <stdlib.h>

#include "sim/memory/shards.h"

double replay_state_bytes(const struct replay_setup *setup, uint64_t blocks) {
    const struct replay_trace *trace = setup->trace;
    struct shards shards = {0};
    struct replay_result result;
    uint64_t bytes = 0;
    blocks = blocks < trace->unique ? blocks : trace->unique;
    struct replay_setup own = *setup;
    own.admit = NULL;
    own.prefix = own.full_blocks = own.by_tier = false;
    own.marks = NULL;
    own.skip = 0;
    own.capacity_bytes = 0;
    own.capacity_blocks = blocks;
    own.state_bytes = &bytes;
    if (blocks == 0)
        return -1;
    if (blocks > 2 * STATE_BLOCKS) {
        shards_create(&shards, trace, false, (double)STATE_BLOCKS / (double)blocks, 1, 0);
        own.trace = shards.samples[0];
        own.capacity_blocks = STATE_BLOCKS;
    }
    int64_t *next_use = own.policy->policy.needs & NEED_FUTURE ? replay_foresee(own.trace, false) : NULL;
    own.next_use = next_use;
    replay_run(&own, &result);
    free(next_use);
    shards_destroy(&shards);
    return (double)bytes / (double)own.capacity_blocks;
}
