/* Timings of kernels, whatever they were read from: the rows that `tiersim-calibrate` measured, a CSV of one's own, or
 * the published tables. One struct for all, so that the fit and the validation price a row by the same call. */
#ifndef VALIDATE_TIMINGS_H
#define VALIDATE_TIMINGS_H

#include "models/ops.h"
#include "sim/base/arena.h"
#include "validate/measured.h"

/* One measurement; fields by kind, the others 0. */
struct timing {
    double seconds;
    double m, n, k;                                     /* gemm; experts: n = width of an expert, k = hidden */
    double experts, experts_per_token;                  /* experts: m tokens, each to so many of them */
    double batch, q_heads, kv_heads, head_dim, context; /* attention; context: tokens a sequence, of prefill the new */
    double prefix;                                      /* prefill: cached tokens a sequence before the new */
    double tokens, longest, splits, page;               /* decode; 0: batch x context, context, by the rule, 16 */
    bool fp8;                                           /* weights of products, KV of attention */
    double gpus, bytes;                                 /* collective */
    bool nccl;                                          /* collective: by NCCL, not by an engine's own kernel */
    bool nccl_only;                                     /* collective: no other was timed, so it has all sizes */
    double block_bytes, blocks, ctas;                   /* copy */
    bool up;                                            /* copy: towards the GPU */
    int api;                                            /* copy: enum timing_copy */
    bool warm;                                          /* decode: the KV may lie in the L2 */
    bool held_out;                                      /* not to be fitted: what the fit is judged by */
    const struct measured *row;                         /* where it stands, its numbers in words */
};
struct timings {
    struct timing *rows;
    size_t count;
};
enum timing_kind { TIMING_GEMM, TIMING_DECODE, TIMING_PREFILL, TIMING_COMM, TIMING_EXPERTS, TIMING_COPY, TIMING_KINDS };
enum timing_copy { TIMING_COPY_LOOP, TIMING_COPY_BATCH, TIMING_COPY_KERNEL };
extern const char *const timing_kind_names[TIMING_KINDS + 1];

/* A directory of timings, by what lies in it: rows.csv (docs/calibrate.md), else timings.csv
 * (docs/own-measurements.md), else the published tables h100_gemm.csv, h100_decode_attn.csv, h100_prefill_attn.csv and
 * h100_comm.csv of aiconfigurator. */
enum timing_format { TIMINGS_CALIBRATE, TIMINGS_OWN, TIMINGS_PUBLISHED };
struct timing_source {
    const char *directory;
    enum timing_format format;
    const char *source;        /* for the profile's figures: what measured, on what */
    struct measured_rows rows; /* TIMINGS_CALIBRATE */
};
int timings_open(const char *directory, struct arena *arena, struct timing_source *out, struct error *err);
/* The timings of one kind; none is no error. Errors name file and line. */
int timings_read(const struct timing_source *source, enum timing_kind kind, struct arena *arena, struct timings *out,
                 struct error *err);
/* The parts of timings_read: published tables; rows of tiersim-calibrate. */
int timings_published(const char *directory, enum timing_kind kind, struct arena *arena, struct timings *out,
                      struct error *err);
int timings_measured(const struct measured_rows *rows, enum timing_kind kind, struct arena *arena, struct timings *out,
                     struct error *err);

/* The loads that models/ prices. */
struct decode_load timing_decode_load(const struct timing *row);
struct prefill_load timing_prefill_load(const struct timing *row);
double timing_kv_bytes(const struct timing *row); /* decode: all that is read */
/* Seconds that the models give the row's kernel on the machine (decode: of the row's KV dtype and page). Not of copies:
 * those are the links' (fit_copies.c). */
double timing_seconds(const struct machine *machine, enum timing_kind kind, const struct timing *row);
/* The same with its variance and basis. */
struct price timing_price(const struct machine *machine, enum timing_kind kind, const struct timing *row);

#endif
