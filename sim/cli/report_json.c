/* The JSON of `tiersim run`: the fields of the machine contract, and a few more. */
#include "sim/cli/report.h"

#include <stdlib.h>

#include "sim/cli/breakage.h"
#include "sim/cli/wear.h"
#include "sim/output/json.h"

static double seconds(int64_t ns) {
    return (double)ns * 1e-9;
}

static void write_times(struct json *json, const char *key, const struct histogram *histogram) {
    json_object(json, key);
    json_number(json, "mean", histogram_mean(histogram) * 1e-9);
    json_number(json, "p50", metrics_percentile_s(histogram, 0.5));
    json_number(json, "p90", metrics_percentile_s(histogram, 0.9));
    json_number(json, "p99", metrics_percentile_s(histogram, 0.99));
    json_object_end(json);
}

static void write_requests(struct json *json, const struct outcome *o) {
    json_object(json, "requests");
    json_integer(json, "arrived", (int64_t)o->result.arrived);
    json_integer(json, "finished", (int64_t)o->result.finished);
    json_integer(json, "rejected", (int64_t)o->result.rejected);
    json_integer(json, "preempted", (int64_t)o->metrics.preempted);
    json_integer(json, "measured", (int64_t)o->metrics.measured);
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
    for (size_t t = 0; t < variant->options.tiers.count; t++)
        json_integer(json, tiers[t].name, (int64_t)metrics->hit_tokens[t]);
    json_object_end(json);
    json_integer(json, "recomputed_tokens", (int64_t)metrics->recomputed_tokens);
    json_integer(json, "computed_tokens", (int64_t)metrics->computed_tokens);
    json_integer(json, "lost_tokens", (int64_t)metrics->lost_tokens);
    json_integer(json, "again_tokens", (int64_t)report_again_tokens(variant, metrics));
    json_object_end(json);
    json_object(json, "miss_penalty_s");
    for (size_t t = 1; t < variant->options.tiers.count; t++) {
        json_object(json, tiers[t].name);
        json_number(json, "p50", metrics_percentile_s(metrics->penalty[t], 0.5));
        json_number(json, "p99", metrics_percentile_s(metrics->penalty[t], 0.99));
        json_object_end(json);
    }
    json_object_end(json);
}

