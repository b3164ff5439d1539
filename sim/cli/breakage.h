/* What was broken in a run, and what that cost: each fault of the scenario alone against the same run without any. */
#ifndef SIM_CLI_BREAKAGE_H
#define SIM_CLI_BREAKAGE_H

#include "sim/cli/capacity.h"
#include "sim/output/json.h"
#include "sim/output/recovery.h"

/* What an entry of `faults:` came to. */
struct breakage {
    const struct fault_options *fault;
    uint32_t events;                  /* times that it struck */
    double ttft_p99_s, without_p99_s; /* with this fault alone, and without any */
    double lost_hit_tokens;           /* hits at the ratio without any, less hits */
    double more_computed_tokens;      /* prompt tokens computed, beyond as many as without for as many asked for */
    int64_t fewer_output_tokens;      /* that were not produced in the end; of a closed loop, by the run's end */
    struct recovered worst;           /* of its events, the one with the longest recovery */
    uint32_t unregained;              /* events after which the hit ratio was not regained */
};
/* Fault number `index` of a verdict that has runs of it (verdict->unbroken). */
struct breakage breakage_of(const struct variant *variant, const struct verdict *verdict, size_t index);
/* A roll-out of the variant's namespaces. */
struct recovered breakage_rollout(const struct variant *variant, const struct outcome *outcome, size_t index);

/* Lines of the story; members of a variant's JSON, where there is something to say. */
void breakage_tell(const struct scenario *scenario, const struct verdict *verdicts, FILE *out);
/* As tables: printed before the story, since they are not to be wrapped. */
void breakage_table(const struct scenario *scenario, const struct verdict *verdicts);
void breakage_json(struct json *json, const struct variant *variant, const struct verdict *verdict);

#endif
