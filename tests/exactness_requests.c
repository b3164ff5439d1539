/* Measured latencies against a run (docs/own-measurements.md): a file written from the simulator's own requests is met
 * to the bit, one with every time doubled is met at half; and what is wrong with a file is said at its place. */
#include <sqlite3.h>
#include <stdbool.h>

#include "tests/run_verb.h"

static char folder[64], requests_csv[128];
static int request_count;

static sqlite3_stmt *ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

/* The requests of the run in the database as an engine's own would be written, times multiplied by `factor`; with ids,
 * or without. */
static void write_requests(double factor, bool ids) {
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/run.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    FILE *out = fopen(requests_csv, "w");
    assert_non_null(out);
    fprintf(out, "%sarrival_s,input_tokens,output_tokens,hbm_tokens,dram_tokens,ttft_s,tpot_s,e2e_s\n",
            ids ? "request," : "");
    sqlite3_stmt *rows = ask(
        db,
        "select r.request, arrival_ns, prompt_tokens, output_tokens, first_token_ns, end_ns, (select "
        "coalesce(sum(hit_tokens), 0) from request_tiers t where t.request = r.request and tier = 0), (select "
        "coalesce(sum(hit_tokens), 0) from request_tiers t where t.request = r.request and tier = 1) from requests r "
        "where at = 'load' order by r.request");
    for (request_count = 0; sqlite3_step(rows) == SQLITE_ROW; request_count++) {
        int64_t at = sqlite3_column_int64(rows, 1), tokens = sqlite3_column_int64(rows, 3),
                first = sqlite3_column_int64(rows, 4), end = sqlite3_column_int64(rows, 5);
        if (ids)
            fprintf(out, "%lld,", (long long)sqlite3_column_int64(rows, 0));
        fprintf(out, "%.17g,%lld,%lld,%lld,%lld,%.17g,", (double)at / 1e9, (long long)sqlite3_column_int64(rows, 2),
                (long long)tokens, (long long)sqlite3_column_int64(rows, 6), (long long)sqlite3_column_int64(rows, 7),
                factor * (double)(first - at) / 1e9);
        if (tokens > 1)
            fprintf(out, "%.17g", factor * (double)(end - first) / (double)(tokens - 1) / 1e9);
        fprintf(out, ",%.17g\n", factor * (double)(end - at) / 1e9);
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    assert_int_equal(fclose(out), 0);
    assert_true(request_count > 100);
}

#define VARIANT "variants=[{name: only, tiers: [{name: hbm}, {name: dram, capacity: 32 GB, scope: node, write: fill}]}]"

static int run_once(void **state) {
    (void)state;
    char path[128];
    strcpy(folder, "/tmp/tiersim-requests-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/run.db", folder);
    snprintf(requests_csv, sizeof requests_csv, "%s/requests.csv", folder);
    struct said said = RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--no-search", "--json", "--db", path,
                                "--set", "output.requests=all", "--set", VARIANT);
    int code = said.code;
    said_free(&said);
    return code;
}

