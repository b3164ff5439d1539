/* KV that goes from the HBM of one instance to that of another: out over the sender's links, in over the receiver's,
 * the node's path `handover_path` from `peer` to `hbm`. Who holds the blocks at either end is the caller's matter. */
#ifndef SIM_MEMORY_HANDOVER_H
#define SIM_MEMORY_HANDOVER_H

#include "sim/memory/hierarchy.h"

/* Whether the node has such a path, of links enough for both ends; -1 with `at` and a remedy where not. */
int handover_check(const struct node_options *node, const char *path, struct place at, struct error *err);
/* Sends `bytes` (> 0) in `blocks` equal pieces after delay_ns; on_handed(tag) follows, never within this call. */
void hierarchy_hand(struct hierarchy *hierarchy, uint32_t from, uint32_t to, uint64_t bytes, uint32_t blocks,
                    sim_time delay_ns, uint64_t tag, sim_time now);
/* Seconds of the connector's software before so many blocks move. */
double hierarchy_hand_software_s(const struct hierarchy *hierarchy, uint32_t blocks);

#endif
