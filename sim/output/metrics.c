#include "sim/output/metrics.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"

enum { SESSIONS_RECENT_MAX = 1 << 20 };

#define SLO(key, member, what)                                                                                         \
    {                                                                                                                  \
        .name = key, .kind = OPTION_REAL, .offset = offsetof(struct slo_options, member), .unit = UNIT_SECONDS,        \
        .fallback = "0", .min = 0, .max = 1e9, .help = what                                                            \
    }
const struct option slo_options_table[] = {
    SLO("ttft_p50", ttft_p50_s, "limit of the median time to first token; 0: none"),
    SLO("ttft_p90", ttft_p90_s, "limit of its 90th percentile"),
    SLO("ttft_p99", ttft_p99_s, "limit of its 99th percentile"),
    SLO("tpot_p50", tpot_p50_s, "limit of the median time per output token"),
    SLO("tpot_p90", tpot_p90_s, "limit of its 90th percentile"),
    SLO("tpot_p99", tpot_p99_s, "limit of its 99th percentile"),
    SLO("e2e_p50", e2e_p50_s, "limit of the median end-to-end time"),
    SLO("e2e_p90", e2e_p90_s, "limit of its 90th percentile"),
    SLO("e2e_p99", e2e_p99_s, "limit of its 99th percentile"),
    {.name = "attainment",
     .kind = OPTION_REAL,
     .offset = offsetof(struct slo_options, attainment),
     .unit = UNIT_RATIO,
     .fallback = "0",
     .min = 0,
     .max = 1,
     .help = "share of requests that keep all limits at once, each the one of its highest percentile; 0: not asked"},
    OPTION_END};

/* The limit that a single request has to keep: that of the highest percentile given; 0: none. */
static double request_limit_s(double p50_s, double p90_s, double p99_s) {
    return p99_s > 0 ? p99_s : p90_s > 0 ? p90_s : p50_s;
}

static double ttft_limit_s(const struct slo_options *slo) {
    return request_limit_s(slo->ttft_p50_s, slo->ttft_p90_s, slo->ttft_p99_s);
}

static bool keeps(double limit_s, int64_t value_ns) {
    return limit_s <= 0 || (double)value_ns <= limit_s * 1e9;
}

static bool is_good(const struct slo_options *slo, int64_t ttft_ns, int64_t tpot_ns, int64_t e2e_ns) {
    return keeps(ttft_limit_s(slo), ttft_ns) &&
           keeps(request_limit_s(slo->tpot_p50_s, slo->tpot_p90_s, slo->tpot_p99_s), tpot_ns) &&
           keeps(request_limit_s(slo->e2e_p50_s, slo->e2e_p90_s, slo->e2e_p99_s), e2e_ns);
}

static uint64_t hits_of(const struct request_record *record) {
    uint64_t hits = 0;
    for (int t = 0; t < RECORD_TIERS_MAX; t++)
        hits += record->hit_tokens[t];
    return hits;
}

static void *grown(void *items, uint32_t count, size_t size) {
    if (count & (count - 1) && count > 0)
        return items; /* room is a power of two, so it is full only when the count is one */
    items = realloc(items, (count ? 2 * (size_t)count : 1) * size);
    MUST(items != NULL);
    return items;
}

/* Records come in order of their end, so only the last window is ever open. */
static void close_window(struct metrics *metrics) {
    if (!metrics->window_ttft)
        return;
    struct metrics_window *window = &metrics->windows[metrics->window_count - 1];
    window->ttft_p50_ns = histogram_percentile(metrics->window_ttft, 0.5);
    window->ttft_p99_ns = histogram_percentile(metrics->window_ttft, 0.99);
    window->tpot_p99_ns = histogram_percentile(metrics->window_tpot, 0.99);
}

