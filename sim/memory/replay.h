/* Replays accesses through one tier and one policy: what `tiersim cache` does. No time passes but the trace's own.
 *
 * flat    each block of each request is asked for by itself, in prompt order.
 * prefix  a request hits its longest resident run from the first block, hit tokens = min(blocks x block tokens, input
 * length); then its blocks go in tail first, the hits taking part as asked for again, and the tier is trimmed to its
 * size. The last partial block takes part; under vLLM's rule (full_blocks) it does not, and at most input length - 1
 *         tokens hit. */
#ifndef SIM_MEMORY_REPLAY_H
#define SIM_MEMORY_REPLAY_H

#include "policies/admit.h"
#include "sim/memory/tier.h"

struct replay_request {
    int64_t at_ns;
    uint64_t first; /* of its blocks in ids[] */
    uint32_t blocks, tokens, tenant, session;
};
/* What the trace states of a request: what its prompt begins with, and how its answer ends. */
struct replay_stated {
    uint32_t tool_tokens, system_tokens; /* tools first */
    bool calls_tool;
};
/* Accesses in memory; any number of replays share them. */
struct replay_trace {
    uint32_t *ids;                /* dense: 0..unique-1, in order of first use */
    uint32_t *sizes;              /* bytes, one each; NULL: blocks of one size */
    struct replay_stated *stated; /* by request; NULL: the trace says nothing of it, nor does a FILE.blocks */
    uint32_t *depths;             /* of each access's block in its request's prompt; NULL: as they stand there */
    uint64_t count, room, unique;
    struct replay_request *requests;
    uint32_t request_count, request_room, longest; /* longest: blocks */
    uint32_t block_tokens;                         /* 0: objects, no tokens */
    struct int_map *dense;                         /* while it is built */
    void *mapped;                                  /* the file that ids, sizes and requests lie in, or NULL */
    size_t mapped_bytes;
};

struct replay_trace *replay_trace_create(uint32_t block_tokens);
void replay_trace_destroy(struct replay_trace *trace);
/* Adds a request (times must not fall); ids are any 64-bit numbers, sizes NULL or one each for every request of the
 * trace. */
void replay_trace_add(struct replay_trace *trace, const struct replay_request *request, const uint64_t *ids,
                      const uint32_t *sizes);
/* Reads objects: oracleGeneral (packed records: u32 time in s, u64 id, u32 size, i64 next) or lines `id[,size]`. `name`
 * stands for the file in messages. 0, or -1 with the place and the remedy. */
int replay_read_oracle(const void *bytes, size_t size, const char *name, struct replay_trace **out, struct error *err);
int replay_read_lines(const char *text, size_t size, const char *name, struct replay_trace **out, struct error *err);

/* The trace as a file: oracleGeneral, or this project's own form (FILE.blocks), which replay_map reads by mapping it;
 * replay_is_file tells that form by its beginning. 0, or -1 with what is wrong and the remedy. */
int replay_write(const struct replay_trace *trace, bool oracle, const char *path, struct error *err);
int replay_map(const char *path, struct replay_trace **out, struct error *err);
bool replay_is_file(const void *bytes, size_t size);

/* When each access's block is asked for next, for policies that see the future; malloc'ed, trace->count long. Under
 * prefix a request's blocks are all asked for at the request's time. */
int64_t *replay_foresee(const struct replay_trace *trace, bool prefix);

struct replay_setup {
    const struct replay_trace *trace;
    const struct evict_policy *policy;
    const void *policy_options;
    const struct admit_policy *admit; /* NULL: always */
    const void *admit_options;
    const int64_t *next_use; /* of replay_foresee under the same semantics; NULL unless the policy needs it */
    uint64_t capacity_blocks;
    uint64_t capacity_bytes; /* flat: > 0 counts bytes instead */
    bool prefix, full_blocks;
    uint32_t skip; /* requests at the start that warm the tier and count for nothing */
    uint64_t seed;
    const struct evict_costs *costs; /* NULL unless the policy needs them */
    uint32_t queue;                  /* NEED_QUEUE: requests that are known ahead, 0: none */
    uint32_t
        tail_tokens; /* prefix: a request that computes more than so many tokens counts as `late`; 0: not counted */
    bool by_tier;    /* flat: through a tier though the short way would do (the tests' reference) */
    uint64_t *state_bytes; /* flat, the short way: NULL, or what the policy holds at the end; measured by the heap of
                              the whole process, so nothing else may run */
    uint8_t *marks; /* NULL, or trace->count long: set to 1 for each access that hit, 0 for others, warm or not */
};
struct replay_result {
    uint64_t accesses, hits, misses;   /* blocks */
    uint64_t warm_accesses, warm_hits; /* of the requests that warmed the tier: in nothing else here */
    uint64_t tokens, hit_tokens;       /* prefix: of prompts */
    uint64_t hit_bytes, bytes;         /* of objects */
    uint64_t inserted, evicted;
    uint64_t late;     /* prefix: requests that computed more than tail_tokens */
    double computed_s; /* prefix, with costs: what computing the prompts' missing parts takes */
};
/* What a replay so set up can show a policy beyond what a tier always can (enum policy_need): the future if next_use is
 * there, sessions and their order (replay_notes.h), groups (each block alone), costs if they are there. */
unsigned replay_gives(const struct replay_setup *setup);
/* The policy must be one that tier_can_run accepts with that. */
void replay_run(const struct replay_setup *setup, struct replay_result *out);
/* Bytes of memory that the policy holds for each block of a full cache of `blocks` blocks: how much more a miniature of
 * the trace takes whose cache has up to STATE_BLOCKS than one a quarter as large. A miniature has a share of the
 * blocks, by a hash, and the requests that ask for any of them. Alone in the process. < 0: the cache is too small to
 * say; then there are no miniatures (NULL). */
enum { STATE_BLOCKS = 2048 };
struct replay_miniatures;
struct replay_miniatures *replay_miniatures_create(const struct replay_trace *trace, uint64_t blocks);
void replay_miniatures_destroy(struct replay_miniatures *miniatures);
double replay_state_bytes(const struct replay_setup *setup, const struct replay_miniatures *miniatures);
/* What replay_run does under flat semantics with blocks of one size and no admission policy: without a tier. */
void replay_flat(const struct replay_setup *setup, struct replay_result *out);

#endif
