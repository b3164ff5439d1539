/* Copies between pinned memory and the GPU, one direction at a time: the copy engine's (single calls in a loop, one
 * batched call), then those of a copying kernel.
 *
 *   batch   host + latency + N descriptor + S / bandwidth        small blocks: descriptor and bandwidth of their own
 *   loop    host + latency + S / bandwidth + (N - 1) gap
 *   kernel  launch + max(S / bandwidth, blocks a CTA x max(trip + block / CTA rate, trip x block / in flight))
 *
 * Towards the GPU, blocks below 25 KiB go through the host's hands into the command buffer: the cliff. The break is
 * where it was seen, between 24 and 26 KiB, not a parameter of the fit. A CTA of a copying kernel takes a short block
 * in one round trip and what issuing it takes; a long one as what it keeps in flight goes round (Little's law). That is
 * fitted and not the kernel's 512 threads of 64 bytes: loads come out within a few per cent of them, and stores, which
 * nobody waits for, at a third. */
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>

#include "validate/fit.h"

enum { HOST, BANDWIDTH, DESCRIPTOR, GAP, ENGINE_ONE, SMALL = ENGINE_ONE, SMALL_BANDWIDTH, ENGINE_TWO };
static const char *const engine_names[ENGINE_TWO] = {"host + latency", "bandwidth",        "descriptor",
                                                     "loop_gap",       "descriptor_small", "bandwidth_small"};
enum { LAUNCH, KERNEL_BANDWIDTH, TRIP, CTA_RATE, IN_FLIGHT, KERNEL };
static const char *const kernel_names[KERNEL] = {"kernel_launch", "kernel_bandwidth", "kernel_round_trip",
                                                 "kernel_cta_rate", "kernel_in_flight"};

static const double small_below = 25600.0;
/* Blocks below this have a spread of their own (LONE_SMALL_BYTES of sim/memory/lone_copy.h). */
static const double small_block = 65536.0;
/* Of a small copy on the device; the rest is the host's part. */
static const double latency_s = 3e-6;
/* Descriptors of one transfer that cost link time: the submission of later ones is hidden. Copies of up to 50000 blocks
 * were fitted with it; it matters beyond 15000. */
enum { DESCRIPTORS_MOST = 15000 };
/* Host time a descriptor: beyond the fit, since at these sizes it hides behind the link's. */
static const double submit_s = 0.48e-6, loop_submit_s = 1.5e-6;

static bool engine_up(const struct timing *row) {
    return row->up && row->api != TIMING_COPY_KERNEL;
}
static bool engine_down(const struct timing *row) {
    return !row->up && row->api != TIMING_COPY_KERNEL;
}
static bool kernel_up(const struct timing *row) {
    return row->up && row->api == TIMING_COPY_KERNEL;
}
static bool kernel_down(const struct timing *row) {
    return !row->up && row->api == TIMING_COPY_KERNEL;
}
static double copy_bytes(const struct timing *row) {
    return row->block_bytes * row->blocks;
}
/* Left out: the most blocks at once. */
static bool many(const struct timing *row, double limit) {
    return row->blocks >= limit;
}
/* Left out: the largest copies. */
static bool large(const struct timing *row, double limit) {
    return copy_bytes(row) >= limit;
}

static double predict_engine(const struct timing *row, const double *p, const void *context) {
    (void)context;
    if (row->api == TIMING_COPY_LOOP)
        return p[HOST] + copy_bytes(row) / p[BANDWIDTH] + (row->blocks - 1.0) * p[GAP];
    if (row->up && row->block_bytes < small_below)
        return p[HOST] + copy_bytes(row) / p[SMALL_BANDWIDTH] + row->blocks * p[SMALL];
    return p[HOST] + copy_bytes(row) / p[BANDWIDTH] + row->blocks * p[DESCRIPTOR];
}

