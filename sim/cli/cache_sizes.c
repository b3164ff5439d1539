/* --size of `tiersim cache`: 4000, 10%, 128MiB, 1000..64000x2, 1%..100%:20, unbounded. And --warmup. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/unit.h"
#include "sim/cli/cache.h"

enum { SIZES_MAX = 10000 };

struct list cache_split(const char *text, struct arena *arena) {
    size_t most = 1, depth = 0;
    for (const char *at = text; *at; at++)
        most += *at == ',';
    struct list list = {.items = arena_alloc(arena, most * sizeof(char *))};
    const char *start = text;
    for (const char *at = text;; at++) {
        depth += *at == '{';
        depth -= *at == '}' && depth > 0;
        if (*at && (*at != ',' || depth > 0))
            continue;
        ((char **)list.items)[list.count++] = arena_printf(arena, "%.*s", (int)(at - start), start);
        if (!*at)
            return list;
        start = at + 1;
    }
}

/* A share of the trace's blocks, `text` being 10% or 0.1. */
static int read_share(const char *text, const struct replay_trace *trace, struct cache_size *out, struct error *err) {
    double share;
    if (unit_parse(text, UNIT_RATIO, &share, err) != 0)
        return error_set(err, "--size '%s' is no share\n  hint: 10%% or 0.1 of the trace's blocks", text);
    if (!(share > 0 && share <= 1))
        return error_set(err, "--size %s is outside 0 to 100 %% of the trace's blocks\n  hint: 100%% is room for all",
                         text);
    out->blocks = (uint64_t)(share * (double)trace->unique + 0.5);
    out->blocks += out->blocks == 0;
    return 0;
}

static int read_size(const char *text, const struct replay_trace *trace, struct cache_size *out, struct error *err) {
    char *end;
    double bytes;
    *out = (struct cache_size){0};
    if (strcmp(text, "unbounded") == 0) {
        out->blocks = trace->unique;
        return 0;
    }
    errno = 0;
    unsigned long long blocks = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == 0 && errno == 0) {
        out->blocks = blocks;
        if (blocks > 0 && blocks < UINT32_MAX / 2)
            return 0;
        return error_set(err, "--size %s is outside 1 to %u blocks\n  hint: `unbounded` is room for all", text,
                         UINT32_MAX / 2 - 1);
    }
    strtod(text, &end);
    end += strspn(end, " ");
    if (end != text && (*end == 0 || *end == '%'))
        return read_share(text, trace, out, err);
    if (unit_parse(text, UNIT_BYTES, &bytes, err) != 0)
        return error_set(err,
                         "--size '%s' is no number of blocks and no number of bytes\n  hint: 4000, 10%%, 128MiB, "
                         "1000..64000x2 or unbounded",
                         text);
    if (!trace->sizes)
        return error_set(
            err, "--size %s: the blocks of this trace have no size in bytes\n  hint: give a number of blocks", text);
    if (bytes < 1 || bytes > 1e18)
        return error_set(err, "--size %s is out of range\n  hint: 1 B to 1e18 B", text);
    out->bytes = (uint64_t)bytes;
    return 0;
}

struct sizes {
    struct cache_size *items;
    size_t count;
};

static uint64_t value_of(const struct cache_size *size) {
    return size->bytes ? size->bytes : size->blocks;
}

static int add(struct sizes *sizes, double value, bool bytes, struct error *err) {
    if (sizes->count == SIZES_MAX)
        return error_set(err, "--size has more than %d sizes\n  hint: a larger factor, as in 1000..64000x2", SIZES_MAX);
    uint64_t rounded = (uint64_t)(value + 0.5);
    sizes->items[sizes->count++] =
        bytes ? (struct cache_size){.bytes = rounded} : (struct cache_size){.blocks = rounded};
    return 0;
}

