/* Is a run the same again: its JSON, its database, whatever the threads, and step by step? And is another seed another
 * run? */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "sim/output/database_schema.h"

static char folder[] = "/tmp/tiersim-same-XXXXXX";
static const char *const databases[] = {"a.db", "b.db"};

static int begin(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    return 0;
}
static void path_of(const char *name, char path[256]) {
    snprintf(path, 256, "%s/%s", folder, name);
}
static void forget(void) {
    for (int i = 0; i < 2; i++) {
        char path[256];
        path_of(databases[i], path);
        (void)unlink(path);
    }
}
static int finish(void **state) {
    (void)state;
    forget();
    return rmdir(folder);
}

/* Takes out what stands behind "key": until the next comma or brace. */
static void blank(char *json, const char *key) {
    char quoted[64];
    int length = snprintf(quoted, sizeof quoted, "\"%s\":", key);
    for (char *at = json; (at = strstr(at, quoted)) != NULL;) {
        at += length;
        char *end = at + strcspn(at, ",}");
        memmove(at, end, strlen(end) + 1);
    }
}

/* Prints every row of a table but for the columns in `but` (", a, b,"). */
static void dump_table(sqlite3 *database, const char *name, const char *but, FILE *out) {
    char sql[128], column[80];
    sqlite3_stmt *rows;
    snprintf(sql, sizeof sql, "SELECT * FROM %s", name);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &rows, NULL), SQLITE_OK);
    int code, columns = sqlite3_column_count(rows);
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        fputs(name, out);
        for (int c = 0; c < columns; c++) {
            snprintf(column, sizeof column, " %s,", sqlite3_column_name(rows, c));
            if (strstr(but, column))
                continue;
            if (sqlite3_column_type(rows, c) == SQLITE_FLOAT)
                fprintf(out, "|%a", sqlite3_column_double(rows, c));
            else
                fprintf(out, "|%s", (const char *)sqlite3_column_text(rows, c));
        }
        fputc('\n', out);
    }
    assert_int_equal(code, SQLITE_DONE);
    sqlite3_finalize(rows);
}

/* All that a database holds, but for the tables and columns in `but`. */
static char *dump(const char *name, const char *but) {
    char path[256], table[80], *text = NULL;
    size_t size;
    sqlite3 *database;
    path_of(name, path);
    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (int t = 0; t < TABLE_COUNT; t++) {
        snprintf(table, sizeof table, " %s,", database_tables[t].name);
        if (!strstr(but, table))
            dump_table(database, database_tables[t].name, but, out);
    }
    fclose(out);
    sqlite3_close(database);
    return text;
}

/* Where two texts part, in words. */
static void same_text(const char *what, const char *a, const char *b) {
    size_t at = 0, line = 0;
    for (; a[at] && a[at] == b[at]; at++)
        if (a[at] == '\n')
            line = at + 1;
    if (a[at] != b[at])
        fail_msg("%s differ at %zu:\n%.300s\n%.300s", what, at, a + (at > line + 150 ? at - 150 : line),
                 b + (at > line + 150 ? at - 150 : line));
}

static void same_databases(const char *but) {
    char *a = dump(databases[0], but), *b = dump(databases[1], but);
    assert_true(strlen(a) > 1000);
    same_text("databases", a, b);
    free(a);
    free(b);
}

/* Everything that can be kept, at two loads. */
static struct said run_smoke(const char *database, const char *jobs, const char *seed) {
    char path[256];
    path_of(database, path);
    struct said said =
        RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--json", "--db", path, "-j", jobs, "--seed", seed, "--set",
                 "slo.ttft_p99=2 s", "--set", "output.runs=yes", "--set", "output.transfers=yes");
    assert_string_equal(said.err, "");
    assert_int_equal(said.code, 0);
    blank(said.out, "wall_s");
    return said;
}

static void again(void **state) {
    (void)state;
    static const char *const jobs[] = {"1", "2", "6"};
    struct said first = run_smoke(databases[0], "1", "7");
    for (int i = 0; i < 3; i++) {
        char path[256];
        struct said second = run_smoke(databases[1], jobs[i], "7");
        same_text("JSON", first.out, second.out);
        same_databases(" walls,");
        said_free(&second);
        path_of(databases[1], path);
        assert_int_equal(unlink(path), 0);
    }
    said_free(&first);
    forget();
}

