/* How a run is shown: as the JSON of the machine contract, or as a table for people. */
#ifndef SIM_CLI_REPORT_H
#define SIM_CLI_REPORT_H

#include "sim/cli/capacity.h"

/* One JSON document on stdout. */
void report_json(const struct scenario *scenario, const struct verdict *verdicts);
/* The story under 100 columns; wide: everything else too. */
void report_table(const struct scenario *scenario, const struct verdict *verdicts, bool wide);
/* What keeps a variant from going faster: one of "prefill compute", "HBM bandwidth", a link's name, or "the clients". */
const char *report_binds(const struct variant *variant, const struct outcome *outcome, char *buffer, size_t size);

#endif
