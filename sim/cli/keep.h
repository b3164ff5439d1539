/* The results of a run, kept in a database. */
#ifndef SIM_CLI_KEEP_H
#define SIM_CLI_KEEP_H

#include "sim/cli/capacity.h"
#include "sim/output/database.h"

/* A database with the ids of one run's variants, given in the scenario's order before anything is simulated. */
struct keeper {
    struct database *database;
    int64_t run;
    int64_t *variants;
    struct database_stream *streams; /* two a variant: at the scenario's load, at the SLO's */
};
int keeper_open(struct keeper *keeper, const char *path, const struct scenario *scenario, bool exact_steps,
                struct error *err);
/* Sinks for the single records that the scenario asks for; NULL: none. */
struct sink *keeper_sink(struct keeper *keeper, const struct scenario *scenario, size_t variant, bool at_slo);
/* Leaves the database as it was found. */
void keeper_abandon(struct keeper *keeper);
/* Writes the outcomes and commits. */
int keeper_commit(struct keeper *keeper, const struct scenario *scenario, const struct verdict *verdicts,
                  struct error *err);

#endif
