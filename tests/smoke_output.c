/* Is the results database as docs/database.md has it: its tables, its version, its questions? And is a file that is
 * none of ours left alone? */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

#include <sqlite3.h>

#include "sim/output/database.h"
#include "sim/output/database_schema.h"

static char folder[] = "/tmp/tiersim-db-XXXXXX";
static char path[64];
static sqlite3 *database;

static struct said run_into(const char *file) {
    return RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--db", file, "--json", "--set", "slo.ttft_p99=2 s",
                    "--set", "output.runs=yes", "--set", "output.transfers=yes");
}

static int begin(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.db", folder);
    for (int i = 0; i < 2; i++) { /* two runs in one file */
        struct said said = run_into(path);
        assert_string_equal(said.err, "");
        assert_int_equal(said.code, 0);
        said_free(&said);
    }
    return sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL);
}
static int finish(void **state) {
    (void)state;
    sqlite3_close(database);
    (void)unlink(path);
    return rmdir(folder);
}

static int64_t number(const char *sql) {
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &rows, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(rows, 0);
    sqlite3_finalize(rows);
    return value;
}

static void page(void **state) {
    (void)state;
    char text[65536];
    FILE *file = fopen("docs/database.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    struct said said = RUN_VERB(docs, NULL, "database");
    if (strcmp(said.out, text) != 0)
        fail_msg("docs/database.md is out of date\n  hint: build/tiersim docs database >docs/database.md");
    said_free(&said);
}

static void tables(void **state) {
    (void)state;
    char sql[256];
    assert_int_equal(number("PRAGMA user_version"), DATABASE_VERSION);
    assert_int_equal(number("SELECT count(*) FROM sqlite_master WHERE type = 'table'"), TABLE_COUNT);
    for (int t = 0; t < TABLE_COUNT; t++) {
        for (const struct database_column *column = database_tables[t].columns; column->name; column++) {
            snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%s') WHERE name = '%s' AND type = '%s'",
                     database_tables[t].name, column->name, column->type);
            if (number(sql) != 1)
                fail_msg("no column %s.%s", database_tables[t].name, column->name);
        }
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", database_tables[t].name);
        if (number(sql) == 0)
            fail_msg("nothing in %s", database_tables[t].name);
    }
}

/* What one table says, another says too. */
static void sums(void **state) {
    (void)state;
    assert_int_equal(number("SELECT count(*) FROM runs"), 2);
    assert_int_equal(number("SELECT count(*) FROM variants"), 6);
    assert_int_equal(number("SELECT count(*) FROM outcomes"), 12);
    static const char *const none[] = {
        "SELECT count(*) FROM outcomes o WHERE arrived <> (SELECT count(*) FROM requests r WHERE r.variant = o.variant "
        "AND r.at = o.at) OR arrived <> finished + rejected",
        "SELECT count(*) FROM requests WHERE end_ns - arrival_ns <> queue_ns + prefill_ns + decode_ns + load_ns + "
        "stall_ns + swap_ns + preempt_ns",
        "SELECT count(*) FROM outcomes o WHERE prompt_tokens <> (SELECT sum(prompt_tokens) FROM requests r WHERE "
        "r.variant = o.variant AND r.at = o.at)",
        "SELECT count(*) FROM outcome_tiers t WHERE hit_tokens <> (SELECT coalesce(sum(hit_tokens), 0) FROM "
        "request_tiers r WHERE r.variant = t.variant AND r.at = t.at AND r.tier = t.tier)",
        "SELECT count(*) FROM request_tiers t LEFT JOIN requests r USING (variant, at, request) WHERE r.request IS "
        "NULL",
        "SELECT count(*) FROM instances i WHERE runs <> (SELECT count(*) FROM step_runs s WHERE s.variant = i.variant "
        "AND s.at = i.at AND s.instance = i.instance)",
        "SELECT count(*) FROM instances i WHERE steps <> (SELECT sum(steps) FROM step_runs s WHERE s.variant = "
        "i.variant AND s.at = i.at AND s.instance = i.instance)",
        "SELECT count(*) FROM transfers WHERE started_ns < submitted_ns OR end_ns < started_ns OR from_tier = to_tier",
        "SELECT count(*) FROM links WHERE utilisation > 1",
        "SELECT count(*) FROM inputs WHERE role <> 'trace' AND hash NOT IN (SELECT hash FROM files)"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (number(none[i]) != 0)
            fail_msg("%lld rows: %s", (long long)number(none[i]), none[i]);
}

static void questions(void **state) {
    (void)state;
    for (const struct database_query *query = database_queries; query->asks; query++) {
        sqlite3_stmt *rows;
        if (sqlite3_prepare_v2(database, query->sql, -1, &rows, NULL) != SQLITE_OK)
            fail_msg("%s: %s", query->asks, sqlite3_errmsg(database));
        int code = sqlite3_step(rows), wanted = strstr(query->asks, "no row") ? SQLITE_DONE : SQLITE_ROW;
        if (code != wanted)
            fail_msg("%s: %d, not %d", query->asks, code, wanted);
        sqlite3_finalize(rows);
    }
}

/* Neither another version nor another program's database is touched. */
static void others(void **state) {
    (void)state;
    assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    struct said said = run_into(path);
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(strstr(said.err, "/a.db' is of version 99, this tiersim writes version 3\n"
                                     "  hint: give --db a new file\n"));
    said_free(&said);
    assert_int_equal(sqlite3_exec(database, "PRAGMA application_id = 7", NULL, NULL, NULL), SQLITE_OK);
    said = run_into(path);
    assert_int_equal(said.code, EXIT_BAD_INPUT);
    assert_non_null(
        strstr(said.err, "/a.db' is a database, and not one of tiersim's\n  hint: give --db another file\n"));
    said_free(&said);
    assert_int_equal(number("SELECT count(*) FROM runs"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(page), cmocka_unit_test(tables), cmocka_unit_test(sums),
                                       cmocka_unit_test(questions), cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, begin, finish);
}
