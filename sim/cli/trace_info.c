/* `tiersim trace info`: lengths, arrivals, reuse and working set, as a table or as JSON. */
#include <stdio.h>

#include "sim/base/unit.h"
#include "sim/cli/trace.h"
#include "sim/output/json.h"
#include "sim/output/table.h"
#include "sim/workload/info.h"
#include "sim/workload/trace.h"

static const double shares[] = {0.5, 0.9, 0.99};
enum { SHARES = sizeof shares / sizeof *shares };

/* Share of all blocks asked for that LRU caches of growing size would hold: powers of four, in blocks. */
static double hit_share(const struct workload_info *info, uint64_t blocks) {
    return info->block_refs
               ? (double)histogram_count_up_to(info->distance_blocks, (int64_t)blocks) / (double)info->block_refs
               : 0;
}

static void json_lengths(struct json *json, const char *key, const struct histogram *values, double unit) {
    json_object(json, key);
    json_number(json, "mean", histogram_mean(values) * unit);
    json_number(json, "p50", (double)histogram_percentile(values, 0.5) * unit);
    json_number(json, "p90", (double)histogram_percentile(values, 0.9) * unit);
    json_number(json, "p99", (double)histogram_percentile(values, 0.99) * unit);
    json_number(json, "max", (double)histogram_max(values) * unit);
    json_object_end(json);
}

