/* What `tiersim why` found out of a variant, and how it is shown. */
#ifndef SIM_CLI_WHY_H
#define SIM_CLI_WHY_H

#include "sim/cli/sensitivity.h"

struct why {
    const struct variant *variant;
    bool wanted, searched;
    size_t seeds;
    double change;          /* of each knob; 0: no sensitivities were asked for */
    struct verdict verdict; /* of the first seed, as it is */
    struct critical critical;
    struct knob knobs[KNOBS_MAX];
    size_t knob_count;
    struct effects *base, *turned; /* [seed]; [knob x seeds + seed] */
};

/* A relative change, mean over the seeds, and half of its 90 % interval (NaN: fewer than 3 seeds). */
struct effect {
    double mean, reach;
};
struct effect why_effect(const struct why *why, size_t knob, int which);

void why_print(const struct scenario *scenario, struct why *whys);
void why_json(const struct scenario *scenario, struct why *whys);

#endif
