#include "sim/workload/info.h"

#include <math.h>
#include <stdlib.h>

#include "sim/base/int_map.h"

const double info_window_s[INFO_WINDOWS] = {60, 600, 3600};

/* One block asked for. */
struct access {
    int64_t at_ns;
    uint32_t block, before; /* number of the block; index + 1 of its access before, 0: the first */
};

struct info_builder {
    struct workload_info info;
    struct int_map *blocks, *sessions; /* id -> number; session -> number */
    uint32_t *last, *turns;            /* by block: its last access + 1; by session: its requests */
    size_t last_room, turns_room;
    struct access *accesses;
    size_t count, room;
    uint64_t *ids;
    size_t ids_room;
    int64_t first_ns, before_ns;
    uint64_t minute, in_minute;
    double gap_mean, gap_squares; /* Welford's running mean and sum of squared deviations */
};

/* `memory` with room for one more than `count` items, the new ones zero. */
static void *roomy(void *memory, size_t count, size_t *room, size_t size_bytes) {
    if (count < *room)
        return memory;
    size_t grown = *room ? 2 * *room : 1024;
    while (grown <= count)
        grown *= 2;
    char *bytes = realloc(memory, grown * size_bytes);
    MUST(bytes != NULL);
    for (size_t i = *room * size_bytes; i < grown * size_bytes; i++)
        bytes[i] = 0;
    *room = grown;
    return bytes;
}

struct info_builder *info_begin(uint32_t block_tokens) {
    struct info_builder *builder = calloc(1, sizeof *builder);
    MUST(builder != NULL);
    builder->info = (struct workload_info){.block_tokens = block_tokens,
                                           .prompt_tokens = histogram_create(),
                                           .output_tokens = histogram_create(),
                                           .turns = histogram_create(),
                                           .minute_requests = histogram_create(),
                                           .return_ms = histogram_create(),
                                           .distance_blocks = histogram_create()};
    builder->blocks = int_map_create();
    builder->sessions = int_map_create();
    return builder;
}

/* The number of `key`, the next free one if it is new. */
static uint32_t number_of(struct int_map *map, uint64_t key, bool *is_new) {
    uint32_t number = int_map_get(map, key);
    *is_new = number == INT_MAP_NONE;
    if (!*is_new)
        return number;
    number = (uint32_t)int_map_count(map);
    int_map_put(map, key, number);
    return number;
}

static void add_blocks(struct info_builder *builder, const struct request_spec *spec) {
    struct workload_info *info = &builder->info;
    uint32_t most = spec->prompt_tokens / info->block_tokens + 1;
    builder->ids = roomy(builder->ids, most, &builder->ids_room, sizeof *builder->ids);
    struct chain chain = spec->chain;
    if (chain.hash_tokens == info->block_tokens) {
        uint64_t known = 0;
        for (uint32_t s = 0; s < chain.span_count; s++)
            known += chain_spans(&spec->chain)[s].count;
        chain.tokens = (uint32_t)(known * chain.hash_tokens);
    }
    uint32_t count = chain_expand(&chain, info->block_tokens, chain.tokens, 0, builder->ids, most), reused = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool is_new;
        uint32_t block = number_of(builder->blocks, builder->ids[i], &is_new);
        builder->last = roomy(builder->last, block, &builder->last_room, sizeof *builder->last);
        builder->accesses = roomy(builder->accesses, builder->count, &builder->room, sizeof *builder->accesses);
        if (!is_new && reused == i)
            reused++;
        if (!is_new)
            histogram_add(info->return_ms,
                          (spec->arrival_ns - builder->accesses[builder->last[block] - 1].at_ns) / 1000000);
        builder->accesses[builder->count] = (struct access){spec->arrival_ns, block, builder->last[block]};
        MUST(builder->count < UINT32_MAX - 1);
        builder->last[block] = (uint32_t)++builder->count;
    }
    uint64_t tokens = (uint64_t)reused * info->block_tokens;
    info->reused_tokens += tokens < spec->prompt_tokens ? tokens : spec->prompt_tokens;
}

static void add_arrival(struct info_builder *builder, int64_t at_ns) {
    struct workload_info *info = &builder->info;
    if (info->requests == 0) {
        builder->first_ns = at_ns;
    } else {
        double gap_s = (double)(at_ns - builder->before_ns) * 1e-9, off = gap_s - builder->gap_mean;
        builder->gap_mean += off / (double)info->requests;
        builder->gap_squares += off * (gap_s - builder->gap_mean);
    }
    MUST(info->requests == 0 || at_ns >= builder->before_ns);
    uint64_t minute = (uint64_t)(at_ns - builder->first_ns) / UINT64_C(60000000000);
    for (; builder->minute < minute; builder->minute++, builder->in_minute = 0)
        histogram_add(info->minute_requests, (int64_t)builder->in_minute);
    builder->in_minute++;
    builder->before_ns = at_ns;
    info->requests++;
}

