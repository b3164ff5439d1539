/* A timing as the load that models/ prices. */
#include "validate/timings.h"

const char *const timing_kind_names[TIMING_KINDS + 1] = {"gemm",    "decode", "prefill", "collective",
                                                         "experts", "copy",   NULL};

static double kv_bytes_per_token(const struct timing *row) {
    return 2.0 * row->head_dim * (row->fp8 ? 1.0 : 2.0) * row->kv_heads;
}

struct decode_load timing_decode_load(const struct timing *row) {
    return (struct decode_load){.sequences = row->batch,
                                .context = row->tokens > 0 ? row->tokens : row->batch * row->context,
                                .longest = row->longest > 0 ? row->longest : row->context,
                                .splits = row->splits,
                                .tiles_per_sequence = row->kv_heads,
                                .group = row->q_heads / row->kv_heads,
                                .bytes_per_token = kv_bytes_per_token(row),
                                .flops_per_token = 4.0 * row->head_dim * row->q_heads};
}

double timing_kv_bytes(const struct timing *row) {
    return timing_decode_load(row).context * kv_bytes_per_token(row);
}

struct prefill_load timing_prefill_load(const struct timing *row) {
    double tokens = row->batch * row->context;
    return (struct prefill_load){.sequences = row->batch,
                                 .tokens = tokens,
                                 .context = tokens + row->batch * row->prefix,
                                 .pairs = tokens * (row->prefix + (row->context + 1.0) / 2.0),
                                 .flops_per_pair = 4.0 * row->q_heads * row->head_dim,
                                 .bytes_per_token = kv_bytes_per_token(row),
                                 .io_per_token = 4.0 * (row->q_heads + row->kv_heads) * row->head_dim,
                                 .tiles_per_sequence = row->kv_heads,
                                 .rows_per_token = row->q_heads / row->kv_heads};
}

struct price timing_price(const struct machine *machine, enum timing_kind kind, const struct timing *row) {
    enum dtype dtype = row->fp8 ? DTYPE_FP8 : DTYPE_BF16;
    struct decode_load decode;
    struct prefill_load prefill;
    struct arch arch;
    switch (kind) {
    case TIMING_GEMM:
        return gemm_price(machine, dtype, row->m, row->n, row->k, 1.0);
    case TIMING_EXPERTS:
        arch = (struct arch){.experts = (int64_t)row->experts,
                             .experts_per_token = (int64_t)row->experts_per_token,
                             .hidden = (int64_t)row->k};
        return experts_price(machine, dtype, row->m, &arch, row->n, 1.0);
    case TIMING_DECODE:
        decode = timing_decode_load(row);
        return decode_price(machine, &decode, 1.0);
    case TIMING_PREFILL:
        prefill = timing_prefill_load(row);
        return prefill_price(machine, &prefill, 1.0);
    case TIMING_COMM:
        return all_reduce_price(machine, row->bytes, 1.0);
    case TIMING_COPY:
    case TIMING_KINDS:
        break;
    }
    MUST(!"a kernel's timing");
    return (struct price){0};
}

double timing_seconds(const struct machine *machine, enum timing_kind kind, const struct timing *row) {
    return timing_price(machine, kind, row).seconds;
}
