#include "sim/workload/workload.h"

/* Each id covers several fleet blocks: id k gives blocks k*n .. k*n+n-1. */
static uint32_t expand_finer(const struct chain *chain, uint32_t per_id, uint32_t from, uint32_t count, uint64_t *ids) {
    const struct span *spans = chain_spans(chain);
    uint32_t made = 0;
    for (uint32_t s = 0; s < chain->span_count && made < count; s++) {
        uint64_t first = (spans[s].first + chain->salt) * per_id;
        uint64_t here = (uint64_t)spans[s].count * per_id;
        if (here > count - made)
            here = count - made;
        for (uint64_t i = from > made ? from - made : 0; i < here; i++)
            ids[made + i] = first + i;
        made += (uint32_t)here;
    }
    return made;
}

enum { ROTATED_BITS = 24 };

/* Ids a power of two apart become neighbours, since indexes keep neighbours together: their low bits are rotated, which
 * keeps different ids different. 0: the step is no power of two, and ids stay. */
static uint32_t rotation(uint32_t step) {
    return (step & (step - 1)) == 0 && step < UINT32_C(1) << ROTATED_BITS ? (uint32_t)__builtin_ctz(step) : 0;
}
static uint64_t rotated(uint64_t id, uint32_t by) {
    uint64_t mask = (UINT64_C(1) << ROTATED_BITS) - 1, low = id & mask;
    return (id & ~mask) | low >> by | (low << (ROTATED_BITS - by) & mask);
}

/* A fleet block covers several ids: its last one names the prefix up to its end. */
static uint32_t expand_coarser(const struct chain *chain, uint32_t ids_a_block, uint32_t count, uint64_t *ids) {
    const struct span *spans = chain_spans(chain);
    uint32_t made = 0, by = rotation(ids_a_block);
    uint64_t skip = ids_a_block - 1; /* ids to pass before the next block's last */
    for (uint32_t s = 0; s < chain->span_count && made < count; s++) {
        uint64_t at = skip;
        for (; at < spans[s].count && made < count; at += ids_a_block)
            ids[made++] = rotated(spans[s].first + at + chain->salt, by);
        skip = at - spans[s].count;
    }
    return made;
}

uint32_t chain_expand(const struct chain *chain, uint32_t block_tokens, uint32_t tokens, uint32_t from, uint64_t *ids,
                      uint32_t max) {
    if (chain->hash_tokens == 0)
        return 0;
    if (tokens > chain->tokens)
        tokens = chain->tokens;
    uint32_t count = tokens / block_tokens;
    if (count > max)
        count = max;
    if (block_tokens <= chain->hash_tokens) {
        MUST(chain->hash_tokens % block_tokens == 0);
        return expand_finer(chain, chain->hash_tokens / block_tokens, from, count, ids);
    }
    MUST(block_tokens % chain->hash_tokens == 0);
    return expand_coarser(chain, block_tokens / chain->hash_tokens, count, ids);
}
