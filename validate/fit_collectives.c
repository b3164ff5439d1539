/* All-reduce, three implementations, each a floor and a line. vLLM's own kernel goes in one shot (every rank reads all)
 * or, past a size that depends on the group, in two (reduce-scatter, all-gather); messages past 4 MB are left to NCCL.
 * Timed inside a CUDA graph where there is one. */
#include <math.h>
#include <string.h>

#include "validate/fit.h"

enum { ALPHA, ALPHA2, BETA, PARAMETERS };
static const char *const names[PARAMETERS] = {"alpha", "alpha2", "beta"};

enum way { ONE_SHOT, TWO_SHOT, NCCL, WAYS };
static const char *const way_names[] = {"one shot", "two shots", "NCCL"};
static const double start_s[WAYS] = {4.5e-6, 9e-6, 30e-6};

/* custom_all_reduce.cuh of vLLM: two ranks always go in one shot; up to 4 below 512 KiB, up to 8 below 256 KiB. */
static const double custom_max_bytes = 4194304.0;
static double one_shot_max(double gpus) {
    return gpus <= 2 ? custom_max_bytes : gpus <= 4 ? 524287.0 : 262143.0;
}

static double predict(const struct timing *row, const double *p, const void *context) {
    (void)context;
    double line_s = p[ALPHA2] + row->bytes / p[BETA];
    return line_s > p[ALPHA] ? line_s : p[ALPHA];
}

static bool one_shot(const struct timing *row) {
    return !row->nccl && row->bytes <= one_shot_max(row->gpus);
}
static bool two_shot(const struct timing *row) {
    return !row->nccl && row->bytes > one_shot_max(row->gpus) && row->bytes <= custom_max_bytes;
}
static bool nccl(const struct timing *row) {
    return row->nccl && (row->nccl_only || row->bytes >= custom_max_bytes);
}

static struct fit_rows of_group(const struct timings *timings, enum way way, double gpus, struct arena *arena) {
    static bool (*const keep[WAYS])(const struct timing *) = {one_shot, two_shot, nccl};
    struct fit_rows all = fit_rows_where(timings, keep[way], arena);
    size_t count = 0;
    for (size_t i = 0; i < all.count; i++)
        if (all.at[i]->gpus == gpus)
            all.at[count++] = all.at[i];
    all.count = count;
    return all;
}

/* The floor is at least what the line gives the smallest message, so that none reaches below what was measured. */
static int fit_one(const struct fit_input *in, struct fit_rows all, enum way way, int64_t gpus,
                   struct collective_fit *fit, struct error *err) {
    const char *source = in->source->source;
    double p[PARAMETERS] = {start_s[way], start_s[way], 200e9};
    struct fit_problem own = {.op =
                                  arena_printf(in->arena, "all-reduce %lld GPUs, %s", (long long)gpus, way_names[way]),
                              .rows = fit_rows_held_out(all, false, in->arena),
                              .parameters = p,
                              .parameter_count = PARAMETERS,
                              .names = names,
                              .predict = predict};
    *fit = (struct collective_fit){.gpus = gpus};
    if (fit_solve(&own, &fit->fit, err) != 0)
        return -1;
    fit->fit.spread_outside = 2.0 * fit->fit.spread; /* too few rows to leave a regime out: twice the spread */
    double least = INFINITY;
    for (size_t i = 0; i < all.count; i++) {
        fit->bytes_max = fmax(fit->bytes_max, all.at[i]->bytes);
        least = fmin(least, all.at[i]->bytes);
    }
    fit_set(&fit->alpha_s, fmax(p[ALPHA], p[ALPHA2] + least / p[BETA]), source);
    fit_set(&fit->alpha2_s, p[ALPHA2], source);
    fit_set(&fit->beta_bytes_per_s, p[BETA], source);
    fit_report_rows(in->report, own.op, &own, all, &fit->fit, in->arena);
    return 0;
}

/* No timings (one GPU): the base profile's constants, at the ratio of the datasheets' links. */
static int from_base(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    if (!in->base)
        return error_set(err, "%s has no timings of all-reduce\n  hint: measure with two GPUs, or give --base",
                         in->source->directory);
    const struct list *list = &in->base->collectives;
    double link = profile->on.nvlink_bytes_per_s / in->base->on.nvlink_bytes_per_s;
    struct collective_fit *fits = arena_alloc(in->arena, (list->count + 1) * sizeof *fits);
    memcpy(fits, list->items, list->count * sizeof *fits);
    for (size_t i = 0; i < list->count; i++) {
        fits[i].beta_bytes_per_s.value *= link;
        fits[i].alpha_s.basis = fits[i].alpha2_s.basis = fits[i].beta_bytes_per_s.basis = BASIS_SPEC;
    }
    profile->collectives = (struct list){fits, list->count};
    return 0;
}

int fit_collectives(const struct fit_input *in, struct kernel_profile *profile, struct error *err) {
    static const int64_t groups[] = {2, 4, 8};
    enum { GROUPS = sizeof groups / sizeof *groups };
    struct collective_fit *fits = arena_alloc(in->arena, (size_t)WAYS * GROUPS * sizeof *fits);
    struct timings timings;
    size_t count = 0;
    if (timings_read(in->source, TIMING_COMM, in->arena, &timings, err) != 0)
        return -1;
    if (timings.count == 0)
        return from_base(in, profile, err);
    for (size_t i = 0; i < GROUPS; i++) {
        for (int way = 0; way < WAYS; way++) {
            struct fit_rows rows = of_group(&timings, (enum way)way, (double)groups[i], in->arena);
            if (rows.count == 0)
                continue; /* two ranks never go in two shots; a machine may have fewer GPUs */
            if (fit_one(in, rows, (enum way)way, groups[i], &fits[count++], err) != 0)
                return -1;
        }
    }
    profile->collectives = (struct list){fits, count};
    return 0;
}
