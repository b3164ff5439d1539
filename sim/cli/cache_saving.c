/* `tiersim cache --bound`: how near to the best that any policy could do.
 *
 * prefix  seconds of prefill: what hits save, and the most that any policy could (sim/memory/saving_bound.h).
 * flat    hits: Belady's, which no policy exceeds that takes in what missed. (One that may leave a block out could; so
 *         could one that counts only after a warm-up: neither is asked here.) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cache.h"
#include "sim/output/json.h"

int cache_check_bound(const struct cache_work *work, struct error *err) {
    const struct cache_arguments *a = work->arguments;
    if (!a->prefix && (work->admit || a->skip > 0))
        return error_set(err,
                         "flat --bound does not go with %s\n  hint: Belady's hits bound whole traces, and policies "
                         "that take in whatever missed",
                         work->admit ? "--admit" : "a warm-up");
    for (size_t s = 0; s < work->size_count && s < work->job_count; s++)
        if (work->jobs[s].size.bytes)
            return error_set(err, "--bound does not go with sizes in bytes\n  hint: the best for objects of many sizes "
                                  "is not known; give sizes in blocks");
    return 0;
}

static double whole_s(const struct cache_work *work, uint64_t skip) {
    double seconds = 0;
    for (uint64_t r = skip; r < work->trace->request_count; r++)
        seconds += work->costs.compute_s(work->costs.world, 0, work->trace->requests[r].tokens);
    return seconds;
}

static void bound_savings(struct cache_work *work, size_t sizes) {
    const struct replay_trace *trace = work->trace;
    double *block_s = malloc(((size_t)trace->longest + 1) * sizeof *block_s);
    MUST(block_s != NULL);
    for (uint32_t b = 0; b < trace->longest; b++)
        block_s[b] = work->costs.compute_s(work->costs.world, (uint64_t)b * trace->block_tokens, trace->block_tokens);
    double prompts_s = whole_s(work, work->arguments->skip);
#pragma omp parallel for schedule(dynamic)
    for (size_t s = 0; s < sizes; s++) {
        struct saving_setup setup = {.trace = trace,
                                     .block_s = block_s,
                                     .capacity_blocks = work->jobs[s].size.blocks,
                                     .skip = (uint32_t)work->arguments->skip};
        saving_bound(&setup, &work->bounds[s].saving);
        work->bounds[s].prompts_s = prompts_s;
    }
    free(block_s);
}

static void bound_hits(struct cache_work *work, size_t sizes) {
    struct error err;
    const struct policy *belady = policy_find(POLICY_EVICT, "belady", &err);
    MUST(belady != NULL);
    int64_t *next_use = replay_foresee(work->trace, false);
#pragma omp parallel for schedule(dynamic)
    for (size_t s = 0; s < sizes; s++) {
        struct replay_setup setup = cache_setup(work, &work->jobs[s]);
        struct replay_result result;
        setup.policy = (const struct evict_policy *)belady;
        setup.policy_options = NULL;
        setup.next_use = next_use;
        replay_run(&setup, &result);
        work->bounds[s].hits = result.hits;
    }
    free(next_use);
}

void cache_find_bounds(struct cache_work *work, struct arena *arena) {
    size_t sizes = work->size_count < work->job_count ? work->size_count : work->job_count;
    work->bounds = arena_alloc(arena, (sizes + 1) * sizeof *work->bounds);
    if (work->arguments->prefix)
        bound_savings(work, sizes);
    else
        bound_hits(work, sizes);
}

double cache_saved_s(const struct cache_work *work, const struct cache_job *job) {
    return work->bounds[(size_t)(job - work->jobs) % work->size_count].prompts_s - job->result.computed_s;
}

double cache_bound_share(const struct cache_work *work, const struct cache_job *job) {
    const struct cache_bound *bound = &work->bounds[(size_t)(job - work->jobs) % work->size_count];
    double most = work->arguments->prefix ? bound->saving.seconds : (double)bound->hits;
    double own = work->arguments->prefix ? cache_saved_s(work, job) : (double)job->result.hits;
    return most > 0 ? own / most : NAN;
}

void cache_print_bounds(struct json *json, const struct cache_work *work) {
    json_array(json, "bounds");
    for (size_t s = 0; s < work->size_count && s < work->job_count; s++) {
        const struct cache_bound *bound = &work->bounds[s];
        json_object(json, NULL);
        json_integer(json, "size", (int64_t)work->jobs[s].size.blocks);
        if (work->arguments->prefix) {
            json_number(json, "saved_at_most_s", bound->saving.seconds);
            json_number(json, "saved_with_room_for_all_s", bound->saving.endless_s);
            json_number(json, "prompts_s", bound->prompts_s);
        } else
            json_integer(json, "hits_at_most", (int64_t)bound->hits);
        json_object_end(json);
    }
    json_array_end(json);
}
