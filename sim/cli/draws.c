#include "sim/cli/draws.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/report.h"
#include "sim/engine/random.h"

struct draws *draws_create(size_t variants, size_t count) {
    struct draws *draws = calloc(1, sizeof *draws);
    MUST(draws != NULL);
    draws->count = count;
    draws->drawn = calloc(variants * count + 1, sizeof *draws->drawn);
    MUST(draws->drawn != NULL);
    return draws;
}

void draws_free(struct draws *draws, size_t variants) {
    for (size_t i = 0; i < variants * draws->count; i++)
        free(draws->drawn[i].json);
    free(draws->drawn);
    free(draws);
}

const struct drawn *draws_of(const struct draws *draws, size_t variant) {
    return draws->drawn + variant * draws->count;
}

/* FNV-1a: names become entities of the stream. */
static uint64_t entity_add(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

struct normals {
    gsl_rng *rng;
    uint64_t seed, number;
};

static void draw_some(const struct normals *n, const char *role, const char *name, double *z, size_t count) {
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)n->number);
    uint64_t entity = entity_add(entity_add(entity_add(UINT64_C(0xcbf29ce484222325), role), name), number);
    random_seek(n->rng, n->seed, RANDOM_DRAW, entity);
    for (size_t i = 0; i < count; i++)
        z[i] = gsl_cdf_ugaussian_Pinv(gsl_rng_uniform_pos(n->rng));
}

void draw_normals(const struct variant *v, uint64_t seed, uint64_t number, struct draw *draw) {
    struct normals n = {gsl_rng_alloc(random_philox), seed, number};
    MUST(n.rng != NULL);
    draw_some(&n, "profile", v->kernels->name, draw->common, ERROR_HARDWARE);
    draw_some(&n, "kernels", v->kernels->name, draw->own, DRAW_OWN_MAX);
    draw_some(&n, "octaves", v->kernels->name, draw->octave[0], sizeof draw->octave / sizeof(double));
    draw_some(&n, "gpu", v->gpu->name, draw->common + ERROR_HARDWARE, SHARES);
    draw_some(&n, "engine", v->engine ? v->engine->name : "", draw->common + ERROR_HOST, 1);
    draw_some(&n, "connector", v->connector ? v->connector->name : "", draw->common + ERROR_CONNECTOR, 1);
    gsl_rng_free(n.rng);
}

/* The variant with the draw's models; it shares everything else. */
struct drawn_variant {
    struct variant variant;
    struct engine_profile engine;
    struct connector_profile connector;
};

static int draw_variant(const struct variant *v, const struct draw *draw, struct drawn_variant *out,
                        struct error *err) {
    out->variant = *v;
    if (v->engine) {
        out->engine = *v->engine;
        draw_engine(draw, &out->engine);
        out->variant.engine = &out->engine;
    }
    if (v->connector) {
        out->connector = *v->connector;
        draw_connector(draw, &out->connector);
        out->variant.connector = &out->connector;
    }
    return variant_model(&out->variant, draw, &out->variant.model, err);
}

void draw_run(const struct reach *reach, uint64_t seed, uint64_t number, struct drawn *drawn) {
    struct draw draw;
    struct drawn_variant v;
    struct reach drawn_reach = *reach;
    struct error error;
    struct verdict verdict;
    *drawn = (struct drawn){.failed = true};
    if (reach->variant->failed)
        return;
    draw_normals(reach->variant, seed, number, &draw);
    if (draw_variant(reach->variant, &draw, &v, &error) != 0)
        return;
    drawn_reach.variant = &v.variant;
    verdict_reach(&drawn_reach, &verdict);
    drawn->failed = verdict.failed;
    if (!verdict.failed) {
        drawn->misses = verdict_misses(&verdict);
        report_figures(&v.variant, &verdict, drawn->figures);
        drawn->json = report_json_variant(&v.variant, &verdict);
    }
    verdict_free(&verdict);
    step_model_destroy(v.variant.model);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value at a rank from 1 that may lie between two. */
static double at_rank(const double *values, size_t count, double rank) {
    double whole = floor(rank);
    size_t i = (size_t)whole - 1;
    return i + 1 < count ? values[i] + (rank - whole) * (values[i + 1] - values[i]) : values[count - 1];
}

void draws_interval(double *values, size_t count, double *low, double *high) {
    MUST(count > 0);
    qsort(values, count, sizeof *values, ascending);
    double rank = fmax(1, 0.05 * (double)(count + 1));
    *low = at_rank(values, count, rank);
    *high = at_rank(values, count, (double)(count + 1) - rank);
}

double draws_level(size_t count) {
    return fmin(0.9, 1 - 2 / (double)(count + 1));
}
