/* `tiersim cache --replay-log`: the tiers of a recorded run, each through the policy that it had, and through others.
 */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cache.h"
#include "sim/cli/policy.h"
#include "sim/memory/access_log.h"
#include "sim/output/json.h"

struct log_job {
    uint32_t unit;
    const struct evict_policy *policy;
    const void *options;
    uint64_t capacity;
    bool logged; /* the policy and size that the tier had */
    struct access_result result;
};
struct log_work {
    const struct cache_arguments *arguments;
    struct access_file *file;
    struct log_job *jobs;
    size_t count;
};

/* The items of a list as a user writes it: NAME,{name: NAME, its options}. */
static int read_list(const char *text, const char *name, struct arena *arena, struct node **out, struct error *err) {
    char *list = arena_printf(arena, "[%s]", text);
    return node_read_text(list, strlen(list), name, arena, out, err);
}

static int add_logged(struct log_work *work, struct arena *arena, struct error *err) {
    for (uint32_t u = 0; u < access_file_units(work->file); u++) {
        const struct access_unit *unit = access_file_unit(work->file, u);
        struct node *list;
        const struct policy *policy;
        struct log_job job = {.unit = u, .capacity = unit->capacity_blocks, .logged = true};
        if (read_list(unit->policy, "the log's policy", arena, &list, err) != 0)
            return -1;
        if (list->count != 1)
            return error_set(err, "the log's policy '%s' is not one\n  hint: is the log whole?", unit->policy);
        if (policy_resolve(POLICY_EVICT, list->items[0], NULL, arena, &policy, &job.options, err) != 0)
            return -1;
        job.policy = (const struct evict_policy *)policy;
        if (unit->prefix && job.policy->lifts == LIFT_NONE)
            return tier_can_run(job.policy, 0, true, err);
        work->jobs[work->count++] = job;
    }
    return 0;
}

static int read_sizes(const char *text, struct arena *arena, uint64_t **sizes, size_t *count, struct error *err) {
    struct node *list;
    if (read_list(text, "--size", arena, &list, err) != 0)
        return -1;
    *sizes = arena_alloc(arena, (list->count + 1) * sizeof **sizes);
    *count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const char *word = list->items[i]->kind == NODE_SCALAR ? list->items[i]->text : "";
        char *end;
        errno = 0;
        unsigned long long blocks = strtoull(word, &end, 10);
        if (errno != 0 || end == word || *end != 0 || word[0] == '-' || blocks == 0 || blocks >= UINT32_MAX / 2)
            return error_at(
                err, list->items[i]->at,
                "--size '%s' is no number of blocks from 1 to %u\n  hint: without --size each tier has its own", word,
                UINT32_MAX / 2 - 1);
        (*sizes)[(*count)++] = blocks;
    }
    return 0;
}

/* One policy through every tier, at every size. all: of those that cannot run there, none is missed. */
static int add_policy(struct log_work *work, const struct policy *policy, const void *options, const uint64_t *sizes,
                      size_t size_count, bool all, struct error *err) {
    for (uint32_t u = 0; u < access_file_units(work->file); u++) {
        const struct access_unit *unit = access_file_unit(work->file, u);
        struct log_job job = {.unit = u, .policy = (const struct evict_policy *)policy, .options = options};
        struct error cannot;
        if (tier_can_run(job.policy, access_file_gives(work->file, u), unit->prefix, all ? &cannot : err) != 0) {
            if (all)
                continue;
            return -1;
        }
        for (size_t s = 0; s < (size_count > 0 ? size_count : 1); s++) {
            job.capacity = size_count > 0 ? sizes[s] : unit->capacity_blocks;
            work->jobs[work->count++] = job;
        }
    }
    return 0;
}

static int plan(struct log_work *work, struct arena *arena, struct error *err) {
    const struct cache_arguments *a = work->arguments;
    struct node *names = NULL;
    uint64_t *sizes = NULL;
    size_t size_count = 0, all = 0, wanted = 0;
    while (policy_at(POLICY_EVICT, all))
        all++;
    if (a->policies && read_list(a->policies, "--policy", arena, &names, err) != 0)
        return -1;
    if (a->sizes && read_sizes(a->sizes, arena, &sizes, &size_count, err) != 0)
        return -1;
    wanted = names ? names->count * all : 0;
    work->jobs =
        arena_alloc(arena, access_file_units(work->file) * (1 + wanted * (size_count + 1)) * sizeof *work->jobs);
    if (add_logged(work, arena, err) != 0)
        return -1;
    for (size_t i = 0; names && i < names->count; i++) {
        const struct policy *policy;
        const void *options;
        const struct node *item = names->items[i];
        bool every = item->kind == NODE_SCALAR && strcmp(item->text, "all") == 0;
        for (size_t p = 0; p < (every ? all : 1); p++) {
            struct node by_name = *item;
            if (every)
                by_name.text = policy_at(POLICY_EVICT, p)->name;
            if (policy_resolve(POLICY_EVICT, &by_name, NULL, arena, &policy, &options, err) != 0 ||
                add_policy(work, policy, options, sizes, size_count, every, err) != 0)
                return -1;
        }
    }
    return 0;
}

