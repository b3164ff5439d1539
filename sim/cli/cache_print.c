/* What `tiersim cache` prints. */
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <string.h>

#include "sim/cli/cache.h"
#include "sim/output/json.h"

/* In a replay the queue and the agents' order are the trace's future too. */
static bool sees_future(const struct cache_job *job) {
    return (job->policy->policy.needs & (NEEDS_CLAIRVOYANT | NEED_QUEUE | NEED_AGENT_GRAPH)) != 0;
}

static double share(uint64_t part, uint64_t whole_count) {
    return whole_count ? (double)part / (double)whole_count : 0;
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
    json_integer(json, "inserted", (int64_t)r->inserted);
    json_integer(json, "evicted", (int64_t)r->evicted);
    json_boolean(json, "clairvoyant", sees_future(job));
    if (work->arguments->prefix) {
        json_string(json, "lift", lifts & LIFT_LEAF ? "leaf" : lifts & LIFT_ORPHAN ? "orphan" : "cascade");
        json_integer(json, "prompt_tokens", (int64_t)r->tokens);
        json_integer(json, "hit_tokens", (int64_t)r->hit_tokens);
        json_number(json, "token_hit_ratio", share(r->hit_tokens, r->tokens));
    }
    if (work->trace->sizes)
        json_number(json, "byte_miss_ratio", 1 - share(r->hit_bytes, r->bytes));
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
    json_array(&json, "results");
    for (size_t i = 0; i < work->job_count; i++)
        print_json_result(&json, work, &work->jobs[i]);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void fill_line(struct libscols_line *line, const struct cache_work *work, const struct cache_job *job,
                      struct arena *arena) {
    const struct replay_result *r = &job->result;
    char size[32];
    if (job->size.bytes)
        unit_format(size, sizeof size, (double)job->size.bytes, UNIT_BYTES, 4);
    else
        snprintf(size, sizeof size, "%llu", (unsigned long long)job->size.blocks);
    const char *mark = sees_future(job) ? " *" : "";
    size_t column = 0;
    scols_line_set_data(line, column++, arena_printf(arena, "%s%s", job->policy->policy.name, mark));
    scols_line_set_data(line, column++, size);
    scols_line_set_data(line, column++, arena_printf(arena, "%llu", (unsigned long long)r->hits));
    scols_line_set_data(line, column++, arena_printf(arena, "%llu", (unsigned long long)r->misses));
    scols_line_set_data(line, column++, arena_printf(arena, "%.2f %%", 100 * share(r->misses, r->accesses)));
    if (work->arguments->prefix)
        scols_line_set_data(line, column++, arena_printf(arena, "%.2f %%", 100 * share(r->hit_tokens, r->tokens)));
    scols_line_set_data(line, column++, arena_printf(arena, "%.2f s", job->wall_s));
}

void cache_print_table(const struct cache_work *work, struct arena *arena) {
    const struct cache_arguments *a = work->arguments;
    bool clairvoyant = false;
    printf("%s, %s semantics%s%s%s: %llu accesses to %llu blocks\n\n", a->trace, a->prefix ? "prefix" : "flat",
           a->full_blocks ? " (full blocks)" : "", work->admit ? ", admission " : "",
           work->admit ? work->admit->policy.name : "", (unsigned long long)work->trace->count,
           (unsigned long long)work->trace->unique);
    scols_init_debug(0);
    struct libscols_table *table = scols_new_table();
    MUST(table != NULL);
    scols_table_new_column(table, "policy", 0, 0);
    static const char *const columns[] = {"size", "hits", "misses", "missed", "tokens hit", "took"};
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        if (a->prefix || strcmp(columns[c], "tokens hit") != 0)
            scols_table_new_column(table, columns[c], 0, SCOLS_FL_RIGHT);
    for (size_t i = 0; i < work->job_count; i++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        MUST(line != NULL);
        fill_line(line, work, &work->jobs[i], arena);
        clairvoyant |= sees_future(&work->jobs[i]);
    }
    scols_print_table(table);
    scols_unref_table(table);
    if (clairvoyant)
        printf("\n* sees the future%s\n", a->prefix ? "; under prefix semantics not a proven bound" : "");
}
