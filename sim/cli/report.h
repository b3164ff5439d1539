/* How a run is shown: as the JSON of the machine contract, or as a table and a story for people. */
#ifndef SIM_CLI_REPORT_H
#define SIM_CLI_REPORT_H

#include "sim/cli/capacity.h"

enum { REPORT_COLUMNS = 98 };

/* One JSON document on stdout. */
void report_json(const struct scenario *scenario, const struct verdict *verdicts);
/* The question, the table, the story, under 100 columns; wide: everything else too. */
void report_table(const struct scenario *scenario, const struct verdict *verdicts, bool wide);

/* Parts of report_table. `cheapest`: index of that variant, scenario->count: none. */
size_t report_cheapest(const struct scenario *scenario, const struct verdict *verdicts, size_t but);
void report_story(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest);
void report_wide(const struct scenario *scenario, const struct verdict *verdicts);

/* Prompt tokens that were computed although they had been before: what the table calls `again`. */
uint64_t report_again_tokens(const struct variant *variant, const struct metrics *metrics);

/* What would flip the answer: lines of `out`, in order of interest. */
void report_flips(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest, FILE *out);

#endif
