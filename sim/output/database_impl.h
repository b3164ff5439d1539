/* Inside the database writer: rows are bound column after column, in the order of database_schema.c. */
#ifndef SIM_OUTPUT_DATABASE_IMPL_H
#define SIM_OUTPUT_DATABASE_IMPL_H

#include <pthread.h>
#include <sqlite3.h>

#include "sim/output/database.h"
#include "sim/output/database_schema.h"

struct database {
    sqlite3 *handle;
    sqlite3_stmt *inserts[TABLE_COUNT];
    pthread_mutex_t lock; /* streams of several threads */
    int64_t next_run, next_variant;
    char *made; /* the path, when there was no file before */
    int failed; /* the first error of SQLite; nothing is written after it */
    char why[256];
};

struct row {
    struct database *database;
    enum database_table table;
    int column;
};
/* Takes the lock, which row_end gives back. */
struct row row_begin(struct database *database, enum database_table table);
void put_integer(struct row *row, int64_t value);
void put_real(struct row *row, double value);
void put_null(struct row *row);
void put_text(struct row *row, const char *text); /* NULL: a null */
/* Every column must have been put (MUST). */
void row_end(struct row *row);

#endif
