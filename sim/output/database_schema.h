/* The tables of a results database: one description for CREATE TABLE, INSERT and docs/database.md. */
#ifndef SIM_OUTPUT_DATABASE_SCHEMA_H
#define SIM_OUTPUT_DATABASE_SCHEMA_H

enum database_table {
    TABLE_RUNS,
    TABLE_VARIANTS,
    TABLE_INPUTS,
    TABLE_FILES,
    TABLE_OUTCOMES,
    TABLE_OUTCOME_TIERS,
    TABLE_CAUSES,
    TABLE_WINDOWS,
    TABLE_LINKS,
    TABLE_TIERS,
    TABLE_INSTANCES,
    TABLE_REQUESTS,
    TABLE_REQUEST_TIERS,
    TABLE_STEP_RUNS,
    TABLE_TRANSFERS,
    TABLE_DECISIONS,
    TABLE_WALLS,
    TABLE_COUNT
};
enum { DATABASE_COLUMNS_MAX = 48 };
struct database_column {
    const char *name, *type, *help;
};
struct database_table_info {
    const char *name, *help, *key;
    struct database_column columns[DATABASE_COLUMNS_MAX]; /* ended by one without a name */
};
extern const struct database_table_info database_tables[TABLE_COUNT];

/* Questions that the page answers with SQL; ended by one without. */
struct database_query {
    const char *asks, *sql;
};
extern const struct database_query database_queries[];

#endif
