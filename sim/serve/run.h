/* A run of steps: consecutive steps of equal composition, priced by one segment. Step i costs a + b*i in fixed point
 * (2^-16 ns), so the end of step j has a closed form; the simulator takes a run as one event, and --exact-steps adds
 * the same integers one by one. */
#ifndef SIM_SERVE_RUN_H
#define SIM_SERVE_RUN_H

#include "models/step.h"
#include "sim/engine/engine.h"

/* ns from the run's start to the end of its step number `steps` (0: none taken). */
static inline sim_time run_elapsed_ns(const struct step_segment *segment, int64_t steps) {
    return (segment->a * steps + segment->b * (steps * (steps - 1) / 2)) / STEP_FIXED_ONE;
}

/* Most steps <= `steps` whose closed form cannot overflow. */
int64_t run_cap(const struct step_segment *segment, int64_t steps);

/* The first step boundary strictly after `elapsed_ns`: smallest j in 1..steps with run_elapsed_ns(j) > elapsed_ns, or
 * `steps` when there is none. Strictly after: a step that begins at the very time of an arrival does not see it,
 * which makes runs and single steps agree whatever the order of events within one ns. */
int64_t run_boundary_after(const struct step_segment *segment, int64_t steps, sim_time elapsed_ns);

#endif
