/* A trace as a workload: open loop by its own clock, or closed loop by its sessions' think times. */
#include <math.h>
#include <stdlib.h>

#include "sim/base/int_map.h"
#include "sim/workload/workload_impl.h"

static bool before(const struct copy *a, const struct copy *b) {
    return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void sift_down(struct workload *workload, uint32_t index, struct copy moved) {
    struct copy *heap = workload->copies;
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= workload->copy_count)
            break;
        if (child + 1 < workload->copy_count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &moved))
            break;
        heap[index] = heap[child];
        index = child;
    }
    heap[index] = moved;
}

/* When request `index` of copy `number` comes, by the scaled clock. */
static sim_time arrival_of(const struct workload *workload, uint32_t number, uint32_t index) {
    double scale = workload->options->rate_scale * workload->load;
    double at_ns = (double)(workload->trace->requests[index].at_ns - workload->from_ns) +
                   (double)number * workload->options->stagger_s * 1e9;
    return (sim_time)(at_ns / scale + 0.5);
}

/* First request of the window; count when there is none. */
static uint32_t window_begin(const struct workload *workload) {
    uint32_t low = 0, high = workload->trace->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (workload->trace->requests[middle].at_ns < workload->from_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The most sub-agents that one request's end starts. */
static uint32_t most_forks(const struct trace *trace) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < trace->count; i++) {
        uint32_t forks = 0;
        for (uint32_t fork = trace->requests[i].fork; fork != TRACE_NONE; fork = trace->requests[fork].sibling)
            forks++;
        most = forks > most ? forks : most;
    }
    return most;
}

int replay_open(struct workload *workload, struct error *err) {
    const struct workload_options *options = workload->options;
    if (!options->trace && !options->trace_name)
        return error_set(err, "the workload is neither a trace nor a generator\n  hint: workload: {trace: FILE} or "
                              "workload: {generate: {...}}");
    if (!options->trace) {
        struct arena *arena = arena_create();
        const char *path = trace_find(options->trace_name, options->trace_at, arena, err);
        int failed = path ? trace_load(path, options->format, options->dedupe, &workload->own_trace, err) : -1;
        arena_destroy(arena);
        if (failed)
            return -1;
    }
    const struct trace *trace = workload->trace = options->trace ? options->trace : workload->own_trace;
    if (options->closed_loop && !trace->has_sessions)
        return error_at(err, options->trace_at,
                        "closed_loop needs think times, which %s traces do not carry\n  hint: leave it out, or use "
                        "agentic sessions",
                        trace->format);
    if (options->closed_loop && most_forks(trace) + 2 > WORKLOAD_AFTER_MAX)
        return error_at(err, options->trace_at,
                        "%u sub-agents start at once\n  hint: at most %d; split the session, or replay it open-loop",
                        most_forks(trace), WORKLOAD_AFTER_MAX - 2);
    workload->from_ns = (int64_t)(options->start_s * 1e9);
    workload->until_ns = options->duration_s > 0 ? workload->from_ns + (int64_t)(options->duration_s * 1e9) : INT64_MAX;
    workload->salt_step = (trace->nodes + 63) / 64 * 64;
    workload->population = (int64_t)llround((double)options->sessions * workload->load);
    if (workload->population < 1)
        workload->population = 1;
    uint32_t begin = window_begin(workload);
    if (begin == trace->count || trace->requests[begin].at_ns >= workload->until_ns)
        return error_at(err, options->trace_at,
                        "no request of the trace lies in the window\n  hint: it lasts %.0f s; check start and duration",
                        (double)trace->requests[trace->count - 1].at_ns * 1e-9);
    workload->copy_count = (uint32_t)options->repeat;
    workload->copies = calloc(workload->copy_count, sizeof *workload->copies);
    MUST(workload->copies != NULL);
    /* In order of number: with one begin and a constant stagger that is a heap already. */
    for (uint32_t i = 0; i < workload->copy_count; i++)
        workload->copies[i] = (struct copy){arrival_of(workload, i, begin), i, begin};
    return 0;
}

static void describe(const struct workload *workload, uint32_t index, uint64_t copy, sim_time at,
                     struct request_spec *out) {
    const struct trace *trace = workload->trace;
    const struct trace_request *request = &trace->requests[index];
    *out = (struct request_spec){.session = request->session + copy * trace->session_count,
                                 .turn = request->turn,
                                 .tenant = request->tenant,
                                 .arrival_ns = at,
                                 .prompt_tokens = request->prompt_tokens,
                                 .output_tokens = request->output_tokens,
                                 .shared_tokens = request->shared_tokens,
                                 .calls_tool = request->calls_tool,
                                 .chain = {.spans = trace->spans + request->first_span,
                                           .span_count = request->span_count,
                                           .hash_tokens = trace->hash_tokens,
                                           .tokens = request->prompt_tokens,
                                           .salt = copy * workload->salt_step},
                                 .cursor = {index, copy}};
    /* A trace whose last id is left out identifies only full blocks. */
    uint64_t known = 0;
    for (uint32_t s = 0; s < request->span_count; s++)
        known += trace->spans[request->first_span + s].count;
    if (known * trace->hash_tokens < out->chain.tokens)
        out->chain.tokens = (uint32_t)(known * trace->hash_tokens);
    if (workload->next_use)
        out->next_use = workload->next_use + workload->next_use_first[index];
}

/* Closed loop: session number n of the experiment replays session n of the trace, renamed at each round. */
static void begin_session(struct workload *workload, sim_time at, struct request_spec *out) {
    uint64_t number = (uint64_t)workload->sessions_begun++;
    uint32_t session = (uint32_t)(number % workload->trace->session_count);
    describe(workload, workload->trace->sessions[session], number / workload->trace->session_count, at, out);
}

