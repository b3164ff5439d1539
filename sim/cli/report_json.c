#include <string.h>

#include "sim/cli/report.h"
#include "sim/output/json.h"

static double seconds(int64_t ns) { return (double)ns * 1e-9; }

static void write_times(struct json *json, const char *key, const struct histogram *histogram) {
    json_object(json, key);
    json_number(json, "mean", histogram_mean(histogram) * 1e-9);
    json_number(json, "p50", seconds(histogram_percentile(histogram, 0.5)));
    json_number(json, "p90", seconds(histogram_percentile(histogram, 0.9)));
    json_number(json, "p99", seconds(histogram_percentile(histogram, 0.99)));
    json_object_end(json);
}

static void write_throughput(struct json *json, const struct variant *variant, const struct metrics *metrics) {
    double span_s = metrics_span_s(metrics), per_s = span_s > 0 ? 1 / span_s : 0;
    json_object(json, "throughput");
    json_number(json, "requests_per_s", (double)metrics->measured * per_s);
    json_number(json, "input_tokens_per_s", (double)metrics->prompt_tokens * per_s);
    json_number(json, "output_tokens_per_s", (double)metrics->output_tokens * per_s);
    if (variant->options.has_slo)
        json_number(json, "goodput_requests_per_s", (double)metrics->good * per_s);
    else
        json_null(json, "goodput_requests_per_s");
    json_object_end(json);
    if (variant->options.has_slo)
        json_number(json, "slo_attainment", metrics_attainment(metrics));
    else
        json_null(json, "slo_attainment");
    json_object(json, "context_tokens");
    json_integer(json, "p50", histogram_percentile(metrics->context, 0.5));
    json_integer(json, "p99", histogram_percentile(metrics->context, 0.99));
    json_object_end(json);
}

static void write_reuse(struct json *json, const struct variant *variant, const struct metrics *metrics) {
    const struct tier_options *tiers = variant->options.tiers.items;
    json_object(json, "reuse");
    json_integer(json, "prompt_tokens", (int64_t)metrics->prompt_tokens);
    json_object(json, "hit_tokens");
    for (size_t t = 0; t < variant->options.tiers.count; t++) json_integer(json, tiers[t].name, (int64_t)metrics->hit_tokens[t]);
    json_object_end(json);
    json_integer(json, "recomputed_tokens", (int64_t)metrics->recomputed_tokens);
    json_integer(json, "computed_tokens", (int64_t)metrics->computed_tokens);
    json_integer(json, "lost_tokens", (int64_t)metrics->lost_tokens);
    json_object_end(json);
    json_object(json, "miss_penalty_s");
    for (size_t t = 1; t < variant->options.tiers.count; t++) {
        json_object(json, tiers[t].name);
        json_number(json, "p50", seconds(histogram_percentile(metrics->penalty[t], 0.5)));
        json_number(json, "p99", seconds(histogram_percentile(metrics->penalty[t], 0.99)));
        json_object_end(json);
    }
    json_object_end(json);
}

