#include "sim/cli/capacity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double search_range = 64, search_resolution = 1.02, search_beyond = 1.03;
enum { SEARCH_BEYOND = 2, SEARCH_LONG = 32 };

/* What the search has seen. Percentiles of a run of finite length waver, so a load may break that has one above it
 * which holds: what counts is the highest that holds. */
struct search {
    const struct variant *variant;
    double base;
    struct seen {
        double load;
        bool holds;
    } seen[PROBES_MAX + 1];
    size_t count;
};

/* Loads are sessions where the workload keeps a population, so a load between two whole numbers of them is the lower.
 */
static double whole_load(const struct variant *v, double load) {
    double sessions = variant_sessions(v, 1);
    if (sessions <= 0)
        return load;
    double whole = floor(load * sessions + 1e-6);
    return (whole < 1 ? 1 : whole) / sessions;
}

/* The highest load that holds (0: none does) and the lowest above it that breaks (HUGE_VAL: none does). */
static void search_bounds(const struct search *s, double *low, double *high) {
    *low = 0;
    *high = HUGE_VAL;
    for (size_t i = 0; i < s->count; i++)
        if (s->seen[i].holds && s->seen[i].load > *low)
            *low = s->seen[i].load;
    for (size_t i = 0; i < s->count; i++)
        if (s->seen[i].load > *low && s->seen[i].load < *high)
            *high = s->seen[i].load;
}

static bool search_knows(const struct search *s, double load) {
    for (size_t i = 0; i < s->count; i++)
        if (s->seen[i].load == load)
            return true;
    return false;
}

/* The two are as near as they can be: whether a somewhat higher load than the one that broke holds after all. */
static double search_further(const struct search *s, double high) {
    for (int i = 0; i < SEARCH_BEYOND && s->count < SEARCH_LONG; i++) {
        double next = whole_load(s->variant, high * search_beyond);
        if (next <= high) /* few sessions: one more */
            next = whole_load(s->variant, high + 1 / fmax(variant_sessions(s->variant, 1), 1));
        high = next;
        if (!search_knows(s, high))
            return high <= s->base * search_range ? high : 0;
    }
    return 0;
}

/* The load to try next; 0: it is found, or there is none. */
static double search_next(const struct search *s) {
    double low, high, next;
    search_bounds(s, &low, &high);
    if (s->count == 0)
        return s->base;
    if (high == HUGE_VAL) {
        next = whole_load(s->variant, low * 2);
        return next <= s->base * search_range ? next : 0;
    }
    if (low == 0) {
        next = whole_load(s->variant, high / 2);
        return next < high && next >= s->base / search_range ? next : 0;
    }
    next = whole_load(s->variant, sqrt(low * high));
    if (next <= low) /* few sessions: the one between */
        next = whole_load(s->variant, low + 1 / fmax(variant_sessions(s->variant, 1), 1));
    if (high / low <= search_resolution || next <= low || next >= high)
        return search_further(s, high);
    return next;
}

static struct search search_after(struct search s, double load, bool holds) {
    MUST(s.count <= PROBES_MAX);
    s.seen[s.count++] = (struct seen){load, holds};
    return s;
}

/* A load to be simulated. */
struct trial {
    double load;
    struct sink *records;
    struct access_log *access_log;
    const struct list *faults; /* instead of the variant's, where other_faults */
    bool other_faults;
    struct outcome *outcome;
    int failed;
    struct error error;
};

static void try_load(const struct reach *reach, struct trial *trial) {
    const struct variant *v = reach->variant;
    struct progress_run shown = {.progress = reach->progress,
                                 .name = v->name,
                                 .load = trial->load,
                                 .horizon_s = variant_horizon_s(v, trial->load)};
    progress_begin(&shown);
    struct variant_run run = {.variant = v,
                              .load = trial->load,
                              .seed = reach->seed,
                              .exact_steps = reach->exact_steps,
                              .audit = reach->audit,
                              .faults = trial->faults,
                              .other_faults = trial->other_faults,
                              .also = trial->records,
                              .access_log = trial->access_log,
                              .every_record =
                                  reach->every_base_record && trial->records && trial->records == reach->base_records,
                              .progress = reach->progress ? progress_show : NULL,
                              .progress_self = &shown};
    struct outcome *outcome = calloc(1, sizeof *outcome);
    MUST(outcome != NULL);
    outcome->load = trial->load;
    trial->outcome = outcome;
    trial->failed = variant_simulate(&run, &outcome->metrics, &outcome->result, &trial->error);
    if (!trial->failed) {
        trial->failed = variant_cost(v, &outcome->metrics, &outcome->result, &outcome->cost, &trial->error);
        if (trial->failed)
            metrics_destroy(&outcome->metrics);
    }
    if (!trial->failed) {
        outcome->holds = metrics_hold_slo(&outcome->metrics);
        return;
    }
    free(outcome);
    trial->outcome = NULL;
}

/* Of the verdict's outcomes the one at this load; NULL: it was not simulated yet. */
static struct outcome *known(const struct verdict *verdict, double load) {
    for (size_t i = 0; i < verdict->probe_count; i++)
        if (verdict->probes[i]->load == load)
            return verdict->probes[i];
    return NULL;
}

