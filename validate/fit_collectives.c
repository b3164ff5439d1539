/* All-reduce, three implementations, each a floor and a line. vLLM's own kernel goes in one shot (every rank reads all)
 * or, past a size that depends on the group, in two (reduce-scatter, all-gather); messages past 4 MB are left to NCCL.
 * Timed inside a CUDA graph where there is one. */
#include "models/ops.h"
#include "validate/fit.h"

enum { ALPHA, ALPHA2, BETA, PARAMETERS };

enum way { ONE_SHOT, TWO_SHOT, NCCL, WAYS };
static const char *const way_names[] = {"one shot", "two shots", "NCCL"};
static const double start_s[WAYS] = {4.5e-6, 9e-6, 30e-6};

/* custom_all_reduce.cuh of vLLM: two ranks always go in one shot; up to 4 below 512 KiB, up to 8 below 256 KiB. */
static const double custom_max_bytes = 4194304.0;
static double one_shot_max(double gpus) {
    return gpus <= 2 ? custom_max_bytes : gpus <= 4 ? 524287.0 : 262143.0;
}

static const char source[] = "aiconfigurator @095f58a5: vLLM 0.24 in a CUDA graph, NCCL 2.29";

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
    return row->nccl && row->bytes >= custom_max_bytes;
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
static int fit_one(const struct fit_problem *problem, enum way way, int64_t gpus, struct arena *arena,
                   struct collective_fit *fit, struct fit_report *report, struct error *err) {
    double p[PARAMETERS] = {start_s[way], start_s[way], 200e9};
    struct fit_problem own = *problem;
    own.parameters = p;
    *fit = (struct collective_fit){.gpus = gpus};
    if (fit_solve(&own, &fit->fit, err) != 0)
        return -1;
    fit->fit.spread_outside = 2.0 * fit->fit.spread; /* too few rows to leave a regime out: twice the spread */
    for (size_t i = 0; i < own.rows.count; i++)
        if (own.rows.at[i]->bytes > fit->bytes_max)
            fit->bytes_max = own.rows.at[i]->bytes;
    double least = fit->bytes_max;
    for (size_t i = 0; i < own.rows.count; i++)
        if (own.rows.at[i]->bytes < least)
            least = own.rows.at[i]->bytes;
    double floor_s = p[ALPHA2] + least / p[BETA];
    fit_set(&fit->alpha_s, p[ALPHA] > floor_s ? p[ALPHA] : floor_s, source);
    fit_set(&fit->alpha2_s, p[ALPHA2], source);
    fit_set(&fit->beta_bytes_per_s, p[BETA], source);
    const char *op = arena_printf(arena, "all-reduce %lld GPUs, %s", (long long)gpus, way_names[way]);
    fit_report_add(report, op, &own, own.rows, &fit->fit);
    return 0;
}

int fit_collectives(const struct timings *timings, struct arena *arena, struct kernel_profile *profile,
                    struct fit_report *report, struct error *err) {
    static const int64_t groups[] = {2, 4, 8};
    enum { GROUPS = sizeof groups / sizeof *groups };
    struct collective_fit *fits = arena_alloc(arena, (size_t)WAYS * GROUPS * sizeof *fits);
    size_t count = 0;
    for (size_t i = 0; i < GROUPS; i++) {
        for (int way = 0; way < WAYS; way++) {
            struct fit_rows rows = of_group(timings, (enum way)way, (double)groups[i], arena);
            struct fit_problem problem = {rows, NULL, PARAMETERS, predict, NULL};
            if (rows.count == 0 && way == TWO_SHOT)
                continue; /* two ranks have none */
            if (fit_one(&problem, (enum way)way, groups[i], arena, &fits[count++], report, err) != 0)
                return -1;
        }
    }
    profile->collectives = (struct list){fits, count};
    return 0;
}
