/* Constants of an engine from the steps that its loop ran: struct engine_profile of models/profile.h. */
#ifndef VALIDATE_FIT_ENGINE_H
#define VALIDATE_FIT_ENGINE_H

#include <stdio.h>

#include "models/profile.h"
#include "sim/base/arena.h"

struct engine_fit {
    struct engine_profile profile;
    size_t steps;                                /* that were read */
    double step_sigma, per_sequence_sigma;       /* relative standard deviations, by the covariance */
    double median_error, p90_error, worst_error; /* |fitted/measured - 1| of host_s */
    double sum_error, larger_error; /* median |predicted/measured - 1| of the time from step to step, were it
                                       GPU + host, and were it the larger of them */
};

/* Reads PATH, a CSV of steps in order, one a row, with the columns
 *   time_s     when the step began, s, from any zero
 *   batch      sequences in the step
 *   host_s     the host's work of the step, s, waiting for the GPU left out
 *   device_s   the GPU's, s
 * (others are left alone); or as the loop of validate/loop writes them: start_s for time_s, and decodes and prefills,
 * whose sum is the batch. Fits
 *   host_s = step + per_sequence x batch
 * robustly (bisquare weights: a step in which the system took the core away is no property of the engine), none below
 * 0. Whether the engine is asynchronous is what the times from step to step say: nearer to max(GPU, host), or to their
 * sum; gaps in which it had nothing to do are left out. `source` stands beside each figure. Error: no such file or
 * column, fewer than ENGINE_FIT_STEPS_MIN steps, or all of one batch size. */
enum { ENGINE_FIT_STEPS_MIN = 30 };
int fit_engine(const char *path, const char *name, const char *source, struct arena *arena, struct engine_fit *out,
               struct error *err);
/* configs/engines/NAME.yaml. */
void engine_fit_write(FILE *out, const struct engine_fit *fit);

#endif
