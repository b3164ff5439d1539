/* How wrong a price may be, and one draw of that.
 *
 * A price is off by a factor exp(e), e the sum of independent normals of two kinds:
 *   common   what every kernel of a fit shares: its parameters' covariance (`sigma`); beyond the fitted range the
 *            leave-one-regime-out spread; on a GPU that was never measured what its architecture may do otherwise;
 *            an engine's host. It stays the same over layers, steps and the whole run, so it averages out nowhere.
 *   own      what one kernel has to itself: the scatter of rows about the fit (`spread`), the same in each layer. A
 *            step averages over its products. Of a product's a share stays with its shape (own_stays), the rest is
 *            another at another number of tokens, so that a run averages over the batches that it sees.
 * First order for a step's interval (common adds in line, own and different sources in squares); a draw for a run. */
#ifndef MODELS_DRAW_H
#define MODELS_DRAW_H

#include "models/profile.h"

/* Sources that are common to whatever they touch. Add before the end: draws of the others then stay as they are. */
enum error_source {
    ERROR_GEMM, /* parameters of each fit */
    ERROR_DECODE_BF16,
    ERROR_DECODE_FP8,
    ERROR_PREFILL,
    ERROR_COLLECTIVE,
    ERROR_SMALL,
    ERROR_OUTSIDE,        /* ERROR_OUTSIDE + ERROR_GEMM to ERROR_COLLECTIVE: beyond the fitted range */
    ERROR_HARDWARE = 11,  /* ERROR_HARDWARE + enum hardware_share: a GPU whose constants follow from a datasheet */
    ERROR_HOST = 16,      /* the engine's host times */
    ERROR_CONNECTOR = 17, /* the connector's times */
    ERROR_SOURCES
};
/* Shares of the datasheet's rates that kernels reach, which differ from GPU to GPU. */
enum hardware_share {
    SHARE_MEMORY,  /* of HBM bandwidth */
    SHARE_COMPUTE, /* of FLOPS, by products */
    SHARE_PREFILL, /* of FLOPS, by prefill attention */
    SHARE_FIXED,   /* fixed times and links */
    SHARE_ALL,     /* all of the above together */
    SHARES
};

/* Of a price in seconds: `own` is the variance of what is each kernel's own, s^2; `common` standard deviations, s. */
struct uncertainty {
    double own, common[ERROR_SOURCES];
};
void uncertainty_add(struct uncertainty *sum, const struct uncertainty *part);
/* For `count` equal kernels: they err together. */
void uncertainty_times(struct uncertainty *uncertainty, double count);
/* Standard deviation, s. + - * / and sqrt only. */
double uncertainty_s(const struct uncertainty *uncertainty);
/* e^x by + - * / alone, to 1e-12 for |x| <= 8: libm's exp does not give the same bits everywhere. */
double error_factor(double x);
/* 90 % of seconds x exp(deviation/seconds x normal). */
void error_interval(double seconds, double deviation_s, double *low_s, double *high_s);

/* Log standard deviations on `gpu`, by enum hardware_share: all 0 on the GPU that the profile was fitted on. Elsewhere
 * the profile's spec_spread errs in all shares together; on other architectures each share errs by itself besides, so
 * that in all it has the spread of the shares that kernels were seen to reach there, where that is the larger. */
void hardware_spread(const struct kernel_profile *profile, const struct gpu *gpu, double spread[SHARES]);

/* In words, for people: "b200-sxm was not measured: ..."; "" on the profile's own GPU. */
const char *hardware_spread_text(const struct kernel_profile *profile, const struct gpu *gpu, char *buffer,
                                 size_t size);

/* One draw: standard normals, whoever makes them (sim/cli/draws.c: from seed, draw and names). */
enum { DRAW_OWN_MAX = 24, DRAW_OCTAVES = 20 };
struct draw {
    double common[ERROR_SOURCES];
    double own[DRAW_OWN_MAX];                  /* by enum op; decode's kernels by KV dtype behind them */
    double octave[DRAW_OWN_MAX][DRAW_OCTAVES]; /* of products, by the power of two below their tokens */
};
/* Factor of a product's own error: spread x (sqrt(own_stays) x its shape's + sqrt(1 - own_stays) x its octave's).
 * own_stays, 0.3: of the variance of residuals 7 % lie between shapes (n, k) and the rest within, over m, on the H100's
 * 592 published products, 29 % on an H200's 221 (results/calibration/h200). */
double draw_product(const struct draw *draw, int op, int octave, double spread);
/* The engine's and connector's times in this draw. */
void draw_engine(const struct draw *draw, struct engine_profile *engine);
void draw_connector(const struct draw *draw, struct connector_profile *connector);

#endif