static double predict_kernel(const struct timing *row, const double *p, const void *context) {
    (void)context;
    double ctas = fmin(row->ctas, row->blocks), block = row->block_bytes;
    double cta_s = row->blocks / ctas * fmax(p[TRIP] + block / p[CTA_RATE], p[TRIP] * block / p[IN_FLIGHT]);
    return p[LAUNCH] + fmax(copy_bytes(row) / p[KERNEL_BANDWIDTH], cta_s);
}

static int solve(const struct fit_input *in, struct fit_problem *problem, struct fit_rows all,
                 struct fit_quality *quality, struct error *err) {
    double outside[2], most_blocks = 0, most_bytes = 0;
    for (size_t i = 0; i < all.count; i++) {
        most_blocks = fmax(most_blocks, all.at[i]->blocks);
        most_bytes = fmax(most_bytes, copy_bytes(all.at[i]));
    }
    problem->rows = fit_rows_held_out(all, false, in->arena);
    if (fit_leave_out(problem, many, most_blocks, in->arena, &outside[0], err) != 0 ||
        fit_leave_out(problem, large, most_bytes / 2, in->arena, &outside[1], err) != 0 ||
        fit_solve(problem, quality, err) != 0)
        return -1;
    quality->spread_outside = fmax(quality->spread, fmax(outside[0], outside[1]));
    fit_report_rows(in->report, problem->op, problem, all, quality, in->arena);
    fit_report_parameters(in->report, problem);
    return 0;
}

/* How far off the fitted rows of a direction are, blocks below 64 KiB and others apart. */
enum { OFFS_MAX = 512 };
struct offs {
    double at[2][OFFS_MAX];
    size_t count[2];
};

static void note_offs(const struct fit_problem *problem, struct offs *offs) {
    for (size_t i = 0; i < problem->rows.count; i++) {
        const struct timing *row = problem->rows.at[i];
        int small = row->block_bytes < small_block;
        double off = fabs(log(problem->predict(row, problem->parameters, problem->context) / row->seconds));
        if (offs->count[small] < OFFS_MAX)
            offs->at[small][offs->count[small]++] = off;
    }
}

/* A few rows are far off, most are not: the standard deviation of the normal distribution that has as many of them
 * within its 90 %. */
static double usual_spread(double *offs, size_t count) {
    if (count == 0)
        return 0;
    gsl_sort(offs, 1, count);
    return gsl_stats_quantile_from_sorted_data(offs, 1, count, 0.9) / 1.645;
}

static int fit_engine(const struct fit_input *in, const struct timings *timings, bool up, struct copy_fit *fit,
                      struct offs *offs, struct error *err) {
    double p[ENGINE_TWO] = {7e-6, 50e9, 0.5e-6, 3e-6, 1e-6, 10e9};
    struct fit_problem problem = {.op = up ? "copy engine, to the GPU" : "copy engine, from the GPU",
                                  .parameters = p,
                                  .parameter_count = up ? ENGINE_TWO : ENGINE_ONE,
                                  .names = engine_names,
                                  .predict = predict_engine};
    if (solve(in, &problem, fit_rows_where(timings, up ? engine_up : engine_down, in->arena), &fit->engine, err) != 0)
        return -1;
    note_offs(&problem, offs);
    fit->latency_s = latency_s;
    fit->host_s = fmax(p[HOST] - latency_s, 0);
    fit->bandwidth_bytes_per_s = p[BANDWIDTH];
    fit->descriptor_s = p[DESCRIPTOR];
    fit->loop_gap_s = p[GAP];
    if (!up)
        return 0;
    fit->small_below_bytes = small_below;
    fit->descriptor_small_s = p[SMALL];
    fit->bandwidth_small_bytes_per_s = p[SMALL_BANDWIDTH];
    return 0;
}

