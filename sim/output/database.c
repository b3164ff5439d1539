#include "sim/output/database_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x74696572, BUSY_MS = 60000 }; /* "tier" */

static void note_failure(struct database *database, int code) {
    if (database->failed || code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
        return;
    database->failed = code;
    snprintf(database->why, sizeof database->why, "%s", sqlite3_errmsg(database->handle));
}

static int execute(struct database *database, const char *sql) {
    int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    note_failure(database, code);
    return code == SQLITE_OK ? 0 : -1;
}

static int64_t ask_integer(struct database *database, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    note_failure(database, code);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    note_failure(database, code);
    sqlite3_finalize(statement);
    return value;
}

/* CREATE TABLE of one table, or its INSERT. */
static char *sql_of(const struct database_table_info *table, bool insert) {
    char *sql = NULL;
    size_t size;
    FILE *out = open_memstream(&sql, &size);
    MUST(out != NULL);
    /* A repeated file is one file. */
    const char *verb = table == &database_tables[TABLE_FILES] ? "INSERT OR IGNORE INTO" : "INSERT INTO";
    fprintf(out, insert ? "%s \"%s\" VALUES (" : "%s \"%s\" (", insert ? verb : "CREATE TABLE", table->name);
    for (const struct database_column *column = table->columns; column->name; column++) {
        if (column != table->columns)
            fputs(", ", out);
        if (insert)
            fputc('?', out);
        else
            fprintf(out, "\"%s\" %s", column->name, column->type);
    }
    if (!insert)
        fprintf(out, ", PRIMARY KEY (%s)) WITHOUT ROWID", table->key);
    else
        fputc(')', out);
    fclose(out);
    return sql;
}

static void create_tables(struct database *database) {
    char pragma[128];
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
             DATABASE_VERSION);
    execute(database, pragma);
    for (int t = 0; t < TABLE_COUNT && !database->failed; t++) {
        char *sql = sql_of(&database_tables[t], false);
        execute(database, sql);
        free(sql);
    }
}

static void prepare_inserts(struct database *database) {
    for (int t = 0; t < TABLE_COUNT && !database->failed; t++) {
        char *sql = sql_of(&database_tables[t], true);
        note_failure(database, sqlite3_prepare_v2(database->handle, sql, -1, &database->inserts[t], NULL));
        free(sql);
    }
}

/* Whether the file is ours, or new. */
static int check_version(struct database *database, const char *path, bool *is_new, struct error *err) {
    int64_t application = ask_integer(database, "PRAGMA application_id"),
            version = ask_integer(database, "PRAGMA user_version"),
            tables = ask_integer(database, "SELECT count(*) FROM sqlite_master");
    *is_new = !database->failed && application == 0 && version == 0 && tables == 0;
    if (database->failed || *is_new)
        return 0;
    if (application != APPLICATION_ID)
        return error_set(err, "'%s' is a database, and not one of tiersim's\n  hint: give --db another file", path);
    if (version != DATABASE_VERSION)
        return error_set(err,
                         "'%s' is of version %" PRId64 ", this tiersim writes version %d\n  hint: give --db a new file",
                         path, version, DATABASE_VERSION);
    return 0;
}

int database_open(const char *path, struct database **out, struct error *err) {
    struct database *database = calloc(1, sizeof *database);
    MUST(database != NULL);
    pthread_mutex_init(&database->lock, NULL);
    if (access(path, F_OK) != 0)
        database->made = strdup(path);
    bool is_new = false;
    note_failure(database, sqlite3_open(path, &database->handle));
    sqlite3_busy_timeout(database->handle, BUSY_MS);
    execute(database, "BEGIN IMMEDIATE");
    int refused = check_version(database, path, &is_new, err);
    if (!refused && is_new)
        create_tables(database);
    if (!refused)
        prepare_inserts(database);
    database->next_run = 1 + ask_integer(database, "SELECT max(run) FROM runs");
    database->next_variant = 1 + ask_integer(database, "SELECT max(variant) FROM variants");
    if (!refused && database->failed)
        refused = error_set(err, "cannot write results to '%s': %s\n  hint: %s", path, database->why,
                            database->failed == SQLITE_NOTADB ? "it is no database: give --db another file"
                            : database->failed == SQLITE_BUSY ? "another process is writing it: try again later"
                                                              : "check that the folder exists and can be written");
    if (refused) {
        database_abandon(database);
        return -1;
    }
    *out = database;
    return 0;
}

static void close_database(struct database *database) {
    for (int t = 0; t < TABLE_COUNT; t++)
        sqlite3_finalize(database->inserts[t]);
    sqlite3_close(database->handle);
    pthread_mutex_destroy(&database->lock);
    free(database->made);
    free(database);
}

void database_abandon(struct database *database) {
    if (!database)
        return;
    sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    if (database->made)
        unlink(database->made);
    close_database(database);
}

