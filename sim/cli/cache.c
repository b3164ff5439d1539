/* `tiersim cache`: a trace through eviction policies, block by block. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/cli/args.h"
#include "sim/cli/cache.h"
#include "sim/cli/policy.h"
#include "sim/cli/verbs.h"

enum {
    KEY_SIZE = 256,
    KEY_SEMANTICS,
    KEY_FULL,
    KEY_JSON,
    KEY_ADMIT,
    KEY_PLUGIN,
    KEY_FORMAT,
    KEY_SKIP,
    KEY_SEED,
    KEY_DEDUPE,
    KEY_QUEUE,
    KEY_REPLAY_LOG
};
static const struct argp_option choices[] = {
    {"policy", 'p', "NAME,...", 0,
     "eviction policies; all: each that supports the semantics; one with options: '{name: priority, default_priority: "
     "50}'",
     0},
    {"size", KEY_SIZE, "N,...", 0,
     "blocks (objects), or bytes of objects with a unit (128MiB); unbounded: room for all", 0},
    {"semantics", KEY_SEMANTICS, "flat|prefix", 0,
     "each block by itself (default), or the longest resident run from the first", 0},
    {"full-blocks", KEY_FULL, NULL, 0,
     "prefix: vLLM's rule, full blocks only and at most the input's length - 1 tokens hit", 0},
    {"admit", KEY_ADMIT, "NAME", 0, "an admission policy in front (default always)", 0},
    {"skip", KEY_SKIP, "N", 0, "the first N requests warm the cache and count for nothing", 0},
    {"format", KEY_FORMAT, "NAME", 0,
     "of the trace: mooncake, bailian, agentic, oracle (oracleGeneral) or lines (id[,size]); found out by default", 0},
    {"queue", KEY_QUEUE, "N", 0,
     "the next N requests wait and say what they will ask for (policies that look at a queue)", 0},
    {"replay-log", KEY_REPLAY_LOG, "FILE", 0,
     "instead of a trace: what each tier of a run saw (run --access-log FILE), through the policy that it had and "
     "those of "
     "--policy, at its size or those of --size",
     0},
    {"dedupe", KEY_DEDUPE, NULL, 0, "drop sessions that repeat an earlier one", 0},
    {"plugin", KEY_PLUGIN, "FILE", 0, "load policies built outside first", 0},
    {"seed", KEY_SEED, "N", 0, "of policies that draw (default 1)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output", 0},
    {0}};

static uint64_t whole(const char *option, const char *text, struct argp_state *state) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-')
        argp_error(state, "--%s '%s' is not a whole number", option, text);
    return value;
}

static void set_semantics(struct cache_arguments *a, const char *text, struct argp_state *state) {
    a->prefix = strcmp(text, "prefix") == 0;
    if (!a->prefix && strcmp(text, "flat") != 0)
        argp_error(state, "--semantics '%s' is not known; hint: flat or prefix", text);
}

static error_t parse(int key, char *text, struct argp_state *state) {
    struct cache_arguments *a = state->input;
    switch (key) {
    case 'p':
        a->policies = text;
        return 0;
    case KEY_SIZE:
        a->sizes = text;
        return 0;
    case KEY_SEMANTICS:
        set_semantics(a, text, state);
        return 0;
    case KEY_FULL:
        a->full_blocks = true;
        return 0;
    case KEY_ADMIT:
        a->admit = text;
        return 0;
    case KEY_PLUGIN:
        a->plugin = text;
        return 0;
    case KEY_FORMAT:
        a->format = text;
        return 0;
    case KEY_SKIP:
        a->skip = whole("skip", text, state);
        return 0;
    case KEY_SEED:
        a->seed = whole("seed", text, state);
        return 0;
    case KEY_QUEUE:
        a->queue = whole("queue", text, state);
        if (a->queue > 1000000)
            argp_error(state, "--queue %s is more than 1000000", text);
        return 0;
    case KEY_DEDUPE:
        a->dedupe = true;
        return 0;
    case KEY_REPLAY_LOG:
        a->replay_log = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->trace)
            argp_error(state, "one trace, not two");
        a->trace = text;
        return 0;
    case ARGP_KEY_END:
        if (a->replay_log && a->trace)
            argp_error(state, "a TRACE or a --replay-log, not both");
        if (a->replay_log)
            return 0;
        if (!a->trace || !a->policies || !a->sizes)
            argp_error(state, "a TRACE, --policy and --size are needed");
        if (a->full_blocks && !a->prefix)
            argp_error(state, "--full-blocks goes with --semantics prefix");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The items of a list, split at commas outside braces. */
static struct list split(const char *text, struct arena *arena) {
    size_t most = 1, depth = 0;
    for (const char *at = text; *at; at++)
        most += *at == ',';
    struct list list = {.items = arena_alloc(arena, most * sizeof(char *))};
    const char *start = text;
    for (const char *at = text;; at++) {
        depth += *at == '{';
        depth -= *at == '}' && depth > 0;
        if (*at && (*at != ',' || depth > 0))
            continue;
        ((char **)list.items)[list.count++] = arena_printf(arena, "%.*s", (int)(at - start), start);
        if (!*at)
            return list;
        start = at + 1;
    }
}