static int fit_kernel(const struct fit_input *in, const struct timings *timings, bool up, struct copy_fit *fit,
                      struct offs *offs, struct error *err) {
    double p[KERNEL] = {10e-6, 50e9, 1e-6, 100e9, 32768};
    struct fit_problem problem = {.op = up ? "copy kernel, to the GPU" : "copy kernel, from the GPU",
                                  .parameters = p,
                                  .parameter_count = KERNEL,
                                  .names = kernel_names,
                                  .predict = predict_kernel};
    if (solve(in, &problem, fit_rows_where(timings, up ? kernel_up : kernel_down, in->arena), &fit->kernel, err) != 0)
        return -1;
    note_offs(&problem, offs);
    fit->kernel_launch_s = p[LAUNCH];
    fit->kernel_bandwidth_bytes_per_s = p[KERNEL_BANDWIDTH];
    fit->kernel_in_flight_bytes = p[IN_FLIGHT];
    fit->kernel_round_trip_s = p[TRIP];
    fit->kernel_cta_bytes_per_s = p[CTA_RATE];
    return 0;
}

int fit_copies(const struct fit_input *in, struct copy_fits *fits, struct error *err) {
    struct timings timings;
    *fits = (struct copy_fits){.source = in->source->source};
    if (timings_read(in->source, TIMING_COPY, in->arena, &timings, err) != 0)
        return -1;
    if (timings.count == 0)
        return error_set(err, "%s has no timings of copies\n  hint: measure the group copies", in->source->directory);
    for (int up = 0; up < 2; up++) {
        struct copy_fit *fit = up ? &fits->read : &fits->write;
        struct offs offs = {.count = {0}};
        if (fit_engine(in, &timings, up, fit, &offs, err) != 0 || fit_kernel(in, &timings, up, fit, &offs, err) != 0)
            return -1;
        fit->spread = usual_spread(offs.at[0], offs.count[0]);
        fit->spread_small = usual_spread(offs.at[1], offs.count[1]);
    }
    return 0;
}

static void write_way(FILE *out, const char *name, const struct copy_fit *fit) {
    fprintf(out, "%s:\n  bandwidth: %.6e B/s\n  latency: %.6e s\n  submit: %.6e s\n  descriptor: %.6e s\n", name,
            fit->bandwidth_bytes_per_s, fit->latency_s, submit_s, fit->descriptor_s);
    fprintf(out, "  descriptor_most: %d\n", DESCRIPTORS_MOST);
    if (fit->small_below_bytes > 0)
        fprintf(out, "  descriptor_break: %.0f B\n  descriptor_small: %.6e s\n  bandwidth_small: %.6e B/s\n",
                fit->small_below_bytes, fit->descriptor_small_s, fit->bandwidth_small_bytes_per_s);
}

static void write_api(FILE *out, const char *name, const struct copy_fit *fit) {
    fprintf(out, "  %s:\n    host: %.6e s\n    loop_submit: %.6e s\n    loop_gap: %.6e s\n", name, fit->host_s,
            loop_submit_s, fit->loop_gap_s);
    fprintf(out, "    kernel_bandwidth: %.6e B/s\n    kernel_launch: %.6e s\n    kernel_in_flight: %.6e B\n",
            fit->kernel_bandwidth_bytes_per_s, fit->kernel_launch_s, fit->kernel_in_flight_bytes);
    fprintf(out, "    kernel_round_trip: %.6e s\n    kernel_cta_rate: %.6e B/s\n", fit->kernel_round_trip_s,
            fit->kernel_cta_bytes_per_s);
    fprintf(out, "    spread: %.4f\n    spread_small: %.4f\n", fit->spread, fit->spread_small);
}

void copies_write(FILE *out, const struct copy_fits *fits) {
    write_way(out, "read", &fits->read);
    write_way(out, "write", &fits->write);
    fprintf(out, "api:\n");
    write_api(out, "read", &fits->read);
    write_api(out, "write", &fits->write);
    fprintf(out, "basis: measured\nsource: \"%s: pinned memory, from the first submission to the host's return\"\n",
            fits->source);
}
