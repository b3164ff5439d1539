/* A run by the minute, and by the regime of its traffic: how many requests were in flight, how long steps took, which
 * kernel decoded. Memory follows minutes. */
#ifndef SIM_OUTPUT_MINUTES_H
#define SIM_OUTPUT_MINUTES_H

#include <stddef.h>

#include "sim/base/histogram.h"
#include "sim/base/record.h"

enum { MINUTES_KERNELS = 4 };

/* Of the runs of steps that began in it; `kernel_steps` by struct minutes' names, steps without decodes left out. */
struct minute_steps {
    uint64_t steps, kernel_steps[MINUTES_KERNELS];
    double step_ns; /* summed */
};
struct minute {
    double in_flight_ns; /* time that requests spent in it, from arrival to end, summed */
    struct minute_steps work;
};
/* Of the requests that arrived in the regime's times, after warm-up. */
struct regime_sums {
    int64_t duration_ns;
    uint64_t requests;
    struct histogram *ttft, *tpot;
    struct minute_steps work;
};

struct minutes {
    struct minute *minutes; /* from 0 */
    size_t count, room;
    struct regime_sums *regimes; /* in turn, over and over; NULL: the traffic has none */
    size_t regime_count;
    int64_t cycle_ns, warmup_ns;
    const char *kernels[MINUTES_KERNELS]; /* as they came up; the emitter's */
    size_t kernel_count;
};

struct minutes *minutes_create(const double *regime_s, size_t regime_count, int64_t warmup_ns);
void minutes_destroy(struct minutes *minutes);
/* A request that finished; a run of steps. */
void minutes_request(struct minutes *minutes, const struct request_record *record);
void minutes_run(struct minutes *minutes, const struct run_record *record);
/* Requests in flight in the minute that begins at start_s, on average; 0 beyond the run. */
double minutes_in_flight(const struct minutes *minutes, int64_t start_s);
/* The steps of that minute; zeros beyond the run. */
struct minute_steps minutes_work(const struct minutes *minutes, int64_t start_s);

#endif
