/* What happens to a trace's requests once all are read. */
#include <stdlib.h>
#include <string.h>

#include "sim/workload/trace_impl.h"

/* While reading, `next` is the request's number in the order of the files. */
static int by_time(const void *a, const void *b) {
    const struct trace_request *ra = a, *rb = b;
    if (ra->at_ns != rb->at_ns)
        return ra->at_ns < rb->at_ns ? -1 : 1;
    return ra->next < rb->next ? -1 : ra->next > rb->next;
}

static bool same_request(const struct trace_request *a, const struct trace_request *b) {
    return a->prompt_tokens == b->prompt_tokens && a->output_tokens == b->output_tokens && a->at_ns == b->at_ns;
}

static uint64_t mixed(uint64_t key, uint64_t value) {
    key = (key ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 29;
}

/* Two sessions are the same when all their requests ask for the same tokens at the same times. */
void trace_drop_repeats(struct trace *trace) {
    struct trace_request *requests = trace->requests;
    struct int_map *known = int_map_create(); /* what a session looks like -> its first request among those kept */
    uint32_t kept = 0;
    for (uint32_t i = 0, end; i < trace->count; i = end) {
        uint64_t key = 0;
        for (end = i; end < trace->count && requests[end].session == requests[i].session; end++)
            key = mixed(mixed(mixed(key, requests[end].prompt_tokens), requests[end].output_tokens),
                        (uint64_t)requests[end].at_ns);
        uint32_t size = end - i, like = int_map_get(known, key);
        bool repeats = like != INT_MAP_NONE && like + size <= kept &&
                       (like + size == kept || requests[like + size].session != requests[like].session);
        for (uint32_t r = 0; r < size && repeats; r++)
            repeats = same_request(&requests[like + r], &requests[i + r]) &&
                      requests[like + r].session == requests[like].session;
        if (repeats) {
            trace->dropped_sessions++;
            continue;
        }
        int_map_put(known, key, kept);
        memmove(&requests[kept], &requests[i], size * sizeof *requests);
        kept += size;
    }
    trace->count = kept;
    int_map_destroy(known);
}

static void count_up(struct trace *trace) {
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct trace_request *request = &trace->requests[i];
        uint32_t tokens = request->prompt_tokens + request->output_tokens;
        if (tokens > trace->longest_tokens)
            trace->longest_tokens = tokens;
        for (uint32_t s = 0; s < request->span_count; s++)
            trace->block_refs += trace->spans[request->first_span + s].count;
    }
}

/* Sorts by time from the first request on; returns where the requests went, by their number in the files. */
static uint32_t *sort(struct trace *trace) {
    struct trace_request *requests = trace->requests;
    int64_t first_ns = INT64_MAX;
    uint32_t last = 0;
    bool sorted = true;
    for (uint32_t i = 0; i < trace->count; i++) {
        if (requests[i].at_ns < first_ns)
            first_ns = requests[i].at_ns;
        if (requests[i].next > last)
            last = requests[i].next;
        sorted = sorted && (i == 0 || by_time(&requests[i - 1], &requests[i]) < 0);
    }
    for (uint32_t i = 0; i < trace->count; i++)
        requests[i].at_ns -= first_ns;
    if (!sorted)
        qsort(requests, trace->count, sizeof *requests, by_time);
    uint32_t *place = malloc(((size_t)last + 1) * sizeof *place);
    MUST(place != NULL);
    for (uint32_t i = 0; i < trace->count; i++)
        place[requests[i].next] = i;
    return place;
}

/* The request is its sub-agent's first: it follows what its agent asked before. */
static void link_fork(struct trace *trace, uint32_t index, uint32_t parent) {
    trace->requests[index].sibling = trace->requests[parent].fork;
    trace->requests[parent].fork = index;
}

void trace_finish(struct trace *trace) {
    count_up(trace);
    uint32_t *place = sort(trace), room = 0;
    struct int_map *numbers = int_map_create(), *last = int_map_create(); /* by session, and by session and agent */
    for (uint32_t i = 0; i < trace->count; i++) {
        struct trace_request *request = &trace->requests[i];
        uint32_t parent = request->fork, number = INT_MAP_NONE;
        if (request->session != TRACE_NONE)
            number = int_map_get(numbers, request->session);
        if (number == INT_MAP_NONE) {
            number = trace->session_count;
            if (request->session != TRACE_NONE)
                int_map_put(numbers, request->session, number);
            trace->sessions = trace_grown(trace->sessions, number, &room, sizeof *trace->sessions);
            trace->sessions[trace->session_count++] = i;
        }
        request->session = number;
        request->next = request->fork = request->sibling = TRACE_NONE;
        uint64_t agent = (uint64_t)number << 32 | request->agent;
        uint32_t before = int_map_get(last, agent);
        if (before != INT_MAP_NONE)
            trace->requests[before].next = i;
        else if (parent != TRACE_NONE)
            link_fork(trace, i, place[parent]);
        int_map_put(last, agent, i);
    }
    int_map_destroy(numbers);
    int_map_destroy(last);
    free(place);
}
