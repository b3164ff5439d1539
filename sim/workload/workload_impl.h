/* Inside the workload: its files alone include this. */
#ifndef SIM_WORKLOAD_WORKLOAD_IMPL_H
#define SIM_WORKLOAD_WORKLOAD_IMPL_H

#include <gsl/gsl_rng.h>

#include "sim/workload/options.h"
#include "sim/workload/trace.h"

/* One copy of a repeated trace, by when its next request comes. */
struct copy {
    sim_time at;
    uint32_t number, next; /* copy, and request of the trace */
};

struct workload {
    const struct workload_options *options;
    double load;
    uint64_t seed, given; /* requests given out */
    /* trace */
    const struct trace *trace;
    struct trace *own_trace;
    struct copy *copies; /* open loop: a heap by (at, number) */
    uint32_t copy_count;
    int64_t from_ns, until_ns;          /* of the trace's time */
    int64_t sessions_begun, population; /* closed loop */
    uint64_t salt_step;
    /* generator */
    gsl_rng *rng;
    double *document_weight; /* cumulated */
    double clock;            /* of the arrivals */
    uint64_t sessions_given;
    /* foresight */
    int64_t *next_use; /* by trace request: from next_use_first[] on */
    uint64_t *next_use_first;
    uint32_t next_use_block_tokens;
    uint32_t *session_next; /* by trace request: its session's next, TRACE_NONE: none */
};

bool replay_next(struct workload *workload, struct request_spec *out);
size_t replay_after(struct workload *workload, const struct request_spec *done, sim_time end_ns,
                    struct request_spec *out);
int replay_open(struct workload *workload, struct error *err);

bool generate_next(struct workload *workload, struct request_spec *out);
size_t generate_after(struct workload *workload, const struct request_spec *done, sim_time end_ns,
                      struct request_spec *out);
int generate_open(struct workload *workload, struct error *err);

/* distribution.c: a draw, cut to [min, max]. */
double distribution_draw(const struct distribution *distribution, gsl_rng *rng);
int distribution_check(const struct distribution *distribution, const char *what, struct error *err);

static inline bool open_loop(const struct workload *workload) {
    return workload->options->generates ? false : !workload->options->closed_loop;
}
static inline bool generates(const struct workload *workload) {
    return workload->options->generates;
}

#endif
