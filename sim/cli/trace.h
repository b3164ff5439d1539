/* Between the files of `tiersim trace`. */
#ifndef SIM_CLI_TRACE_H
#define SIM_CLI_TRACE_H

#include "sim/cli/workload.h"

/* What stands for the fleet where a session waits for its answers; `load` multiplies the rate or the sessions. */
struct trace_pace {
    double load, ttft_s, tpot_s;
};

/* All requests of a workload in order of arrival. */
struct trace_stream;
struct trace_stream *trace_stream_open(struct workload *workload, const struct trace_pace *pace);
/* false: there are no more. */
bool trace_stream_next(struct trace_stream *stream, struct request_spec *out);
void trace_stream_close(struct trace_stream *stream);

/* `convert` of a workload: its block accesses as FILE.blocks or FILE.oracleGeneral.bin, for `tiersim cache`, in the
 * workload's own block size. */
int trace_write_accesses(struct workload *workload, const struct trace_pace *pace, const char *path, struct error *err);
/* `info`: on standard output, as a table or as JSON. */
void trace_tell(struct workload *workload, const struct trace_pace *pace, const char *name, bool json);
/* `convert`, `generate`: Mooncake JSONL, 512-token ids counted from 0. Written beside `path` and renamed when whole. */
int trace_write(struct workload *workload, const struct trace_pace *pace, const char *path, struct error *err);

#endif