static void add_to_window(struct metrics *metrics, const struct request_record *record) {
    int64_t start_s = record->end_ns / (METRICS_WINDOW_S * INT64_C(1000000000)) * METRICS_WINDOW_S;
    if (metrics->window_count == 0 || metrics->windows[metrics->window_count - 1].start_s != start_s) {
        close_window(metrics);
        histogram_destroy(metrics->window_ttft);
        histogram_destroy(metrics->window_tpot);
        metrics->window_ttft = histogram_create();
        metrics->window_tpot = histogram_create();
        metrics->windows = grown(metrics->windows, metrics->window_count, sizeof *metrics->windows);
        metrics->windows[metrics->window_count++] = (struct metrics_window){.start_s = start_s};
    }
    struct metrics_window *window = &metrics->windows[metrics->window_count - 1];
    window->requests++;
    window->prompt_tokens += record->prompt_tokens;
    window->hit_tokens += hits_of(record);
    histogram_add(metrics->window_ttft, record->first_token_ns - record->arrival_ns);
    if (record->output_tokens > 1)
        histogram_add(metrics->window_tpot, (record->end_ns - record->first_token_ns) / (record->output_tokens - 1));
}

static void add_late(struct metrics *metrics, const struct request_record *record, uint64_t lost) {
    struct metrics_late *late = &metrics->late;
    double computed = (double)record->computed_tokens, prefill = (double)record->cause_ns[CAUSE_PREFILL];
    double again = computed > 0 ? fmin((double)lost / computed, 1) : 0, load_ns = 0;
    /* Of the work that the others ahead in the queue do, so much is for what was known. */
    double others = metrics->computed_tokens ? (double)metrics->lost_tokens / (double)metrics->computed_tokens : 0;
    double ttft_ns = (double)(record->first_token_ns - record->arrival_ns), limit_ns = ttft_limit_s(metrics->slo) * 1e9;
    late->requests++;
    late->queue_ns += (double)record->cause_ns[CAUSE_QUEUE];
    late->prefill_ns += prefill;
    late->lost_ns += prefill * again;
    for (int t = 0; t < RECORD_TIERS_MAX; t++) {
        late->load_ns[t] += (double)record->load_tier_ns[t];
        load_ns += (double)record->load_tier_ns[t];
    }
    double lost_ns = prefill * again + (double)record->cause_ns[CAUSE_QUEUE] * fmin(others, 1);
    late->even_without_lost += ttft_ns - lost_ns > limit_ns;
    late->even_without_load += ttft_ns - load_ns > limit_ns;
}

static void add_times(struct metrics *metrics, const struct request_record *record, uint64_t lost) {
    int64_t ttft_ns = record->first_token_ns - record->arrival_ns, e2e_ns = record->end_ns - record->arrival_ns;
    int64_t tpot_ns = 0;
    if (record->output_tokens > 1) {
        tpot_ns = (record->end_ns - record->first_token_ns) / (record->output_tokens - 1);
        histogram_add(metrics->tpot, tpot_ns);
    }
    histogram_add(metrics->ttft, ttft_ns);
    histogram_add(metrics->e2e, e2e_ns);
    histogram_add(metrics->context, (int64_t)record->prompt_tokens + record->output_tokens);
    if (!metrics->slo)
        return;
    metrics->good += is_good(metrics->slo, ttft_ns, tpot_ns, e2e_ns);
    if (!keeps(ttft_limit_s(metrics->slo), ttft_ns))
        add_late(metrics, record, lost);
}

