/* `tiersim run --minutes`: the worst minute, each regime of the traffic, and (with --wide) minute by minute. */
#include "sim/cli/report.h"

#include <string.h>

#include "sim/output/table.h"

struct worst_minute metrics_worst_minute(const struct metrics *m) {
    struct worst_minute worst = {0};
    for (uint32_t w = 0; w < m->window_count; w++) {
        const struct metrics_window *window = &m->windows[w];
        if (window->start_s * INT64_C(1000000000) < m->warmup_ns)
            continue;
        if (window->ttft_p99_ns > worst.ttft_p99_ns)
            worst.ttft_p99_ns = window->ttft_p99_ns;
        if (window->tpot_p99_ns > worst.tpot_p99_ns)
            worst.tpot_p99_ns = window->tpot_p99_ns;
    }
    return worst;
}

static double step_ms(const struct minute_steps *work) {
    return work->steps ? work->step_ns / (double)work->steps * 1e-6 : 0;
}

/* Share of the steps with decodes that ran the kernel of that name. */
static double kernel_share(const struct minutes *minutes, const struct minute_steps *work, const char *name) {
    double all = 0, named = 0;
    for (size_t k = 0; k < minutes->kernel_count; k++) {
        all += (double)work->kernel_steps[k];
        named += strcmp(minutes->kernels[k], name) == 0 ? (double)work->kernel_steps[k] : 0;
    }
    return all > 0 ? named / all : 0;
}

static void times_cells(struct table *table, const struct histogram *ttft, const struct histogram *tpot) {
    table_cell(table, "%.3g", metrics_percentile_s(ttft, 0.5));
    table_cell(table, "%.3g", metrics_percentile_s(ttft, 0.99));
    table_cell(table, "%.3g", histogram_mean(tpot) * 1e-6);
    table_cell(table, "%.3g", metrics_percentile_s(tpot, 0.99) * 1e3);
}

static void variant_rows(struct table *table, const struct variant *v, const struct metrics *m) {
    struct worst_minute worst = metrics_worst_minute(m);
    const struct arrival_regime *regimes = v->workload.generate.arrivals.regimes.items;
    for (size_t r = 0; r < m->minutes->regime_count; r++) {
        const struct regime_sums *sums = &m->minutes->regimes[r];
        char lasts[32];
        table_row(table);
        table_cell(table, "%s", r == 0 ? v->name : "");
        table_cell(table, "%s of %.3g/s%s", unit_format(lasts, sizeof lasts, regimes[r].duration_s, UNIT_SECONDS, 3),
                   regimes[r].rate_per_s, regimes[r].length_scale > 1 ? ", long" : "");
        table_cell(table, "%llu", (unsigned long long)sums->requests);
        table_cell(table, "%.4g", step_ms(&sums->work));
        table_cell(table, "%.0f%%", 100 * kernel_share(m->minutes, &sums->work, "split"));
        times_cells(table, sums->ttft, sums->tpot);
    }
    table_row(table);
    table_cell(table, "%s", m->minutes->regime_count == 0 ? v->name : "");
    table_cell(table, "worst minute");
    for (int i = 0; i < 4; i++)
        table_cell(table, " ");
    table_cell(table, "%.3g", (double)worst.ttft_p99_ns * 1e-9);
    table_cell(table, " ");
    table_cell(table, "%.3g", (double)worst.tpot_p99_ns * 1e-6);
}

