/* What `tiersim cache` prints. */
#include <libsmartcols/libsmartcols.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "sim/cli/cache.h"
#include "sim/output/json.h"

bool cache_sees_future(const struct cache_job *job) {
    return (job->policy->policy.needs & (NEEDS_CLAIRVOYANT | NEED_QUEUE | NEED_AGENT_GRAPH)) != 0;
}

static double share(uint64_t part, uint64_t whole_count) {
    return whole_count ? (double)part / (double)whole_count : 0;
}

static void print_json_by(struct json *json, const char *key, const char *name, const struct role_counts *counts,
                          uint32_t count, const char *const *names) {
    json_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        if (counts[i].accesses == 0)
            continue;
        json_object(json, NULL);
        if (names)
            json_string(json, name, names[i]);
        else
            json_integer(json, name, i);
        json_integer(json, "accesses", (int64_t)counts[i].accesses);
        json_integer(json, "hits", (int64_t)counts[i].hits);
        json_object_end(json);
    }
    json_array_end(json);
}

static void print_json_result(struct json *json, const struct cache_work *work, const struct cache_job *job) {
    const struct replay_result *r = &job->result;
    unsigned lifts = job->policy->lifts;
    json_object(json, NULL);
    json_string(json, "policy", job->policy->policy.name);
    json_integer(json, "size", (int64_t)(job->size.bytes ? job->size.bytes : job->size.blocks));
    json_string(json, "size_unit", job->size.bytes ? "bytes" : "blocks");
    json_integer(json, "hits", (int64_t)r->hits);
    json_integer(json, "misses", (int64_t)r->misses);
    json_number(json, "miss_ratio", share(r->misses, r->accesses));
    json_string(json, "method", cache_method_names[job->method]);
    if (job->method == CACHE_SAMPLED) {
        json_number(json, "miss_ratio_low", job->estimate.low);
        json_number(json, "miss_ratio_high", job->estimate.high);
        json_number(json, "sample_rate", work->shards.rate);
        json_integer(json, "samples", work->shards.parts);
    } else {
        json_integer(json, "inserted", (int64_t)r->inserted);
        json_integer(json, "evicted", (int64_t)r->evicted);
    }
    if (work->arguments->skip > 0 && job->method != CACHE_SAMPLED) {
        json_integer(json, "warmup_accesses", (int64_t)r->warm_accesses);
        json_integer(json, "warmup_hits", (int64_t)r->warm_hits);
    }
    json_boolean(json, "clairvoyant", cache_sees_future(job));
    if (work->arguments->prefix) {
        json_string(json, "lift", lifts & LIFT_LEAF ? "leaf" : lifts & LIFT_ORPHAN ? "orphan" : "cascade");
        json_integer(json, "prompt_tokens", (int64_t)r->tokens);
        json_integer(json, "hit_tokens", (int64_t)r->hit_tokens);
        json_number(json, "token_hit_ratio", share(r->hit_tokens, r->tokens));
        if (job->method == CACHE_SAMPLED) {
            json_number(json, "token_hit_ratio_low", job->estimate.token_low);
            json_number(json, "token_hit_ratio_high", job->estimate.token_high);
        }
    }
    if (work->roles)
        print_json_by(json, "by_role", "role", job->by, ROLES, role_names);
    if (work->tenants > 0)
        print_json_by(json, "by_tenant", "tenant", job->by + ROLES, work->tenants, NULL);
    if (job->state_bytes < 0)
        json_null(json, "state_bytes_per_block");
    else
        json_number(json, "state_bytes_per_block", job->state_bytes);
    if (work->trace->sizes && job->method != CACHE_SAMPLED && (job->method == CACHE_REPLAYED || job->size.bytes))
        json_number(json, "byte_miss_ratio", 1 - share(r->hit_bytes, r->bytes));
    if (work->bounds) {
        double bound_share = cache_bound_share(work, job);
        if (work->arguments->prefix) {
            json_number(json, "computed_s", r->computed_s);
            json_number(json, "saved_s", cache_saved_s(work, job));
        }
        if (isnan(bound_share))
            json_null(json, "share_of_bound");
        else
            json_number(json, "share_of_bound", bound_share);
    }
    json_number(json, "wall_s", job->wall_s);
    json_object_end(json);
}

