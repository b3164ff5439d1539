/* What a stream of requests is like: lengths, arrivals, reuse, working set. */
#ifndef SIM_WORKLOAD_INFO_H
#define SIM_WORKLOAD_INFO_H

#include "sim/base/histogram.h"
#include "sim/workload/workload.h"

enum { INFO_WINDOWS = 3 };
extern const double info_window_s[INFO_WINDOWS]; /* a minute, ten, an hour */

struct workload_info {
    uint64_t requests, sessions;
    double span_s; /* first arrival to last */
    /* Lengths in tokens; requests a session. */
    struct histogram *prompt_tokens, *output_tokens, *turns;
    /* Arrivals: by whole minute from the first on, and the gaps' coefficient of variation (1: Poisson; above: bursts).
     */
    struct histogram *minute_requests;
    double gap_cv;
    /* Reuse, where the stream says what its prompts share (block_tokens > 0). */
    uint32_t block_tokens;
    uint64_t prompt_total_tokens, reused_tokens; /* reused: leading tokens asked for before, in a cache without limit */
    uint64_t block_refs, unique_blocks;
    struct histogram *return_ms; /* since the same block was asked for last */
    /* LRU stack distance of a block asked for again: different blocks since, itself included. A cache of that many
     * blocks that lets the least recently used go would still hold it (Mattson et al. 1970). */
    struct histogram *distance_blocks;
    double growth[4];                     /* share of all unique blocks seen after 1/4, 2/4, 3/4, 4/4 of the span */
    uint64_t window_blocks[INFO_WINDOWS]; /* most different blocks asked for in a window of info_window_s */
};

struct info_builder;
/* block_tokens: in which reuse is counted, a multiple of the chains' hash_tokens; 0: they have no identity. With the
 * chains' own, a partial last block that has an id counts too. */
struct info_builder *info_begin(uint32_t block_tokens);
/* The next request, in order of arrival. */
void info_add(struct info_builder *builder, const struct request_spec *spec);
/* Counts up and frees the builder; the caller frees `out` with info_free. */
void info_end(struct info_builder *builder, struct workload_info *out);
void info_free(struct workload_info *info);

#endif
