/* Radix LFU: of the leaves that nobody holds, the one with the fewest hits goes first; ties: the least recently used.
 *
 * Rule     a heap over unheld leaves by (hits, last use). A parent joins when its last child goes.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 68 bytes a slot.
 * Source   SGLang mem_cache/evict_policy.py.
 * Differs  nodes there are runs of tokens, split where prompts part; here they are blocks, and hits are counted a
 *          block. */
#include "policies/evict/radix.h"

static inline struct slot_key radix_lfu_key(const struct block_info *block, const struct radix_use *use) {
    (void)block;
    return (struct slot_key){use->hits, use->last};
}
RADIX_POLICY(radix_lfu, "radix-lfu",
             "of the leaves, the one with the fewest hits goes first, then the least recently used", radix_lfu_key)