void cache_print_json(const struct cache_work *work) {
    const struct cache_arguments *a = work->arguments;
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "trace", a->trace);
    json_string(&json, "semantics", a->prefix ? "prefix" : "flat");
    if (a->prefix)
        json_string(&json, "rule", a->full_blocks ? "full blocks" : "last partial block cached and matched");
    if (work->admit)
        json_string(&json, "admit", work->admit->policy.name);
    json_integer(&json, "accesses", (int64_t)work->trace->count);
    json_integer(&json, "unique", (int64_t)work->trace->unique);
    json_integer(&json, "requests", work->trace->request_count);
    json_integer(&json, "skipped_requests", (int64_t)a->skip);
    if (work->bounds)
        cache_print_bounds(&json, work);
    json_array(&json, "results");
    for (size_t i = 0; i < work->job_count; i++)
        print_json_result(&json, work, &work->jobs[i]);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* Columns of the table, from the left; which of them there are. */
enum column { POLICY, SIZE, HITS, MISSES, MISSED, WITHIN, TOKENS, METHOD, WARM, SAVED, BOUND, STATE, TOOK, COLUMNS };
static const char *const titles[COLUMNS] = {"policy",        "size",       "hits", "misses",     "missed",
                                            "95 % interval", "tokens hit", "how",  "warmup hit", "saved",
                                            "of bound",      "state B",    "took"};

static bool shows(const struct cache_work *work, enum column column) {
    const struct cache_arguments *a = work->arguments;
    switch (column) {
    case WITHIN:
        return work->shards.parts > 0;
    case TOKENS:
        return a->prefix;
    case METHOD:
        return a->curve;
    case WARM:
        return a->skip > 0;
    case SAVED:
        return work->bounds && a->prefix;
    case BOUND:
        return work->bounds != NULL;
    default:
        return true;
    }
}

static const char *cell(const struct cache_work *work, const struct cache_job *job, enum column column,
                        struct arena *arena) {
    const struct replay_result *r = &job->result;
    bool sampled = job->method == CACHE_SAMPLED;
    char size[32];
    switch (column) {
    case POLICY:
        return arena_printf(arena, "%s%s", job->policy->policy.name, cache_sees_future(job) ? " *" : "");
    case SIZE:
        if (job->size.bytes)
            return arena_strdup(arena, unit_format(size, sizeof size, (double)job->size.bytes, UNIT_BYTES, 4));
        return arena_printf(arena, "%llu", (unsigned long long)job->size.blocks);
    case HITS:
        return arena_printf(arena, "%llu", (unsigned long long)r->hits);
    case MISSES:
        return arena_printf(arena, "%llu", (unsigned long long)r->misses);
    case MISSED:
        return arena_printf(arena, "%.2f %%", 100 * share(r->misses, r->accesses));
    case WITHIN:
        return sampled ? arena_printf(arena, "%.2f to %.2f %%", 100 * job->estimate.low, 100 * job->estimate.high) : "";
    case TOKENS:
        return arena_printf(arena, "%.2f %%", 100 * share(r->hit_tokens, r->tokens));
    case METHOD:
        return cache_method_names[job->method];
    case WARM:
        return sampled ? "" : arena_printf(arena, "%.2f %%", 100 * share(r->warm_hits, r->warm_accesses));
    case SAVED:
        return arena_printf(arena, "%.4g s", cache_saved_s(work, job));
    case BOUND:
        return isnan(cache_bound_share(work, job)) ? ""
                                                   : arena_printf(arena, "%.1f %%", 100 * cache_bound_share(work, job));
    case STATE:
        return job->state_bytes < 0 ? "" : arena_printf(arena, "%.0f", job->state_bytes);
    case TOOK:
        return arena_printf(arena, "%.2f s", job->wall_s);
    default:
        return "";
    }
}

