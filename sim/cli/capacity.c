#include "sim/cli/capacity.h"

#include <math.h>
#include <time.h>

enum { PROBES_MAX = 24 };

/* Loads are sessions where the workload keeps a population, so a load between two whole numbers of them is the lower. */
static double whole_load(const struct variant *v, double load) {
    const struct workload_options *w = &v->workload;
    double sessions = w->generates && w->generate.arrivals.process == ARRIVALS_POPULATION ? (double)w->generate.arrivals.population : !w->generates && w->closed_loop ? (double)w->sessions : 0;
    if (sessions <= 0) return load;
    double whole = floor(load * sessions + 1e-6);
    return (whole < 1 ? 1 : whole) / sessions;
}

static int try_load(const struct variant_run *run, double load, struct outcome *out, struct error *err) {
    struct variant_run at = *run;
    at.load = load;
    *out = (struct outcome){.load = load};
    if (variant_simulate(&at, &out->metrics, &out->result, err) != 0) return -1;
    out->holds = metrics_hold_slo(&out->metrics);
    return 0;
}

/* The search's state: the highest load known to hold, the lowest known not to. */
struct search {
    const struct variant_run *run;
    struct verdict *verdict;
    struct outcome best;
    bool has_best;
    double low, high;
};

static int probe(struct search *search, double load, bool *holds, struct error *err) {
    struct outcome outcome;
    if (try_load(search->run, load, &outcome, err) != 0) return -1;
    search->verdict->probes++;
    *holds = outcome.holds;
    if (outcome.holds && (!search->has_best || load > search->best.load)) {
        if (search->has_best) metrics_destroy(&search->best.metrics);
        search->best = outcome;
        search->has_best = true;
    } else {
        metrics_destroy(&outcome.metrics);
    }
    if (*holds)
        search->low = load;
    else
        search->high = load;
    return 0;
}

static int search_best(struct search *search, double base_load, bool base_holds, struct error *err) {
    const struct variant *v = search->run->variant;
    bool holds = base_holds;
    double load = base_load;
    search->low = base_holds ? base_load : 0;
    search->high = base_holds ? INFINITY : base_load;
    while (holds == base_holds && search->verdict->probes < PROBES_MAX) {
        double next = whole_load(v, base_holds ? load * 2 : load / 2);
        if (next == load || next > 64 * base_load || next < base_load / 64) return 0;
        load = next;
        if (probe(search, load, &holds, err) != 0) return -1;
    }
    while (search->low > 0 && search->high / search->low > 1.02 && search->verdict->probes < PROBES_MAX) {
        double middle = whole_load(v, sqrt(search->low * search->high));
        if (middle <= search->low || middle >= search->high) break;
        if (probe(search, middle, &holds, err) != 0) return -1;
    }
    return 0;
}

void verdict_reach(const struct variant_run *run, bool search_load, struct verdict *verdict) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    *verdict = (struct verdict){0};
    const struct variant *v = run->variant;
    double base_load = whole_load(v, v->options.load);
    verdict->failed = try_load(run, base_load, &verdict->base, &verdict->error) != 0;
    if (!verdict->failed && search_load && v->options.has_slo) {
        struct search search = {.run = run, .verdict = verdict};
        verdict->failed = search_best(&search, base_load, verdict->base.holds, &verdict->error) != 0;
        if (!verdict->failed && search.has_best) {
            verdict->best = search.best;
            verdict->has_best = true;
        } else if (!verdict->failed && verdict->base.holds) {
            verdict->best = verdict->base;
            verdict->has_best = verdict->best_is_base = true;
        } else if (search.has_best) {
            metrics_destroy(&search.best.metrics);
        }
        if (verdict->failed) metrics_destroy(&verdict->base.metrics);
    }
    if (!verdict->failed) {
        const struct outcome *priced = verdict_priced(verdict);
        verdict->failed = variant_cost(v, &priced->metrics, &priced->result, &verdict->cost, &verdict->error) != 0;
        if (verdict->failed) metrics_destroy(&verdict->base.metrics);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    verdict->wall_s = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

const struct outcome *verdict_priced(const struct verdict *verdict) { return verdict->has_best ? &verdict->best : &verdict->base; }

void verdict_free(struct verdict *verdict) {
    if (verdict->failed) return;
    metrics_destroy(&verdict->base.metrics);
    if (verdict->has_best && !verdict->best_is_base) metrics_destroy(&verdict->best.metrics);
}
