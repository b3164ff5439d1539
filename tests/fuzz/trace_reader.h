/* A trace reader: whatever the bytes are, they become a trace whose books are right, or are refused at a line with a
 * remedy. One program a format includes this with its name. */
#ifndef TESTS_FUZZ_TRACE_READER_H
#define TESTS_FUZZ_TRACE_READER_H

#include <stdint.h>
#include <string.h>

#include "sim/workload/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every request of a session is reached once, from its first one on, and spans are within the trace. */
static inline void check_trace(const struct trace *trace) {
    uint64_t refs = 0;
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct trace_request *request = &trace->requests[i];
        MUST(request->at_ns >= 0 && (i == 0 || request->at_ns >= trace->requests[i - 1].at_ns));
        MUST(request->session < trace->session_count && request->think_ns >= 0);
        MUST(request->next == TRACE_NONE || (request->next > i && request->next < trace->count));
        MUST(request->prompt_tokens + request->output_tokens <= trace->longest_tokens);
        MUST((uint64_t)request->first_span + request->span_count <= trace->span_count);
        for (uint32_t s = 0; s < request->span_count; s++) {
            struct span span = trace->spans[request->first_span + s];
            MUST(span.count > 0 && span.first + span.count <= trace->nodes);
            refs += span.count;
        }
    }
    MUST(refs == trace->block_refs);
}

static inline int try_reader(const char *format, const uint8_t *data, size_t size) {
    struct trace *trace;
    struct error err = {0};
    if (trace_read_text((const char *)data, size, "fuzz", format, true, &trace, &err) != 0) {
        MUST(err.exit_code == EXIT_BAD_INPUT && strstr(err.text, "\n  hint: "));
        MUST(strncmp(err.text, "fuzz:", 5) == 0);
        return 0;
    }
    check_trace(trace);
    trace_free(trace);
    return 0;
}

#endif
