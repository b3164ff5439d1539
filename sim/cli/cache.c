/* `tiersim cache`: a trace through eviction policies, block by block. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/cli/cache.h"
#include "sim/cli/policy.h"
#include "sim/cli/verbs.h"

static int read_policy(enum policy_kind kind, const char *text, struct arena *arena, const struct policy **policy,
                       const void **options, struct error *err) {
    struct node *node;
    char *copy = arena_strdup(arena, text);
    if (node_read_text(copy, strlen(copy), kind == POLICY_ADMIT ? "--admit" : "--policy", arena, &node, err) != 0)
        return -1;
    return policy_resolve(kind, node, NULL, arena, policy, options, err);
}

static void add_jobs(struct cache_work *work, const struct policy *policy, const void *options,
                     const struct cache_size *sizes, size_t size_count) {
    for (size_t i = 0; i < size_count; i++)
        work->jobs[work->job_count++] =
            (struct cache_job){.policy = (const struct evict_policy *)policy, .options = options, .size = sizes[i]};
}

/* What a replay shows beyond what a tier always can: the trace says it all. */
static unsigned given(const struct cache_work *work) {
    struct replay_setup setup = {.queue = (uint32_t)work->arguments->queue, .costs = &work->costs};
    return NEED_FUTURE | replay_gives(&setup);
}

/* tier_can_run, with the remedy that only this verb has. */
static int can_run(const struct cache_work *work, const struct policy *policy, struct error *err) {
    if (policy->needs & NEED_QUEUE && work->arguments->queue == 0)
        return error_set(err, "policy '%s' looks at a queue\n  hint: --queue 64 lets the next 64 requests wait",
                         policy->name);
    return tier_can_run((const struct evict_policy *)policy, given(work), work->arguments->prefix, err);
}

static const char usual_sizes[] = "0.1%..100%:40"; /* of a curve */

static int plan_jobs(struct cache_work *work, struct arena *arena, struct error *err) {
    const struct cache_arguments *a = work->arguments;
    struct list names = cache_split(a->policies, arena);
    struct cache_size *sizes;
    if (cache_read_sizes(a->sizes ? a->sizes : usual_sizes, work->trace, a->curve, arena, &sizes, &work->size_count,
                         err) != 0)
        return -1;
    size_t all = 0;
    const struct policy *policy;
    const void *options;
    while (policy_at(POLICY_EVICT, all))
        all++;
    work->jobs = arena_alloc(arena, names.count * (all + 1) * work->size_count * sizeof *work->jobs);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = ((char **)names.items)[i];
        if (strcmp(name, "all") != 0) {
            if (read_policy(POLICY_EVICT, name, arena, &policy, &options, err) != 0 || can_run(work, policy, err) != 0)
                return -1;
            add_jobs(work, policy, options, sizes, work->size_count);
            continue;
        }
        for (size_t p = 0; p < all; p++) {
            struct error cannot;
            if (can_run(work, policy_at(POLICY_EVICT, p), &cannot) != 0)
                continue;
            if (read_policy(POLICY_EVICT, policy_at(POLICY_EVICT, p)->name, arena, &policy, &options, err) != 0)
                return -1;
            add_jobs(work, policy, options, sizes, work->size_count);
        }
    }
    return 0;
}

static void note_sizes(const struct cache_work *work) {
    for (size_t i = 0; i < work->job_count; i++)
        if (work->jobs[i].size.blocks > work->trace->unique) {
            fprintf(stderr,
                    "tiersim: note: a size is larger than the trace's %llu blocks: whoever has it evicts nothing\n",
                    (unsigned long long)work->trace->unique);
            return;
        }
}

double cache_now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct replay_setup cache_setup(const struct cache_work *work, const struct cache_job *job) {
    const struct cache_arguments *a = work->arguments;
    return (struct replay_setup){.trace = work->trace,
                                 .policy = job->policy,
                                 .policy_options = job->options,
                                 .admit = work->admit,
                                 .admit_options = work->admit_options,
                                 .next_use = job->policy->policy.needs & NEED_FUTURE ? work->next_use : NULL,
                                 .capacity_blocks = job->size.blocks,
                                 .capacity_bytes = job->size.bytes,
                                 .prefix = a->prefix,
                                 .full_blocks = a->full_blocks,
                                 .skip = (uint32_t)a->skip,
                                 .costs = &work->costs,
                                 .queue = (uint32_t)a->queue,
                                 .seed = a->seed};
}

static void foresee(struct cache_work *work) {
    for (size_t i = 0; i < work->job_count; i++)
        if (!work->next_use && work->jobs[i].policy->policy.needs & NEED_FUTURE)
            work->next_use = replay_foresee(work->trace, work->arguments->prefix);
}

/* All policies and sizes on all cores: they share the trace in memory. */
static void replay(struct cache_work *work) {
    bool apart = work->arguments->by_role || work->arguments->by_tenant;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < work->job_count; i++) {
        struct cache_job *job = &work->jobs[i];
        struct replay_setup setup = cache_setup(work, job);
        setup.marks = apart ? malloc(work->trace->count + 1) : NULL;
        MUST(!apart || setup.marks != NULL);
        double start = cache_now_s();
        replay_run(&setup, &job->result);
        job->wall_s = cache_now_s() - start;
        if (work->roles)
            replay_count_by(work->trace, setup.marks, work->roles, setup.skip, job->by, ROLES);
        if (work->tenants > 0)
            replay_count_by(work->trace, setup.marks, NULL, setup.skip, job->by + ROLES, work->tenants);
        free(setup.marks);
    }
}

