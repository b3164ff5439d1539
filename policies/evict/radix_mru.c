/* Radix MRU: of the leaves that nobody holds, the most recently used goes first.
 *
 * Rule     a heap over unheld leaves by last use, the latest first. A parent joins when its last child goes.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 68 bytes a slot.
 * Source   SGLang mem_cache/evict_policy.py.
 * Differs  nodes there are runs of tokens, split where prompts part; here they are blocks. */
#include "policies/evict/radix.h"

static inline struct slot_key radix_mru_key(const struct block_info *block, const struct radix_use *use) {
    (void)block;
    return (struct slot_key){-use->last, 0};
}
RADIX_POLICY(radix_mru, "radix-mru", "of the leaves, the most recently used goes first", radix_mru_key)
