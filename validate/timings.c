/* Where timings come from, and which rows of tiersim-calibrate are timings of which kernel. */
#include "validate/timings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "validate/op_timings.h"

static const char published_source[] =
    "aiconfigurator @095f58a5: vLLM 0.24 (torch linear, FlashAttention 3, all-reduce in "
    "a graph), NCCL 2.29";

/* The value behind "KEY: " in DIRECTORY/machine.txt; `otherwise` where there is none. */
static const char *machine_line(const char *directory, const char *key, const char *otherwise, struct arena *arena) {
    char line[400];
    size_t length = strlen(key);
    FILE *in = fopen(arena_printf(arena, "%s/machine.txt", directory), "r");
    const char *found = otherwise;
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, key, length) == 0 && line[length] == ':') {
            line[strcspn(line, "\r\n")] = 0;
            found = arena_strdup(arena, line + length + 1 + strspn(line + length + 1, " "));
        }
    if (in)
        fclose(in);
    return found;
}

int timings_open(const char *directory, struct arena *arena, struct timing_source *out, struct error *err) {
    *out = (struct timing_source){.directory = directory, .format = TIMINGS_PUBLISHED, .source = published_source};
    if (access(arena_printf(arena, "%s/rows.csv", directory), F_OK) != 0) {
        if (op_timings_are_in(directory, arena)) {
            out->format = TIMINGS_OWN;
            out->source = op_timings_source(directory, arena);
        }
        return 0;
    }
    out->format = TIMINGS_CALIBRATE;
    out->source = arena_printf(arena, "tiersim-calibrate on %s, %.10s", machine_line(directory, "gpu", "a GPU", arena),
                               machine_line(directory, "date", "no date", arena));
    return measured_read(directory, arena, &out->rows, err);
}

int timings_read(const struct timing_source *source, enum timing_kind kind, struct arena *arena, struct timings *out,
                 struct error *err) {
    if (source->format == TIMINGS_CALIBRATE)
        return timings_measured(&source->rows, kind, arena, out, err);
    if (source->format == TIMINGS_OWN)
        return op_timings_read(source->directory, kind, arena, out, err);
    return timings_published(source->directory, kind, arena, out, err);
}

/* One number of a row's params and where it goes. */
struct word {
    const char *key;
    size_t offset;
    bool optional;
};
#define WORD(key_, member, optional_)                                                                                  \
    { key_, offsetof(struct timing, member), optional_ }
static const struct word gemm_words[] = {WORD("m", m, false), WORD("n", n, false), WORD("k", k, false), {0}};
static const struct word decode_words[] = {
    WORD("batch", batch, false),       WORD("context", context, false),
    WORD("tokens", tokens, false),     WORD("longest", longest, false),
    WORD("kv_heads", kv_heads, false), WORD("group", q_heads, false), /* times KV heads, below */
    WORD("head", head_dim, false),     WORD("page", page, false),
    WORD("splits", splits, true),      {0}};
static const struct word prefill_words[] = {WORD("batch", batch, false),
                                            WORD("length", context, false),
                                            WORD("prefix", prefix, false),
                                            WORD("q_heads", q_heads, false),
                                            WORD("kv_heads", kv_heads, false),
                                            WORD("head", head_dim, false),
                                            {0}};
static const struct word comm_words[] = {WORD("gpus", gpus, false), WORD("bytes", bytes, false), {0}};
static const struct word experts_words[] = {
    WORD("batch", m, false), WORD("experts", experts, false), WORD("top", experts_per_token, false),
    WORD("width", n, false), WORD("hidden", k, false),        {0}};
static const struct word copy_words[] = {
    WORD("block", block_bytes, false), WORD("blocks", blocks, false), WORD("ctas", ctas, true), {0}};
static const struct {
    const char *group, *variant; /* variant NULL: all of the group */
    const struct word *words;
} kinds[TIMING_KINDS] = {{"gemm", NULL, gemm_words},        {"decode", NULL, decode_words},
                         {"prefill", NULL, prefill_words},  {"collectives", "all_reduce", comm_words},
                         {"moe_gemm", NULL, experts_words}, {"copies", NULL, copy_words}};

/* Copies that a link's model knows: pinned, scattered or a single one, one direction at a time. */
static bool known_copy(const struct measured *row, struct timing *timing) {
    static const char *const apis[] = {"loop", "batch", "kernel"};
    for (int api = 0; api < 3; api++)
        if (strcmp(row->variant, apis[api]) == 0) {
            timing->api = api;
            timing->up = measured_is(row, "dir=h2d");
            return measured_is(row, "pinned") && !measured_is(row, "adjacent") &&
                   (timing->up || measured_is(row, "dir=d2h"));
        }
    return false;
}

/* Prefill: not a way that the rule would not take, timed for comparison. */
static bool compared(const struct measured *row) {
    return measured_is(row, "contiguous") || measured_is(row, "in_place") || measured_is(row, "gathered");
}

static int read_words(const struct measured *row, const struct word *words, struct timing *out, struct error *err) {
    for (const struct word *word = words; word->key; word++) {
        double *to = (double *)((char *)out + word->offset);
        if (measured_number(row, word->key, to, err) == 0)
            continue;
        if (!word->optional)
            return -1;
        *to = 0;
    }
    return 0;
}

int timings_measured(const struct measured_rows *rows, enum timing_kind kind, struct arena *arena, struct timings *out,
                     struct error *err) {
    *out = (struct timings){.rows = arena_alloc(arena, (rows->count + 1) * sizeof *out->rows)};
    for (size_t i = 0; i < rows->count; i++) {
        const struct measured *row = &rows->rows[i];
        if (strcmp(row->group, kinds[kind].group) != 0 ||
            (kinds[kind].variant && strcmp(row->variant, kinds[kind].variant) != 0))
            continue;
        struct timing timing = {.seconds = row->seconds, .row = row, .held_out = measured_held_out(row)};
        if ((kind == TIMING_COPY && !known_copy(row, &timing)) || (kind == TIMING_PREFILL && compared(row)))
            continue;
        if (read_words(row, kinds[kind].words, &timing, err) != 0)
            return -1;
        timing.fp8 = measured_is(row, "e4m3") || measured_is(row, "fp8");
        timing.nccl = timing.nccl_only = true;
        if (kind == TIMING_DECODE)
            timing.q_heads *= timing.kv_heads;
        out->rows[out->count++] = timing;
    }
    return 0;
}