/* One policy after another, at its middle size: what is measured is the process's heap. */
static void measure_state(struct cache_work *work) {
    struct replay_miniatures *small = NULL;
    double bytes_a_block = 1;
    for (uint64_t i = 0; work->trace->sizes && i < work->trace->count; i++)
        bytes_a_block += (double)work->trace->sizes[i] / (double)work->trace->count;
    for (size_t i = 0; i < work->job_count; i += work->size_count) {
        struct cache_job *job = &work->jobs[i], *middle = job + work->size_count / 2;
        struct replay_setup setup = cache_setup(work, middle);
        uint64_t blocks = middle->size.blocks;
        if (i == 0) /* sizes are those of all policies */
            small = replay_miniatures_create(work->trace,
                                             blocks ? blocks : (uint64_t)((double)middle->size.bytes / bytes_a_block));
        double state = replay_state_bytes(&setup, small);
        for (size_t s = 0; s < work->size_count; s++)
            job[s].state_bytes = state;
    }
    replay_miniatures_destroy(small);
}

static void prepare_by(struct cache_work *work, struct arena *arena) {
    const struct cache_arguments *a = work->arguments;
    if (a->by_role)
        work->roles = replay_roles(work->trace);
    for (uint32_t r = 0; a->by_tenant && r < work->trace->request_count; r++)
        if (work->trace->requests[r].tenant >= work->tenants)
            work->tenants = work->trace->requests[r].tenant + 1;
    for (size_t i = 0; i < work->job_count; i++)
        work->jobs[i].by = arena_alloc(arena, (ROLES + (size_t)work->tenants) * sizeof *work->jobs[i].by);
}

/* What can be wrong before anything is replayed. */
static int check(struct cache_arguments *a, const struct cache_work *work, struct error *err) {
    enum { TENANTS_MAX = 100000 };
    if (a->warmup && cache_read_warmup(a->warmup, work->trace, &a->skip, err) != 0)
        return -1;
    if (a->skip >= work->trace->request_count)
        return error_set(err, "--%s %s leaves nothing: the trace has %u requests\n  hint: skip fewer",
                         a->warmup ? "warmup" : "skip", a->warmup ? a->warmup : "so many", work->trace->request_count);
    if (a->by_role && work->trace->block_tokens == 0)
        return error_set(err, "objects have no prompt, and so no role\n  hint: a trace of prompts, or no --by role");
    for (uint32_t r = 0; a->by_tenant && r < work->trace->request_count; r++)
        if (work->trace->requests[r].tenant >= TENANTS_MAX)
            return error_set(err, "--by tenant: the trace has a tenant %u\n  hint: at most %d of them",
                             work->trace->requests[r].tenant, TENANTS_MAX);
    return 0;
}

static int answer(const struct cache_work *work, struct arena *arena, struct error *err) {
    const struct cache_arguments *a = work->arguments;
    bool csv_only = a->csv && strcmp(a->csv, "-") == 0;
    if (a->csv && cache_write_csv(work, a->csv, err) != 0)
        return -1;
    if (a->svg && cache_write_svg(work, a->svg, err) != 0)
        return -1;
    if (a->json)
        cache_print_json(work);
    else if (!csv_only)
        cache_print_table(work, arena);
    return 0;
}

static int run_jobs(struct cache_work *work, struct cache_arguments *a, struct arena *arena, struct error *err) {
    if (check(a, work, err) != 0)
        return -1;
    work->costs = cache_costs(work->trace->block_tokens);
    if (plan_jobs(work, arena, err) != 0)
        return -1;
    if (a->bound && cache_check_bound(work, err) != 0)
        return -1;
    note_sizes(work);
    prepare_by(work, arena);
    foresee(work);
    if (a->curve)
        cache_curve(work);
    else
        replay(work);
    if (a->bound)
        cache_find_bounds(work, arena);
    measure_state(work);
    return answer(work, arena, err);
}

static int cache(struct cache_arguments *a, struct arena *arena, struct error *err) {
    struct cache_work work = {.arguments = a};
    if (a->plugin && policy_load_plugin(a->plugin, err) != 0)
        return -1;
    if (a->replay_log)
        return cache_replay_log(a, arena, err);
    const struct policy *admit = NULL;
    if (a->admit && read_policy(POLICY_ADMIT, a->admit, arena, &admit, &work.admit_options, err) != 0)
        return -1;
    work.admit = (const struct admit_policy *)admit;
    if (cache_read_trace(a, arena, &work.trace, err) != 0)
        return -1;
    int failed = run_jobs(&work, a, arena, err);
    shards_destroy(&work.shards);
    free(work.roles);
    free(work.next_use);
    replay_trace_destroy(work.trace);
    return failed;
}

int verb_cache(int argc, char **argv) {
    struct cache_arguments arguments = {.seed = 1};
    cache_parse(argc, argv, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = cache(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
