/* Reading measured latencies: one line a request, or quantiles. */
#include "validate/requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/csv.h"

const char *const request_metric_names[REQUEST_METRICS + 1] = {"ttft", "tpot", "e2e", NULL};

static const struct {
    const char *suffix;
    double unit_s;
} units[] = {{"_s", 1}, {"_ms", 1e-3}, {"_us", 1e-6}};
enum { UNITS = sizeof units / sizeof *units };

/* A column of the file; one that it has not has no name. */
struct time_column {
    char name[16];
    double unit_s;
};

static int find_time(const struct csv *csv, const char *metric, struct time_column *out, struct error *err) {
    *out = (struct time_column){0};
    for (int i = 0; i < UNITS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s%s", metric, units[i].suffix);
        if (!csv_has(csv, name))
            continue;
        if (out->name[0])
            return error_at(err, (struct place){csv->at.file, csv->header_line, 1},
                            "two columns for one time: %s and %s\n  hint: keep one of them", out->name, name);
        *out = (struct time_column){.unit_s = units[i].unit_s};
        memcpy(out->name, name, sizeof name);
    }
    return 0;
}

/* A number from 0; not a number where the column is not there, or the field is empty. */
static int read_number(const struct csv *csv, const char *name, double *out, struct error *err) {
    const char *text = csv_text(csv, name);
    *out = (double)NAN;
    if (!text || !*text)
        return 0;
    if (csv_number(csv, name, out, err) != 0)
        return -1;
    if (!isfinite(*out) || *out < 0)
        return error_at(err, csv_place(csv, name),
                        "%s is %s\n  hint: drop requests that did not finish; leave empty what is not known", name,
                        text);
    return 0;
}

static int read_times(const struct csv *csv, const struct time_column columns[REQUEST_METRICS],
                      struct request_times *out, struct error *err) {
    for (int metric = 0; metric < REQUEST_METRICS; metric++) {
        const char *name = columns[metric].name;
        out->s[metric] = (double)NAN;
        /* A request of one token has no time per token after the first, whatever stands there. */
        if (!*name || (metric == REQUEST_TPOT && out->output_tokens < 2))
            continue;
        if (read_number(csv, name, &out->s[metric], err) != 0)
            return -1;
        if (out->s[metric] == 0 || (isnan(out->s[metric]) && metric != REQUEST_TPOT))
            return error_at(
                err, csv_place(csv, name),
                "%s is %s\n  hint: a time above 0 is meant; only tpot may be empty, of outputs of one token", name,
                out->s[metric] == 0 ? "0" : "empty");
        out->s[metric] *= columns[metric].unit_s;
    }
    return 0;
}

static int read_id(const struct csv *csv, struct request_times *out, struct error *err) {
    double id;
    if (read_number(csv, "request", &id, err) != 0)
        return -1;
    if (!(id >= 0 && id < 9e15 && id == floor(id)))
        return error_at(err, csv_place(csv, "request"),
                        "a request's number is '%s'\n  hint: count from 0 in the order of arrival, or drop the column",
                        csv_text(csv, "request"));
    out->id = (uint64_t)id;
    return 0;
}

static int read_request(const struct csv *csv, const struct time_column columns[REQUEST_METRICS],
                        const char *const *tiers, size_t tier_count, struct request_times *out, struct error *err) {
    out->at = (struct place){csv->at.file, csv->at.line, 1};
    if ((csv_has(csv, "request") && read_id(csv, out, err) != 0) ||
        read_number(csv, "arrival_s", &out->arrival_s, err) != 0 ||
        read_number(csv, "input_tokens", &out->input_tokens, err) != 0 ||
        read_number(csv, "output_tokens", &out->output_tokens, err) != 0)
        return -1;
    for (size_t t = 0; t < tier_count; t++) {
        char name[80];
        snprintf(name, sizeof name, "%s_tokens", tiers[t]);
        if (read_number(csv, name, &out->tier_tokens[t], err) != 0)
            return -1;
        if (isnan(out->tier_tokens[t]))
            out->tier_tokens[t] = 0;
    }
    return read_times(csv, columns, out, err);
}