void info_add(struct info_builder *builder, const struct request_spec *spec) {
    struct workload_info *info = &builder->info;
    bool is_new;
    add_arrival(builder, spec->arrival_ns);
    histogram_add(info->prompt_tokens, spec->prompt_tokens);
    histogram_add(info->output_tokens, spec->output_tokens);
    info->prompt_total_tokens += spec->prompt_tokens;
    uint32_t session = number_of(builder->sessions, spec->session, &is_new);
    builder->turns = roomy(builder->turns, session, &builder->turns_room, sizeof *builder->turns);
    builder->turns[session]++;
    if (info->block_tokens > 0 && spec->chain.hash_tokens > 0)
        add_blocks(builder, spec);
}

/* Sums over a prefix of an array, both in log n (P. Fenwick 1994). */
static void mark(uint32_t *tree, size_t count, size_t at, uint32_t by) {
    for (at++; at <= count; at += at & -at)
        tree[at - 1] += by;
}
static uint64_t marks_up_to(const uint32_t *tree, size_t at) {
    uint64_t sum = 0;
    for (at++; at > 0; at -= at & -at)
        sum += tree[at - 1];
    return sum;
}

/* Each block's last access so far is marked: those marked since its access before are the different blocks between. */
static void measure_distances(struct info_builder *builder) {
    uint32_t *tree = calloc(builder->count + 1, sizeof *tree);
    MUST(tree != NULL);
    for (size_t i = 0; i < builder->count; i++) {
        uint32_t before = builder->accesses[i].before;
        if (before > 0) {
            uint64_t since = marks_up_to(tree, i) - marks_up_to(tree, before - 1);
            histogram_add(builder->info.distance_blocks, (int64_t)since + 1);
            mark(tree, builder->count, before - 1, UINT32_MAX); /* minus one */
        }
        mark(tree, builder->count, i, 1);
    }
    free(tree);
}

/* The most different blocks asked for within any window that ends with an access. */
static uint64_t widest_window(const struct info_builder *builder, double window_s, uint32_t *in_window) {
    uint64_t different = 0, most = 0;
    size_t out = 0;
    for (size_t b = 0; b < builder->info.unique_blocks; b++)
        in_window[b] = 0;
    for (size_t i = 0; i < builder->count; i++) {
        different += in_window[builder->accesses[i].block]++ == 0;
        while (builder->accesses[i].at_ns - builder->accesses[out].at_ns > (int64_t)(window_s * 1e9))
            different -= --in_window[builder->accesses[out++].block] == 0;
        most = different > most ? different : most;
    }
    return most;
}

static void measure_working_set(struct info_builder *builder) {
    struct workload_info *info = &builder->info;
    uint32_t *in_window = malloc((info->unique_blocks + 1) * sizeof *in_window);
    MUST(in_window != NULL);
    for (int w = 0; w < INFO_WINDOWS; w++)
        info->window_blocks[w] = widest_window(builder, info_window_s[w], in_window);
    free(in_window);
    uint64_t seen = 0;
    int quarter = 0;
    for (size_t i = 0; i <= builder->count; i++) {
        bool end = i == builder->count;
        double at_s = end ? HUGE_VAL : (double)(builder->accesses[i].at_ns - builder->first_ns) * 1e-9;
        for (; quarter < 4 && (end || at_s > info->span_s * (quarter + 1) / 4); quarter++)
            info->growth[quarter] = info->unique_blocks ? (double)seen / (double)info->unique_blocks : 0;
        seen += !end && builder->accesses[i].before == 0;
    }
}

void info_end(struct info_builder *builder, struct workload_info *out) {
    struct workload_info *info = &builder->info;
    info->sessions = int_map_count(builder->sessions);
    for (uint64_t s = 0; s < info->sessions; s++)
        histogram_add(info->turns, builder->turns[s]);
    if (info->requests > 0)
        histogram_add(info->minute_requests, (int64_t)builder->in_minute);
    info->span_s = (double)(builder->before_ns - builder->first_ns) * 1e-9;
    if (info->requests > 2 && builder->gap_mean > 0)
        info->gap_cv = sqrt(builder->gap_squares / (double)(info->requests - 2)) / builder->gap_mean;
    info->block_refs = builder->count;
    info->unique_blocks = int_map_count(builder->blocks);
    measure_distances(builder);
    measure_working_set(builder);
    *out = *info;
    int_map_destroy(builder->blocks);
    int_map_destroy(builder->sessions);
    free(builder->last);
    free(builder->turns);
    free(builder->accesses);
    free(builder->ids);
    free(builder);
}

void info_free(struct workload_info *info) {
    histogram_destroy(info->prompt_tokens);
    histogram_destroy(info->output_tokens);
    histogram_destroy(info->turns);
    histogram_destroy(info->minute_requests);
    histogram_destroy(info->return_ms);
    histogram_destroy(info->distance_blocks);
}
