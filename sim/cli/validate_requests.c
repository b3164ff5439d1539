/* `tiersim validate SCENARIO REQUESTS.csv...`: latencies that a serving engine was measured at, against a run of the
 * scenario: validate/requests.h compares, this file simulates and prints. */
#include "validate/requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli/scenario.h"
#include "sim/cli/validate.h"
#include "sim/output/json.h"
#include "sim/output/progress.h"
#include "sim/output/table.h"

/* Every request of a run. */
struct collector {
    struct sink sink;
    struct request_times *items;
    size_t count, room;
    int64_t warmup_ns;
};

static void collect(void *self, const struct request_record *record) {
    struct collector *c = self;
    if (c->count == c->room) {
        c->room = c->room ? 2 * c->room : 1024;
        c->items = realloc(c->items, c->room * sizeof *c->items);
        MUST(c->items != NULL);
    }
    bool rejected = record->end == REQUEST_REJECTED;
    struct request_times *out = &c->items[c->count++];
    *out = (struct request_times){.id = record->id,
                                  .arrival_s = (double)record->arrival_ns * 1e-9,
                                  .input_tokens = record->prompt_tokens,
                                  .output_tokens = record->output_tokens,
                                  .left_out = rejected || record->arrival_ns < c->warmup_ns};
    _Static_assert((int)REQUEST_TIERS >= (int)RECORD_TIERS_MAX, "a request's tiers");
    for (int t = 0; t < RECORD_TIERS_MAX; t++)
        out->tier_tokens[t] = (double)record->hit_tokens[t];
    out->s[REQUEST_TTFT] = rejected ? (double)NAN : (double)(record->first_token_ns - record->arrival_ns) / 1e9;
    out->s[REQUEST_E2E] = rejected ? (double)NAN : (double)(record->end_ns - record->arrival_ns) / 1e9;
    out->s[REQUEST_TPOT] = rejected || record->output_tokens < 2
                               ? (double)NAN
                               : (double)(record->end_ns - record->first_token_ns) / (record->output_tokens - 1) / 1e9;
}

static int by_id(const void *a, const void *b) {
    const struct request_times *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* One file, the variant it is held against, and what came out. */
struct held {
    const char *path;
    const struct variant *variant;
    double load;
    const char *tiers[REQUEST_TIERS];
    size_t tier_count;
    struct requests measured;
    struct requests_comparison result;
};

static const struct variant *variant_named(const struct scenario *scenario, const char *name, size_t length) {
    for (size_t i = 0; i < scenario->count; i++)
        if (strlen(scenario->variants[i].name) == length && strncmp(scenario->variants[i].name, name, length) == 0)
            return &scenario->variants[i];
    return NULL;
}

static int unknown_variant(const struct scenario *scenario, const char *name, struct error *err) {
    char list[512] = "";
    for (size_t i = 0; i < scenario->count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", scenario->variants[i].name);
    return error_set(err, "%s has no variant '%s'\n  hint: it has %s", scenario->path, name, list);
}

/* Cuts @LOAD off the path: the load at which it was measured; else the scenario's. */
static int resolve_load(struct held *out, struct arena *arena, struct error *err) {
    const char *at = strrchr(out->path, '@');
    char *end;
    out->load = out->variant->options.load;
    if (!at || strchr(at, '/') || access(out->path, F_OK) == 0)
        return 0;
    out->load = strtod(at + 1, &end);
    if (*end || end == at + 1 || !isfinite(out->load) || out->load <= 0)
        return error_set(err,
                         "no load '%s' in '%s'\n  hint: FILE.csv@0.7: the scenario's `load` at which it was measured",
                         at + 1, out->path);
    out->path = arena_printf(arena, "%.*s", (int)(at - out->path), out->path);
    return 0;
}

/* [VARIANT=]PATH[@LOAD]. A path may hold '=' where what is before it names no variant and the whole is not of that
 * form. */
static int resolve(const struct scenario *scenario, const struct validate_requests *asked, const char *file,
                   struct held *out, struct arena *arena, struct error *err) {
    const char *equals = strchr(file, '=');
    out->path = file;
    out->variant = &scenario->variants[0];
    if (asked->variant && !(out->variant = variant_named(scenario, asked->variant, strlen(asked->variant))))
        return unknown_variant(scenario, asked->variant, err);
    if (equals) {
        const struct variant *named = variant_named(scenario, file, (size_t)(equals - file));
        if (named) {
            out->variant = named;
            out->path = equals + 1;
        } else if (!memchr(file, '/', (size_t)(equals - file))) {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)(equals - file), file);
            return unknown_variant(scenario, name, err);
        }
    }
    if (out->variant->failed)
        return error_set(err, "variant '%s': %s", out->variant->name, out->variant->error.text);
    const struct tier_options *tiers = out->variant->options.tiers.items;
    out->tier_count =
        out->variant->options.tiers.count < REQUEST_TIERS ? out->variant->options.tiers.count : (size_t)REQUEST_TIERS;
    for (size_t t = 0; t < out->tier_count; t++)
        out->tiers[t] = tiers[t].name;
    return resolve_load(out, arena, err);
}