static int by_id(const void *a, const void *b) {
    const struct request_times *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static int no_id_twice(const struct requests *requests, struct arena *arena, struct error *err) {
    const struct request_times **sorted = arena_alloc(arena, (requests->count + 1) * sizeof(void *));
    for (size_t i = 0; i < requests->count; i++)
        sorted[i] = &requests->items[i];
    qsort(sorted, requests->count, sizeof(void *), by_id);
    for (size_t i = 1; i < requests->count; i++)
        if (sorted[i]->id == sorted[i - 1]->id) {
            bool later = sorted[i]->at.line > sorted[i - 1]->at.line;
            return error_at(err, sorted[later ? i : i - 1]->at,
                            "request %llu stands on line %d already\n  hint: one line a request; several runs are "
                            "several files",
                            (unsigned long long)sorted[i]->id, sorted[later ? i - 1 : i]->at.line);
        }
    return 0;
}

static int read_requests(struct csv *csv, const char *const *tiers, size_t tier_count, struct arena *arena,
                         struct requests *out, struct error *err) {
    struct time_column columns[REQUEST_METRICS];
    bool any = false;
    for (int metric = 0; metric < REQUEST_METRICS; metric++) {
        if (find_time(csv, request_metric_names[metric], &columns[metric], err) != 0)
            return -1;
        any |= columns[metric].name[0] != 0;
    }
    if (!any)
        return error_at(err, (struct place){csv->at.file, csv->header_line, 1},
                        "no column with a time\n  hint: ttft_s, tpot_s or e2e_s (or _ms, _us) a request, or the "
                        "columns metric,quantile,value_s");
    out->has_ids = csv_has(csv, "request");
    out->has_arrivals = csv_has(csv, "arrival_s");
    out->has_input = csv_has(csv, "input_tokens");
    for (size_t t = 0; t < tier_count; t++) {
        char name[80];
        snprintf(name, sizeof name, "%s_tokens", tiers[t]);
        out->has_tier[t] = csv_has(csv, name);
    }
    out->items = arena_alloc(arena, (csv_lines(csv) + 1) * sizeof *out->items);
    int more;
    while ((more = csv_next(csv, err)) == 1) {
        struct request_times row = {0};
        if (read_request(csv, columns, tiers, tier_count, &row, err) != 0)
            return -1;
        out->items[out->count++] = row;
    }
    if (more == 0 && out->count == 0)
        return error_at(err, (struct place){csv->at.file, csv->header_line, 1},
                        "no request below the header\n  hint: did the run end?");
    return more < 0 ? -1 : out->has_ids ? no_id_twice(out, arena, err) : 0;
}

/* "p50", "0.5", "50 %" would be a guess: p and a percentile, a share below 1, or mean. */
static int read_share(const struct csv *csv, struct request_quantile *out, struct error *err) {
    const char *text = csv_text(csv, "quantile");
    char *end;
    bool percent = text[0] == 'p' || text[0] == 'P';
    double value = strtod(text + percent, &end);
    if (strcmp(text, "mean") == 0) {
        *out = (struct request_quantile){.share = -1, .label = "mean"};
        return 0;
    }
    if (percent)
        value /= 100;
    if (end == text + percent || *end || !(value > 0 && value < 1))
        return error_at(err, csv_place(csv, "quantile"), "no quantile '%s'\n  hint: p50, p99.9, 0.5 or mean", text);
    *out = (struct request_quantile){.share = value};
    snprintf(out->label, sizeof out->label, "p%.4g", 100 * value);
    return 0;
}

static int read_quantile(const struct csv *csv, struct request_quantile *out, struct error *err) {
    const char *metric = csv_text(csv, "metric");
    double value_s;
    int which = 0;
    while (which < REQUEST_METRICS && strcmp(metric, request_metric_names[which]) != 0)
        which++;
    if (which == REQUEST_METRICS)
        return error_at(err, csv_place(csv, "metric"), "no metric '%s'\n  hint: ttft, tpot or e2e", metric);
    if (read_share(csv, out, err) != 0 || csv_number(csv, "value_s", &value_s, err) != 0)
        return -1;
    if (!isfinite(value_s) || value_s <= 0)
        return error_at(err, csv_place(csv, "value_s"), "%s %s is %s\n  hint: seconds above 0 are meant", metric,
                        out->label, csv_text(csv, "value_s"));
    out->metric = (enum request_metric)which;
    out->value_s = value_s;
    return 0;
}

static int read_quantiles(struct csv *csv, struct arena *arena, struct requests *out, struct error *err) {
    static const char *const needed[] = {"metric", "quantile", "value_s"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!csv_has(csv, needed[i]))
            return error_at(err, (struct place){csv->at.file, csv->header_line, 1},
                            "no column '%s'\n  hint: quantiles are given as metric,quantile,value_s", needed[i]);
    out->quantiles = arena_alloc(arena, (csv_lines(csv) + 1) * sizeof *out->quantiles);
    int more;
    while ((more = csv_next(csv, err)) == 1) {
        struct request_quantile *new = &out->quantiles[out->quantile_count];
        if (read_quantile(csv, new, err) != 0)
            return -1;
        for (size_t i = 0; i < out->quantile_count; i++)
            if (out->quantiles[i].metric == new->metric && strcmp(out->quantiles[i].label, new->label) == 0)
                return error_at(err, csv_place(csv, "quantile"), "%s %s stands above already\n  hint: keep one of them",
                                request_metric_names[new->metric], new->label);
        if (++out->quantile_count == REQUEST_PAIRS_MAX)
            return error_at(err, csv->at, "%d quantiles and more\n  hint: fewer say as much", REQUEST_PAIRS_MAX);
    }
    if (more == 0 && out->quantile_count == 0)
        return error_at(err, (struct place){csv->at.file, csv->header_line, 1},
                        "no quantile below the header\n  hint: metric,quantile,value_s, as in ttft,p50,0.8");
    return more;
}

int requests_read(const char *path, const char *const *tiers, size_t tier_count, struct arena *arena,
                  struct requests *out, struct error *err) {
    struct csv *csv = arena_alloc(arena, sizeof *csv);
    *out = (struct requests){.path = path};
    MUST(tier_count <= REQUEST_TIERS);
    if (csv_open(csv, path, err) != 0)
        return -1;
    int status = csv_has(csv, "metric") || csv_has(csv, "quantile")
                     ? read_quantiles(csv, arena, out, err)
                     : read_requests(csv, tiers, tier_count, arena, out, err);
    csv_close(csv);
    return status;
}