/* Another seed: other arrivals, lengths and so on, so another order of events in every variant. */
static void another_seed(void **state) {
    (void)state;
    struct said a = run_smoke(databases[0], "1", "7"), b = run_smoke(databases[0], "1", "8");
    char path[256];
    sqlite3 *database;
    sqlite3_stmt *rows;
    path_of(databases[0], path);
    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database,
                           "SELECT count(*), count(DISTINCT order_hash), count(DISTINCT seed) FROM "
                           "outcomes JOIN variants USING (variant) JOIN runs USING (run) WHERE at = 'load'",
                           -1, &rows, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(rows, 0), 6);
    assert_int_equal(sqlite3_column_int(rows, 1), 6);
    assert_int_equal(sqlite3_column_int(rows, 2), 2);
    sqlite3_finalize(rows);
    sqlite3_close(database);
    assert_string_not_equal(a.out, b.out);
    said_free(&a);
    said_free(&b);
    forget();
}

/* What makes a scenario short, and lets it use its lower tiers early: those we know have room in DRAM for an hour. */
static const struct {
    const char *name, *sets[4];
} shorter[] = {
    {"smoke.yaml", {NULL}},
    {"long-context-agents.yaml",
     {"warmup=0", "load=0.3", "variants.2.tiers.dram.capacity=200 GB", "variants.3.tiers.dram.capacity=200 GB"}},
    {"mooncake-conversation.yaml", {"variants.1.tiers.dram.capacity=100 GB", "variants.2.tiers.dram.capacity=100 GB"}},
};

/* Arguments of a run of `scenario`. */
static void words_of(const char *scenario, const char *database, bool exact, const char **words) {
    const char *const fixed[] = {"tiersim run", scenario, "--no-search", "-j",    "1",
                                 "--json",      "--db",   database,      "--set", "stop_after=4 min"};
    size_t count = 0;
    for (; count < sizeof fixed / sizeof *fixed; count++)
        words[count] = fixed[count];
    for (size_t i = 0; i < sizeof shorter / sizeof *shorter; i++)
        for (size_t s = 0; strstr(scenario, shorter[i].name) && s < 4 && shorter[i].sets[s]; s++) {
            words[count++] = "--set";
            words[count++] = shorter[i].sets[s];
        }
    if (exact)
        words[count++] = "--exact-steps";
    words[count] = NULL;
}

/* One scenario with runs of steps and step by step. false: its trace is not here. */
static bool step_by_step(const char *scenario) {
    struct said said[2];
    for (int exact = 0; exact < 2; exact++) {
        const char *words[VERB_WORDS_MAX];
        char path[256];
        path_of(databases[exact], path);
        words_of(scenario, path, exact, words);
        said[exact] = run_words(verb_run, NULL, words);
        if (strstr(said[exact].err, "no trace '")) {
            print_message("%s: no trace, skipped\n", scenario);
            for (int i = 0; i <= exact; i++)
                said_free(&said[i]);
            return false;
        }
        assert_string_equal(said[exact].err, "");
        blank(said[exact].out, "wall_s");
        blank(said[exact].out, "events");
    }
    same_text(scenario, said[0].out, said[1].out);
    same_databases(" walls, runs, events, order_hash,");
    said_free(&said[0]);
    said_free(&said[1]);
    forget();
    return true;
}

static void exact_steps(void **state) {
    (void)state;
    DIR *scenarios = opendir("configs/scenarios");
    assert_non_null(scenarios);
    int seen = 0, skipped = 0;
    for (struct dirent *entry; (entry = readdir(scenarios)) != NULL;) {
        char path[512];
        size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".yaml") != 0)
            continue;
        snprintf(path, sizeof path, "configs/scenarios/%s", entry->d_name);
        seen++;
        skipped += !step_by_step(path);
    }
    closedir(scenarios);
    assert_true(seen >= 3);
    if (skipped > 0)
        skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(again), cmocka_unit_test(another_seed),
                                       cmocka_unit_test(exact_steps)};
    return cmocka_run_group_tests(tests, begin, finish);
}
