/* Intervals from draws: every number of the JSON, the figures of the table, and whether the answer stands. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/report.h"
#include "sim/config/node.h"
#include "sim/output/table.h"

/* A variant's objects of the JSON, the undrawn first: YAML's reader reads them. */
struct parsed {
    const struct node *undrawn, **drawn;
    size_t count;
    double *values;
};

static const struct node *parse(const char *text, struct arena *arena) {
    struct node *node;
    struct error err;
    MUST(node_read_text(text, strlen(text), "JSON", arena, &node, &err) == 0);
    return node;
}

static bool number_of(const struct node *node, double *value) {
    if (!node || node->kind != NODE_SCALAR || node->quoted)
        return false;
    char *end;
    *value = strtod(node->text, &end);
    return end != node->text && *end == 0;
}

/* The child of each at a key, or at an index. */
static struct parsed child_of(const struct parsed *p, const char *key, size_t index, struct arena *arena) {
    struct parsed child = {
        .drawn = arena_alloc(arena, (p->count + 1) * sizeof *child.drawn), .count = p->count, .values = p->values};
    for (size_t i = 0; i <= p->count; i++) {
        const struct node *node = i < p->count ? p->drawn[i] : p->undrawn, *found = NULL;
        if (node && key && node->kind == NODE_MAPPING)
            found = node_get(node, key);
        else if (node && !key && node->kind == NODE_SEQUENCE && index < node->count)
            found = node->items[index];
        *(i < p->count ? &child.drawn[i] : &child.undrawn) = found;
    }
    return child;
}

static void write_interval(struct json *json, const char *key, const struct parsed *p) {
    double low, high, undrawn;
    bool all = number_of(p->undrawn, &undrawn) && p->count > 0;
    for (size_t i = 0; i < p->count && all; i++)
        all = number_of(p->drawn[i], &p->values[i]);
    if (!all) {
        json_null(json, key);
        return;
    }
    draws_interval(p->values, p->count, &low, &high);
    json_object(json, key);
    json_number(json, "low", low);
    json_number(json, "high", high);
    json_object_end(json);
}

/* The tree of the undrawn, with an interval in the place of each number. Words stand as they are where they name. */
static void write_tree(struct json *json, const char *key, const struct parsed *p, struct arena *arena) {
    const struct node *node = p->undrawn;
    if (!node)
        return;
    if (node->kind == NODE_SCALAR) {
        if (node->quoted)
            json_string(json, key, node->text);
        else
            write_interval(json, key, p);
        return;
    }
    bool mapping = node->kind == NODE_MAPPING;
    (mapping ? json_object : json_array)(json, key);
    for (size_t i = 0; i < node->count; i++) {
        const char *name = mapping ? node->keys[i] : NULL;
        if (name && strcmp(name, "wall_s") == 0) /* how long the simulator took is no output of the models */
            continue;
        struct parsed child = child_of(p, name, i, arena);
        write_tree(json, name, &child, arena);
    }
    (mapping ? json_object_end : json_array_end)(json);
}

/* Draws that failed, or that answer the question of the highest load otherwise than the undrawn does, are counted and
 * left out: their figures are at another load. */
static bool counts(const struct drawn *drawn, bool misses) {
    return !drawn->failed && drawn->misses == misses;
}

void report_draws_json(struct json *json, const struct draws *draws, size_t variant, const char *undrawn) {
    struct arena *arena = arena_create();
    const struct drawn *drawn = draws_of(draws, variant);
    struct parsed p = {.undrawn = parse(undrawn, arena),
                       .drawn = arena_alloc(arena, (draws->count + 1) * sizeof *p.drawn),
                       .values = arena_alloc(arena, (draws->count + 1) * sizeof *p.values)};
    const struct node *at_slo = node_get(p.undrawn, "at_slo");
    bool misses = at_slo && node_is_null(at_slo);
    int64_t failed = 0, missed = 0;
    for (size_t i = 0; i < draws->count; i++) {
        failed += drawn[i].failed;
        missed += !drawn[i].failed && drawn[i].misses;
        if (counts(&drawn[i], misses))
            p.drawn[p.count++] = parse(drawn[i].json, arena);
    }
    json_object(json, "draws");
    json_integer(json, "count", (int64_t)draws->count);
    json_integer(json, "failed", failed);
    json_integer(json, "without_slo", missed);
    json_number(json, "level", p.count > 0 ? draws_level(p.count) : 0);
    write_tree(json, "intervals", &p, arena);
    json_object_end(json);
    arena_destroy(arena);
}

/* "0.146 to 0.171" */
static void interval_cell(struct table *table, const struct drawn *drawn, size_t count, bool misses, int figure) {
    double *values = calloc(count + 1, sizeof *values), low, high;
    MUST(values != NULL);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (counts(&drawn[i], misses) && isfinite(drawn[i].figures[figure]))
            values[n++] = drawn[i].figures[figure];
    if (n > 0) {
        draws_interval(values, n, &low, &high);
        char from[32], to[32];
        const char *format = figure == FIGURE_GPUS || low >= 100 ? "%.0f" : "%.3g";
        snprintf(from, sizeof from, format, low);
        snprintf(to, sizeof to, format, high);
        table_cell(table, strcmp(from, to) == 0 ? "%s" : "%s-%s", from, to);
    } else {
        table_cell(table, "-");
    }
    free(values);
}

/* In how many draws the cheapest is the cheapest; draws are paired. */
static void tell_cheapest(const struct scenario *scenario, const struct draws *draws, size_t cheapest) {
    size_t times = 0, runs = 0;
    for (size_t d = 0; d < draws->count; d++) {
        const struct drawn *own = draws_of(draws, cheapest) + d;
        bool first = counts(own, false);
        runs += !own->failed;
        for (size_t i = 0; i < scenario->count; i++) {
            const struct drawn *other = draws_of(draws, i) + d;
            if (i != cheapest && counts(other, false) && other->figures[FIGURE_USD] < own->figures[FIGURE_USD])
                first = false;
        }
        times += first;
    }
    printf("'%s' is the cheapest in %zu of %zu draws.\n", scenario->variants[cheapest].name, times, runs);
}

void report_draws(const struct scenario *scenario, const struct verdict *verdicts, const struct draws *draws,
                  size_t cheapest) {
    const struct variant *first = &scenario->variants[0];
    const char *const columns[] = {"<variant", variant_sessions(first, 1) > 0 ? "agents" : "requests",
                                   "GPUs",     "TTFT p50",
                                   "p99 s",    "again %",
                                   "$/Mtok",   "J/tok",
                                   "no SLO",   NULL};
    printf("\n%.0f %% interval of %zu draws of how wrong the models may be, each a whole run:\n",
           100 * draws_level(draws->count), draws->count);
    struct table *table = table_create(columns);
    for (size_t i = 0; i < scenario->count; i++) {
        if (verdicts[i].failed)
            continue;
        bool misses = verdict_misses(&verdicts[i]);
        size_t missed = 0;
        table_row(table);
        table_cell(table, " %s%s", scenario->variants[i].name, variant_sees_future(&scenario->variants[i]) ? " ^" : "");
        for (int f = 0; f < FIGURES; f++)
            interval_cell(table, draws_of(draws, i), draws->count, misses, f);
        for (size_t d = 0; d < draws->count; d++)
            missed += draws_of(draws, i)[d].misses;
        table_cell(table, "%zu", missed);
    }
    table_print(table, stdout);
    if (scenario->count > 1 && cheapest < scenario->count)
        tell_cheapest(scenario, draws, cheapest);
}