bool replay_next(struct workload *workload, struct request_spec *out) {
    const struct workload_options *options = workload->options;
    if (options->closed_loop) {
        if (workload->sessions_begun >= workload->population)
            return false;
        double share = (double)workload->sessions_begun / (double)workload->population;
        begin_session(workload, (sim_time)(share * options->ramp_s * 1e9), out);
        return true;
    }
    if (workload->copy_count == 0)
        return false;
    struct copy first = workload->copies[0];
    describe(workload, first.next, first.number, first.at, out);
    const struct trace *trace = workload->trace;
    uint32_t next = first.next + 1;
    if (next < trace->count && trace->requests[next].at_ns < workload->until_ns) {
        sift_down(workload, 0, (struct copy){arrival_of(workload, first.number, next), first.number, next});
    } else {
        struct copy last = workload->copies[--workload->copy_count];
        if (workload->copy_count > 0)
            sift_down(workload, 0, last);
    }
    return true;
}

size_t replay_after(struct workload *workload, const struct request_spec *done, sim_time end_ns,
                    struct request_spec *out) {
    const struct workload_options *options = workload->options;
    const struct trace_request *requests = workload->trace->requests, *ended = &requests[done->cursor[0]];
    sim_time until = options->duration_s > 0 ? (sim_time)(options->duration_s * 1e9) : SIM_NEVER;
    size_t count = 0;
    if (ended->next != TRACE_NONE && end_ns + requests[ended->next].think_ns <= until)
        describe(workload, ended->next, done->cursor[1], end_ns + requests[ended->next].think_ns, &out[count++]);
    for (uint32_t fork = ended->fork; fork != TRACE_NONE; fork = requests[fork].sibling)
        if (end_ns + requests[fork].think_ns <= until)
            describe(workload, fork, done->cursor[1], end_ns + requests[fork].think_ns, &out[count++]);
    if (ended->next != TRACE_NONE || ended->agent > 0)
        return count;
    /* The session is over. Another takes its place while the experiment lasts; without a duration each is played once.
     */
    bool more =
        options->duration_s > 0 ? end_ns < until : workload->sessions_begun < (int64_t)workload->trace->session_count;
    if (more)
        begin_session(workload, end_ns, &out[count++]);
    return count;
}

static uint32_t *foresee_sessions(const struct workload *workload) {
    const struct trace *trace = workload->trace;
    uint32_t *next = malloc(((size_t)trace->count + 1) * sizeof *next);
    uint32_t *later = malloc(((size_t)trace->session_count + 1) * sizeof *later);
    MUST(next != NULL && later != NULL);
    for (uint32_t s = 0; s < trace->session_count; s++)
        later[s] = TRACE_NONE;
    for (uint32_t i = trace->count; i-- > 0;) {
        next[i] = later[trace->requests[i].session];
        if (trace->requests[i].at_ns < workload->until_ns)
            later[trace->requests[i].session] = i;
    }
    free(later);
    return next;
}

int workload_returns(const struct workload *workload, const struct request_spec *spec, uint32_t *steps) {
    if (!workload->session_next)
        return -1;
    uint32_t index = (uint32_t)spec->cursor[0], next = workload->session_next[index];
    *steps = next == TRACE_NONE ? 0 : next - index;
    return next != TRACE_NONE;
}

int workload_foresee(struct workload *workload, uint32_t block_tokens, struct error *err) {
    if (!open_loop(workload))
        return error_set(err, "a clairvoyant policy needs the future, which a closed loop does not have\n  hint: use "
                              "an open-loop trace, or another policy");
    if (workload->options->repeat > 1)
        return error_set(err, "a clairvoyant policy sees one trace, not %lld copies\n  hint: repeat: 1",
                         (long long)workload->options->repeat);
    const struct trace *trace = workload->trace;
    if (workload->next_use)
        return 0;
    uint64_t total = 0;
    workload->next_use_first = calloc((size_t)trace->count + 1, sizeof *workload->next_use_first);
    MUST(workload->next_use_first != NULL);
    for (uint32_t i = 0; i < trace->count; i++) {
        workload->next_use_first[i] = total;
        total += trace->requests[i].prompt_tokens / block_tokens + 1;
    }
    int64_t *next_use = malloc((total + 1) * sizeof *next_use);
    uint64_t *ids = malloc(((size_t)trace->longest_tokens / block_tokens + 1) * sizeof *ids);
    struct int_map *later = int_map_create(); /* block -> the request after that holds it */
    MUST(next_use != NULL && ids != NULL);
    for (uint32_t i = trace->count; i-- > 0;) {
        struct request_spec spec;
        describe(workload, i, 0, 0, &spec);
        uint32_t count = chain_expand(&spec.chain, block_tokens, spec.prompt_tokens, 0, ids,
                                      trace->longest_tokens / block_tokens + 1);
        for (uint32_t b = 0; b < trace->requests[i].prompt_tokens / block_tokens + 1; b++)
            next_use[workload->next_use_first[i] + b] = INT64_MAX;
        for (uint32_t b = 0; b < count; b++) {
            uint32_t next = int_map_get(later, ids[b]);
            if (next != INT_MAP_NONE)
                next_use[workload->next_use_first[i] + b] = arrival_of(workload, 0, next);
            int_map_put(later, ids[b], i);
        }
    }
    workload->next_use = next_use;
    workload->session_next = foresee_sessions(workload);
    int_map_destroy(later);
    free(ids);
    return 0;
}
