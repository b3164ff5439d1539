#include "validate/op_timings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "validate/csv.h"

/* A column with a number and where it goes; one that is not required is 0 where it is empty or not there. */
struct column {
    const char *name;
    size_t offset;
    bool required;
    bool may_be_zero;
};
#define REQUIRED(name_, member)                                                                                        \
    { name_, offsetof(struct timing, member), true, false }
#define OPTIONAL(name_, member)                                                                                        \
    { name_, offsetof(struct timing, member), false, true }

static const struct column gemm_columns[] = {REQUIRED("m", m), REQUIRED("n", n), REQUIRED("k", k), {0}};
static const struct column experts_columns[] = {REQUIRED("m", m),
                                                REQUIRED("n", n),
                                                REQUIRED("k", k),
                                                REQUIRED("experts", experts),
                                                REQUIRED("experts_per_token", experts_per_token),
                                                {0}};
static const struct column decode_columns[] = {REQUIRED("batch", batch),       REQUIRED("q_heads", q_heads),
                                               REQUIRED("kv_heads", kv_heads), REQUIRED("head_dim", head_dim),
                                               REQUIRED("context", context),   OPTIONAL("tokens", tokens),
                                               OPTIONAL("longest", longest),   OPTIONAL("splits", splits),
                                               OPTIONAL("page", page),         {0}};
static const struct column prefill_columns[] = {REQUIRED("batch", batch),
                                                REQUIRED("q_heads", q_heads),
                                                REQUIRED("kv_heads", kv_heads),
                                                REQUIRED("head_dim", head_dim),
                                                REQUIRED("length", context),
                                                OPTIONAL("prefix", prefix),
                                                {0}};
static const struct column comm_columns[] = {REQUIRED("gpus", gpus), REQUIRED("bytes", bytes), {0}};
static const struct column copy_columns[] = {
    REQUIRED("block_bytes", block_bytes), REQUIRED("blocks", blocks), OPTIONAL("ctas", ctas), {0}};

/* Columns with a word: which op takes which words; the first is meant where the field is empty, unless required. */
static const char *const dtypes[] = {"bf16", "fp8", NULL}, *const directions[] = {"h2d", "d2h", NULL},
                         *const copies[] = {"loop", "batch", "kernel", NULL},
                         *const all_reduces[] = {"nccl", "custom", NULL}, *const bf16[] = {"bf16", NULL};
struct word_column {
    const char *name;
    const char *const *words;
    bool required;
};
static const struct {
    const char *op;
    const struct column *columns;
    struct word_column words[3];
} ops[TIMING_KINDS] = {
    [TIMING_GEMM] = {"gemm", gemm_columns, {{"dtype", dtypes, true}}},
    [TIMING_DECODE] = {"decode", decode_columns, {{"dtype", dtypes, true}}},
    [TIMING_PREFILL] = {"prefill", prefill_columns, {{"dtype", bf16, false}}},
    [TIMING_COMM] = {"allreduce", comm_columns, {{"api", all_reduces, false}}},
    [TIMING_EXPERTS] = {"experts", experts_columns, {{"dtype", dtypes, true}}},
    [TIMING_COPY] = {"copy", copy_columns, {{"direction", directions, true}, {"api", copies, true}}}};

static const struct {
    const char *name;
    double unit_s;
} times[] = {{"time_s", 1}, {"time_ms", 1e-3}, {"time_us", 1e-6}, {"time_ns", 1e-9}};
enum { TIMES = sizeof times / sizeof *times };

static const char *path_of(const char *directory, struct arena *arena) {
    return arena_printf(arena, "%s/timings.csv", directory);
}

bool op_timings_are_in(const char *directory, struct arena *arena) {
    return access(path_of(directory, arena), F_OK) == 0;
}

/* The column of the time: exactly one. */
static int find_time(const struct csv *csv, struct error *err) {
    int found = -1;
    struct place header = {csv->at.file, csv->header_line, 1};
    for (int i = 0; i < TIMES; i++) {
        if (!csv_has(csv, times[i].name))
            continue;
        if (found >= 0)
            return error_at(err, header, "two times: %s and %s\n  hint: keep one of the columns", times[found].name,
                            times[i].name);
        found = i;
    }
    if (found < 0)
        return error_at(err, header,
                        "no column with the time\n  hint: name it time_s, time_ms, time_us or time_ns, by its unit");
    return found;
}