static int simulate(const struct variant *v, double load, struct progress *progress, struct collector *out,
                    struct error *err) {
    struct metrics metrics;
    struct cluster_result result;
    struct progress_run shown = {
        .progress = progress, .name = v->name, .load = load, .horizon_s = variant_horizon_s(v, load)};
    *out = (struct collector){.sink = {.request = collect}, .warmup_ns = (int64_t)(v->options.warmup_s * 1e9)};
    out->sink.self = out;
    struct variant_run run = {.variant = v,
                              .load = load,
                              .seed = (uint64_t)v->options.seed,
                              .also = &out->sink,
                              .progress = progress ? progress_show : NULL,
                              .progress_self = &shown};
    progress_begin(&shown);
    if (variant_simulate(&run, &metrics, &result, err) != 0)
        return -1;
    metrics_destroy(&metrics);
    progress_done(progress);
    if (out->count == 0)
        return error_set(err, "variant '%s' has no request\n  hint: does the workload begin before stop_after?",
                         v->name);
    qsort(out->items, out->count, sizeof *out->items, by_id);
    return 0;
}

/* All files, each variant simulated once at each load. */
static int hold(struct held *held, size_t count, struct arena *arena, struct error *err) {
    struct collector *runs = calloc(count, sizeof *runs);
    MUST(runs != NULL);
    struct progress *progress = progress_create((uint32_t)count);
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        struct held *h = &held[i];
        size_t first = 0;
        while (held[first].variant != h->variant || held[first].load != h->load)
            first++;
        struct collector *run = &runs[first];
        if (first == i)
            status = simulate(h->variant, h->load, progress, run, err);
        if (status == 0)
            status = requests_compare(&h->measured, run->items, run->count, h->variant->options.warmup_s, arena,
                                      &h->result, err);
    }
    progress_destroy(progress);
    for (size_t i = 0; i < count; i++)
        free(runs[i].items);
    free(runs);
    return status;
}

/* ---- JSON ---- */

static void json_cdf(struct json *json, const char *key, const double values[REQUEST_CDF]) {
    json_array(json, key);
    for (int i = 0; i < REQUEST_CDF; i++)
        json_number(json, NULL, values[i]);
    json_array_end(json);
}

static void json_metric(struct json *json, const struct held *h, int metric) {
    const struct request_comparison *c = &h->result.metrics[metric];
    char key[16];
    snprintf(key, sizeof key, "%s_s", request_metric_names[metric]);
    json_object(json, key);
    json_integer(json, "measured", (int64_t)c->measured);
    json_integer(json, "predicted", (int64_t)c->predicted);
    json_array(json, "quantiles");
    for (size_t i = 0; i < c->pair_count; i++) {
        json_object(json, NULL);
        json_string(json, "quantile", c->pairs[i].label);
        json_number(json, "measured_s", c->pairs[i].measured_s);
        json_number(json, "predicted_s", c->pairs[i].predicted_s);
        json_number(json, "ratio", c->pairs[i].predicted_s / c->pairs[i].measured_s);
        json_object_end(json);
    }
    json_array_end(json);
    json_number(json, "median_error", c->median_error);
    json_number(json, "p90_error", c->p90_error);
    json_number(json, "bias", c->bias);
    if (h->measured.items) {
        json_cdf(json, "measured_cdf_s", c->measured_cdf_s);
        json_cdf(json, "predicted_cdf_s", c->predicted_cdf_s);
    }
    json_object_end(json);
}

