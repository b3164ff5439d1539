/* What the files of `tiersim cache` share: cache_options.c asks, cache_trace.c and cache_sizes.c read, cache.c and
 * cache_curve.c replay, cache_print.c, cache_csv.c and cache_svg.c answer. */
#ifndef SIM_CLI_CACHE_H
#define SIM_CLI_CACHE_H

#include "sim/base/arena.h"
#include "sim/base/option.h"
#include "sim/memory/replay.h"
#include "sim/memory/roles.h"
#include "sim/memory/saving_bound.h"
#include "sim/memory/shards.h"

enum { CACHE_SAMPLES = 8 }; /* of a curve, unless said otherwise */

struct cache_arguments {
    const char *trace, *policies, *sizes, *admit, *plugin, *format;
    const char *replay_log; /* of a run's tiers, instead of a trace */
    const char *svg, *csv, *warmup;
    double sample;  /* of a curve: share of the blocks, 0: found out */
    uint64_t parts; /* of a curve: samples, 0: as usual */
    uint64_t seed, skip, queue;
    bool prefix, full_blocks, dedupe, json, curve, by_role, by_tenant, bound;
};
void cache_parse(int argc, char **argv, struct cache_arguments *arguments);

struct cache_size {
    uint64_t blocks, bytes; /* one of them is 0 */
};
/* Where a job's counts come from. */
enum cache_method {
    CACHE_REPLAYED, /* a replay at its size */
    CACHE_EXACT,    /* one pass for all sizes: the same counts */
    CACHE_SAMPLED   /* estimated: hits and misses are the estimate times the accesses */
};
extern const char *const cache_method_names[];
struct cache_job {
    const struct evict_policy *policy;
    const void *options;
    struct cache_size size;
    enum cache_method method;
    struct replay_result result;
    struct shards_estimate estimate;
    struct role_counts *by; /* --by: by role, then by tenant */
    double state_bytes;     /* of its policy, for a block it holds; < 0: not measured */
    double wall_s;
};
/* --bound, of one size. */
struct cache_bound {
    struct saving_bound saving; /* prefix */
    double prompts_s;           /* prefix: computing all prompts whole */
    uint64_t hits;              /* flat */
};
struct cache_work {
    const struct cache_arguments *arguments;
    struct replay_trace *trace;
    const struct admit_policy *admit;
    const void *admit_options;
    int64_t *next_use;
    struct evict_costs costs;
    struct cache_job *jobs;
    size_t job_count, size_count; /* jobs of a policy stand together, by size */
    struct shards shards;         /* of a curve, made where one is sampled */
    uint8_t *roles;               /* --by role: by access */
    uint32_t tenants;             /* --by tenant: there are */
    struct cache_bound *bounds;   /* --bound: by size, else NULL */
};
/* In a replay the queue and the agents' order are the trace's future too. */
bool cache_sees_future(const struct cache_job *job);
/* The setup of a job's replay. */
struct replay_setup cache_setup(const struct cache_work *work, const struct cache_job *job);
double cache_now_s(void);

/* --policy, --size: the items of a list, split at commas outside braces. */
struct list cache_split(const char *text, struct arena *arena);
/* Sizes as a user writes them. sorted: ascending, each once. */
int cache_read_sizes(const char *text, const struct replay_trace *trace, bool sorted, struct arena *arena,
                     struct cache_size **out, size_t *count, struct error *err);
/* --warmup: requests that it stands for. */
int cache_read_warmup(const char *text, const struct replay_trace *trace, uint64_t *skip, struct error *err);

/* Fills in the jobs of a curve. */
void cache_curve(struct cache_work *work);

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

/* --bound: for each size the most that any policy could do (cache_saving.c says of what), work->bounds; what a job
 * saves of prefill, and its share of the bound (NAN where that is 0); an array `bounds`. -1: not to be had here. */
struct json;
int cache_check_bound(const struct cache_work *work, struct error *err);
void cache_find_bounds(struct cache_work *work, struct arena *arena);
double cache_saved_s(const struct cache_work *work, const struct cache_job *job);
double cache_bound_share(const struct cache_work *work, const struct cache_job *job);
void cache_print_bounds(struct json *json, const struct cache_work *work);
void cache_print_json(const struct cache_work *work);
void cache_print_table(const struct cache_work *work, struct arena *arena);
/* -1: the file cannot be written. */
int cache_write_csv(const struct cache_work *work, const char *path, struct error *err);
int cache_write_svg(const struct cache_work *work, const char *path, struct error *err);

#endif