static void print_json(const struct log_work *work) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "log", work->arguments->replay_log);
    json_array(&json, "results");
    for (size_t i = 0; i < work->count; i++) {
        const struct log_job *job = &work->jobs[i];
        const struct access_unit *unit = access_file_unit(work->file, job->unit);
        json_object(&json, NULL);
        json_string(&json, "tier", unit->name);
        json_string(&json, "semantics", unit->prefix ? "prefix" : "flat");
        json_string(&json, "policy", job->logged ? unit->policy : job->policy->policy.name);
        json_integer(&json, "size", (int64_t)job->capacity);
        json_boolean(&json, "logged", job->logged);
        json_integer(&json, "hits", (int64_t)job->result.hits);
        json_integer(&json, "inserted", (int64_t)job->result.inserted);
        json_integer(&json, "evicted", (int64_t)job->result.evicted);
        json_integer(&json, "refused", (int64_t)job->result.refused);
        json_integer(&json, "victims_as_logged", (int64_t)job->result.as_logged);
        json_boolean(&json, "same", job->result.same);
        json_boolean(&json, "clairvoyant", (job->policy->policy.needs & NEEDS_CLAIRVOYANT) != 0);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static const char *count_text(struct arena *arena, uint64_t count) {
    return arena_printf(arena, "%llu", (unsigned long long)count);
}

static void print_table(const struct log_work *work, struct arena *arena) {
    scols_init_debug(0);
    struct libscols_table *table = scols_new_table();
    MUST(table != NULL);
    static const char *const columns[] = {"tier", "policy", "size", "hits", "came in", "hit", "evicted", "as logged"};
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        scols_table_new_column(table, columns[c], 0, c < 2 ? 0 : SCOLS_FL_RIGHT);
    for (size_t i = 0; i < work->count; i++) {
        const struct log_job *job = &work->jobs[i];
        const struct access_unit *unit = access_file_unit(work->file, job->unit);
        const struct access_result *r = &job->result;
        uint64_t asked = r->hits + r->inserted + r->refused;
        struct libscols_line *line = scols_table_new_line(table, NULL);
        MUST(line != NULL);
        scols_line_set_data(line, 0, unit->name);
        scols_line_set_data(line, 1, job->logged ? unit->policy : job->policy->policy.name);
        scols_line_set_data(line, 2, count_text(arena, job->capacity));
        scols_line_set_data(line, 3, count_text(arena, r->hits));
        scols_line_set_data(line, 4, count_text(arena, r->inserted));
        scols_line_set_data(line, 5, arena_printf(arena, "%.2f %%", asked ? 100 * (double)r->hits / (double)asked : 0));
        scols_line_set_data(line, 6, count_text(arena, r->evicted));
        scols_line_set_data(line, 7, r->same ? "all" : count_text(arena, r->as_logged));
    }
    scols_print_table(table);
    scols_unref_table(table);
    printf("\nhit: of blocks that were found, came in, or had no room to come in. as logged: the first so many victims "
           "are those "
           "of the "
           "run, in its order.\n");
}

int cache_replay_log(const struct cache_arguments *a, struct arena *arena, struct error *err) {
    struct log_work work = {.arguments = a};
    if (access_file_read(a->replay_log, &work.file, err) != 0)
        return -1;
    int failed = plan(&work, arena, err);
    if (!failed) {
#pragma omp parallel for schedule(dynamic)
        for (size_t i = 0; i < work.count; i++)
            access_replay(work.file, work.jobs[i].unit, work.jobs[i].policy, work.jobs[i].options,
                          work.jobs[i].capacity, &work.jobs[i].result);
        if (a->json)
            print_json(&work);
        else
            print_table(&work, arena);
    }
    access_file_free(work.file);
    return failed;
}
