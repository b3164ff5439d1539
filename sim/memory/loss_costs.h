/* What losing a block costs, in a few numbers, for policies that weigh it (NEED_COST): few enough to stand in an access
 * log, so that a replay weighs as the run did. */
#ifndef SIM_MEMORY_LOSS_COSTS_H
#define SIM_MEMORY_LOSS_COSTS_H

#include "policies/evict.h"

struct loss_costs {
    double token_s, pair_s;              /* computing n tokens after f others: n token_s + (n f + n^2 / 2) pair_s */
    double fetch_first_s, fetch_block_s; /* n blocks back from below: first + n block; HUGE_VAL: nothing is below */
    uint64_t block_bytes;
};
/* `costs` must live as long as the view. */
struct evict_costs loss_costs_view(const struct loss_costs *costs);

#endif
