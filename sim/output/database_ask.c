#include <sqlite3.h>

#include "sim/output/database.h"

int database_ask(const char *path, const char *sql, double *value, struct error *err) {
    sqlite3 *file = NULL;
    sqlite3_stmt *question = NULL;
    int failed = 0;
    if (sqlite3_open_v2(path, &file, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(file, sql, -1, &question, NULL) != SQLITE_OK)
        failed = error_set(err, "%s\n  hint: docs/database.md has the tables", sqlite3_errmsg(file));
    else if (sqlite3_step(question) != SQLITE_ROW || sqlite3_column_type(question, 0) == SQLITE_NULL)
        failed = error_set(err, "the question has no answer\n  hint: are the variants' names right?");
    else
        *value = sqlite3_column_double(question, 0);
    sqlite3_finalize(question);
    sqlite3_close(file);
    return failed;
}
