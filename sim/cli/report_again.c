/* What was computed again: of sessions it is known request by request (sim/output/metrics.h); of traces that know texts
 * but no sessions it is what an earlier request had had, and no tier gave. */
#include <stdlib.h>

#include "sim/cli/report.h"
#include "sim/workload/trace.h"

/* Leading tokens of a request that some earlier one of the trace had, in whole blocks; marks its own as seen. */
static uint64_t known_tokens(const struct trace *trace, const struct trace_request *request, uint32_t block_tokens,
                             unsigned char *seen) {
    uint64_t blocks = 0, most = request->prompt_tokens - 1; /* the last token is always computed */
    bool leading = true;
    for (uint32_t s = 0; s < request->span_count; s++) {
        const struct span *span = &trace->spans[request->first_span + s];
        for (uint64_t node = span->first; node < span->first + span->count; node++) {
            leading = leading && seen[node];
            blocks += leading;
            seen[node] = 1;
        }
    }
    uint64_t tokens = blocks * trace->hash_tokens;
    return (tokens < most ? tokens : most) / block_tokens * block_tokens;
}

/* Prompt tokens that a cache without end would have had; 0: not known. */
static uint64_t trace_known_tokens(const struct variant *v) {
    const struct workload_options *w = &v->workload;
    const struct trace *trace = v->trace;
    int64_t from_ns = (int64_t)(w->start_s * 1e9), until_ns = from_ns + (int64_t)(w->duration_s * 1e9);
    uint64_t known = 0;
    if (!trace || trace->has_sessions || trace->hash_tokens == 0 || v->options.warmup_s > 0 ||
        v->options.stop_after_s > 0)
        return 0;
    unsigned char *seen = calloc(trace->nodes + 1, 1);
    MUST(seen != NULL);
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct trace_request *request = &trace->requests[i];
        if (request->at_ns >= from_ns && (w->duration_s <= 0 || request->at_ns < until_ns))
            known += known_tokens(trace, request, (uint32_t)v->options.serving.block_tokens, seen);
    }
    free(seen);
    return known * (uint64_t)w->repeat;
}

uint64_t report_again_tokens(const struct variant *v, const struct metrics *m) {
    uint64_t again = metrics_again_tokens(m), known = m->rejected ? 0 : trace_known_tokens(v), hits = 0;
    for (int t = 0; t < RECORD_TIERS_MAX; t++)
        hits += m->hit_tokens[t];
    return known > hits && known - hits > again ? known - hits : again;
}