static void each_minute(const struct variant *v, const struct metrics *m) {
    const char *const columns[] = {"minute",      "requests", "in flight", "TTFT p50", "p99 s",
                                   "TPOT p99 ms", "step ms",  "split",     "hits",     NULL};
    struct table *table = table_create(columns);
    printf("\n%s, the minutes in which requests ended:\n", v->name);
    for (uint32_t w = 0; w < m->window_count; w++) {
        const struct metrics_window *window = &m->windows[w];
        struct minute_steps work = minutes_work(m->minutes, window->start_s);
        table_row(table);
        table_cell(table, "%lld", (long long)(window->start_s / 60));
        table_cell(table, "%llu", (unsigned long long)window->requests);
        table_cell(table, "%.3g", minutes_in_flight(m->minutes, window->start_s));
        table_cell(table, "%.3g", (double)window->ttft_p50_ns * 1e-9);
        table_cell(table, "%.3g", (double)window->ttft_p99_ns * 1e-9);
        table_cell(table, "%.3g", (double)window->tpot_p99_ns * 1e-6);
        table_cell(table, "%.4g", step_ms(&work));
        table_cell(table, "%.0f%%", 100 * kernel_share(m->minutes, &work, "split"));
        table_cell(table, "%.1f%%",
                   window->prompt_tokens ? 100 * (double)window->hit_tokens / (double)window->prompt_tokens : 0.0);
    }
    table_print(table, stdout);
}

void report_minutes(const struct scenario *scenario, const struct verdict *verdicts, bool wide) {
    const char *const columns[] = {"<regimes of", "<traffic", "requests",     "step ms", "split",
                                   "TTFT p50",    "p99 s",    "TPOT mean ms", "p99 ms",  NULL};
    struct table *table = table_create(columns);
    for (size_t i = 0; i < scenario->count; i++)
        if (!verdicts[i].failed)
            variant_rows(table, &scenario->variants[i], &verdict_priced(&verdicts[i])->metrics);
    puts("");
    table_print(table, stdout);
    puts("requests by arrival; split: of the steps with decodes; worst minute: the highest p99 of the requests that\n"
         "ended in one minute.");
    for (size_t i = 0; i < scenario->count && wide; i++)
        if (!verdicts[i].failed)
            each_minute(&scenario->variants[i], &verdict_priced(&verdicts[i])->metrics);
}

static void kernels_json(struct json *json, const struct minutes *minutes, const struct minute_steps *work) {
    json_integer(json, "steps", (int64_t)work->steps);
    json_number(json, "step_s", step_ms(work) * 1e-3);
    json_object(json, "decode_kernels");
    for (size_t k = 0; k < minutes->kernel_count; k++)
        json_integer(json, minutes->kernels[k], (int64_t)work->kernel_steps[k]);
    json_object_end(json);
}

void report_minute_json(struct json *json, const struct metrics *m, const struct metrics_window *window) {
    struct minute_steps work = minutes_work(m->minutes, window->start_s);
    json_number(json, "ttft_p50_s", (double)window->ttft_p50_ns * 1e-9);
    json_number(json, "tpot_p99_s", (double)window->tpot_p99_ns * 1e-9);
    json_number(json, "in_flight", minutes_in_flight(m->minutes, window->start_s));
    if (work.steps > 0)
        kernels_json(json, m->minutes, &work);
}

void report_regimes_json(struct json *json, const struct metrics *m) {
    struct worst_minute worst = metrics_worst_minute(m);
    json_object(json, "worst_minute");
    json_number(json, "ttft_p99_s", (double)worst.ttft_p99_ns * 1e-9);
    json_number(json, "tpot_p99_s", (double)worst.tpot_p99_ns * 1e-9);
    json_object_end(json);
    if (m->minutes->regime_count == 0)
        return;
    json_array(json, "regimes");
    for (size_t r = 0; r < m->minutes->regime_count; r++) {
        const struct regime_sums *sums = &m->minutes->regimes[r];
        json_object(json, NULL);
        json_number(json, "duration_s", (double)sums->duration_ns * 1e-9);
        json_integer(json, "requests", (int64_t)sums->requests);
        json_number(json, "ttft_p50_s", metrics_percentile_s(sums->ttft, 0.5));
        json_number(json, "ttft_p99_s", metrics_percentile_s(sums->ttft, 0.99));
        json_number(json, "tpot_mean_s", histogram_mean(sums->tpot) * 1e-9);
        json_number(json, "tpot_p99_s", metrics_percentile_s(sums->tpot, 0.99));
        kernels_json(json, m->minutes, &sums->work);
        json_object_end(json);
    }
    json_array_end(json);
}