/* LOW..HIGH with xF, :N or neither (x2). A range's end belongs to it if a step meets it, or N does. */
static int add_range(struct sizes *sizes, const char *text, const char *dots, const struct replay_trace *trace,
                     struct arena *arena, struct error *err) {
    const char *step = strpbrk(dots, "x:");
    size_t high_length = step ? (size_t)(step - dots - 2) : strlen(dots + 2);
    const char *low_text = arena_printf(arena, "%.*s", (int)(dots - text), text);
    const char *high_text = arena_printf(arena, "%.*s", (int)high_length, dots + 2);
    struct cache_size low, high;
    if (read_size(low_text, trace, &low, err) != 0 || read_size(high_text, trace, &high, err) != 0)
        return -1;
    double from = (double)value_of(&low), to = (double)value_of(&high), number = 2;
    char *end = "";
    if (step)
        number = strtod(step + 1, &end);
    bool steps = step && *step == ':';
    if ((low.bytes > 0) != (high.bytes > 0) || from > to)
        return error_set(err, "--size %s: the range ends before it begins, or in another unit\n  hint: 1000..64000x2",
                         text);
    if (*end != 0 || (step && end == step + 1) || !(number > (steps ? 1 : 1.0001)) || number > 1e6 ||
        (steps && number != floor(number)))
        return error_set(err, "--size %s: '%s' is no step\n  hint: x2 doubles, :20 gives 20 sizes", text, step);
    size_t count = steps ? (size_t)number : SIZE_MAX;
    double factor = steps ? pow(to / from, 1 / (number - 1)) : number, value = from;
    for (size_t i = 0; i < count && (steps || value <= to * (1 + 1e-12)); i++, value *= factor)
        if (add(sizes, steps && i + 1 == count ? to : value, low.bytes > 0, err) != 0)
            return -1;
    return 0;
}

static int ascending(const void *a, const void *b) {
    const struct cache_size *x = a, *y = b;
    if ((x->bytes > 0) != (y->bytes > 0))
        return x->bytes > 0 ? 1 : -1;
    return (value_of(x) > value_of(y)) - (value_of(x) < value_of(y));
}

int cache_read_sizes(const char *text, const struct replay_trace *trace, bool sorted, struct arena *arena,
                     struct cache_size **out, size_t *count, struct error *err) {
    struct list texts = cache_split(text, arena);
    struct sizes sizes = {.items = arena_alloc(arena, SIZES_MAX * sizeof *sizes.items)};
    for (size_t i = 0; i < texts.count; i++) {
        const char *item = ((char **)texts.items)[i], *dots = strstr(item, "..");
        struct cache_size one;
        if (dots ? add_range(&sizes, item, dots, trace, arena, err) != 0 : read_size(item, trace, &one, err) != 0)
            return -1;
        if (!dots && add(&sizes, (double)value_of(&one), one.bytes > 0, err) != 0)
            return -1;
    }
    if (sorted)
        qsort(sizes.items, sizes.count, sizeof *sizes.items, ascending);
    size_t kept = 0;
    for (size_t i = 0; i < sizes.count; i++)
        if (!sorted || kept == 0 || ascending(&sizes.items[kept - 1], &sizes.items[i]) != 0)
            sizes.items[kept++] = sizes.items[i];
    if (sorted && sizes.items[0].blocks > 0 && sizes.items[kept - 1].bytes > 0)
        return error_set(err, "--size: a curve is in blocks or in bytes, not in both\n  hint: two calls");
    *out = sizes.items;
    *count = kept;
    return 0;
}

/* Requests of the trace's first `accesses`; one that is begun counts. */
static uint64_t of_accesses(const struct replay_trace *trace, double accesses) {
    uint64_t r = 0;
    while (r < trace->request_count && (double)trace->requests[r].first < accesses)
        r++;
    return r;
}

int cache_read_warmup(const char *text, const struct replay_trace *trace, uint64_t *skip, struct error *err) {
    char *end;
    double value = strtod(text, &end), seconds;
    const char *unit = end + strspn(end, " ");
    if (end == text || !(value >= 0 && value < 1e18))
        return error_set(err, "--warmup '%s' is no amount\n  hint: 6000 requests, 100000 accesses, 10min or 20%%",
                         text);
    if (strcmp(unit, "%") == 0 && value >= 100)
        return error_set(err, "--warmup %s leaves nothing to measure\n  hint: below 100%%", text);
    if (*unit == 0 || strncmp(unit, "request", 7) == 0) {
        *skip = (uint64_t)value;
    } else if (strncmp(unit, "access", 6) == 0 || strcmp(unit, "%") == 0) {
        *skip = of_accesses(trace, *unit == '%' ? value / 100 * (double)trace->count : value);
    } else if (unit_parse(text, UNIT_SECONDS, &seconds, err) == 0) {
        uint64_t r = 0;
        while (r < trace->request_count &&
               (double)(trace->requests[r].at_ns - trace->requests[0].at_ns) < 1e9 * seconds)
            r++;
        *skip = r;
    } else {
        return error_set(err, "--warmup '%s': unknown unit\n  hint: 6000 requests, 100000 accesses, 10min or 20%%",
                         text);
    }
    return 0;
}