static void measure(struct metrics *metrics, const struct request_record *record, uint64_t lost) {
    if (metrics->measured++ == 0 || record->arrival_ns < metrics->first_measured_ns)
        metrics->first_measured_ns = record->arrival_ns;
    add_times(metrics, record, lost);
    metrics->prompt_tokens += record->prompt_tokens;
    metrics->output_tokens += record->output_tokens;
    metrics->recomputed_tokens += record->recomputed_tokens;
    metrics->computed_tokens += record->computed_tokens;
    metrics->lost_tokens += lost;
    for (int t = 0; t < RECORD_TIERS_MAX; t++) {
        metrics->hit_tokens[t] += record->hit_tokens[t];
        metrics->load_tier_ns[t] += (double)record->load_tier_ns[t];
    }
    for (int c = 0; c < CAUSE_COUNT; c++)
        metrics->cause_ns[c] += (double)record->cause_ns[c];
    if (record->slowest_tier <= 0)
        return;
    struct histogram **penalty = &metrics->penalty[record->slowest_tier];
    if (!*penalty)
        *penalty = histogram_create();
    histogram_add(*penalty, record->cause_ns[CAUSE_LOAD]);
}

/* Of a session's prompt, what its last request had had (prompt and answer) and nobody had kept. */
static uint64_t take_lost(struct metrics *metrics, const struct request_record *record) {
    uint64_t hits = hits_of(record), known;
    uint32_t before = int_map_get(metrics->recent_sessions, record->session);
    if (before == INT_MAP_NONE && metrics->older_sessions)
        before = int_map_get(metrics->older_sessions, record->session);
    known = before == INT_MAP_NONE ? 0 : before;
    if (known > record->prompt_tokens)
        known = record->prompt_tokens;
    if (int_map_count(metrics->recent_sessions) >= SESSIONS_RECENT_MAX) {
        if (metrics->older_sessions)
            int_map_destroy(metrics->older_sessions);
        metrics->older_sessions = metrics->recent_sessions;
        metrics->recent_sessions = int_map_create();
    }
    int_map_put(metrics->recent_sessions, record->session, record->prompt_tokens + record->output_tokens);
    return known > hits ? known - hits : 0;
}

static void take_request(void *self, const struct request_record *record) {
    struct metrics *metrics = self;
    bool measured = record->arrival_ns >= metrics->warmup_ns;
    if (metrics->finished + metrics->rejected == 0 || record->arrival_ns < metrics->first_arrival_ns)
        metrics->first_arrival_ns = record->arrival_ns;
    if (record->end_ns > metrics->last_end_ns)
        metrics->last_end_ns = record->end_ns;
    if (record->end == REQUEST_REJECTED) {
        metrics->rejected++;
        metrics->rejected_measured += measured;
    } else {
        metrics->finished++;
        metrics->preempted += record->preemptions > 0;
        uint64_t lost = take_lost(metrics, record);
        add_to_window(metrics, record);
        minutes_request(metrics->minutes, record);
        if (metrics->recovery)
            recovery_take(metrics->recovery, record->first_token_ns, record->prompt_tokens, hits_of(record));
        if (measured)
            measure(metrics, record, lost);
    }
    if (metrics->also && metrics->also->request)
        metrics->also->request(metrics->also->self, record);
}

static void take_link(void *self, const struct link_record *record) {
    struct metrics *metrics = self;
    metrics->links = grown(metrics->links, metrics->link_count, sizeof *metrics->links);
    struct metrics_link *link = &metrics->links[metrics->link_count++];
    snprintf(link->name, sizeof link->name, "%s", record->name);
    link->bytes = record->bytes;
    link->peak_bytes_per_s = record->peak_bytes_per_s;
    link->busy_ns = record->busy_ns;
    if (metrics->also && metrics->also->link)
        metrics->also->link(metrics->also->self, record);
}

static void take_tier(void *self, const struct tier_record *record) {
    struct metrics *metrics = self;
    metrics->tiers = grown(metrics->tiers, metrics->tier_count, sizeof *metrics->tiers);
    struct metrics_tier *tier = &metrics->tiers[metrics->tier_count++];
    snprintf(tier->name, sizeof tier->name, "%s", record->name);
    tier->record = *record;
    tier->record.name = NULL;
    if (metrics->also && metrics->also->tier)
        metrics->also->tier(metrics->also->self, record);
}

