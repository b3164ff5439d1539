/* How a run is shown: as the JSON of the machine contract, or as a table and a story for people. */
#ifndef SIM_CLI_REPORT_H
#define SIM_CLI_REPORT_H

#include "sim/cli/draws.h"
#include "sim/output/json.h"

enum { REPORT_COLUMNS = 98 };

/* One JSON document on stdout; `draws` NULL: none were run. */
void report_json(const struct scenario *scenario, const struct verdict *verdicts, const struct draws *draws);
/* A variant's object of it, as text to be freed. */
char *report_json_variant(const struct variant *variant, const struct verdict *verdict);
/* The question, the table, the story, under 100 columns; wide: everything else too. */
void report_table(const struct scenario *scenario, const struct verdict *verdicts, const struct draws *draws,
                  bool wide);
/* The table's figures of a variant that did not fail; not a number where there is none. */
void report_figures(const struct variant *variant, const struct verdict *verdict, double figures[FIGURES]);
/* The intervals: in the JSON an object of a variant's own, in the table a part of its own. */
void report_draws_json(struct json *json, const struct draws *draws, size_t variant, const char *undrawn);
void report_draws(const struct scenario *scenario, const struct verdict *verdicts, const struct draws *draws,
                  size_t cheapest);

/* --minutes: each variant's regimes and its worst minute; wide: every minute. */
void report_minutes(const struct scenario *scenario, const struct verdict *verdicts, bool wide);
/* The highest p99 among the minutes after warm-up, of the requests that ended in them. */
struct worst_minute {
    int64_t ttft_p99_ns, tpot_p99_ns;
};
struct worst_minute metrics_worst_minute(const struct metrics *metrics);
/* Their parts of the JSON: keys of a window's object, and of a variant's. */
void report_minute_json(struct json *json, const struct metrics *metrics, const struct metrics_window *window);
void report_regimes_json(struct json *json, const struct metrics *metrics);

/* Parts of report_table. `cheapest`: index of that variant, scenario->count: none. */
size_t report_cheapest(const struct scenario *scenario, const struct verdict *verdicts, size_t but);
void report_story(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest);
void report_wide(const struct scenario *scenario, const struct verdict *verdicts);

/* Prompt tokens that were computed although they had been before: what the table calls `again`. */
uint64_t report_again_tokens(const struct variant *variant, const struct metrics *metrics);

/* What would flip the answer: lines of `out`, in order of interest. */
void report_flips(const struct scenario *scenario, const struct verdict *verdicts, size_t cheapest, FILE *out);

#endif