static void json_reuse(struct json *json, const struct workload_info *info) {
    if (info->block_tokens == 0) {
        json_null(json, "reuse");
        json_null(json, "working_set");
        return;
    }
    json_object(json, "reuse");
    json_integer(json, "block_tokens", info->block_tokens);
    json_integer(json, "block_refs", (int64_t)info->block_refs);
    json_integer(json, "unique_blocks", (int64_t)info->unique_blocks);
    json_integer(json, "prompt_tokens", (int64_t)info->prompt_total_tokens);
    json_integer(json, "reused_tokens", (int64_t)info->reused_tokens);
    json_lengths(json, "return_s", info->return_ms, 1e-3);
    json_lengths(json, "distance_blocks", info->distance_blocks, 1);
    json_array(json, "lru_hit_share");
    for (uint64_t blocks = 256; blocks / 4 < info->unique_blocks; blocks *= 4) {
        json_object(json, NULL);
        json_integer(json, "blocks", (int64_t)blocks);
        json_number(json, "share", hit_share(info, blocks));
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
    json_object(json, "working_set");
    json_array(json, "growth");
    for (int q = 0; q < 4; q++)
        json_number(json, NULL, info->growth[q]);
    json_array_end(json);
    json_array(json, "windows");
    for (int w = 0; w < INFO_WINDOWS; w++) {
        json_object(json, NULL);
        json_number(json, "window_s", info_window_s[w]);
        json_integer(json, "blocks", (int64_t)info->window_blocks[w]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void tell_json(const struct workload_info *info, const char *name, const char *format) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_string(&json, "trace", name);
    json_string(&json, "format", format);
    json_integer(&json, "requests", (int64_t)info->requests);
    json_integer(&json, "sessions", (int64_t)info->sessions);
    json_number(&json, "span_s", info->span_s);
    json_lengths(&json, "prompt_tokens", info->prompt_tokens, 1);
    json_lengths(&json, "output_tokens", info->output_tokens, 1);
    json_lengths(&json, "turns", info->turns, 1);
    json_object(&json, "arrivals");
    json_number(&json, "requests_per_s", info->span_s > 0 ? (double)info->requests / info->span_s : 0);
    json_number(&json, "gap_cv", info->gap_cv);
    json_lengths(&json, "per_minute", info->minute_requests, 1);
    json_object_end(&json);
    json_reuse(&json, info);
    json_object_end(&json);
    json_end(&json);
}

static void row(struct table *table, const char *what, const struct histogram *values, double unit) {
    table_row(table);
    table_cell(table, "%s", what);
    table_cell(table, "%.4g", histogram_mean(values) * unit);
    for (int s = 0; s < SHARES; s++)
        table_cell(table, "%.4g", (double)histogram_percentile(values, shares[s]) * unit);
    table_cell(table, "%.4g", (double)histogram_max(values) * unit);
}

static void tell_reuse(const struct workload_info *info) {
    if (info->block_tokens == 0) {
        puts("It says nothing of what its prompts share: no reuse, no working set.");
        return;
    }
    double refs = (double)info->block_refs, tokens = info->block_tokens;
    printf("reuse: %.1f %% of %.3g prompt tokens had been asked for before (by prefix, in a cache without limit)\n",
           info->prompt_total_tokens ? 100.0 * (double)info->reused_tokens / (double)info->prompt_total_tokens : 0,
           (double)info->prompt_total_tokens);
    printf("blocks: %llu of %u tokens asked for, %llu different (%.1f %% again)\n",
           (unsigned long long)info->block_refs, info->block_tokens, (unsigned long long)info->unique_blocks,
           refs > 0 ? 100 * (1 - (double)info->unique_blocks / refs) : 0);
    printf("an LRU cache of so many tokens would hold so many of them when asked:\n ");
    for (uint64_t blocks = 256; blocks / 4 < info->unique_blocks; blocks *= 4) {
        char size[32];
        printf("  %s %.0f %%", unit_format(size, sizeof size, (double)blocks * tokens, UNIT_TOKENS, 3),
               100 * hit_share(info, blocks));
    }
    printf("\nworking set, different tokens in the busiest window: ");
    for (int w = 0; w < INFO_WINDOWS; w++) {
        char window[32], size[32];
        printf("%s%s %s", w ? ", " : "", unit_format(window, sizeof window, info_window_s[w], UNIT_SECONDS, 2),
               unit_format(size, sizeof size, (double)info->window_blocks[w] * tokens, UNIT_TOKENS, 3));
    }
    printf("\n  of all of them, %.0f/%.0f/%.0f/100 %% have come after 1/4, 2/4, 3/4, 4/4 of the time\n",
           100 * info->growth[0], 100 * info->growth[1], 100 * info->growth[2]);
}

static void tell_people(const struct workload_info *info, const char *name, const char *format) {
    char span[32];
    printf("%s (%s): %llu requests of %llu sessions in %s\n\n", name, format, (unsigned long long)info->requests,
           (unsigned long long)info->sessions, unit_format(span, sizeof span, info->span_s, UNIT_SECONDS, 3));
    static const char *const columns[] = {"<", "mean", "p50", "p90", "p99", "max", NULL};
    struct table *table = table_create(columns);
    row(table, "prompt tokens", info->prompt_tokens, 1);
    row(table, "output tokens", info->output_tokens, 1);
    row(table, "requests a session", info->turns, 1);
    row(table, "requests a minute", info->minute_requests, 1);
    if (info->block_tokens > 0) {
        row(table, "block asked for again after, s", info->return_ms, 1e-3);
        row(table, "  with different blocks between", info->distance_blocks, 1);
    }
    table_print(table, stdout);
    printf("\narrivals: %.4g a second; gaps vary by %.2f of their mean (Poisson: 1)\n",
           info->span_s > 0 ? (double)info->requests / info->span_s : 0, info->gap_cv);
    tell_reuse(info);
}

/* Blocks in which reuse is counted: the trace's own; of a generator's fine ones, eight make one. */
static uint32_t block_of(const struct request_spec *spec) {
    return spec->chain.spans || spec->chain.hash_tokens > 16 ? spec->chain.hash_tokens : 8 * spec->chain.hash_tokens;
}

void trace_tell(struct workload *workload, const struct trace_pace *pace, const char *name, bool json) {
    struct trace_stream *stream = trace_stream_open(workload, pace);
    struct request_spec spec;
    struct info_builder *builder = NULL;
    while (trace_stream_next(stream, &spec)) {
        if (!builder)
            builder = info_begin(block_of(&spec));
        info_add(builder, &spec);
    }
    trace_stream_close(stream);
    struct workload_info info;
    info_end(builder ? builder : info_begin(0), &info);
    const char *format = workload_format(workload);
    if (json)
        tell_json(&info, name, format);
    else
        tell_people(&info, name, format);
    info_free(&info);
}
