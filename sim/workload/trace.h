/* A trace, read once into compact arrays that any number of runs share.
 *
 * Ids become nodes of a tree as they are read: a block's node stands for its parent's node and its own hash, so equal
 * node means equal prefix whatever the format's hashes mean, and the nodes of a new text are consecutive: a request's
 * chain is a few spans. */
#ifndef SIM_WORKLOAD_TRACE_H
#define SIM_WORKLOAD_TRACE_H

#include "sim/workload/workload.h"

#define TRACE_NONE UINT32_MAX

struct trace_request {
    int64_t at_ns;    /* from the trace's first request */
    int64_t think_ns; /* client's delay after the previous request of its session had ended */
    uint32_t session, turn;
    uint32_t agent; /* 0: the session's own; its sub-agents count from 1 */
    uint32_t next;  /* of its agent, TRACE_NONE at the end */
    uint32_t fork;  /* first request of a sub-agent that is started once this one has ended; more by its `sibling` */
    uint32_t sibling;
    uint32_t tenant, prompt_tokens, output_tokens, shared_tokens;
    bool calls_tool;      /* its answer ends in a call of a tool */
    uint32_t tool_tokens; /* of shared_tokens, the first; 0: nobody says */
    uint32_t first_span, span_count;
};

struct trace {
    const char *path, *format;
    uint32_t hash_tokens;           /* 0: no identity */
    bool has_sessions;              /* think times and sessions are known: closed loop is possible */
    struct trace_request *requests; /* by at_ns, then as they stand in the file */
    uint32_t count;
    struct span *spans;
    uint32_t span_count;
    uint32_t *sessions; /* first request of each */
    uint32_t session_count, dropped_sessions;
    uint64_t nodes;          /* ids are below */
    uint32_t longest_tokens; /* prompt + output */
    uint64_t block_refs;
    /* while reading */
    struct trace_build *build;
};

/* Reads a file, plain or .zst, or (agentic) a directory of files. format: a name of format.h, or NULL to find out.
 * `dedupe` drops sessions that repeat an earlier one. Errors: file:line:column, what, the remedy. */
int trace_load(const char *path, const char *format, bool dedupe, struct trace **out, struct error *err);
/* The same from memory; `name` stands for the file in messages. */
int trace_read_text(const char *text, size_t size, const char *name, const char *format, bool dedupe,
                    struct trace **out, struct error *err);
void trace_free(struct trace *trace);
/* Where a scenario's trace lies: as given, in $TIERSIM_TRACES, in ../shared/traces. NULL and an error when nowhere. */
const char *trace_find(const char *name, struct place at, struct arena *arena, struct error *err);

/* For formats. Node of a block after `parent` (TRACE_ROOT for the first) with hash `hash` in `scope` (0: hashes mean
 * the same everywhere). */
#define TRACE_ROOT UINT64_MAX
uint64_t trace_node(struct trace *trace, uint64_t parent, uint32_t scope, uint64_t hash);
/* Adds a request with its nodes and returns its number. A format sets `session` (its own numbers; TRACE_NONE: alone)
 * and `turn`, of sub-agents also `agent` and, in their first request, `fork` to the number of the request that they
 * follow. */
uint32_t trace_add(struct trace *trace, const struct trace_request *request, const uint64_t *nodes, uint32_t count);

#endif
