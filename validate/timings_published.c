/* Reading the published timing tables (aiconfigurator). */
#include <string.h>

#include "validate/csv.h"
#include "validate/timings.h"

struct column {
    const char *name;
    size_t offset;
};
#define COLUMN(name_, member)                                                                                          \
    { name_, offsetof(struct timing, member) }
static const struct column gemm_columns[] = {COLUMN("m", m), COLUMN("n", n), COLUMN("k", k), {NULL, 0}};
static const struct column decode_columns[] = {COLUMN("batch", batch),         COLUMN("n_q_heads", q_heads),
                                               COLUMN("n_kv_heads", kv_heads), COLUMN("head_dim", head_dim),
                                               COLUMN("ctx", context),         {NULL, 0}};
static const struct column prefill_columns[] = {COLUMN("batch", batch),         COLUMN("n_q_heads", q_heads),
                                                COLUMN("n_kv_heads", kv_heads), COLUMN("head_dim", head_dim),
                                                COLUMN("isl", context),         {NULL, 0}};
static const struct column comm_columns[] = {
    COLUMN("num_gpus", gpus), COLUMN("message_elems_or_bytes", bytes), {NULL, 0}};
static const struct {
    const char *file;
    const struct column *columns;
} tables[TIMING_KINDS] = {{"h100_gemm.csv", gemm_columns},
                          {"h100_decode_attn.csv", decode_columns},
                          {"h100_prefill_attn.csv", prefill_columns},
                          {"h100_comm.csv", comm_columns},
                          {NULL, NULL},
                          {NULL, NULL}};

/* KV of up to 40 MB lies in the L2 and was measured warm, which a serving engine never sees: weights stream through the
 * L2 between two reads of a layer's KV. A little over it, some of it does; below 2.2 MB its bytes do not count. */
static const double bytes_nothing = 2.2e6, bytes_cold = 60e6;

/* Collectives: all-reduce of 2-byte elements, by the newest vLLM kernel inside a CUDA graph and by the newest NCCL. */
static bool wanted(const struct csv *csv, enum timing_kind kind, struct timing *row) {
    if (kind == TIMING_DECODE) {
        row->fp8 = strcmp(csv_text(csv, "kv_dtype"), "fp8") == 0;
        row->warm = timing_kv_bytes(row) > bytes_nothing && timing_kv_bytes(row) < bytes_cold;
    }
    if (kind != TIMING_COMM)
        return true;
    const char *op = csv_text(csv, "op"), *src = csv_text(csv, "src"), *backend = csv_text(csv, "backend"),
               *dtype = csv_text(csv, "dtype");
    if (!op || !src || !backend || !dtype || strcmp(op, "all_reduce") != 0)
        return false;
    row->bytes *= 2.0;
    row->nccl = strcmp(src, "nccl_2.29.2_nccl") == 0 && strcmp(dtype, "half") == 0;
    return row->nccl || (strcmp(src, "vllm_0.24.0_custom_allreduce") == 0 && strcmp(backend, "vllm_graph") == 0);
}

/* The row as tiersim-calibrate would have written it, for whoever names it. */
static const struct measured *words_of(const struct csv *csv, enum timing_kind kind, const struct timing *row,
                                       struct arena *arena) {
    struct measured *measured = arena_alloc(arena, sizeof *measured);
    const char *words = "";
    for (const struct column *c = tables[kind].columns; c->name; c++)
        words = arena_printf(arena, "%s%s%s=%g", words, *words ? " " : "", c->name,
                             *(const double *)((const char *)row + c->offset));
    *measured = (struct measured){.group = timing_kind_names[kind],
                                  .variant = row->nccl ? "nccl" : "vllm",
                                  .params = arena_printf(arena, "%s%s", words, row->fp8 ? " fp8" : ""),
                                  .seconds = row->seconds,
                                  .at = csv->at};
    return measured;
}

static int read_rows(struct csv *csv, enum timing_kind kind, struct timing *rows, size_t *count, struct arena *arena,
                     struct error *err) {
    int more;
    while ((more = csv_next(csv, err)) == 1) {
        struct timing row = {0};
        for (const struct column *c = tables[kind].columns; c->name; c++)
            if (csv_number(csv, c->name, (double *)((char *)&row + c->offset), err) != 0)
                return -1;
        if (csv_number(csv, "latency_ms", &row.seconds, err) != 0)
            return -1;
        row.seconds *= 1e-3;
        if (row.seconds <= 0)
            return error_at(err, csv->at, "a time of %g ms\n  hint: mend or drop the line", row.seconds * 1e3);
        if (!wanted(csv, kind, &row))
            continue;
        row.row = words_of(csv, kind, &row, arena);
        rows[(*count)++] = row;
    }
    return more;
}

int timings_published(const char *directory, enum timing_kind kind, struct arena *arena, struct timings *out,
                      struct error *err) {
    *out = (struct timings){0};
    if (!tables[kind].file)
        return 0;
    struct csv *csv = arena_alloc(arena, sizeof *csv);
    const char *path = arena_printf(arena, "%s/%s", directory, tables[kind].file);
    if (csv_open(csv, path, err) != 0)
        return -1;
    size_t lines = 0;
    while (fgets(csv->line, sizeof csv->line, csv->file))
        lines++;
    csv_rewind(csv);
    out->rows = arena_alloc(arena, (lines + 1) * sizeof *out->rows);
    int status = read_rows(csv, kind, out->rows, &out->count, arena, err);
    csv_close(csv);
    return status;
}
