/* Reading the published timing tables: comma-separated, first line the column names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "validate/fit.h"

enum { FIELDS_MAX = 32, LINE_MAX_BYTES = 4096 };

struct table {
    FILE *file;
    struct place at;
    char header[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    const char *names[FIELDS_MAX], *fields[FIELDS_MAX];
    int columns;
};

static int split(char *line, const char **fields) {
    int count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && count < FIELDS_MAX; count++) {
        fields[count] = at;
        at = strchr(at, ',');
        if (at)
            *at++ = 0;
    }
    return count;
}

static int table_open(struct table *table, const char *path, struct error *err) {
    table->at = (struct place){.file = path, .line = 1};
    table->file = fopen(path, "r");
    if (!table->file)
        return error_set(err, "cannot read '%s': %s\n  hint: give the directory that holds the timing tables", path,
                         strerror(errno));
    if (!fgets(table->header, sizeof table->header, table->file))
        return error_at(err, table->at, "no header line\n  hint: the file is empty");
    table->columns = split(table->header, table->names);
    return 0;
}

/* 1: a row; 0: end; -1: a line of another width. */
static int table_next(struct table *table, struct error *err) {
    if (!fgets(table->line, sizeof table->line, table->file))
        return 0;
    table->at.line++;
    int count = split(table->line, table->fields);
    if (count == table->columns)
        return 1;
    return error_at(err, table->at, "%d fields where the header has %d\n  hint: the line is cut or has a stray comma",
                    count, table->columns);
}

static const char *text_of(const struct table *table, const char *name) {
    for (int i = 0; i < table->columns; i++)
        if (strcmp(table->names[i], name) == 0)
            return table->fields[i];
    return NULL;
}

static int number_of(const struct table *table, const char *name, double *value, struct error *err) {
    const char *text = text_of(table, name);
    if (!text)
        return error_at(err, table->at, "no column '%s'\n  hint: is this the table of another kernel?", name);
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end)
        return error_at(err, table->at, "'%s' is not a number (column %s)\n  hint: mend or drop the line", text, name);
    return 0;
}

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
                          {"h100_comm.csv", comm_columns}};

/* Collectives: all-reduce of 2-byte elements, by the newest vLLM kernel inside a CUDA graph and by the newest NCCL. */
static bool wanted(const struct table *table, enum timing_kind kind, struct timing *row) {
    if (kind == TIMING_DECODE)
        row->fp8 = strcmp(text_of(table, "kv_dtype"), "fp8") == 0;
    if (kind != TIMING_COMM)
        return true;
    const char *op = text_of(table, "op"), *src = text_of(table, "src"), *backend = text_of(table, "backend"),
               *dtype = text_of(table, "dtype");
    if (!op || !src || !backend || !dtype || strcmp(op, "all_reduce") != 0)
        return false;
    row->bytes *= 2.0;
    row->nccl = strcmp(src, "nccl_2.29.2_nccl") == 0 && strcmp(dtype, "half") == 0;
    return row->nccl || (strcmp(src, "vllm_0.24.0_custom_allreduce") == 0 && strcmp(backend, "vllm_graph") == 0);
}

static int read_rows(struct table *table, enum timing_kind kind, struct timing *rows, size_t *count,
                     struct error *err) {
    int more;
    while ((more = table_next(table, err)) == 1) {
        struct timing row = {0};
        for (const struct column *c = tables[kind].columns; c->name; c++)
            if (number_of(table, c->name, (double *)((char *)&row + c->offset), err) != 0)
                return -1;
        if (number_of(table, "latency_ms", &row.seconds, err) != 0)
            return -1;
        row.seconds *= 1e-3;
        if (row.seconds <= 0)
            return error_at(err, table->at, "a time of %g ms\n  hint: mend or drop the line", row.seconds * 1e3);
        if (wanted(table, kind, &row))
            rows[(*count)++] = row;
    }
    return more;
}

int timings_read(const char *directory, enum timing_kind kind, struct arena *arena, struct timings *out,
                 struct error *err) {
    struct table *table = arena_alloc(arena, sizeof *table);
    const char *path = arena_printf(arena, "%s/%s", directory, tables[kind].file);
    *out = (struct timings){0};
    if (table_open(table, path, err) != 0) {
        if (table->file)
            fclose(table->file);
        return -1;
    }
    size_t lines = 0;
    while (fgets(table->line, sizeof table->line, table->file))
        lines++;
    rewind(table->file);
    out->rows = arena_alloc(arena, (lines + 1) * sizeof *out->rows);
    char *header = fgets(table->line, sizeof table->line, table->file);
    int status = header ? read_rows(table, kind, out->rows, &out->count, err) : -1;
    fclose(table->file);
    return status;
}
