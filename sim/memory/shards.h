/* Spatial sampling of a trace: what a cache of C blocks would miss, from caches of about R x C over a share R of the
 * blocks, which a hash of their ids picks.
 *
 * Source   C. A. Waldspurger, N. Park, A. Garthwaite, I. Ahmad, Efficient MRC construction with SHARDS, FAST'15: the
 *          fixed rate, and SHARDS-adj: the sample is taken to have as many accesses as it should have, R x all of
 *          them; what it has more or fewer is of popular blocks, and counts as hits. For policies other than LRU: the
 *          same authors, Cache modeling and optimization using miniature simulations, ATC'17.
 * Differs  blocks that have more of the accesses than a sample can stand (some 1/64 of it each) are in every sample,
 * and their hits count once, not 1/R times: else whether one of them is sampled is most of the error, and a policy that
 * loses popular blocks (MRU) breaks the adjustment. A sampled cache has room for them beside R of the rest. Error
 * several samples at disjoint ranges of the hash, each a miniature of its own: their mean, and Student's 95 % interval
 * from their scatter, with the adjustment and without it (misses over the samples' own accesses), the lower and the
 * upper end of both. It is of the sampling error. What a policy does otherwise in a small cache (segments of few
 * blocks, a sketch of few counters) is in all samples alike, and is not in it. Prefix   whole trees are sampled: the
 * chain's root decides. Where nearly all prompts begin with the same text that is all or nothing; so a root whose tree
 * has more than a share (rate / 2) of the accesses is trunk: it is in every sample, and the block after it decides. A
 * sampled cache has room for all of the trunk. Samples count the prompts they have; the estimate is misses over
 * accesses, since trees differ in size.
 *
 * All requests stay, most of them empty: times, depths, sessions and queues are those of the trace. */
#ifndef SIM_MEMORY_SHARDS_H
#define SIM_MEMORY_SHARDS_H

#include "sim/memory/replay.h"

enum { SHARDS_PARTS_MAX = 32 };

struct shards {
    bool prefix;
    double rate;
    uint32_t parts;
    uint64_t sure;     /* blocks that are in every sample */
    double units;      /* blocks (prefix: trees) of equal weight that would make a sample as uneven as it is */
    uint64_t accesses; /* of the trace, warm-up left out */
    struct replay_trace *samples[SHARDS_PARTS_MAX];
    uint8_t *is_sure[SHARDS_PARTS_MAX]; /* flat: by access of the sample */
};
/* A sample's replay: hits and accesses of its own blocks, and of those that are in every sample. */
struct shards_result {
    double misses, accesses, sure_misses, sure_accesses, hit_tokens, tokens;
};

/* rate x parts at most 1; an estimate needs two parts. skip: as in a replay's setup. */
void shards_create(struct shards *shards, const struct replay_trace *trace, bool prefix, double rate, uint32_t parts,
                   uint32_t skip);
void shards_destroy(struct shards *shards);
/* Blocks of a sample's cache that stands for one of `capacity` blocks. */
uint64_t shards_capacity(const struct shards *shards, uint64_t capacity);

/* Replays sample `part`. setup: as for the whole trace, its trace, next_use and marks aside; next_use of the sample if
 * the policy needs it. */
void shards_replay(const struct shards *shards, uint32_t part, const struct replay_setup *setup,
                   const int64_t *next_use, struct shards_result *out);

struct shards_estimate {
    double miss_ratio, low, high;                  /* of blocks; 95 % */
    double token_hit_ratio, token_low, token_high; /* prefix */
};
/* From the results of the samples' replays, `parts` of them. */
void shards_estimate(const struct shards *shards, const struct shards_result *results, struct shards_estimate *out);

#endif
