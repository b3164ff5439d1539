/* Radix SLRU: of the leaves that nobody holds, those used once go first; within each kind the least recently used.
 *
 * Rule     a heap over unheld leaves by (used at least twice, last use). A parent joins when its last child goes.
 * Needs    the tree. Lift: leaf.
 * Cost     O(log n) a hook; 68 bytes a slot.
 * Source   SGLang mem_cache/evict_policy.py.
 * Differs  nodes there are runs of tokens, split where prompts part; here they are blocks. */
#include "policies/evict/radix.h"

enum { PROTECTED_FROM = 2 };

static inline struct slot_key radix_slru_key(const struct block_info *block, const struct radix_use *use) {
    (void)block;
    return (struct slot_key){use->hits >= PROTECTED_FROM, use->last};
}
RADIX_POLICY(radix_slru, "radix-slru", "of the leaves, those used once go first, then the least recently used",
             radix_slru_key)
