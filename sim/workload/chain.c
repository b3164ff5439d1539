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

/* A fleet block covers several ids: its last one names the prefix up to its end. */
static uint32_t expand_coarser(const struct chain *chain, uint32_t ids_a_block, uint32_t count, uint64_t *ids) {
    const struct span *spans = chain_spans(chain);
    uint32_t made = 0;
    uint64_t skip = ids_a_block - 1; /* ids to pass before the next block's last */
    for (uint32_t s = 0; s < chain->span_count && made < count; s++) {
        uint64_t at = skip;
        for (; at < spans[s].count && made < count; at += ids_a_block)
            ids[made++] = spans[s].first + at + chain->salt;
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
