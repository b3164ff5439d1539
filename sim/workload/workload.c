#include "sim/workload/workload.h"

#include <stdlib.h>

#include "sim/engine/random.h"
#include "sim/workload/workload_impl.h"

int workload_open(const struct workload_options *options, double load, uint64_t seed, struct workload **out,
                  struct error *err) {
    struct workload *workload = calloc(1, sizeof *workload);
    MUST(workload != NULL && load > 0);
    workload->options = options;
    workload->load = load;
    workload->seed = seed;
    workload->rng = gsl_rng_alloc(random_philox);
    int failed = options->generates ? generate_open(workload, err) : replay_open(workload, err);
    if (failed) {
        workload_close(workload);
        return -1;
    }
    *out = workload;
    return 0;
}

void workload_close(struct workload *workload) {
    if (!workload)
        return;
    trace_free(workload->own_trace);
    gsl_rng_free(workload->rng);
    free(workload->copies);
    free(workload->document_weight);
    free(workload->next_use);
    free(workload->next_use_first);
    free(workload->session_next);
    free(workload);
}

bool workload_next(struct workload *workload, struct request_spec *out) {
    if (!generates(workload) && workload->options->requests > 0 &&
        workload->given >= (uint64_t)workload->options->requests)
        return false;
    if (!(generates(workload) ? generate_next(workload, out) : replay_next(workload, out)))
        return false;
    out->id = workload->given++;
    return true;
}

size_t workload_after(struct workload *workload, const struct request_spec *done, sim_time end_ns,
                      struct request_spec *out, size_t max) {
    MUST(max >= 1);
    if (open_loop(workload))
        return 0;
    size_t count =
        generates(workload) ? generate_after(workload, done, end_ns, out) : replay_after(workload, done, end_ns, out);
    for (size_t i = 0; i < count; i++)
        out[i].id = workload->given++;
    return count;
}

int workload_block_tokens_fit(const struct workload *workload, uint32_t block_tokens, struct error *err) {
    uint32_t hash = generates(workload) ? 16 : workload->trace->hash_tokens;
    if (hash == 0 || hash % block_tokens == 0 || block_tokens % hash == 0)
        return 0;
    return error_set(err,
                     "KV blocks of %u tokens cannot be cut from the workload's %u-token hashes\n  hint: a block size "
                     "that divides %u or is a multiple of it",
                     block_tokens, hash, hash);
}

const char *workload_format(const struct workload *workload) {
    return generates(workload) ? "generated" : workload->trace->format;
}

uint32_t workload_longest(const struct workload *workload) {
    return generates(workload) ? UINT32_MAX : workload->trace->longest_tokens;
}