static bool is_known(const char *name) {
    for (int i = 0; i < TIMES; i++)
        if (strcmp(name, times[i].name) == 0)
            return true;
    for (int kind = 0; kind < TIMING_KINDS; kind++) {
        for (const struct column *c = ops[kind].columns; c->name; c++)
            if (strcmp(name, c->name) == 0)
                return true;
        for (const struct word_column *w = ops[kind].words; w->name; w++)
            if (strcmp(name, w->name) == 0)
                return true;
    }
    return strcmp(name, "op") == 0;
}

/* A field that the op cannot be without. */
static int missing(const struct csv *csv, const char *op, const char *column, struct error *err) {
    if (csv_has(csv, column))
        return error_at(err, csv_place(csv, column),
                        "%s needs %s, which is empty\n  hint: fill it in, or drop the line", op, column);
    return error_at(err, csv_place(csv, "op"),
                    "%s needs a column '%s'\n  hint: add it; lines of other ops leave it empty", op, column);
}

static int read_numbers(const struct csv *csv, enum timing_kind kind, struct timing *out, struct error *err) {
    for (const struct column *c = ops[kind].columns; c->name; c++) {
        double *to = (double *)((char *)out + c->offset);
        const char *text = csv_text(csv, c->name);
        if (!text || !*text) {
            if (c->required)
                return missing(csv, ops[kind].op, c->name, err);
            continue;
        }
        if (csv_number(csv, c->name, to, err) != 0)
            return -1;
        if (!isfinite(*to) || *to < 0 || (*to == 0 && !c->may_be_zero))
            return error_at(err, csv_place(csv, c->name), "%s: %s is %s\n  hint: a number above 0 is meant",
                            ops[kind].op, c->name, text);
    }
    return 0;
}

/* Which of its words the column has; -1: none of them. */
static int read_word(const struct csv *csv, const char *op, const struct word_column *column, struct error *err) {
    const char *text = csv_text(csv, column->name), *list = "";
    char words[64] = "";
    if (!text || !*text)
        return column->required ? missing(csv, op, column->name, err) : 0;
    int i = 0;
    for (; column->words[i]; i++) {
        if (strcmp(text, column->words[i]) == 0)
            return i;
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", list, column->words[i]);
        list = ", ";
    }
    return error_at(err, csv_place(csv, column->name), "%s: %s '%s' is not priced\n  hint: one of %s", op, column->name,
                    text, words);
}

static int read_words(const struct csv *csv, enum timing_kind kind, struct timing *out, struct error *err) {
    int chosen[2] = {0};
    for (int i = 0; ops[kind].words[i].name; i++)
        if ((chosen[i] = read_word(csv, ops[kind].op, &ops[kind].words[i], err)) < 0)
            return -1;
    if (kind == TIMING_COPY) {
        out->up = chosen[0] == 0;
        out->api = chosen[1];
        if (out->api == TIMING_COPY_KERNEL && out->ctas == 0)
            return missing(csv, "copy by kernel", "ctas", err);
    } else if (kind == TIMING_COMM)
        out->nccl = chosen[0] == 0;
    else
        out->fp8 = chosen[0] == 1;
    return 0;
}

static int check(const struct csv *csv, enum timing_kind kind, const struct timing *row, struct error *err) {
    if (row->kv_heads > 0 && (row->q_heads < row->kv_heads || fmod(row->q_heads, row->kv_heads) != 0))
        return error_at(err, csv_place(csv, "q_heads"),
                        "%s: %g query heads do not share %g KV heads\n  hint: q_heads is a multiple of kv_heads",
                        ops[kind].op, row->q_heads, row->kv_heads);
    if (row->experts_per_token > row->experts)
        return error_at(err, csv_place(csv, "experts_per_token"),
                        "experts: %g of %g experts a token\n  hint: are the two columns swapped?",
                        row->experts_per_token, row->experts);
    if (kind == TIMING_COMM && row->gpus < 2)
        return error_at(err, csv_place(csv, "gpus"), "allreduce: over %g GPUs\n  hint: 2 or more", row->gpus);
    if (row->longest > 0 && row->tokens > 0 && row->longest > row->tokens)
        return error_at(err, csv_place(csv, "longest"),
                        "decode: the longest of %g tokens has %g\n  hint: tokens is the sum over the batch",
                        row->tokens, row->longest);
    return 0;
}

/* The row's op and numbers in words, as tiersim-calibrate writes them. */
static const struct measured *describe(const struct csv *csv, enum timing_kind kind, const struct timing *row,
                                       struct arena *arena) {
    struct measured *out = arena_alloc(arena, sizeof *out);
    const char *words = "";
    for (const struct word_column *w = ops[kind].words; w->name; w++) {
        const char *text = csv_text(csv, w->name);
        words = arena_printf(arena, "%s%s%s", words, *words ? " " : "", text && *text ? text : w->words[0]);
    }
    for (const struct column *c = ops[kind].columns; c->name; c++) {
        double value = *(const double *)((const char *)row + c->offset);
        if (c->required || value > 0)
            words = arena_printf(arena, "%s %s=%.15g", words, c->name, value);
    }
    *out = (struct measured){.group = ops[kind].op,
                             .variant = "own",
                             .params = words,
                             .seconds = row->seconds,
                             .at = {csv->at.file, csv->at.line, 1}};
    return out;
}