static int clean(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static struct said validated(const char *file, const char *more) {
    return RUN_VERB(validate, NULL, "configs/scenarios/smoke.yaml", file, "--set", VARIANT, more);
}

/* Every number behind `"key":` is `value`; how many there are. */
static int all_are(const char *json, const char *key, double value) {
    char word[64];
    int count = 0;
    snprintf(word, sizeof word, "\"%s\":", key);
    for (const char *at = json; (at = strstr(at, word)); count++) {
        at += strlen(word);
        if (strtod(at, NULL) != value || *at == 'n')
            fail_msg("%s %.40s, not %g", word, at, value);
    }
    return count;
}

static void own_output(void **state) {
    (void)state;
    write_requests(1, true);
    struct said said = validated(requests_csv, "--json");
    if (said.code != EXIT_FINE)
        fail_msg("%s", said.err);
    assert_int_equal(all_are(said.out, "ratio", 1), 12); /* three metrics: p50, p90, p99, mean */
    assert_int_equal(all_are(said.out, "median_error", 0), 3);
    assert_int_equal(all_are(said.out, "p90_error", 0), 3);
    assert_int_equal(all_are(said.out, "compared", request_count), 1);
    assert_non_null(strstr(said.out, "\"matched\":true"));
    for (int tier = 0; tier < 2; tier++) { /* as many cached tokens from each tier */
        const char *at = strstr(said.out, tier ? "\"dram\":{" : "\"hbm\":{");
        double measured, predicted;
        assert_non_null(at);
        assert_int_equal(sscanf(strchr(at, '{'), "{\"measured\":%lf,\"predicted\":%lf", &measured, &predicted), 2);
        assert_true(measured == predicted && measured > 0);
    }
    said_free(&said);
}

static void doubled(void **state) {
    (void)state;
    write_requests(2, true);
    struct said said = validated(requests_csv, "--json");
    assert_int_equal(said.code, EXIT_FINE);
    assert_int_equal(all_are(said.out, "ratio", 0.5), 12);
    assert_int_equal(all_are(said.out, "median_error", 0.5), 3);
    assert_int_equal(all_are(said.out, "bias", -0.5), 3);
    said_free(&said);
    write_requests(2, false); /* distributions alone */
    said = validated(requests_csv, "--json");
    assert_int_equal(said.code, EXIT_FINE);
    assert_int_equal(all_are(said.out, "ratio", 0.5), 12);
    assert_non_null(strstr(said.out, "\"matched\":false"));
    assert_non_null(strstr(said.out, "\"median_error\":null"));
    said_free(&said);
    said = validated(requests_csv, NULL); /* for people: under 100 columns */
    assert_int_equal(said.code, EXIT_FINE);
    assert_non_null(strstr(said.out, "TPOT p99"));
    for (const char *line = said.out; *line; line += strcspn(line, "\n"), line += *line == '\n')
        assert_true(strcspn(line, "\n") < 100);
    said_free(&said);
}

/* Fewer requests than the run has: those alone, and it is said. */
static void fewer(void **state) {
    (void)state;
    write_requests(1, true);
    char command[512];
    snprintf(command, sizeof command, "head -n 51 '%s' > '%s/few' && mv '%s/few' '%s'", requests_csv, folder, folder,
             requests_csv);
    assert_int_equal(system(command), 0);
    struct said said = validated(requests_csv, "--json");
    assert_int_equal(said.code, EXIT_FINE);
    assert_int_equal(all_are(said.out, "compared", 50), 1);
    assert_int_equal(all_are(said.out, "ratio", 1), 12);
    said_free(&said);
    said = validated(requests_csv, NULL);
    assert_non_null(strstr(said.out, "50 requests, each against its own"));
    assert_non_null(strstr(said.out, "others are left out"));
    said_free(&said);
}

/* Several files, of the run's own load and of another. */
static void loads(void **state) {
    (void)state;
    write_requests(1, true);
    char named[160], slower[160];
    snprintf(named, sizeof named, "only=%s@1", requests_csv);
    snprintf(slower, sizeof slower, "%s@0.5", requests_csv);
    struct said said = RUN_VERB(validate, NULL, "configs/scenarios/smoke.yaml", requests_csv, "--requests", named,
                                "--json", "--set", VARIANT);
    assert_int_equal(said.code, EXIT_FINE);
    assert_int_equal(all_are(said.out, "ratio", 1), 24);
    assert_int_equal(all_are(said.out, "load", 1), 2);
    said_free(&said);
    /* At half the load the fleet answers faster. */
    said = RUN_VERB(validate, NULL, "configs/scenarios/smoke.yaml", slower, "--json", "--set", VARIANT);
    assert_int_equal(said.code, EXIT_FINE);
    const char *mean = strstr(said.out, "\"quantile\":\"mean\"");
    assert_non_null(mean);
    assert_true(strtod(strstr(mean, "\"ratio\":") + 8, NULL) < 1);
    said_free(&said);
}

/* Somebody's quantiles: the run's own p50 and mean, read off a file of requests. */
static void quantiles(void **state) {
    (void)state;
    write_requests(1, true);
    struct said said = validated(requests_csv, "--json");
    const char *at = strstr(said.out, "\"quantile\":\"p90\",\"measured_s\":");
    assert_non_null(at);
    char text[256];
    snprintf(text, sizeof text, "metric,quantile,value_s\nttft,p90,%.17g\nttft,0.9001,%.17g\n",
             strtod(strstr(at, "_s\":") + 4, NULL), 1.0);
    said_free(&said);
    put_file(folder, "requests.csv", text);
    said = validated(requests_csv, "--json");
    assert_int_equal(said.code, EXIT_FINE);
    assert_non_null(strstr(said.out, "\"form\":\"quantiles\""));
    assert_non_null(strstr(said.out, "\"quantile\":\"p90\""));
    assert_non_null(strstr(said.out, "\"ratio\":1}"));
    assert_non_null(strstr(said.out, "\"quantile\":\"p90.01\",\"measured_s\":1,"));
    said_free(&said);
}

static const struct {
    const char *text, *where, *what;
} bad[] = {
    {"", ":1:0: ", "empty"},
    {"request,input_tokens\n0,5\n", ":1:1: ", "no column with a time"},
    {"ttft_s,ttft_ms\n1,1000\n", ":1:1: ", "two columns for one time"},
    {"ttft_s\n", ":1:1: ", "no request below the header"},
    {"tpot_s,ttft_s\n0.01,nan\n", ":2:6: ", "ttft_s is nan"},
    {"tpot_s,ttft_s\n-0.01,1\n", ":2:1: ", "tpot_s is -0.01"},
    {"tpot_s,ttft_s\n0.01,\n", ":2:6: ", "ttft_s is empty"},
    {"tpot_s,ttft_s\n0.01,0\n", ":2:6: ", "ttft_s is 0"},
    {"tpot_s,ttft_s\n0.01,fast\n", ":2:6: ", "'fast' is not a number"},
    {"request,ttft_s\n0,1\n1.5,1\n", ":3:1: ", "a request's number is '1.5'"},
    {"request,ttft_s\n0,1\n1,1\n0,2\n", ":4:1: ", "request 0 stands on line 2 already"},
    {"request,input_tokens,ttft_s\n0,1,1\n", ":2:1: ", "request 0 has 1 input tokens here and"},
    {"ttft_s,tpot_s\n1\n", ":2:0: ", "1 fields where the header has 2"},
    {"metric,value_s\nttft,1\n", ":1:1: ", "no column 'quantile'"},
    {"metric,quantile,value_s\nTTFT,p50,1\n", ":2:1: ", "no metric 'TTFT'"},
    {"metric,quantile,value_s\nttft,50,1\n", ":2:6: ", "no quantile '50'"},
    {"metric,quantile,value_s\nttft,p50,-1\n", ":2:10: ", "ttft p50 is -1"},
    {"metric,quantile,value_s\nttft,p50,1\nttft,0.5,2\n", ":3:6: ", "stands above already"},
};

static void said_at_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char where[256];
        put_file(folder, "requests.csv", bad[i].text);
        struct said said = validated(requests_csv, NULL);
        snprintf(where, sizeof where, "tiersim: %s%s", requests_csv, bad[i].where);
        if (said.code != EXIT_BAD_INPUT || *said.out || strncmp(said.err, where, strlen(where)) != 0 ||
            !strstr(said.err, bad[i].what) || !strstr(said.err, "\n  hint: "))
            fail_msg("%s\n%d, said: %s\nwanted: %s %s", bad[i].text, said.code, said.err, where, bad[i].what);
        said_free(&said);
    }
    static const char *const words[][2] = {{"nowhere.csv", "cannot read 'nowhere.csv'"},
                                           {"other=x.csv", "no variant 'other'"},
                                           {"x.csv@fast", "no load 'fast'"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct said said = validated(words[i][0], NULL);
        assert_int_equal(said.code, EXIT_BAD_INPUT);
        if (!strstr(said.err, words[i][1]))
            fail_msg("%s", said.err);
        said_free(&said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_output), cmocka_unit_test(doubled),
                                       cmocka_unit_test(fewer),      cmocka_unit_test(loads),
                                       cmocka_unit_test(quantiles),  cmocka_unit_test(said_at_its_place)};
    return cmocka_run_group_tests(tests, run_once, clean);
}
