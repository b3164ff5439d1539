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

static double no_more(double rate, double peak) {
    return peak > 0 && rate > peak ? peak : rate;
}

/* A link's rates in a draw: all by one factor, none beyond its peak. Latencies and descriptors are as they are. */
static void draw_link(struct node_link *link, double factor) {
    struct link_options *o = &link->link;
    struct link_direction *const ways[] = {&o->read, &o->write};
    for (int i = 0; i < 2; i++) {
        ways[i]->bandwidth_bytes_per_s = no_more(ways[i]->bandwidth_bytes_per_s / factor, o->peak_bytes_per_s);
        ways[i]->bandwidth_small_bytes_per_s =
            no_more(ways[i]->bandwidth_small_bytes_per_s / factor, o->peak_bytes_per_s);
    }
    o->duplex_bytes_per_s = no_more(o->duplex_bytes_per_s / factor, 2 * o->peak_bytes_per_s);
}

/* The variant with the draw's models and links; it shares everything else. */
struct drawn_variant {
    struct variant variant;
    struct node_link *links;
    struct engine_profile engine;
    struct connector_profile connector;
};

static void draw_links(const struct variant *v, uint64_t seed, uint64_t number, struct drawn_variant *out) {
    const struct list *links = &v->node.links;
    struct normals n = {gsl_rng_alloc(random_philox), seed, number};
    out->links = calloc(links->count + 1, sizeof *out->links);
    MUST(n.rng != NULL && out->links != NULL);
    if (links->count > 0)
        memcpy(out->links, links->items, links->count * sizeof *out->links);
    for (size_t i = 0; i < links->count; i++) {
        char name[256];
        double z;
        snprintf(name, sizeof name, "%s/%s", v->node.name, out->links[i].name);
        draw_some(&n, "link", name, &z, 1);
        if (out->links[i].spread > 0)
            draw_link(&out->links[i], error_factor(out->links[i].spread * z));
    }
    out->variant.node.links.items = out->links;
    gsl_rng_free(n.rng);
}

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
    draw_links(reach->variant, seed, number, &v);
    drawn_reach.variant = &v.variant;
    verdict_reach(&drawn_reach, &verdict);
    drawn->failed = verdict.failed;
    if (!verdict.failed) {
        drawn->misses = verdict_misses(&verdict);
        report_figures(&v.variant, &verdict, drawn->figures);
        drawn->json = report_json_variant(&v.variant, &verdict);
    }
    verdict_free(&verdict);
    free(v.links);
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
