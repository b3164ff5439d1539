/* Do records add up as by hand, are percentiles the nearest ranks, do limits hold to the request, does JSON read back
 * to the bit, and are lines broken where they must be? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/base/error.h"
#include "sim/output/json.h"
#include "sim/output/metrics.h"
#include "sim/output/table.h"

static const int64_t ms = 1000000, s = 1000000000;

/* A request that ends: TTFT and then 100 ms for each further token. */
static struct request_record request(uint64_t session, int64_t at_ns, int64_t ttft_ns, uint32_t prompt, uint32_t hits,
                                     uint32_t output) {
    struct request_record r = {.session = session,
                               .arrival_ns = at_ns,
                               .first_token_ns = at_ns + ttft_ns,
                               .end_ns = at_ns + ttft_ns + (int64_t)(output - 1) * 100 * ms,
                               .prompt_tokens = prompt,
                               .output_tokens = output,
                               .computed_tokens = prompt - hits,
                               .slowest_tier = -1};
    r.hit_tokens[0] = hits;
    r.cause_ns[CAUSE_PREFILL] = ttft_ns;
    r.cause_ns[CAUSE_DECODE] = r.end_ns - r.first_token_ns;
    return r;
}
static void take(struct metrics *metrics, struct request_record record) {
    metrics->sink.request(metrics->sink.self, &record);
}
/* To the histograms' 1/1024. */
static void about(double got, double expected) {
    if (fabs(got - expected) > expected / 1024)
        fail_msg("%.9g, not %.9g", got, expected);
}

/* 200 requests of TTFT 1..200 ms, after ten of warm-up. */
static void percentiles(void **state) {
    (void)state;
    struct metrics m;
    metrics_create(&m, NULL, 10 * s, NULL);
    for (int i = 0; i < 10; i++)
        take(&m, request(999, i * s, 9 * s, 100, 0, 2));
    for (int i = 0; i < 200; i++) /* 37 and 200 have no common divisor: each once, in no order */
        take(&m, request((uint64_t)i, 10 * s + i * s, (i * 37 % 200 + 1) * ms, 1000, 0, 11));
    metrics_settle(&m);
    assert_int_equal(m.finished, 210);
    assert_int_equal(m.measured, 200);
    about(metrics_percentile_s(m.ttft, 0.5), 0.100);
    about(metrics_percentile_s(m.ttft, 0.9), 0.180);
    about(metrics_percentile_s(m.ttft, 0.99), 0.198);
    assert_true(fabs(histogram_mean(m.ttft) - 100.5e6) < 1);
    about(metrics_percentile_s(m.tpot, 0.99), 0.1);
    assert_int_equal(m.prompt_tokens, 200000);
    assert_int_equal(m.output_tokens, 2200);
    assert_int_equal(m.computed_tokens, 200000);
    assert_true(m.cause_ns[CAUSE_PREFILL] == 20100e6 && m.cause_ns[CAUSE_DECODE] == 200 * 1000e6);
    /* end of warm-up to the last end: the request at 209 s took (199 x 37 mod 200) + 1 = 164 ms, and ten more tokens */
    assert_true(fabs(metrics_span_s(&m) - (199 + 0.164 + 1)) < 1e-9);
    double low_s, high_s; /* ranks 100 -+ 1.645 sqrt(50) = 88.4 and 111.6: the values at 89 and 112 */
    metrics_percentile_interval_s(m.ttft, 0.5, &low_s, &high_s);
    about(low_s, 0.089);
    about(high_s, 0.112);
    metrics_destroy(&m);
}

/* Minutes are of the end; those without a request are left out. */
static void windows(void **state) {
    (void)state;
    struct metrics m;
    metrics_create(&m, NULL, 0, NULL);
    take(&m, request(1, 0, 10 * ms, 100, 40, 1));
    take(&m, request(2, 59 * s, 20 * ms, 100, 0, 1));
    take(&m, request(3, 59 * s, 1000 * ms, 100, 80, 1)); /* ends at 60 s */
    take(&m, request(4, 250 * s, 30 * ms, 50, 0, 1));
    metrics_settle(&m);
    const struct metrics_window expected[] = {
        {.start_s = 0,
         .requests = 2,
         .prompt_tokens = 200,
         .hit_tokens = 40,
         .ttft_p50_ns = 10 * ms,
         .ttft_p99_ns = 20 * ms},
        {.start_s = 60, .requests = 1, .prompt_tokens = 100, .hit_tokens = 80, .ttft_p50_ns = s, .ttft_p99_ns = s},
        {.start_s = 240, .requests = 1, .prompt_tokens = 50, .ttft_p50_ns = 30 * ms, .ttft_p99_ns = 30 * ms}};
    assert_int_equal(m.window_count, 3);
    for (int w = 0; w < 3; w++) {
        assert_int_equal(m.windows[w].start_s, expected[w].start_s);
        assert_int_equal(m.windows[w].requests, expected[w].requests);
        assert_int_equal(m.windows[w].prompt_tokens, expected[w].prompt_tokens);
        assert_int_equal(m.windows[w].hit_tokens, expected[w].hit_tokens);
        about((double)m.windows[w].ttft_p50_ns, (double)expected[w].ttft_p50_ns);
        about((double)m.windows[w].ttft_p99_ns, (double)expected[w].ttft_p99_ns);
        assert_int_equal(m.windows[w].tpot_p99_ns, 0);
    }
    assert_int_equal(histogram_count(m.tpot), 0); /* one token has no time to the next */
    metrics_destroy(&m);
}