static void write_links(struct json *json, const struct metrics *metrics, double simulated_s) {
    json_array(json, "links");
    for (uint32_t i = 0; i < metrics->link_count; i++) {
        const struct metrics_link *link = &metrics->links[i];
        double could = link->peak_bytes_per_s * simulated_s;
        json_object(json, NULL);
        json_string(json, "name", link->name);
        json_integer(json, "bytes", (int64_t)link->bytes);
        json_number(json, "busy_s", seconds(link->busy_ns));
        json_number(json, "utilisation", could > 0 ? (double)link->bytes / could : 0);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_tiers(struct json *json, const struct variant *variant, const struct outcome *o) {
    const struct tier_options *tiers = variant->options.tiers.items;
    json_array(json, "tiers");
    for (uint32_t i = 0; i < o->metrics.tier_count; i++) {
        const struct tier_record *tier = &o->metrics.tiers[i].record;
        json_object(json, NULL);
        json_string(json, "name", o->metrics.tiers[i].name);
        json_string(json, "tier", tiers[tier->tier].name);
        json_integer(json, "capacity_bytes", (int64_t)tier->capacity_bytes);
        json_integer(json, "peak_used_bytes", (int64_t)tier->peak_used_bytes);
        json_integer(json, "written_bytes", (int64_t)tier->written_bytes);
        json_integer(json, "read_bytes", (int64_t)tier->read_bytes);
        json_integer(json, "evicted_blocks", (int64_t)tier->evicted_blocks);
        json_integer(json, "dropped_blocks", (int64_t)tier->dropped_blocks);
        json_integer(json, "refused_blocks", (int64_t)tier->refused_blocks);
        json_integer(json, "filled_bytes", (int64_t)tier->filled_bytes);
        json_integer(json, "completed_bytes", (int64_t)tier->completed_bytes);
        json_integer(json, "demoted_bytes", (int64_t)tier->demoted_bytes);
        json_integer(json, "promoted_bytes", (int64_t)tier->promoted_bytes);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_cost(struct json *json, const struct variant *variant, const struct outcome *o) {
    const struct cost *cost = &o->cost;
    const struct tier_options *tiers = variant->options.tiers.items;
    json_object(json, "cost");
    json_number(json, "usd_per_hour", cost->usd_per_hour);
    json_number(json, "usd_per_million_tokens", cost->usd_per_million_tokens);
    json_number(json, "usd_per_million_output_tokens", cost->usd_per_million_output_tokens);
    json_number(json, "joules_per_output_token", cost->joules_per_output_token);
    json_number(json, "watts", cost->watts);
    json_number(json, "gpu_usd_per_hour", cost->gpu_usd_per_hour);
    json_number(json, "tier_usd_per_hour", cost->tier_usd_per_hour);
    json_number(json, "wear_usd_per_hour", cost->wear_usd_per_hour);
    json_number(json, "energy_usd_per_hour", cost->energy_usd_per_hour);
    json_object(json, "drive_writes_per_day");
    for (size_t t = 1; t < variant->options.tiers.count; t++)
        if (tiers[t].endurance_dwpd > 0)
            json_number(json, tiers[t].name, cost->tiers[t - 1].dwpd);
    json_object_end(json);
    json_number(json, "at_load", o->load);
    json_string(json, "basis", basis_name(cost->basis));
    json_object_end(json);
}

static void write_decisions(struct json *json, const struct metrics_decisions *sums) {
    json_object(json, "decisions");
    json_integer(json, "count", (int64_t)sums->count);
    json_integer(json, "fetched", (int64_t)sums->fetched);
    json_integer(json, "partial", (int64_t)sums->partial);
    json_integer(json, "computed", (int64_t)sums->computed);
    json_integer(json, "abandoned", (int64_t)sums->abandoned);
    json_integer(json, "given_tokens", (int64_t)sums->given_tokens);
    json_number(json, "predicted_s", sums->predicted_s);
    json_number(json, "realised_s", sums->realised_s);
    json_number(json, "alternative_s", sums->alternative_s);
    json_number(json, "regret_s", sums->regret_s);
    json_integer(json, "regretted", (int64_t)sums->regretted);
    json_number(json, "regretted_s", sums->regretted_s);
    json_object_end(json);
}

static void write_windows(struct json *json, const struct metrics *metrics) {
    json_array(json, "windows");
    for (uint32_t w = 0; w < metrics->window_count; w++) {
        const struct metrics_window *window = &metrics->windows[w];
        json_object(json, NULL);
        json_integer(json, "start_s", window->start_s);
        json_integer(json, "requests", (int64_t)window->requests);
        json_number(json, "ttft_p99_s", seconds(window->ttft_p99_ns));
        json_number(json, "reuse",
                    window->prompt_tokens ? (double)window->hit_tokens / (double)window->prompt_tokens : 0);
        report_minute_json(json, metrics, window);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_causes(struct json *json, const struct variant *variant, const struct metrics *metrics) {
    const struct tier_options *tiers = variant->options.tiers.items;
    json_object(json, "time_s");
    for (int c = 0; c < CAUSE_COUNT; c++)
        json_number(json, cause_name((enum cause)c), metrics->cause_ns[c] * 1e-9);
    json_object(json, "load_by_tier");
    for (size_t t = 1; t < variant->options.tiers.count; t++)
        json_number(json, tiers[t].name, metrics->load_tier_ns[t] * 1e-9);
    json_object_end(json);
    json_object_end(json);
}

static void write_outcome(struct json *json, const struct variant *variant, const struct verdict *verdict,
                          const struct outcome *o) {
    const struct metrics *metrics = &o->metrics;
    char binds[METRICS_NAME_MAX];
    json_number(json, "load", o->load);
    write_requests(json, o);
    write_times(json, "ttft_s", metrics->ttft);
    write_times(json, "tpot_s", metrics->tpot);
    write_times(json, "itl_s", itl_gaps(metrics->itl));
    write_times(json, "e2e_s", metrics->e2e);
    write_throughput(json, variant, metrics);
    write_reuse(json, variant, metrics);
    write_links(json, metrics, result_simulated_s(&o->result));
    write_tiers(json, variant, o);
    json_string(json, "binds", verdict_binds(variant, verdict, o, binds, sizeof binds));
    write_windows(json, metrics);
    report_regimes_json(json, metrics);
    write_causes(json, variant, metrics);
    write_decisions(json, &metrics->decisions);
    json_number(json, "simulated_s", result_simulated_s(&o->result));
    json_integer(json, "events", (int64_t)o->result.events);
    json_integer(json, "steps", (int64_t)o->result.steps);
    json_integer(json, "runs", (int64_t)o->result.runs);
    json_integer(json, "hbm_blocks", (int64_t)o->result.hbm_blocks);
}

static void write_draws(struct json *json, const struct variant *variant, const struct verdict *verdict,
                        const struct draws *draws, size_t index);

static void write_variant(struct json *json, const struct variant *variant, const struct verdict *verdict,
                          const struct draws *draws, size_t index) {
    json_object(json, NULL);
    json_string(json, "name", variant->name);
    json_boolean(json, "clairvoyant", variant_sees_future(variant));
    if (verdict->failed) {
        json_string(json, "error", verdict->error.text);
        json_object_end(json);
        return;
    }
    write_outcome(json, variant, verdict, verdict->base);
    write_cost(json, variant, verdict_priced(verdict));
    wear_json(json, variant, verdict_priced(verdict));
    breakage_json(json, variant, verdict);
    if (variant->options.has_slo && verdict->best) {
        json_object(json, "at_slo");
        write_outcome(json, variant, verdict, verdict->best);
        double sessions = variant_sessions(variant, verdict->best->load);
        if (sessions > 0)
            json_number(json, "sessions_per_node", sessions / (double)variant->options.nodes);
        json_object_end(json);
    } else if (variant->options.has_slo) {
        json_null(json, "at_slo");
    }
    json_number(json, "wall_s", verdict->wall_s);
    if (draws)
        write_draws(json, variant, verdict, draws, index);
    json_object_end(json);
}

char *report_json_variant(const struct variant *variant, const struct verdict *verdict) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    MUST(out != NULL);
    struct json json = json_begin(out);
    write_variant(&json, variant, verdict, NULL, 0);
    json_end(&json);
    fclose(out);
    return text;
}

static void write_draws(struct json *json, const struct variant *variant, const struct verdict *verdict,
                        const struct draws *draws, size_t index) {
    char *undrawn = report_json_variant(variant, verdict);
    report_draws_json(json, draws, index, undrawn);
    free(undrawn);
}

void report_json(const struct scenario *scenario, const struct verdict *verdicts, const struct draws *draws) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "scenario", scenario->options.name);
    json_string(&json, "semantics", "prefix");
    json_integer(&json, "seed", scenario->options.seed);
    json_array(&json, "variants");
    for (size_t i = 0; i < scenario->count; i++)
        write_variant(&json, &scenario->variants[i], &verdicts[i], draws, i);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}
