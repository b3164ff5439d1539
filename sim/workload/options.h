/* The `workload:` section of a scenario, and the files of configs/workloads: a trace or a generator. */
#ifndef SIM_WORKLOAD_OPTIONS_H
#define SIM_WORKLOAD_OPTIONS_H

#include "sim/workload/workload.h"

/* A distribution of lengths or times, in tokens or seconds. */
enum distribution_kind {
    DISTRIBUTION_LOGNORMAL,
    DISTRIBUTION_EXPONENTIAL,
    DISTRIBUTION_UNIFORM,
    DISTRIBUTION_CONSTANT,
    DISTRIBUTION_HISTOGRAM
};
struct distribution_bin {
    double value, weight;
};
struct distribution {
    int kind;
    double median, sigma; /* lognormal: exp of a normal of mean ln(median) and deviation sigma */
    double mean;          /* exponential, constant */
    double min, max;      /* all are cut to these; uniform between them */
    struct list bins;     /* histogram: struct distribution_bin */
};

enum arrival_process { ARRIVALS_POISSON, ARRIVALS_GAMMA, ARRIVALS_REGIMES, ARRIVALS_POPULATION };
/* One regime of arrivals; they follow each other in a circle. */
struct arrival_regime {
    double duration_s, rate_per_s, length_scale;
};
struct arrival_options {
    int process;
    double rate_per_s, cv; /* gamma: coefficient of variation of the gaps */
    struct list regimes;   /* struct arrival_regime */
    int64_t population;    /* sessions that are kept going */
    double ramp_s;         /* population: over which the first ones start */
};

/* A generator of sessions. Independent requests are sessions of one turn. */
struct generator_options {
    struct arrival_options arrivals;
    double duration_s;    /* no session begins later, and no turn of a population */
    double system_tokens; /* prefix that all sessions share: tools and system prompt */
    int64_t documents;    /* shared documents; each session begins with one */
    double document_zipf, document_tokens;
    struct distribution first_prompt_tokens, turn_tokens, output_tokens, turns, think_s;
    double context_limit_tokens; /* 0: none */
    bool compacts;               /* at the limit: the session goes on with a summary; otherwise it ends */
    double compact_tokens;       /* length of that summary */
    int64_t tenants;
    int64_t sessions; /* in all; 0: as many as begin within the duration */
};

struct workload_options {
    const char *name, *description;
    /* a trace */
    const char *trace_name;
    struct place trace_at;
    const char *format;
    bool dedupe, closed_loop;
    double rate_scale, start_s, duration_s;
    int64_t requests, repeat;
    double stagger_s;
    int64_t sessions; /* closed loop: sessions at a time */
    double ramp_s;
    /* or a generator */
    const struct node *generate_node;
    struct generator_options generate;
    bool generates;
    /* given by who has loaded it already, to be shared between runs */
    const struct trace *trace;
};
extern const struct option workload_option_table[];
extern const struct option generator_option_table[];

#endif