/* In flight: the time that requests spent in a minute. Regimes of 60 and 30 s, by arrival, after 60 s of warm-up; runs
 * of steps count where they begin. */
static void regimes(void **state) {
    (void)state;
    const double durations_s[] = {60, 30};
    struct minutes *minutes = minutes_create(durations_s, 2, 60 * s);
    struct request_record early = request(1, 30 * s, s, 100, 0, 301), /* to 61 s */
        late = request(2, 85 * s, 2 * s, 100, 0, 11), next = request(3, 95 * s, 4 * s, 100, 0, 1);
    minutes_request(minutes, &early);
    minutes_request(minutes, &late);
    minutes_request(minutes, &next);
    about(minutes_in_flight(minutes, 0), 30.0 / 60);
    about(minutes_in_flight(minutes, 60), (1 + 3 + 4) / 60.0);
    assert_true(minutes_in_flight(minutes, 120) == 0);
    assert_int_equal(minutes->regimes[1].requests, 1); /* 85 s is the second regime's, 95 s the first's again */
    assert_int_equal(minutes->regimes[0].requests, 1);
    about((double)histogram_percentile(minutes->regimes[1].tpot, 1), 100e6);
    about((double)histogram_percentile(minutes->regimes[0].ttft, 1), 4e9);
    struct run_record run = {.start_ns = 50 * s, .end_ns = 70 * s, .steps = 4, .kernel = "split"};
    minutes_run(minutes, &run); /* in warm-up: no regime's */
    run = (struct run_record){.start_ns = 70 * s, .end_ns = 71 * s, .steps = 10, .kernel = "single-pass"};
    minutes_run(minutes, &run);
    run.kernel = "";
    minutes_run(minutes, &run);
    struct minute_steps first = minutes_work(minutes, 0), second = minutes_work(minutes, 60);
    assert_true(first.steps == 4 && first.kernel_steps[0] == 4 && second.steps == 20 && second.kernel_steps[1] == 10);
    assert_true(second.step_ns == 2e9 && minutes->regimes[1].work.steps == 20 && minutes->regimes[0].work.steps == 0);
    assert_int_equal(minutes->kernel_count, 2);
    minutes_destroy(minutes);
}

/* What a session had had, prompt and answer, and has to have computed again. */
static void lost_tokens(void **state) {
    (void)state;
    struct metrics m;
    metrics_create(&m, NULL, 0, NULL);
    take(&m, request(1, 0, ms, 1000, 0, 100));        /* new */
    take(&m, request(1, 10 * s, ms, 1500, 1024, 50)); /* 1100 were known, 1024 are there: 76 lost */
    take(&m, request(2, 11 * s, ms, 700, 0, 10));     /* another session: new */
    take(&m, request(1, 20 * s, ms, 400, 0, 10));     /* cut short: all 400 were known */
    take(&m, request(2, 30 * s, ms, 900, 768, 10));   /* 710 known, more is there (shared): nothing lost */
    assert_int_equal(m.lost_tokens, 76 + 400);
    assert_int_equal(metrics_again_tokens(&m), 476);
    m.recomputed_tokens = 500; /* the engine knows of more */
    assert_int_equal(metrics_again_tokens(&m), 500);
    metrics_destroy(&m);
}

/* A limit on p90 of 100 ms: of 100 requests ten may be above it, and rejected ones are. */
static void limits(void **state) {
    (void)state;
    for (int late = 9; late <= 11; late++)
        for (int rejected = 0; rejected <= late; rejected += 3) {
            const struct slo_options slo = {.ttft_p90_s = 0.1};
            struct metrics m;
            int which;
            metrics_create(&m, &slo, 0, NULL);
            for (int i = 0; i < 100; i++) {
                struct request_record r = request((uint64_t)i, i * s, i < late ? 150 * ms : 50 * ms, 100, 0, 2);
                if (i < rejected)
                    r.end = REQUEST_REJECTED;
                take(&m, r);
            }
            assert_int_equal(m.rejected, rejected);
            assert_int_equal(m.measured, 100 - rejected);
            assert_int_equal(m.good, 100 - late);
            assert_true(fabs(metrics_attainment(&m) - (100 - late) / 100.0) < 1e-12);
            assert_int_equal(metrics_hold_slo(&m), late <= 10);
            assert_true((metrics_tightest(&m, &which) <= 1) == (late <= 10));
            assert_int_equal(which, 0);
            metrics_destroy(&m);
        }
}

