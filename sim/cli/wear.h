/* What writing KV does to drives: how much a day, how long they last, what that is in money. */
#ifndef SIM_CLI_WEAR_H
#define SIM_CLI_WEAR_H

#include "sim/cli/capacity.h"
#include "sim/output/json.h"

/* A tier with an endurance, all its units together. */
struct wear {
    const struct tier_options *tier;
    double written_bytes_per_day; /* by the host */
    double dwpd;                  /* drive writes a day, as its rating counts them */
    double years;                 /* until it is worn out at that; 0: nothing is written */
    double usd_per_year;          /* its price over those years; 0 where it has no price */
};
/* Of tier number `tier`; false: it does not wear. dwpd = written x amplification / rated amplification / capacity;
 * years = life of the price file (of the rating) x endurance / dwpd. */
bool wear_of(const struct variant *variant, const struct outcome *outcome, size_t tier, struct wear *out);
void wear_tell(const struct variant *variant, const struct outcome *outcome, FILE *out);
void wear_json(struct json *json, const struct variant *variant, const struct outcome *outcome);

#endif
