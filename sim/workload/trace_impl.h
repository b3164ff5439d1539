/* Inside the trace reader: its files alone include this. */
#ifndef SIM_WORKLOAD_TRACE_IMPL_H
#define SIM_WORKLOAD_TRACE_IMPL_H

#include "sim/base/int_map.h"
#include "sim/workload/trace.h"

/* What is needed only while a trace is read. */
struct trace_build {
    struct int_map *nodes; /* (parent, dense hash) -> node */
    struct int_map *dense; /* wide or scoped hashes -> small numbers */
    uint32_t dense_count, request_room, span_room;
};

/* A file's bytes, unpacked if they are zstd, with JSON_PADDING readable ones behind; NULL and an error. The caller
 * frees. */
char *trace_text_read(const char *path, size_t *size, struct error *err);
/* `memory` with room for one more than `count`. */
void *trace_grown(void *memory, uint32_t count, uint32_t *room, size_t size_bytes);
/* Drops sessions that repeat an earlier one; requests still stand as they were read. */
void trace_drop_repeats(struct trace *trace);
/* Sorts by time, numbers the sessions, links each agent's requests and the sub-agents to the request that they follow.
 */
void trace_finish(struct trace *trace);

#endif
