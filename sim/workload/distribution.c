#include <gsl/gsl_randist.h>
#include <math.h>

#include "sim/workload/workload_impl.h"

int distribution_check(const struct distribution *d, const char *what, struct error *err) {
    if (d->min > d->max)
        return error_set(err, "%s: min is above max\n  hint: min <= max", what);
    if (d->kind == DISTRIBUTION_LOGNORMAL && d->median <= 0)
        return error_set(err, "%s: a lognormal's median must be above 0\n  hint: median: 240", what);
    double weight = 0;
    const struct distribution_bin *bins = d->bins.items;
    for (size_t i = 0; i < d->bins.count; i++)
        weight += bins[i].weight;
    if (d->kind == DISTRIBUTION_HISTOGRAM && weight <= 0)
        return error_set(err, "%s: a histogram needs bins with weight\n  hint: bins: [{value: 512, weight: 3}]", what);
    return 0;
}

static double draw_bin(const struct distribution *d, double u) {
    const struct distribution_bin *bins = d->bins.items;
    double weight = 0, seen = 0;
    for (size_t i = 0; i < d->bins.count; i++)
        weight += bins[i].weight;
    for (size_t i = 0; i < d->bins.count; i++) {
        seen += bins[i].weight;
        if (u * weight < seen)
            return bins[i].value;
    }
    return bins[d->bins.count - 1].value;
}

double distribution_draw(const struct distribution *d, gsl_rng *rng) {
    double value = d->mean;
    switch (d->kind) {
    case DISTRIBUTION_LOGNORMAL:
        value = d->sigma > 0 ? gsl_ran_lognormal(rng, log(d->median), d->sigma) : d->median;
        break;
    case DISTRIBUTION_EXPONENTIAL:
        value = gsl_ran_exponential(rng, d->mean);
        break;
    case DISTRIBUTION_UNIFORM:
        value = gsl_ran_flat(rng, d->min, d->max);
        break;
    case DISTRIBUTION_HISTOGRAM:
        value = draw_bin(d, gsl_rng_uniform(rng));
        break;
    default:
        break;
    }
    if (value < d->min)
        value = d->min;
    return value > d->max ? d->max : value;
}