static void print_json(const struct scenario *scenario, const struct held *held, size_t count) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "scenario", scenario->options.name ? scenario->options.name : scenario->path);
    json_array(&json, "files");
    for (size_t i = 0; i < count; i++) {
        const struct held *h = &held[i];
        json_object(&json, NULL);
        json_string(&json, "file", h->path);
        json_string(&json, "variant", h->variant->name);
        json_number(&json, "load", h->load);
        json_string(&json, "form", h->measured.items ? "requests" : "quantiles");
        json_object(&json, "requests");
        json_integer(&json, "measured", (int64_t)h->result.measured);
        json_integer(&json, "predicted", (int64_t)h->result.predicted);
        json_integer(&json, "compared", (int64_t)h->result.compared);
        json_boolean(&json, "matched", h->result.matched);
        json_object_end(&json);
        for (int metric = 0; metric < REQUEST_METRICS; metric++)
            if (h->result.metrics[metric].pair_count > 0)
                json_metric(&json, h, metric);
        json_object(&json, "cached_tokens");
        for (size_t t = 0; t < h->tier_count; t++) {
            if (!h->measured.has_tier[t])
                continue;
            json_object(&json, h->tiers[t]);
            json_number(&json, "measured", h->result.measured_tokens[t]);
            json_number(&json, "predicted", h->result.predicted_tokens[t]);
            json_object_end(&json);
        }
        json_object_end(&json);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* ---- for people ---- */

static const char *const metric_titles[REQUEST_METRICS] = {"TTFT", "TPOT", "E2E"};

/* What is compared with what, in words. */
static void print_head(const struct held *h) {
    const struct requests_comparison *r = &h->result;
    char text[512];
    if (!h->measured.items)
        snprintf(text, sizeof text, "quantiles, against %zu requests of the run\n", r->predicted);
    else if (r->matched)
        snprintf(text, sizeof text, "%zu requests, each against its own of the run's %zu%s\n", r->compared,
                 r->predicted, r->measured < r->predicted ? "; the run's others are left out" : "");
    else
        snprintf(text, sizeof text, "%zu requests against %zu of the run%s\n", r->compared, r->predicted,
                 h->measured.has_ids ? ", as distributions: some of the file's ids are not in the run"
                                     : ", as distributions: the file has no column `request`");
    printf("%s against variant %s at load %g:\n", h->path, h->variant->name, h->load);
    print_wrapped(stdout, text, VALIDATE_COLUMNS, 4);
    if (r->compared < r->measured)
        printf("%zu of its requests are left out: within warm-up, or rejected by the simulation\n",
               r->measured - r->compared);
    if (h->measured.items && !r->matched && r->measured != r->predicted)
        printf("%zu requests are not as many as %zu: are both the same load, over the same time?\n", r->measured,
               r->predicted);
}

static void print_latencies(const struct held *h) {
    const char *const columns[] = {"<", "measured, s", "predicted, s", "ratio", "error", NULL};
    struct table *table = table_create(columns);
    for (int metric = 0; metric < REQUEST_METRICS; metric++) {
        const struct request_comparison *c = &h->result.metrics[metric];
        for (size_t i = 0; i < c->pair_count; i++) {
            const struct request_pair *pair = &c->pairs[i];
            table_row(table);
            table_cell(table, "%s %s", metric_titles[metric], pair->label);
            table_cell(table, "%.5f", pair->measured_s);
            if (isnan(pair->predicted_s))
                continue;
            table_cell(table, "%.5f", pair->predicted_s);
            table_cell(table, "%.3f", pair->predicted_s / pair->measured_s);
            table_cell(table, "%+.1f %%", 100 * (pair->predicted_s / pair->measured_s - 1));
        }
        if (!isnan(c->median_error)) {
            table_row(table);
            table_cell(table, "%s, each request", metric_titles[metric]);
            table_cell(table, "%s", "");
            table_cell(table, "%s", "");
            table_cell(table, "%.3f", 1 + c->bias);
            table_cell(table, "%.1f %%, p90 %.1f %%", 100 * c->median_error, 100 * c->p90_error);
        }
    }
    table_print(table, stdout);
}

static void print_tokens(const struct held *h) {
    const char *const columns[] = {"<cached tokens", "measured", "of the prompts", "predicted", "of the prompts", NULL};
    bool any = false;
    for (size_t t = 0; t < h->tier_count; t++)
        any |= h->measured.has_tier[t];
    if (!any)
        return;
    const struct requests_comparison *r = &h->result;
    struct table *table = table_create(columns);
    for (size_t t = 0; t < h->tier_count; t++) {
        if (!h->measured.has_tier[t])
            continue;
        table_row(table);
        table_cell(table, "%s", h->tiers[t]);
        table_cell(table, "%.0f", r->measured_tokens[t]);
        if (r->measured_input_tokens > 0)
            table_cell(table, "%.1f %%", 100 * r->measured_tokens[t] / r->measured_input_tokens);
        else
            table_cell(table, "%s", "");
        table_cell(table, "%.0f", r->predicted_tokens[t]);
        table_cell(table, "%.1f %%", 100 * r->predicted_tokens[t] / fmax(r->predicted_input_tokens, 1));
    }
    puts("");
    table_print(table, stdout);
}

static void print_people(const struct held *held, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            puts("");
        print_head(&held[i]);
        puts("");
        print_latencies(&held[i]);
        print_tokens(&held[i]);
    }
}

static int validate_loaded(const struct scenario *scenario, const struct validate_requests *asked, struct arena *arena,
                           struct error *err) {
    struct held *held = arena_alloc(arena, asked->file_count * sizeof *held);
    memset(held, 0, asked->file_count * sizeof *held);
    for (size_t i = 0; i < asked->file_count; i++)
        if (resolve(scenario, asked, asked->files[i], &held[i], arena, err) != 0 ||
            requests_read(held[i].path, held[i].tiers, held[i].tier_count, arena, &held[i].measured, err) != 0)
            return -1;
    if (hold(held, asked->file_count, arena, err) != 0)
        return -1;
    if (asked->json)
        print_json(scenario, held, asked->file_count);
    else
        print_people(held, asked->file_count);
    return 0;
}

int validate_requests(const struct validate_requests *asked, struct error *err) {
    struct scenario scenario;
    if (scenario_load(asked->scenario, asked->sets, asked->set_count, asked->has_seed ? &asked->seed : NULL, &scenario,
                      err) != 0)
        return -1;
    struct arena *arena = arena_create();
    int status = validate_loaded(&scenario, asked, arena, err);
    arena_destroy(arena);
    scenario_free(&scenario);
    return status;
}