int database_commit(struct database *database, struct error *err) {
    if (!database->failed)
        execute(database, "COMMIT");
    if (!database->failed) {
        close_database(database);
        return 0;
    }
    error_set(err,
              "the results could not be written: %s\n  hint: is the disk full, or another program at it? The file is "
              "as it was before",
              database->why);
    err->exit_code = EXIT_RUN_FAILED;
    database_abandon(database);
    return -1;
}

struct row row_begin(struct database *database, enum database_table table) {
    pthread_mutex_lock(&database->lock);
    return (struct row){database, table, 0};
}

void put_integer(struct row *row, int64_t value) {
    sqlite3_bind_int64(row->database->inserts[row->table], ++row->column, value);
}

void put_real(struct row *row, double value) {
    sqlite3_bind_double(row->database->inserts[row->table], ++row->column, value);
}

void put_null(struct row *row) {
    sqlite3_bind_null(row->database->inserts[row->table], ++row->column);
}

static void put_bytes(struct row *row, const char *text, size_t size) {
    sqlite3_bind_text64(row->database->inserts[row->table], ++row->column, text, size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void put_text(struct row *row, const char *text) {
    if (text)
        put_bytes(row, text, strlen(text));
    else
        put_null(row);
}

void row_end(struct row *row) {
    struct database *database = row->database;
    sqlite3_stmt *insert = database->inserts[row->table];
    MUST(row->column == sqlite3_bind_parameter_count(insert));
    if (!database->failed)
        note_failure(database, sqlite3_step(insert));
    sqlite3_reset(insert);
    pthread_mutex_unlock(&database->lock);
}

int64_t database_run(struct database *database, const struct database_run *run) {
    struct row row = row_begin(database, TABLE_RUNS);
    put_integer(&row, database->next_run);
    put_text(&row, run->scenario);
    put_text(&row, run->path);
    put_integer(&row, run->seed);
    put_text(&row, run->version);
    put_text(&row, run->semantics);
    put_integer(&row, run->exact_steps);
    row_end(&row);
    return database->next_run++;
}

int64_t database_variant(struct database *database, const struct database_variant *variant) {
    struct row row = row_begin(database, TABLE_VARIANTS);
    put_integer(&row, database->next_variant);
    put_integer(&row, variant->run);
    put_text(&row, variant->name);
    put_null(&row); /* error: database_failed */
    put_text(&row, variant->model);
    put_text(&row, variant->gpu);
    put_text(&row, variant->weight_dtype);
    put_text(&row, variant->kv_dtype);
    put_integer(&row, variant->nodes);
    put_integer(&row, variant->tp);
    put_integer(&row, variant->instances);
    put_text(&row, variant->config);
    row_end(&row);
    return database->next_variant++;
}

void database_failed(struct database *database, int64_t variant, const char *error) {
    sqlite3_stmt *update = NULL;
    int code =
        sqlite3_prepare_v2(database->handle, "UPDATE variants SET error = ?1 WHERE variant = ?2", -1, &update, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(update, 1, error, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(update, 2, variant);
        code = sqlite3_step(update);
    }
    note_failure(database, code);
    sqlite3_finalize(update);
}

/* All bytes of a regular file; NULL: it cannot be read (a folder, say). */
static char *read_whole(const char *path, size_t *size) {
    FILE *in = fopen(path, "rb");
    char *bytes = NULL, part[1 << 16];
    if (!in)
        return NULL;
    FILE *out = open_memstream(&bytes, size);
    MUST(out != NULL);
    for (size_t got; (got = fread(part, 1, sizeof part, in)) > 0;)
        fwrite(part, 1, got, out);
    bool fine = !ferror(in);
    fclose(in);
    fclose(out);
    if (fine)
        return bytes;
    free(bytes);
    return NULL;
}

void database_input(struct database *database, int64_t variant, const char *role, const char *path, bool keep) {
    size_t size = 0;
    char *bytes = read_whole(path, &size), hash[17];
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    snprintf(hash, sizeof hash, "%016" PRIx64, sum);
    struct row row = row_begin(database, TABLE_INPUTS);
    put_integer(&row, variant);
    put_text(&row, role);
    put_text(&row, path);
    put_text(&row, bytes ? hash : NULL);
    row_end(&row);
    if (bytes && keep) {
        row = row_begin(database, TABLE_FILES);
        put_text(&row, hash);
        put_bytes(&row, bytes, size);
        row_end(&row);
    }
    free(bytes);
}

void database_wall(struct database *database, int64_t variant, double wall_s) {
    char host[256] = "", date[32];
    gethostname(host, sizeof host - 1);
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    struct row row = row_begin(database, TABLE_WALLS);
    put_integer(&row, variant);
    put_real(&row, wall_s);
    put_text(&row, host);
    put_integer(&row, sysconf(_SC_NPROCESSORS_ONLN));
    put_text(&row, date);
    row_end(&row);
}
