#include "models/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void uncertainty_add(struct uncertainty *sum, const struct uncertainty *part) {
    sum->own += part->own;
    for (int i = 0; i < ERROR_SOURCES; i++)
        sum->common[i] += part->common[i];
}

void uncertainty_times(struct uncertainty *uncertainty, double count) {
    uncertainty->own *= count * count;
    for (int i = 0; i < ERROR_SOURCES; i++)
        uncertainty->common[i] *= count;
}

double uncertainty_s(const struct uncertainty *uncertainty) {
    double variance = uncertainty->own;
    for (int i = 0; i < ERROR_SOURCES; i++)
        variance += uncertainty->common[i] * uncertainty->common[i];
    return sqrt(variance);
}

double error_factor(double x) {
    double size = x < 0 ? -x : x, term = 1, sum = 1;
    int halvings = 0;
    for (; size > 0.5; halvings++)
        size *= 0.5;
    for (int n = 1; n < 16; n++) {
        term *= size / n;
        sum += term;
    }
    for (; halvings > 0; halvings--)
        sum *= sum;
    return x < 0 ? 1 / sum : sum;
}

void error_interval(double seconds, double deviation_s, double *low_s, double *high_s) {
    /* 90 % of a normal distribution lies within this many standard deviations. */
    static const double normal_90 = 1.6448536269514722;
    double factor = seconds > 0 ? error_factor(normal_90 * deviation_s / seconds) : 1;
    *low_s = seconds / factor;
    *high_s = seconds * factor;
}

/* Shares of the datasheet's rates that vLLM 0.24's kernels reach (aiconfigurator @095f58a5; bf16). Of HBM: decode
 * attention with 32 query and 8 KV heads of 128 at batch x context 8 x 8k, 32 x 8k, 128 x 4k and 1 x 64k, and a product
 * of 4096 x 4096 at m = 1; of FLOPS: that product at its best m; prefill attention of 2k, 4k, 8k and 16k tokens. 0: no
 * figure. The first GPU is the one that profiles hold the shares of. */
enum { SEEN = 10 };
static const int seen_of[SHARES] = {[SHARE_MEMORY] = 0, [SHARE_COMPUTE] = 5, [SHARE_PREFILL] = 6, [SHARE_FIXED] = SEEN};
static const struct {
    const char *gpu;
    double shares[SEEN];
} seen[] = {{"h100-sxm", {0.80, 0.91, 0.93, 0.68, 0.67, 0.84, 0.39, 0.53, 0.61, 0.67}},
            {"a100-80-sxm", {0, 0, 0, 0, 0.68, 0.82, 0, 0, 0, 0}},
            {"b200-sxm", {0.73, 0.89, 0.93, 0.62, 0.45, 0.75, 0.24, 0.37, 0.47, 0.55}},
            {"l40s", {0.73, 0.74, 0.83, 0.72, 0.77, 0.72, 0.32, 0.49, 0.51, 0.51}},
            {"rtx-pro-6000", {0.77, 0.83, 0.84, 0.77, 0.72, 0.91, 0.43, 0.54, 0.60, 0.64}}};

/* Root mean square, over the other architectures, of the logarithm of a share over the H100's: what holding the H100's
 * share is wrong by. */
static double seen_spread(enum hardware_share share) {
    double squares = 0, n = 0;
    for (size_t g = 1; g < sizeof seen / sizeof *seen; g++) {
        for (int i = seen_of[share]; i < seen_of[share + 1]; i++) {
            if (seen[g].shares[i] <= 0)
                continue;
            double off = log(seen[g].shares[i] / seen[0].shares[i]);
            squares += off * off;
            n++;
        }
    }
    return sqrt(squares / n);
}

void hardware_spread(const struct kernel_profile *profile, const struct gpu *gpu, double spread[SHARES]) {
    bool own = strcmp(profile->gpu, gpu->name) == 0;
    bool alike =
        gpu->architecture && profile->on.architecture && strcmp(gpu->architecture, profile->on.architecture) == 0;
    double floor = own ? 0 : profile->spec_spread, widest = 0;
    memset(spread, 0, SHARES * sizeof *spread);
    spread[SHARE_ALL] = floor;
    if (own || alike)
        return;
    for (int i = 0; i < SHARE_FIXED; i++) {
        double other = seen_spread((enum hardware_share)i);
        spread[i] = other > floor ? sqrt(other * other - floor * floor) : 0;
        widest = fmax(widest, spread[i]);
    }
    spread[SHARE_FIXED] = widest; /* nothing was seen of fixed times and links: the widest of the others */
}

const char *hardware_spread_text(const struct kernel_profile *profile, const struct gpu *gpu, char *buffer,
                                 size_t size) {
    double spread[SHARES];
    hardware_spread(profile, gpu, spread);
    if (strcmp(profile->gpu, gpu->name) == 0)
        snprintf(buffer, size, "%s", "");
    else if (spread[SHARE_FIXED] > 0)
        snprintf(
            buffer, size,
            "%s was not measured: constants of the %s by datasheet, of another architecture: off by %.0f %% (HBM), "
            "%.0f %% (products), %.0f %% (prefill attention), one standard deviation",
            gpu->name, profile->gpu, 100 * hypot(spread[SHARE_ALL], spread[SHARE_MEMORY]),
            100 * hypot(spread[SHARE_ALL], spread[SHARE_COMPUTE]),
            100 * hypot(spread[SHARE_ALL], spread[SHARE_PREFILL]));
    else
        snprintf(buffer, size,
                 "%s was not measured: constants of the %s by datasheet: off by %.0f %%, one standard deviation",
                 gpu->name, profile->gpu, 100 * spread[SHARE_ALL]);
    return buffer;
}

double draw_product(const struct draw *draw, int op, int octave, double spread) {
    static const double own_stays = 0.3;
    MUST(op >= 0 && op < DRAW_OWN_MAX && octave >= 0 && octave < DRAW_OCTAVES);
    return error_factor(spread * (sqrt(own_stays) * draw->own[op] + sqrt(1 - own_stays) * draw->octave[op][octave]));
}

static void scale(struct figure *figure, double factor) {
    figure->value *= factor;
}

void draw_engine(const struct draw *draw, struct engine_profile *engine) {
    double factor = error_factor(engine->spread * draw->common[ERROR_HOST]);
    scale(&engine->step_s, factor);
    scale(&engine->per_sequence_s, factor);
    scale(&engine->request_s, factor);
}

void draw_connector(const struct draw *draw, struct connector_profile *connector) {
    double factor = error_factor(connector->spread * draw->common[ERROR_CONNECTOR]);
    scale(&connector->load_s, factor);
    scale(&connector->load_per_token_s, factor);
    scale(&connector->store_s, factor);
    scale(&connector->store_per_token_s, factor);
}
