/* `tiersim cache --curve`: one pass where a policy has one, samples where there is enough to sample, else replays. */
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cache.h"
#include "sim/memory/curve.h"

enum {
    SAMPLE_BLOCKS = 8192, /* of a sample, unless said otherwise */
    SAMPLE_SLOTS = 32,    /* a sampled cache of fewer tells little: the size is replayed */
    SAMPLE_UNITS = 30     /* fewer trees in a sample tell little */
};
static const double most_share = 1.0 / CACHE_SAMPLES, least_share = 0.01;
const char *const cache_method_names[] = {"replayed", "exact", "sampled"};

/* One thing to do for a job, or for all of a policy. */
struct task {
    struct cache_job *job;
    uint32_t part; /* of a sampled one */
};
struct curve_work {
    struct cache_work *work;
    struct task *tasks;
    size_t count;
    int64_t *next_use[SHARDS_PARTS_MAX];
    struct shards_result *results; /* by job and part */
};

/* Makes the samples; false: there are too few blocks or trees for any. A share that was asked for is taken as it is. */
static bool sample(struct cache_work *work) {
    const struct cache_arguments *a = work->arguments;
    uint32_t parts = a->parts ? (uint32_t)a->parts : CACHE_SAMPLES, skip = (uint32_t)a->skip;
    double share = (double)SAMPLE_BLOCKS / (double)(work->trace->unique + 1), most = 1.0 / parts;
    if (a->sample > 0) {
        shards_create(&work->shards, work->trace, a->prefix, a->sample, parts, skip);
        return true;
    }
    most = most < most_share ? most : most_share;
    if (share > most)
        return false;
    share = share < least_share ? least_share : share;
    shards_create(&work->shards, work->trace, a->prefix, share, parts, skip);
    if (work->shards.units < SAMPLE_UNITS && share < most) {
        shards_destroy(&work->shards);
        shards_create(&work->shards, work->trace, a->prefix, most, parts, skip);
    }
    if (work->shards.units >= SAMPLE_UNITS)
        return true;
    shards_destroy(&work->shards);
    return false;
}

static bool can_sample(const struct cache_work *work, const struct cache_job *job) {
    return work->shards.parts > 0 && !work->admit && job->size.blocks > 0 && job->size.blocks < work->trace->unique &&
           shards_capacity(&work->shards, job->size.blocks) >= SAMPLE_SLOTS;
}

static void add_tasks(struct curve_work *curve, struct cache_job *first) {
    struct cache_work *work = curve->work;
    struct replay_setup setup = cache_setup(work, first);
    const char *why;
    bool exact = curve_is_exact(&setup, first->size.bytes ? first->size.bytes : first->size.blocks, &why);
    for (size_t s = 0; s < work->size_count; s++) {
        struct cache_job *job = &first[s];
        job->method = exact ? CACHE_EXACT : can_sample(work, job) ? CACHE_SAMPLED : CACHE_REPLAYED;
        if (exact && s > 0)
            continue;
        for (uint32_t p = 0; p < (job->method == CACHE_SAMPLED ? work->shards.parts : 1); p++)
            curve->tasks[curve->count++] = (struct task){job, p};
    }
}

static void pass(const struct cache_work *work, struct cache_job *first, const struct replay_setup *setup) {
    uint64_t *sizes = calloc(work->size_count, sizeof *sizes);
    struct replay_result *results = calloc(work->size_count, sizeof *results);
    MUST(sizes != NULL && results != NULL);
    for (size_t s = 0; s < work->size_count; s++)
        sizes[s] = first[s].size.bytes ? first[s].size.bytes : first[s].size.blocks;
    double start = cache_now_s();
    curve_run(setup, sizes, work->size_count, results);
    double wall_s = (cache_now_s() - start) / (double)work->size_count;
    for (size_t s = 0; s < work->size_count; s++) {
        first[s].result = results[s];
        first[s].wall_s = wall_s;
    }
    free(results);
    free(sizes);
}

static void do_task(struct curve_work *curve, const struct task *task) {
    struct cache_work *work = curve->work;
    struct cache_job *job = task->job;
    struct replay_setup setup = cache_setup(work, job);
    if (job->method == CACHE_EXACT) {
        pass(work, job, &setup);
        return;
    }
    double start = cache_now_s();
    if (job->method == CACHE_SAMPLED) {
        bool future = job->policy->policy.needs & NEED_FUTURE;
        shards_replay(&work->shards, task->part, &setup, future ? curve->next_use[task->part] : NULL,
                      &curve->results[(size_t)(job - work->jobs) * work->shards.parts + task->part]);
    } else {
        replay_run(&setup, &job->result);
    }
    double took = cache_now_s() - start;
#pragma omp atomic
    job->wall_s += took;
}

/* Counts as a replay would have them, from the estimate. */
static void estimate(struct curve_work *curve, struct cache_job *job) {
    const struct shards *shards = &curve->work->shards;
    const struct replay_trace *trace = curve->work->trace;
    struct replay_result *r = &job->result;
    shards_estimate(shards, &curve->results[(size_t)(job - curve->work->jobs) * shards->parts], &job->estimate);
    r->accesses = shards->accesses;
    r->misses = (uint64_t)(job->estimate.miss_ratio * (double)r->accesses + 0.5);
    r->hits = r->accesses - r->misses;
    for (uint32_t q = (uint32_t)curve->work->arguments->skip; q < trace->request_count; q++)
        r->tokens += trace->requests[q].tokens;
    r->hit_tokens = (uint64_t)(job->estimate.token_hit_ratio * (double)r->tokens + 0.5);
}

void cache_curve(struct cache_work *work) {
    struct curve_work curve = {.work = work};
    bool needed = false;
    for (size_t i = 0; i < work->job_count && !needed; i += work->size_count) {
        struct replay_setup setup = cache_setup(work, &work->jobs[i]);
        const char *why;
        needed = work->jobs[i].size.blocks > 0 && !curve_is_exact(&setup, work->jobs[i].size.blocks, &why);
    }
    if (needed && !work->admit && !sample(work))
        fprintf(stderr, "tiersim: note: too few %s to sample from: each size is replayed\n",
                work->arguments->prefix ? "trees of prompts" : "blocks");
    uint32_t parts = work->shards.parts;
    curve.tasks = calloc(work->job_count * (parts + 1) + 1, sizeof *curve.tasks);
    curve.results = calloc(work->job_count * (parts + 1) + 1, sizeof *curve.results);
    MUST(curve.tasks != NULL && curve.results != NULL);
    for (uint32_t p = 0; p < parts; p++)
        curve.next_use[p] = work->next_use ? replay_foresee(work->shards.samples[p], work->arguments->prefix) : NULL;
    for (size_t i = 0; i < work->job_count; i += work->size_count)
        add_tasks(&curve, &work->jobs[i]);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < curve.count; i++)
        do_task(&curve, &curve.tasks[i]);
    for (size_t i = 0; i < work->job_count; i++)
        if (work->jobs[i].method == CACHE_SAMPLED)
            estimate(&curve, &work->jobs[i]);
    for (uint32_t p = 0; p < parts; p++)
        free(curve.next_use[p]);
    free(curve.results);
    free(curve.tasks);
}