static void write_links(struct json *json, const struct metrics *metrics, double simulated_s) {
    json_array(json, "links");
    for (uint32_t i = 0; i < metrics->link_count; i++) {
        const struct metrics_link *link = &metrics->links[i];
        json_object(json, NULL);
        json_string(json, "name", link->name);
        json_integer(json, "bytes", (int64_t)link->bytes);
        json_number(json, "busy_s", seconds(link->busy_ns));
        json_number(json, "utilisation", simulated_s > 0 && link->peak_bytes_per_s > 0 ? (double)link->bytes / (link->peak_bytes_per_s * simulated_s) : 0);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_cost(struct json *json, const struct verdict *verdict) {
    const struct cost *cost = &verdict->cost;
    json_object(json, "cost");
    json_number(json, "usd_per_hour", cost->usd_per_hour);
    json_number(json, "usd_per_million_tokens", cost->usd_per_million_tokens);
    json_number(json, "usd_per_million_output_tokens", cost->usd_per_million_output_tokens);
    json_number(json, "joules_per_output_token", cost->joules_per_output_token);
    json_number(json, "watts", cost->watts);
    json_number(json, "at_load", verdict_priced(verdict)->load);
    json_string(json, "basis", basis_name(cost->basis));
    json_object_end(json);
}

static void write_windows(struct json *json, const struct metrics *metrics) {
    json_array(json, "windows");
    for (uint32_t w = 0; w < metrics->window_count; w++) {
        const struct metrics_window *window = &metrics->windows[w];
        json_object(json, NULL);
        json_number(json, "start_s", seconds(metrics->first_arrival_ns) + 60.0 * w);
        json_integer(json, "requests", (int64_t)window->requests);
        json_number(json, "ttft_p99_s", window->ttft ? seconds(histogram_percentile(window->ttft, 0.99)) : 0);
        json_number(json, "reuse", window->prompt_tokens ? (double)window->hit_tokens / (double)window->prompt_tokens : 0);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_causes(struct json *json, const struct variant *variant, const struct metrics *metrics) {
    const struct tier_options *tiers = variant->options.tiers.items;
    json_object(json, "time_s");
    for (int c = 0; c < CAUSE_COUNT; c++) json_number(json, cause_name((enum cause)c), metrics->cause_ns[c] * 1e-9);
    json_object(json, "load_by_tier");
    for (size_t t = 1; t < variant->options.tiers.count; t++) json_number(json, tiers[t].name, metrics->load_tier_ns[t] * 1e-9);
    json_object_end(json);
    json_object_end(json);
}

static void write_at_slo(struct json *json, const struct variant *variant, const struct verdict *verdict) {
    if (!variant->options.has_slo) return;
    if (!verdict->has_best) {
        json_null(json, "at_slo");
        return;
    }
    const struct outcome *best = &verdict->best;
    json_object(json, "at_slo");
    json_number(json, "load", best->load);
    write_times(json, "ttft_s", best->metrics.ttft);
    write_times(json, "tpot_s", best->metrics.tpot);
    write_throughput(json, variant, &best->metrics);
    write_reuse(json, variant, &best->metrics);
    json_object_end(json);
}

static void write_variant(struct json *json, const struct variant *variant, const struct verdict *verdict) {
    char binds[64];
    json_object(json, NULL);
    json_string(json, "name", variant->name);
    if (verdict->failed) {
        json_string(json, "error", verdict->error.text);
        json_object_end(json);
        return;
    }
    const struct metrics *metrics = &verdict->base.metrics;
    const struct cluster_result *result = &verdict->base.result;
    double simulated_s = seconds(result->last_end_ns - result->first_arrival_ns);
    json_number(json, "load", verdict->base.load);
    json_object(json, "requests");
    json_integer(json, "arrived", (int64_t)result->arrived);
    json_integer(json, "finished", (int64_t)result->finished);
    json_integer(json, "rejected", (int64_t)result->rejected);
    json_integer(json, "preempted", (int64_t)metrics->preempted);
    json_integer(json, "measured", (int64_t)metrics->measured);
    json_object_end(json);
    write_times(json, "ttft_s", metrics->ttft);
    write_times(json, "tpot_s", metrics->tpot);
    write_times(json, "e2e_s", metrics->e2e);
    write_throughput(json, variant, metrics);
    write_reuse(json, variant, metrics);
    write_links(json, metrics, simulated_s);
    json_string(json, "binds", report_binds(variant, &verdict->base, binds, sizeof binds));
    write_cost(json, verdict);
    write_windows(json, metrics);
    write_causes(json, variant, metrics);
    write_at_slo(json, variant, verdict);
    json_number(json, "simulated_s", simulated_s);
    json_number(json, "wall_s", verdict->wall_s);
    json_integer(json, "events", (int64_t)result->events);
    json_integer(json, "steps", (int64_t)result->steps);
    json_integer(json, "hbm_blocks", (int64_t)result->hbm_blocks);
    json_object_end(json);
}

void report_json(const struct scenario *scenario, const struct verdict *verdicts) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "scenario", scenario->options.name);
    json_string(&json, "semantics", "prefix");
    json_integer(&json, "seed", scenario->options.seed);
    json_array(&json, "variants");
    for (size_t i = 0; i < scenario->count; i++) write_variant(&json, &scenario->variants[i], &verdicts[i]);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}