/* Hits apart: a line a job and role, or tenant. */
static void print_by(const struct cache_work *work, const char *what, const char *const *names, uint32_t from,
                     uint32_t count, struct arena *arena) {
    struct libscols_table *table = scols_new_table();
    MUST(table != NULL);
    scols_table_new_column(table, "policy", 0, 0);
    scols_table_new_column(table, "size", 0, SCOLS_FL_RIGHT);
    scols_table_new_column(table, what, 0, 0);
    scols_table_new_column(table, "accesses", 0, SCOLS_FL_RIGHT);
    scols_table_new_column(table, "hit", 0, SCOLS_FL_RIGHT);
    for (size_t i = 0; i < work->job_count; i++)
        for (uint32_t c = 0; c < count; c++) {
            const struct role_counts *counts = &work->jobs[i].by[from + c];
            if (counts->accesses == 0)
                continue;
            struct libscols_line *line = scols_table_new_line(table, NULL);
            MUST(line != NULL);
            scols_line_set_data(line, 0, cell(work, &work->jobs[i], POLICY, arena));
            scols_line_set_data(line, 1, cell(work, &work->jobs[i], SIZE, arena));
            scols_line_set_data(line, 2, names ? names[c] : arena_printf(arena, "%u", c));
            scols_line_set_data(line, 3, arena_printf(arena, "%llu", (unsigned long long)counts->accesses));
            scols_line_set_data(line, 4, arena_printf(arena, "%.2f %%", 100 * share(counts->hits, counts->accesses)));
        }
    printf("\n");
    scols_print_table(table);
    scols_unref_table(table);
}

static void print_notes(const struct cache_work *work) {
    bool clairvoyant = false;
    for (size_t i = 0; i < work->job_count; i++)
        clairvoyant |= cache_sees_future(&work->jobs[i]);
    if (clairvoyant)
        printf("\n* sees the future%s\n", work->arguments->prefix ? "; under prefix semantics not a proven bound" : "");
    for (size_t s = 0; work->bounds && s < work->size_count && s < work->job_count; s++)
        if (work->arguments->prefix)
            printf(
                "%sbound at %llu blocks: no policy saves more than %.4g s of the prompts' %.4g s; room for all saves "
                "%.4g s\n",
                s ? "" : "\n", (unsigned long long)work->jobs[s].size.blocks, work->bounds[s].saving.seconds,
                work->bounds[s].prompts_s, work->bounds[s].saving.endless_s);
        else
            printf("%sbound at %llu blocks: Belady's %llu hits\n", s ? "" : "\n",
                   (unsigned long long)work->jobs[s].size.blocks, (unsigned long long)work->bounds[s].hits);
    if (work->shards.parts > 0)
        printf("\nsampled: %u samples of %.3g %% of the blocks each; the interval is of the sampling error alone\n",
               work->shards.parts, 100 * work->shards.rate);
    if (work->arguments->skip > 0)
        printf("\n%llu requests warmed the cache and count for nothing but \"warmup hit\"\n",
               (unsigned long long)work->arguments->skip);
}

void cache_print_table(const struct cache_work *work, struct arena *arena) {
    const struct cache_arguments *a = work->arguments;
    printf("%s, %s semantics%s%s%s: %llu accesses to %llu blocks\n\n", a->trace, a->prefix ? "prefix" : "flat",
           a->full_blocks ? " (full blocks)" : "", work->admit ? ", admission " : "",
           work->admit ? work->admit->policy.name : "", (unsigned long long)work->trace->count,
           (unsigned long long)work->trace->unique);
    scols_init_debug(0);
    struct libscols_table *table = scols_new_table();
    MUST(table != NULL);
    for (enum column c = POLICY; c < COLUMNS; c++)
        if (shows(work, c))
            scols_table_new_column(table, titles[c], 0, c == POLICY || c == METHOD ? 0 : SCOLS_FL_RIGHT);
    for (size_t i = 0; i < work->job_count; i++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        MUST(line != NULL);
        size_t at = 0;
        for (enum column c = POLICY; c < COLUMNS; c++)
            if (shows(work, c))
                scols_line_set_data(line, at++, cell(work, &work->jobs[i], c, arena));
    }
    scols_print_table(table);
    scols_unref_table(table);
    if (work->roles)
        print_by(work, "role", role_names, 0, ROLES, arena);
    if (work->tenants > 0)
        print_by(work, "tenant", NULL, ROLES, work->tenants, arena);
    print_notes(work);
}