static void take_instance(void *self, const struct instance_record *record) {
    struct metrics *metrics = self;
    metrics->instances = grown(metrics->instances, metrics->instance_count, sizeof *metrics->instances);
    metrics->instances[metrics->instance_count++] = *record;
    if (metrics->also && metrics->also->instance)
        metrics->also->instance(metrics->also->self, record);
}

static void take_run(void *self, const struct run_record *record) {
    struct metrics *metrics = self;
    if (metrics->by_minute)
        minutes_run(metrics->minutes, record);
    itl_run(metrics->itl, record);
    if (metrics->also && metrics->also->run && !metrics->keeps_runs)
        metrics->also->run(metrics->also->self, record);
}

static void take_transfer(void *self, const struct transfer_record *record) {
    struct metrics *metrics = self;
    if (metrics->also && metrics->also->transfer)
        metrics->also->transfer(metrics->also->self, record);
}

static void take_decision(void *self, const struct decision_record *record) {
    struct metrics *metrics = self;
    struct metrics_decisions *sums = &metrics->decisions;
    if (metrics->also && metrics->also->decision)
        metrics->also->decision(metrics->also->self, record);
    if (record->at_ns < metrics->warmup_ns)
        return;
    sums->count++;
    sums->given_tokens += record->given_tokens;
    if (record->abandoned) {
        sums->abandoned++;
        return;
    }
    sums->fetched += record->fetched_tokens == record->held_tokens;
    sums->computed += record->fetched_tokens == 0;
    sums->partial += record->fetched_tokens > 0 && record->fetched_tokens < record->held_tokens;
    sums->predicted_s += record->predicted_s;
    sums->realised_s += (double)record->realised_ns * 1e-9;
    sums->alternative_s += record->alternative_s;
    sums->regret_s += record->regret_s;
    sums->regretted += record->regret_s > 0;
    sums->regretted_s += record->regret_s > 0 ? record->regret_s : 0;
}

static void take_rate(void *self, const struct rate_record *record) {
    struct metrics *metrics = self;
    metrics->also->rate(metrics->also->self, record);
}

void metrics_create(struct metrics *metrics, const struct slo_options *slo, int64_t warmup_ns, struct sink *also) {
    *metrics = (struct metrics){.slo = slo, .warmup_ns = warmup_ns, .also = also};
    metrics->sink = (struct sink){metrics,       take_request,  take_run,
                                  take_transfer, take_link,     take_tier,
                                  take_instance, take_decision, also && also->rate ? take_rate : NULL};
    metrics->minutes = minutes_create(NULL, 0, warmup_ns);
    metrics->itl = itl_create(warmup_ns);
    metrics->recent_sessions = int_map_create();
    metrics->ttft = histogram_create();
    metrics->tpot = histogram_create();
    metrics->e2e = histogram_create();
    metrics->context = histogram_create();
}

void metrics_settle(struct metrics *metrics) {
    close_window(metrics);
    histogram_destroy(metrics->window_ttft);
    histogram_destroy(metrics->window_tpot);
    if (metrics->recent_sessions)
        int_map_destroy(metrics->recent_sessions);
    if (metrics->older_sessions)
        int_map_destroy(metrics->older_sessions);
    metrics->window_ttft = metrics->window_tpot = NULL;
    metrics->recent_sessions = metrics->older_sessions = NULL;
}

void metrics_destroy(struct metrics *metrics) {
    metrics_settle(metrics);
    histogram_destroy(metrics->ttft);
    histogram_destroy(metrics->tpot);
    histogram_destroy(metrics->e2e);
    histogram_destroy(metrics->context);
    for (int t = 0; t < RECORD_TIERS_MAX; t++)
        histogram_destroy(metrics->penalty[t]);
    recovery_destroy(metrics->recovery);
    minutes_destroy(metrics->minutes);
    itl_destroy(metrics->itl);
    free(metrics->windows);
    free(metrics->links);
    free(metrics->tiers);
    free(metrics->instances);
    *metrics = (struct metrics){0};
}

