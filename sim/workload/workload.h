/* A workload is a stream of requests: read from a trace, or generated.
 *
 * Open loop: workload_next gives requests in order of arrival, whatever the fleet does.
 * Closed loop: workload_next gives the sessions' first requests; when one ends, workload_after gives what its
 * session asks next (after the client's think time). A spec carries all the state that its successor needs,
 * so sleeping sessions cost nothing but their spec.
 *
 * Identity. A request's text is known by a *chain*: hash ids, each for `hash_tokens` tokens, such that an
 * id names the whole prefix up to its end (equal id = equal prefix). Chains are kept as spans of consecutive ids and
 * expanded into a fleet's own block size on demand (chain_expand). */
#ifndef SIM_WORKLOAD_WORKLOAD_H
#define SIM_WORKLOAD_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "sim/base/arena.h"
#include "sim/base/error.h"
#include "sim/base/option.h"
#include "sim/engine/engine.h"

enum { CHAIN_SPANS_INLINE = 4 };

struct span {
    uint64_t first; /* ids first, first+1, ... first+count-1 */
    uint32_t count;
};

/* spans point into the workload (trace) or at `own` (generated; then copied with the spec: use chain_spans()). */
struct chain {
    const struct span *spans; /* NULL: `own` is used */
    struct span own[CHAIN_SPANS_INLINE];
    uint32_t span_count;
    uint32_t hash_tokens; /* tokens an id stands for; 0: the request has no identity at all */
    uint32_t tokens;      /* tokens from the start that have identity: the prompt, or prompt + output */
    uint64_t salt;        /* added to every id: renamed copies of one trace */
};
static inline const struct span *chain_spans(const struct chain *chain) {
    return chain->spans ? chain->spans : chain->own;
}

/* What a block of text is, for policies that care. */
enum category {
    CATEGORY_UNKNOWN,
    CATEGORY_SYSTEM,
    CATEGORY_TOOLS,
    CATEGORY_DOCUMENT,
    CATEGORY_HISTORY,
    CATEGORY_COUNT
};

struct request_spec {
    uint64_t id; /* counts up in the order in which requests are given out */
    uint64_t session;
    uint32_t turn, tenant;
    sim_time arrival_ns;
    uint32_t prompt_tokens, output_tokens;
    bool calls_tool;        /* its answer ends in a call of a tool: the trace says so */
    uint32_t shared_tokens; /* leading tokens that are system prompt, tools or documents shared between sessions */
    struct chain chain;
    const int64_t *next_use; /* per fleet block: arrival_ns of the next request that holds it, INT64_MAX: none;
                                NULL unless workload_foresee was called */
    uint64_t cursor[4];      /* the workload's own: where this session stands */
};

/* Writes the ids of the full blocks of `block_tokens` within the first `tokens` tokens of the chain that have identity;
 * returns their number (at most max). Those before block `from` are known to the caller: they may be left as they
 * are. block_tokens must divide hash_tokens or be a multiple of it
 * (workload_block_tokens_fit). Ids of different block sizes never meet in one cache. */
uint32_t chain_expand(const struct chain *chain, uint32_t block_tokens, uint32_t tokens, uint32_t from, uint64_t *ids,
                      uint32_t max);

struct workload;
struct workload_options; /* sim/workload/options.h */

/* Opens a trace or generator. load multiplies the rate of an open loop and the sessions of a closed one (1: as
 * written). Everything random comes from `seed`. Errors carry the place in the trace or the scenario.
 * The parsed trace may be shared: see trace_load in trace.h. */
int workload_open(const struct workload_options *options, double load, uint64_t seed, struct workload **out,
                  struct error *err);
void workload_close(struct workload *workload);

/* The next request by arrival. false: the stream has ended. */
bool workload_next(struct workload *workload, struct request_spec *out);
/* What the session of `done` asks next, given that `done` ended at end_ns: writes at most max specs (sub-agents may
 * fork), arrival_ns >= end_ns each, returns how many. 0: open loop, or the session (and, where a population
 * is kept up, the experiment) is over. */
size_t workload_after(struct workload *workload, const struct request_spec *done, sim_time end_ns,
                      struct request_spec *out, size_t max);
enum { WORKLOAD_AFTER_MAX = 32 };

/* 0, or an error with a remedy when chains cannot be cut into blocks of block_tokens. */
int workload_block_tokens_fit(const struct workload *workload, uint32_t block_tokens, struct error *err);
/* Makes next_use known for blocks of block_tokens (clairvoyant policies). Refused for closed loops. */
int workload_foresee(struct workload *workload, uint32_t block_tokens, struct error *err);
/* After workload_foresee: 1 when its session asks again, with the number of requests of the stream until then in *steps
 * (1: the next), 0 when it never does; else -1, unknown. */
int workload_returns(const struct workload *workload, const struct request_spec *spec, uint32_t *steps);
/* The format of the trace that it replays; "generated" where there is none. */
const char *workload_format(const struct workload *workload);
/* Tokens in the longest request (prompt + output) that can come, for sizing; UINT32_MAX when unbounded. */
uint32_t workload_longest(const struct workload *workload);

#endif
