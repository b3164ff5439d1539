/* Workloads as a scenario or a file of configs/workloads names them. */
#ifndef SIM_CLI_WORKLOAD_H
#define SIM_CLI_WORKLOAD_H

#include "sim/config/node.h"
#include "sim/workload/options.h"

/* Reads a workload: a scalar names an entry of configs/workloads (or a file); a mapping is read as it stands, laid over
 * the entry that its key `base` names, if any. */
int load_workload(const struct node *node, struct arena *arena, struct workload_options *out, struct error *err);

#endif