/* One line: its kind, or -1. */
static int read_row(const struct csv *csv, int time, struct timing *out, struct error *err) {
    const char *names[TIMING_KINDS], *op = csv_text(csv, "op");
    int kind = 0;
    for (; kind < TIMING_KINDS && strcmp(op, ops[kind].op) != 0; kind++)
        names[kind] = ops[kind].op;
    if (kind == TIMING_KINDS) {
        const char *near = error_nearest(op, names, TIMING_KINDS);
        return error_at(err, csv_place(csv, "op"), "no op '%s'\n  hint: %s%s%s", op, near ? "did you mean " : "one of ",
                        near ? near : "gemm, experts, decode, prefill, allreduce, copy", near ? "?" : "");
    }
    *out = (struct timing){0};
    if (read_numbers(csv, (enum timing_kind)kind, out, err) != 0 ||
        read_words(csv, (enum timing_kind)kind, out, err) != 0 || check(csv, (enum timing_kind)kind, out, err) != 0 ||
        csv_number(csv, times[time].name, &out->seconds, err) != 0)
        return -1;
    out->seconds *= times[time].unit_s;
    if (!isfinite(out->seconds) || out->seconds <= 0 || out->seconds > 1000)
        return error_at(err, csv_place(csv, times[time].name),
                        "%s: a time of %g s\n  hint: is the unit the column's? mend or drop the line", ops[kind].op,
                        out->seconds);
    return kind;
}

static int read_rows(struct csv *csv, enum timing_kind kind, struct arena *arena, struct timings *out,
                     struct error *err) {
    struct timing row;
    bool nccl_only = true;
    int more, time = find_time(csv, err);
    if (time < 0)
        return -1;
    if (!csv_has(csv, "op"))
        return error_at(err, (struct place){csv->at.file, csv->header_line, 1},
                        "no column 'op'\n  hint: it says what was timed: gemm, decode, prefill, ...");
    out->rows = arena_alloc(arena, (csv_lines(csv) + 1) * sizeof *out->rows);
    while ((more = csv_next(csv, err)) == 1) {
        int found = read_row(csv, time, &row, err);
        if (found < 0)
            return -1;
        if (found != (int)kind)
            continue;
        row.row = describe(csv, kind, &row, arena);
        row.held_out = measured_held_out(row.row);
        nccl_only &= row.nccl;
        out->rows[out->count++] = row;
    }
    for (size_t i = 0; i < out->count; i++)
        out->rows[i].nccl_only = kind == TIMING_COMM && nccl_only;
    return more;
}

int op_timings_read(const char *directory, enum timing_kind kind, struct arena *arena, struct timings *out,
                    struct error *err) {
    struct csv *csv = arena_alloc(arena, sizeof *csv);
    *out = (struct timings){0};
    if (csv_open(csv, path_of(directory, arena), err) != 0)
        return -1;
    int status = read_rows(csv, kind, arena, out, err);
    csv_close(csv);
    return status;
}

const char *op_timings_source(const char *directory, struct arena *arena) {
    static const char key[] = "# source:";
    char line[400];
    const char *found = "timings.csv";
    FILE *in = fopen(path_of(directory, arena), "r");
    while (in && fgets(line, sizeof line, in) && line[0] == '#')
        if (strncmp(line, key, sizeof key - 1) == 0) {
            const char *text = line + sizeof key - 1;
            line[strcspn(line, "\r\n")] = 0;
            text += strspn(text, " ");
            found = *text ? arena_strdup(arena, text) : found;
        }
    if (in)
        fclose(in);
    return found;
}

const char *op_timings_ignored(const char *directory, struct arena *arena) {
    struct csv *csv = arena_alloc(arena, sizeof *csv);
    struct error never;
    const char *list = NULL;
    if (!op_timings_are_in(directory, arena) || csv_open(csv, path_of(directory, arena), &never) != 0)
        return NULL;
    for (int i = 0; i < csv->columns; i++)
        if (!is_known(csv->names[i]))
            list = arena_printf(arena, "%s%s%s", list ? list : "", list ? ", " : "", csv->names[i]);
    csv_close(csv);
    return list;
}
