/* Outcomes and streams of records as rows. */
#include <inttypes.h>

#include "sim/output/database_impl.h"

static double seconds(int64_t ns) {
    return (double)ns * 1e-9;
}

static void put_counts(struct row *row, const uint64_t *counts, size_t count) {
    for (size_t i = 0; i < count; i++)
        put_integer(row, (int64_t)counts[i]);
}

static void put_times(struct row *row, const struct histogram *histogram) {
    put_real(row, histogram_mean(histogram) * 1e-9);
    put_real(row, metrics_percentile_s(histogram, 0.5));
    put_real(row, metrics_percentile_s(histogram, 0.9));
    put_real(row, metrics_percentile_s(histogram, 0.99));
}

/* A row that begins with the key of an outcome. */
static struct row outcome_row(struct database *database, enum database_table table, int64_t variant, const char *at) {
    struct row row = row_begin(database, table);
    put_integer(&row, variant);
    put_text(&row, at);
    return row;
}

static void write_outcome(struct database *database, const struct database_outcome *o) {
    const struct metrics *m = o->metrics;
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, o->order_hash);
    struct row row = outcome_row(database, TABLE_OUTCOMES, o->variant, o->at);
    put_real(&row, o->load);
    put_integer(&row, o->holds_slo);
    put_counts(&row, (uint64_t[]){o->arrived, m->finished, m->rejected, m->preempted, m->measured, m->good}, 6);
    put_times(&row, m->ttft);
    put_times(&row, m->tpot);
    put_times(&row, m->e2e);
    put_integer(&row, histogram_percentile(m->context, 0.5));
    put_integer(&row, histogram_percentile(m->context, 0.99));
    put_counts(
        &row,
        (uint64_t[]){m->prompt_tokens, m->output_tokens, m->recomputed_tokens, m->computed_tokens, m->lost_tokens}, 5);
    put_real(&row, metrics_span_s(m));
    put_real(&row, o->simulated_s);
    put_integer(&row, (int64_t)o->events);
    put_text(&row, hash);
    put_text(&row, o->binds);
    put_real(&row, o->usd_per_hour);
    put_real(&row, o->usd_per_million_tokens);
    put_real(&row, o->usd_per_million_output_tokens);
    put_real(&row, o->watts);
    put_real(&row, o->joules_per_output_token);
    row_end(&row);
}

static void write_sources(struct database *database, const struct database_outcome *o) {
    const struct metrics *m = o->metrics;
    for (uint32_t t = 0; t < o->tier_count; t++) {
        struct row row = outcome_row(database, TABLE_OUTCOME_TIERS, o->variant, o->at);
        put_integer(&row, t);
        put_text(&row, o->tier_names[t]);
        put_integer(&row, (int64_t)m->hit_tokens[t]);
        put_real(&row, m->load_tier_ns[t] * 1e-9);
        for (int i = 0; i < 2; i++)
            if (m->penalty[t])
                put_real(&row, metrics_percentile_s(m->penalty[t], i ? 0.99 : 0.5));
            else
                put_null(&row);
        row_end(&row);
    }
    for (int c = 0; c < CAUSE_COUNT; c++) {
        struct row row = outcome_row(database, TABLE_CAUSES, o->variant, o->at);
        put_text(&row, cause_name((enum cause)c));
        put_real(&row, m->cause_ns[c] * 1e-9);
        row_end(&row);
    }
}

static void write_windows(struct database *database, const struct database_outcome *o) {
    for (uint32_t w = 0; w < o->metrics->window_count; w++) {
        const struct metrics_window *window = &o->metrics->windows[w];
        struct row row = outcome_row(database, TABLE_WINDOWS, o->variant, o->at);
        put_integer(&row, window->start_s);
        put_counts(&row, (uint64_t[]){window->requests, window->prompt_tokens, window->hit_tokens}, 3);
        put_real(&row, seconds(window->ttft_p99_ns));
        put_real(&row, seconds(window->ttft_p50_ns));
        put_real(&row, seconds(window->tpot_p99_ns));
        put_real(&row, minutes_in_flight(o->metrics->minutes, window->start_s));
        row_end(&row);
    }
}

static void write_machine(struct database *database, const struct database_outcome *o) {
    const struct metrics *m = o->metrics;
    for (uint32_t i = 0; i < m->link_count; i++) {
        const struct metrics_link *link = &m->links[i];
        double could = link->peak_bytes_per_s * o->simulated_s;
        struct row row = outcome_row(database, TABLE_LINKS, o->variant, o->at);
        put_text(&row, link->name);
        put_integer(&row, (int64_t)link->bytes);
        put_real(&row, seconds(link->busy_ns));
        put_real(&row, link->peak_bytes_per_s);
        put_real(&row, could > 0 ? (double)link->bytes / could : 0);
        row_end(&row);
    }
    for (uint32_t i = 0; i < m->tier_count; i++) {
        const struct tier_record *tier = &m->tiers[i].record;
        struct row row = outcome_row(database, TABLE_TIERS, o->variant, o->at);
        put_text(&row, m->tiers[i].name);
        put_integer(&row, tier->tier);
        put_counts(&row,
                   (uint64_t[]){tier->capacity_bytes, tier->peak_used_bytes, tier->written_bytes, tier->read_bytes,
                                tier->inserted_blocks, tier->evicted_blocks, tier->dropped_blocks, tier->refused_blocks,
                                tier->filled_bytes, tier->completed_bytes, tier->demoted_bytes, tier->promoted_bytes},
                   12);
        row_end(&row);
    }
    for (uint32_t i = 0; i < m->instance_count; i++) {
        const struct instance_record *instance = &m->instances[i];
        struct row row = outcome_row(database, TABLE_INSTANCES, o->variant, o->at);
        put_integer(&row, instance->instance);
        put_real(&row, seconds(instance->busy_ns));
        put_integer(&row, (int64_t)instance->steps);
        put_integer(&row, (int64_t)instance->runs);
        put_real(&row, instance->model_bytes);
        put_real(&row, instance->model_flops);
        row_end(&row);
    }
}

