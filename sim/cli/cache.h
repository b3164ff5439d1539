/* What the files of `tiersim cache` share: cache.c asks, cache_trace.c reads, cache_print.c answers. */
#ifndef SIM_CLI_CACHE_H
#define SIM_CLI_CACHE_H

#include "sim/base/arena.h"
#include "sim/memory/replay.h"

struct cache_arguments {
    const char *trace, *policies, *sizes, *admit, *plugin, *format;
    const char *replay_log; /* of a run's tiers, instead of a trace */
    uint64_t seed, skip, queue;
    bool prefix, full_blocks, dedupe, json;
};

struct cache_size {
    uint64_t blocks, bytes;
};
struct cache_job {
    const struct evict_policy *policy;
    const void *options;
    struct cache_size size;
    struct replay_result result;
    double wall_s;
};
struct cache_work {
    const struct cache_arguments *arguments;
    struct replay_trace *trace;
    const struct admit_policy *admit;
    const void *admit_options;
    int64_t *next_use;
    struct evict_costs costs;
    struct cache_job *jobs;
    size_t job_count;
};

/* Finds and reads the trace. 0, or -1 with the place and the remedy. */
int cache_read_trace(const struct cache_arguments *a, struct arena *arena, struct replay_trace **out,
                     struct error *err);

/* `tiersim trace convert`: a trace's block accesses as FILE.blocks, mapped when it is read, or FILE.oracleGeneral.bin;
 * cache_is_target says whether a file's name asks for that. */
bool cache_is_target(const char *path);
int cache_convert(const char *source, const char *format, bool dedupe, const char *path, struct arena *arena,
                  struct error *err);

/* For policies that weigh what a loss costs: computing, of a model that stands for any. */
struct evict_costs cache_costs(uint32_t block_tokens);

/* `tiersim cache --replay-log`: what the tiers of a run saw, through the policies that it had or others. */
int cache_replay_log(const struct cache_arguments *a, struct arena *arena, struct error *err);

void cache_print_json(const struct cache_work *work);
void cache_print_table(const struct cache_work *work, struct arena *arena);

#endif
