/* Radix FIFO: of the leaves that nobody holds, the one that came first goes first.
 *
 * Rule     a heap over unheld leaves by arrival. A parent joins when its last child goes.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 68 bytes a slot.
 * Source   SGLang mem_cache/evict_policy.py.
 * Differs  nodes there are runs of tokens, split where prompts part; here they are blocks. */
#include "policies/evict/radix.h"

static inline struct slot_key radix_fifo_key(const struct block_info *block, const struct radix_use *use) {
    (void)block;
    return (struct slot_key){use->created, 0};
}
RADIX_POLICY(radix_fifo, "radix-fifo", "of the leaves, the one that came first goes first", radix_fifo_key)
