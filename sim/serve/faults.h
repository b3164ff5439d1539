/* Faults of a run: what breaks, when, and for how long. Times are given, or drawn before the run begins: exponential
 * gaps of mean mtbf between the end of one and the beginning of the next, durations of mean mttr, a stream for each
 * fault and unit. */
#ifndef SIM_SERVE_FAULTS_H
#define SIM_SERVE_FAULTS_H

#include "sim/base/option.h"
#include "sim/memory/faults.h"

enum fault_kind { FAULT_LOSE, FAULT_SLOW, FAULT_FLAP, FAULT_RESTART };
extern const char *const fault_kind_names[];

/* An entry of `faults:`. */
struct fault_options {
    const char *name; /* for people; NULL: what it is */
    int kind;         /* enum fault_kind */
    const char *of;   /* tier (lose), link (slow, flap); NULL: restart */
    struct place at;  /* of the entry's kind or `of` */
    int64_t unit;     /* which of them, which instance; -1: each */
    bool off;         /* not read: it never comes */
    double begin_s, duration_s, factor, down_s, up_s, give_up_s, mtbf_s, mttr_s;
};
extern const struct option fault_options_table[];

/* What the faults are about. */
struct faults_world {
    const struct list *faults; /* struct fault_options */
    const struct node_options *node;
    const struct list *tiers; /* struct tier_options */
    uint32_t instances, instances_per_node;
};
/* Things that are not there, and times that cannot be, are errors at their place. `at`: of the section. */
int faults_check(const struct faults_world *world, struct place at, struct error *err);

/* One thing broken from begin to end. */
struct fault_event {
    sim_time begin, end;
    uint32_t fault, unit; /* entry; which unit */
};
/* All of them, by (begin, fault, unit), none that begins after `horizon`. The caller's to free. */
uint32_t faults_schedule(const struct faults_world *world, uint64_t seed, sim_time horizon, struct fault_event **out);

struct faults_setup {
    struct faults_world world;
    uint64_t seed;
    sim_time horizon;
    struct engine *engine;
    /* An instance goes down until then; its time has come; what its requests had swapped out to a tier is gone. */
    void (*down)(void *self, uint32_t instance, sim_time until, sim_time now);
    void (*up)(void *self, uint32_t instance, sim_time now);
    void (*lose_swapped)(void *self, uint32_t instance, uint32_t level, sim_time now);
    bool (*over)(void *self); /* nothing more will come: nothing more needs to break */
    void *self;
};
struct faults;
/* One source of the engine, to be made before any that can touch an instance. */
struct faults *faults_create(const struct faults_setup *setup);
void faults_destroy(struct faults *faults);
void faults_begin(struct faults *faults, struct hierarchy *hierarchy);
/* An instance is restarted for another reason. */
void faults_restart(struct faults *faults, uint32_t instance, sim_time down_ns, sim_time now);

#endif