static int read_policy(enum policy_kind kind, const char *text, struct arena *arena, const struct policy **policy,
                       const void **options, struct error *err) {
    struct node *node;
    char *copy = arena_strdup(arena, text);
    if (node_read_text(copy, strlen(copy), kind == POLICY_ADMIT ? "--admit" : "--policy", arena, &node, err) != 0)
        return -1;
    return policy_resolve(kind, node, NULL, arena, policy, options, err);
}

static int read_size(const char *text, const struct replay_trace *trace, struct cache_size *out, struct error *err) {
    char *end;
    double bytes;
    *out = (struct cache_size){0};
    if (strcmp(text, "unbounded") == 0) {
        out->blocks = trace->unique;
        return 0;
    }
    errno = 0;
    unsigned long long blocks = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == 0 && errno == 0) {
        out->blocks = blocks;
        if (blocks > 0 && blocks < UINT32_MAX / 2)
            return 0;
        return error_set(err, "--size %s is outside 1 to %u blocks\n  hint: `unbounded` is room for all", text,
                         UINT32_MAX / 2 - 1);
    }
    if (unit_parse(text, UNIT_BYTES, &bytes, err) != 0)
        return error_set(
            err, "--size '%s' is no number of blocks and no number of bytes\n  hint: 4000, 128MiB or unbounded", text);
    if (!trace->sizes)
        return error_set(
            err, "--size %s: the blocks of this trace have no size in bytes\n  hint: give a number of blocks", text);
    if (bytes < 1 || bytes > 1e18)
        return error_set(err, "--size %s is out of range\n  hint: 1 B to 1e18 B", text);
    out->bytes = (uint64_t)bytes;
    return 0;
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

static int plan_jobs(struct cache_work *work, struct arena *arena, struct error *err) {
    const struct cache_arguments *a = work->arguments;
    struct list names = split(a->policies, arena), texts = split(a->sizes, arena);
    struct cache_size *sizes = arena_alloc(arena, texts.count * sizeof *sizes);
    for (size_t i = 0; i < texts.count; i++)
        if (read_size(((char **)texts.items)[i], work->trace, &sizes[i], err) != 0)
            return -1;
    size_t all = 0;
    const struct policy *policy;
    const void *options;
    while (policy_at(POLICY_EVICT, all))
        all++;
    work->jobs = arena_alloc(arena, names.count * (all + 1) * texts.count * sizeof *work->jobs);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = ((char **)names.items)[i];
        if (strcmp(name, "all") != 0) {
            if (read_policy(POLICY_EVICT, name, arena, &policy, &options, err) != 0 || can_run(work, policy, err) != 0)
                return -1;
            add_jobs(work, policy, options, sizes, texts.count);
            continue;
        }
        for (size_t p = 0; p < all; p++) {
            struct error cannot;
            if (can_run(work, policy_at(POLICY_EVICT, p), &cannot) != 0)
                continue;
            if (read_policy(POLICY_EVICT, policy_at(POLICY_EVICT, p)->name, arena, &policy, &options, err) != 0)
                return -1;
            add_jobs(work, policy, options, sizes, texts.count);
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

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void replay(struct cache_work *work) {
    const struct cache_arguments *a = work->arguments;
    for (size_t i = 0; i < work->job_count; i++)
        if (!work->next_use && work->jobs[i].policy->policy.needs & NEED_FUTURE)
            work->next_use = replay_foresee(work->trace, a->prefix);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < work->job_count; i++) {
        struct cache_job *job = &work->jobs[i];
        bool future = job->policy->policy.needs & NEED_FUTURE;
        struct replay_setup setup = {.trace = work->trace,
                                     .policy = job->policy,
                                     .policy_options = job->options,
                                     .admit = work->admit,
                                     .admit_options = work->admit_options,
                                     .next_use = future ? work->next_use : NULL,
                                     .capacity_blocks = job->size.blocks,
                                     .capacity_bytes = job->size.bytes,
                                     .prefix = a->prefix,
                                     .full_blocks = a->full_blocks,
                                     .skip = (uint32_t)a->skip,
                                     .costs = &work->costs,
                                     .queue = (uint32_t)a->queue,
                                     .seed = a->seed};
        double start = now_s();
        replay_run(&setup, &job->result);
        job->wall_s = now_s() - start;
    }
}

static int cache(const struct cache_arguments *a, struct arena *arena, struct error *err) {
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
    work.costs = cache_costs(work.trace->block_tokens);
    int failed = plan_jobs(&work, arena, err);
    if (!failed && a->skip >= work.trace->request_count)
        failed = error_set(err, "--skip %llu leaves nothing: the trace has %u requests\n  hint: skip fewer",
                           (unsigned long long)a->skip, work.trace->request_count);
    if (!failed) {
        note_sizes(&work);
        replay(&work);
        if (a->json)
            cache_print_json(&work);
        else
            cache_print_table(&work, arena);
    }
    free(work.next_use);
    replay_trace_destroy(work.trace);
    return failed;
}

int verb_cache(int argc, char **argv) {
    static const struct argp argp = {
        choices,
        parse,
        "TRACE",
        "Replays a trace's blocks through eviction policies and counts their misses. TRACE - is standard input.",
        NULL,
        NULL,
        NULL};
    struct cache_arguments arguments = {.seed = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = cache(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
