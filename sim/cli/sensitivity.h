/* What a little more of one thing would give: the same run, the same seed, one thing of the hardware or the software
 * changed. What there is to change comes from the variant itself: its GPU, its tiers, its node's links, its engine. */
#ifndef SIM_CLI_SENSITIVITY_H
#define SIM_CLI_SENSITIVITY_H

#include "sim/cli/capacity.h"
#include "sim/output/critical.h"

enum knob_kind {
    KNOB_FLOPS,         /* dense, of all dtypes */
    KNOB_HBM_BANDWIDTH, /* of the GPU */
    KNOB_HBM_CAPACITY,  /* of the GPU; of the KV cache in it where the scenario gives that (serving.kv_capacity) */
    KNOB_NVLINK,        /* between the GPUs of an instance */
    KNOB_TIER_CAPACITY, /* of tier `index` */
    KNOB_LINK,          /* bandwidth and I/O rate of the node's link `index`, both ways */
    KNOB_HOST,          /* the engine's host work, faster by that much */
    KNOB_CONNECTOR      /* the connector's, the same */
};
enum { KNOBS_MAX = 96, KNOB_NAME_MAX = 96 };
/* Why a knob changes nothing, and need not be run. */
#define KNOB_UNUSED "nothing went over it"
#define KNOB_NEVER_FULL "never full"
struct knob {
    enum knob_kind kind;
    size_t index;
    char name[KNOB_NAME_MAX];
    const char *idle; /* KNOB_UNUSED, KNOB_NEVER_FULL; NULL: it is run */
};
/* The knobs of a variant, and by its run at the scenario's load which of them nothing hangs on. Returns their number.
 */
size_t knobs_of(const struct variant *variant, const struct outcome *outcome, struct knob knobs[KNOBS_MAX]);

/* What a run came to. */
enum {
    EFFECT_TTFT_MEAN,
    EFFECT_TTFT_P50,
    EFFECT_TTFT_P99,
    EFFECT_TPOT_P99,
    EFFECT_E2E_MEAN,
    EFFECT_CARRIES, /* requests a second, at the highest load that keeps the SLO where it was searched for */
    EFFECT_USD,     /* a million tokens */
    EFFECTS
};
extern const char *const effect_names[EFFECTS];
struct effects {
    bool failed;
    struct error error;
    double values[EFFECTS];
};
/* Runs the variant with the knob turned to (1 + change) of what it is; knob NULL: as it is. `critical` takes the
 * accounts at the scenario's load (NULL: not wanted), `verdict` is the caller's (verdict_free). What is bought costs
 * what it did, but for capacity below HBM, which is bought at the price of its tier. */
void knob_run(const struct reach *reach, const struct knob *knob, double change, struct critical *critical,
              struct verdict *verdict, struct effects *effects);

#endif
