/* Radix priority: of the leaves that nobody holds, the lowest priority goes first; ties: the least recently used.
 *
 * Rule     a heap over unheld leaves by (priority, last use). A parent joins when its last child goes.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 68 bytes a slot.
 * Source   SGLang mem_cache/evict_policy.py.
 * Differs  nodes there are runs of tokens, split where prompts part; here they are blocks. */
#include "policies/evict/radix.h"

static inline struct slot_key radix_priority_key(const struct block_info *block, const struct radix_use *use) {
    return (struct slot_key){block->priority, use->last};
}
RADIX_POLICY(radix_priority, "radix-priority",
             "of the leaves, the lowest priority goes first, then the least recently used", radix_priority_key)
