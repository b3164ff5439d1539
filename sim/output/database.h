/* Results in SQLite: what ran, on which inputs, and what came of it. docs/database.md lists every table; the same table
 * of columns (database_schema.c) makes the file, its documentation and the insertions.
 *
 * Everything of one opening goes into one transaction: a file is never half written, and whoever is killed leaves none
 * of his rows. Equal inputs and seeds give an equal `.dump` but for the table `walls`, which alone holds wall times,
 * dates and the host's name: ids are given in the order of the scenario, not of the threads. */
#ifndef SIM_OUTPUT_DATABASE_H
#define SIM_OUTPUT_DATABASE_H

#include <stdio.h>

#include "sim/base/record.h"
#include "sim/output/metrics.h"

enum { DATABASE_VERSION = 3 }; /* PRAGMA user_version; docs/database.md says what each version brought */

struct database;
/* Opens the file, or makes it, and begins the transaction. -1: not ours, of another version, not writable, or another
 * process has been writing for longer than a minute. */
int database_open(const char *path, struct database **out, struct error *err);
/* Commits. -1: something could not be written (disk full ...); then nothing is. Frees either way. */
int database_commit(struct database *database, struct error *err);
/* Leaves the file as it was found. NULL: nothing. */
void database_abandon(struct database *database);

struct database_run {
    const char *scenario, *path, *semantics, *version;
    int64_t seed;
    bool exact_steps;
};
/* Returns the run's id. */
int64_t database_run(struct database *database, const struct database_run *run);

struct database_variant {
    int64_t run;
    const char *name, *model, *gpu, *weight_dtype, *kv_dtype;
    int64_t nodes, tp, instances;
    const char *config; /* resolved, as YAML */
};
int64_t database_variant(struct database *database, const struct database_variant *variant);
/* The variant did not run, and why. */
void database_failed(struct database *database, int64_t variant, const char *error);
/* A file that the variant rests on, by its role ("gpu", "prices", "trace" ...). Its bytes are hashed (FNV-1a, 64 bit)
 * and kept once in the table `files` when `keep`. A file that cannot be read is noted without a hash. */
void database_input(struct database *database, int64_t variant, const char *role, const char *path, bool keep);

/* What a variant came to at one load. The fields that sums do not give are handed over. */
struct database_outcome {
    int64_t variant;
    const char *at; /* "load": the scenario's; "slo": the highest that keeps the SLO */
    double load;
    bool holds_slo;
    const struct metrics *metrics;
    const char *const *tier_names; /* by number */
    uint32_t tier_count;
    uint64_t arrived, events, order_hash;
    double simulated_s;
    const char *binds;
    double usd_per_hour, usd_per_million_tokens, usd_per_million_output_tokens, watts, joules_per_output_token;
};
void database_outcome(struct database *database, const struct database_outcome *outcome);
void database_wall(struct database *database, int64_t variant, double wall_s);

/* Rows of single requests, runs and transfers, while a simulation goes on. Simulations in several threads may each have
 * a stream. */
struct database_stream {
    struct sink sink;
    struct database *database;
    int64_t variant, next_run, next_transfer, next_decision;
    const char *at;
};
void database_stream(struct database_stream *stream, struct database *database, int64_t variant, const char *at,
                     bool requests, bool runs, bool transfers);

/* One number from a file that was committed: the first column of the first row of `sql`. -1: the SQL is wrong, or gives
 * no number. */
int database_ask(const char *path, const char *sql, double *value, struct error *err);

/* docs/database.md. */
void database_print_reference(FILE *out);

#endif