/* Simulates the next load, and where there are threads for them also the two that would come after it. */
static int simulate_ahead(const struct reach *reach, const struct search *search, struct verdict *verdict) {
    double next = search_next(search);
    struct search if_holds = search_after(*search, next, true), if_breaks = search_after(*search, next, false);
    double loads[] = {next, search_next(&if_holds), search_next(&if_breaks)};
    struct trial trials[3] = {0};
    int count = 0, wanted = reach->threads > 3 ? 3 : reach->threads;
    for (int i = 0; i < 3 && count < wanted; i++)
        if (loads[i] > 0 && !known(verdict, loads[i]) && verdict->probe_count + (size_t)count < PROBES_MAX)
            trials[count++] = (struct trial){.load = loads[i]};
    MUST(count > 0);
#pragma omp parallel for num_threads(count) schedule(static, 1) if (count > 1)
    for (int i = 0; i < count; i++)
        try_load(reach, &trials[i]);
    int failed = 0;
    for (int i = 0; i < count; i++) {
        if (trials[i].failed && !failed)
            verdict->error = trials[i].error;
        failed |= trials[i].failed;
        if (!trials[i].failed)
            verdict->probes[verdict->probe_count++] = trials[i].outcome;
    }
    return failed;
}

static int find_best(const struct reach *reach, struct verdict *verdict) {
    struct search search = {.variant = reach->variant, .base = verdict->base->load};
    double low, high;
    search = search_after(search, verdict->base->load, verdict->base->holds);
    for (double load; (load = search_next(&search)) > 0;) {
        if (!known(verdict, load) && simulate_ahead(reach, &search, verdict) != 0)
            return -1;
        search = search_after(search, load, known(verdict, load)->holds);
    }
    search_bounds(&search, &low, &high);
    verdict->best = low > 0 ? known(verdict, low) : NULL;
    verdict->above = high < HUGE_VAL ? known(verdict, high) : NULL;
    return 0;
}

/* The records of the best load are taken in a run of their own, since nobody knew before that it would be the best. */
static int record_best(const struct reach *reach, struct verdict *verdict) {
    if (!verdict->best || verdict->best == verdict->base || !reach->best_records)
        return 0;
    struct trial trial = {.load = verdict->best->load, .records = reach->best_records};
    try_load(reach, &trial);
    if (trial.failed) {
        verdict->error = trial.error;
        return -1;
    }
    MUST(trial.outcome->result.order_hash == verdict->best->result.order_hash);
    metrics_destroy(&trial.outcome->metrics);
    free(trial.outcome);
    return 0;
}

static int try_faults(const struct reach *reach, struct verdict *verdict, const struct list *faults,
                      struct outcome **out) {
    struct trial trial = {.load = verdict->base->load, .faults = faults, .other_faults = true};
    try_load(reach, &trial);
    *out = trial.outcome;
    verdict->error = trial.failed ? trial.error : verdict->error;
    return trial.failed;
}

/* What the faults cost needs the same run without them. */
static int run_unbroken(const struct reach *reach, struct verdict *verdict) {
    const struct list *all = &reach->variant->options.faults;
    struct list none = {NULL, 0};
    if (all->count == 0)
        return 0;
    if (try_faults(reach, verdict, &none, &verdict->unbroken) != 0)
        return -1;
    if (all->count == 1 || all->count > ALONE_MAX)
        return 0;
    for (size_t i = 0; i < all->count; i++) {
        /* The others stay in the list, switched off: drawn faults keep their streams. */
        struct fault_options faults[ALONE_MAX];
        struct list one = {faults, all->count};
        memcpy(faults, all->items, all->count * sizeof *faults);
        for (size_t k = 0; k < all->count; k++)
            faults[k].off = k != i;
        if (try_faults(reach, verdict, &one, &verdict->alone[i]) != 0)
            return -1;
        verdict->alone_count++;
    }
    return 0;
}

static int reach_all(const struct reach *reach, struct verdict *verdict) {
    const struct variant *v = reach->variant;
    if (v->failed) {
        verdict->error = v->error;
        return -1;
    }
    struct trial base = {
        .load = whole_load(v, v->options.load), .records = reach->base_records, .access_log = reach->access_log};
    try_load(reach, &base);
    if (base.failed) {
        verdict->error = base.error;
        return -1;
    }
    verdict->base = verdict->probes[verdict->probe_count++] = base.outcome;
    if (run_unbroken(reach, verdict) != 0)
        return -1;
    verdict->searched = reach->search && v->options.has_slo;
    if (!verdict->searched)
        return 0;
    return find_best(reach, verdict) != 0 || record_best(reach, verdict) != 0 ? -1 : 0;
}

void verdict_reach(const struct reach *reach, struct verdict *verdict) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    *verdict = (struct verdict){0};
    if (reach_all(reach, verdict) != 0) {
        struct error error = verdict->error;
        verdict_free(verdict);
        *verdict = (struct verdict){.failed = true, .error = error};
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    verdict->wall_s = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    progress_done(reach->progress);
}

const struct outcome *verdict_priced(const struct verdict *verdict) {
    return verdict->best ? verdict->best : verdict->base;
}

bool verdict_misses(const struct verdict *verdict) {
    return verdict->searched && !verdict->failed && !verdict->best;
}

void verdict_free(struct verdict *verdict) {
    for (size_t i = 0; i < verdict->probe_count; i++) {
        metrics_destroy(&verdict->probes[i]->metrics);
        free(verdict->probes[i]);
    }
    struct outcome *others[1 + ALONE_MAX] = {verdict->unbroken};
    for (size_t i = 0; i < ALONE_MAX; i++)
        others[1 + i] = verdict->alone[i];
    for (size_t i = 0; i < 1 + ALONE_MAX; i++) {
        if (others[i])
            metrics_destroy(&others[i]->metrics);
        free(others[i]);
    }
    *verdict = (struct verdict){0};
}