double metrics_span_s(const struct metrics *metrics) {
    int64_t from_ns = metrics->first_arrival_ns > metrics->warmup_ns ? metrics->first_arrival_ns : metrics->warmup_ns;
    return metrics->last_end_ns > from_ns ? (double)(metrics->last_end_ns - from_ns) * 1e-9 : 0;
}

/* Percentile over limit; rejected requests stand above every limit. HUGE_VAL: the percentile falls among them. */
static double over_limit(const struct metrics *metrics, const struct histogram *histogram, double share,
                         double limit_s) {
    if (limit_s <= 0)
        return 0;
    double count = (double)histogram_count(histogram), all = count + (double)metrics->rejected_measured;
    if (count == 0)
        return metrics->rejected_measured > 0 ? HUGE_VAL : 0;
    double rank = ceil(share * all - 1e-9);
    if (rank > count)
        return HUGE_VAL;
    return (double)histogram_percentile(histogram, rank / count) * 1e-9 / limit_s;
}

static double worst_of(const struct metrics *metrics, const struct histogram *histogram, double p50_s, double p90_s,
                       double p99_s) {
    double worst = over_limit(metrics, histogram, 0.5, p50_s);
    worst = fmax(worst, over_limit(metrics, histogram, 0.9, p90_s));
    return fmax(worst, over_limit(metrics, histogram, 0.99, p99_s));
}

double metrics_tightest(const struct metrics *metrics, int *which) {
    const struct slo_options *slo = metrics->slo;
    *which = 0;
    if (!slo)
        return 0;
    double all[] = {worst_of(metrics, metrics->ttft, slo->ttft_p50_s, slo->ttft_p90_s, slo->ttft_p99_s),
                    worst_of(metrics, metrics->tpot, slo->tpot_p50_s, slo->tpot_p90_s, slo->tpot_p99_s),
                    worst_of(metrics, metrics->e2e, slo->e2e_p50_s, slo->e2e_p90_s, slo->e2e_p99_s)};
    for (int i = 1; i < 3; i++)
        if (all[i] > all[*which])
            *which = i;
    return all[*which];
}

bool metrics_hold_slo(const struct metrics *metrics) {
    int which;
    if (!metrics->slo)
        return true;
    return metrics->measured > 0 && metrics_tightest(metrics, &which) <= 1 &&
           metrics_attainment(metrics) >= metrics->slo->attainment;
}

double metrics_attainment(const struct metrics *metrics) {
    uint64_t all = metrics->measured + metrics->rejected_measured;
    return all ? (double)metrics->good / (double)all : 0;
}

double metrics_ttft_share(const struct metrics *metrics) {
    const struct slo_options *slo = metrics->slo;
    if (!slo)
        return 0;
    return slo->ttft_p99_s > 0 ? 0.99 : slo->ttft_p90_s > 0 ? 0.9 : slo->ttft_p50_s > 0 ? 0.5 : 0;
}

double metrics_percentile_s(const struct histogram *histogram, double share) {
    return histogram ? (double)histogram_percentile(histogram, share) * 1e-9 : 0;
}

void metrics_percentile_interval_s(const struct histogram *histogram, double share, double *low_s, double *high_s) {
    double count = (double)histogram_count(histogram), spread = 1.645 * sqrt(count * share * (1 - share));
    double low = (share * count - spread) / count, high = (share * count + spread) / count;
    *low_s = metrics_percentile_s(histogram, low > 1 / count ? low : 1 / count);
    *high_s = metrics_percentile_s(histogram, high < 1 ? high : 1);
}

uint64_t metrics_again_tokens(const struct metrics *metrics) {
    return metrics->lost_tokens > metrics->recomputed_tokens ? metrics->lost_tokens : metrics->recomputed_tokens;
}