/* Why the late are late. The limit is 100 ms; a session of 500 tokens comes back with 1000, and nothing was kept: half
 * of its prefill was for what was known. */
static void late(void **state) {
    (void)state;
    const struct slo_options slo = {.ttft_p99_s = 0.1};
    struct metrics m;
    metrics_create(&m, &slo, 0, NULL);
    take(&m, request(1, 0, 50 * ms, 400, 0, 100)); /* in time */
    struct request_record r = request(1, 10 * s, 150 * ms, 1000, 0, 2);
    r.cause_ns[CAUSE_QUEUE] = 30 * ms;
    r.cause_ns[CAUSE_PREFILL] = 120 * ms; /* without the lost half 90 ms */
    take(&m, r);
    assert_int_equal(m.late.requests, 1);
    assert_int_equal(m.late.even_without_lost, 0);
    assert_int_equal(m.late.even_without_load, 1);
    assert_true(m.late.lost_ns == 60e6 && m.late.queue_ns == 30e6 && m.late.prefill_ns == 120e6);
    r = request(2, 20 * s, 150 * ms, 1000, 512, 2); /* new, and what it shares with others came late */
    r.cause_ns[CAUSE_PREFILL] = 80 * ms;
    r.cause_ns[CAUSE_LOAD] = r.load_tier_ns[1] = 70 * ms;
    take(&m, r);
    assert_int_equal(m.late.requests, 2);
    assert_int_equal(m.late.even_without_lost, 1);
    assert_int_equal(m.late.even_without_load, 1);
    assert_true(m.late.load_ns[1] == 70e6);
    assert_true(metrics_ttft_share(&m) == 0.99);
    metrics_destroy(&m);
}

static char *text_of(void (*write)(FILE *out)) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(out);
    fclose(out);
    char *copy = strdup(text);
    free(text);
    return copy;
}

static const double numbers[] = {0.1, 1.0 / 3, 1e-300, 4.9e-324, 1.7976931348623157e308, 123456789012345680.0, -0.5};
static void write_document(FILE *out) {
    struct json json = json_begin(out);
    json_object(&json, NULL);
    json_string(&json, "text", "a \"b\" \\ \n\t\x01 \xc3\xa4");
    json_array(&json, "numbers");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_number(&json, NULL, numbers[i]);
    json_number(&json, NULL, NAN);
    json_number(&json, NULL, HUGE_VAL);
    json_array_end(&json);
    json_object(&json, "empty");
    json_object_end(&json);
    json_integer(&json, "least", INT64_MIN);
    json_boolean(&json, "yes", true);
    json_null(&json, "nothing");
    json_object_end(&json);
    json_end(&json);
}
static void json(void **state) {
    (void)state;
    char *text = text_of(write_document), *at = strstr(text, "[");
    static const char begin[] = "{\"text\":\"a \\\"b\\\" \\\\ \\n\\u0009\\u0001 \xc3\xa4\",\"numbers\":[0.1,",
                      end[] =
                          ",null,null],\"empty\":{},\"least\":-9223372036854775808,\"yes\":true,\"nothing\":null}\n";
    assert_memory_equal(text, begin, sizeof begin - 1);
    assert_string_equal(text + strlen(text) - (sizeof end - 1), end);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_true(strtod(at + 1, &at) == numbers[i]); /* to the bit */
        assert_int_equal(*at, ',');
    }
    free(text);
}

static void write_wrapped(FILE *out) {
    print_wrapped(out, "one two three\n  four five six seven\n\nmuch-too-long-a-word x\n", 12, 4);
}
static void write_table(FILE *out) {
    const char *const columns[] = {"<name", "count", NULL};
    struct table *table = table_create(columns);
    table_row(table);
    table_cell(table, "%s", "one");
    table_cell(table, "%d", 1);
    table_row(table);
    table_cell(table, "%s", "eleven");
    table_cell(table, "%d", 11);
    table_row(table);
    table_cell(table, "%s", "none");
    table_print(table, out);
}
static void lines(void **state) {
    (void)state;
    char *wrapped = text_of(write_wrapped), *table = text_of(write_table);
    assert_string_equal(wrapped,
                        "one two\n    three\n  four five\n    six\n    seven\n\nmuch-too-long-a-word\n    x\n");
    assert_string_equal(table, "name   count\none        1\neleven    11\nnone\n");
    free(wrapped);
    free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(percentiles), cmocka_unit_test(windows),
                                       cmocka_unit_test(regimes),     cmocka_unit_test(lost_tokens),
                                       cmocka_unit_test(limits),      cmocka_unit_test(json),
                                       cmocka_unit_test(lines),       cmocka_unit_test(late)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
