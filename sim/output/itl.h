/* Inter-token latency: the time between two tokens of a sequence, by runs of steps. A run's steps count with their mean
 * time (they grow by next to nothing along it); its first step with the pause before it, which each sequence has waited
 * out since its last token: steps of prompts alone, waits for loads, an idle host. A sequence that comes from another
 * instance counts from the step on that it takes part in. */
#ifndef SIM_OUTPUT_ITL_H
#define SIM_OUTPUT_ITL_H

#include "sim/base/histogram.h"
#include "sim/base/record.h"

struct itl;
struct itl *itl_create(int64_t warmup_ns); /* runs that begin earlier are not counted */
void itl_destroy(struct itl *itl);
void itl_run(struct itl *itl, const struct run_record *record);
/* Gaps in ns, one for each token after a sequence's first. */
const struct histogram *itl_gaps(const struct itl *itl);

#endif