void database_outcome(struct database *database, const struct database_outcome *outcome) {
    write_outcome(database, outcome);
    write_sources(database, outcome);
    write_windows(database, outcome);
    write_machine(database, outcome);
}

static void stream_request(void *self, const struct request_record *record) {
    struct database_stream *stream = self;
    bool finished = record->end == REQUEST_FINISHED;
    struct row row = outcome_row(stream->database, TABLE_REQUESTS, stream->variant, stream->at);
    put_counts(&row, (uint64_t[]){record->id, record->session, record->turn, record->tenant, record->instance}, 5);
    put_text(&row, finished ? "finished" : "rejected");
    put_integer(&row, record->arrival_ns);
    if (finished)
        put_integer(&row, record->first_token_ns);
    else
        put_null(&row);
    put_integer(&row, record->end_ns);
    put_counts(&row,
               (uint64_t[]){record->prompt_tokens, record->output_tokens, record->preemptions,
                            record->recomputed_tokens, record->computed_tokens},
               5);
    if (record->slowest_tier >= 0)
        put_integer(&row, record->slowest_tier);
    else
        put_null(&row);
    for (int c = 0; c < CAUSE_COUNT; c++)
        put_integer(&row, record->cause_ns[c]);
    row_end(&row);
    for (int t = 0; t < RECORD_TIERS_MAX; t++) {
        if (record->hit_tokens[t] == 0 && record->load_tier_ns[t] == 0)
            continue;
        row = outcome_row(stream->database, TABLE_REQUEST_TIERS, stream->variant, stream->at);
        put_integer(&row, (int64_t)record->id);
        put_integer(&row, t);
        put_integer(&row, (int64_t)record->hit_tokens[t]);
        put_integer(&row, record->load_tier_ns[t]);
        row_end(&row);
    }
}

static void stream_run(void *self, const struct run_record *record) {
    struct database_stream *stream = self;
    struct row row = outcome_row(stream->database, TABLE_STEP_RUNS, stream->variant, stream->at);
    put_integer(&row, stream->next_run++);
    put_integer(&row, record->instance);
    put_integer(&row, record->start_ns);
    put_integer(&row, record->end_ns);
    put_integer(&row, record->steps);
    put_integer(&row, record->decode_sequences);
    put_integer(&row, record->prefill_tokens);
    row_end(&row);
}

static void stream_transfer(void *self, const struct transfer_record *record) {
    struct database_stream *stream = self;
    struct row row = outcome_row(stream->database, TABLE_TRANSFERS, stream->variant, stream->at);
    put_integer(&row, stream->next_transfer++);
    put_integer(&row, record->instance);
    put_integer(&row, record->from_tier);
    put_integer(&row, record->to_tier);
    put_integer(&row, record->submitted_ns);
    put_integer(&row, record->started_ns);
    put_integer(&row, record->end_ns);
    put_integer(&row, (int64_t)record->bytes);
    put_integer(&row, record->blocks);
    row_end(&row);
}

static void stream_decision(void *self, const struct decision_record *record) {
    struct database_stream *stream = self;
    struct row row = outcome_row(stream->database, TABLE_DECISIONS, stream->variant, stream->at);
    put_integer(&row, stream->next_decision++);
    put_integer(&row, (int64_t)record->request);
    put_integer(&row, record->instance);
    put_integer(&row, record->at_ns);
    put_counts(&row,
               (uint64_t[]){record->hbm_tokens, record->held_tokens, record->skipped_tokens, record->fetched_tokens,
                            record->given_tokens, record->layerwise},
               6);
    put_real(&row, record->predicted_s);
    put_real(&row, record->predicted_fetch_s);
    put_real(&row, record->predicted_compute_s);
    if (record->abandoned) {
        for (int i = 0; i < 4; i++)
            put_null(&row);
    } else {
        put_real(&row, seconds(record->realised_ns));
        put_text(&row, record->against_fetch ? "fetch" : "compute");
        put_real(&row, record->alternative_s);
        put_real(&row, record->regret_s);
    }
    row_end(&row);
}

void database_stream(struct database_stream *stream, struct database *database, int64_t variant, const char *at,
                     bool requests, bool runs, bool transfers) {
    *stream = (struct database_stream){.database = database, .variant = variant, .at = at};
    stream->sink = (struct sink){.self = stream,
                                 .request = requests ? stream_request : NULL,
                                 .run = runs ? stream_run : NULL,
                                 .transfer = transfers ? stream_transfer : NULL,
                                 .decision = requests ? stream_decision : NULL};
}
