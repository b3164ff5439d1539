#include "sim/cli/shared_rows.h"

#include <string.h>

/* Rounds run back to back, so a copy of so many rounds has the latencies of one. */
enum { ROUNDS = 16, LANE_BLOCKS = 32, LANE_BLOCK_BYTES = 2 << 20, DISK_THREADS = 4 };

/* Whether the row's GPUs are 0+1+...: the first of the node. */
static bool are_first(const struct measured *row, uint32_t gpus) {
    char list[8192] = "list=0";
    size_t used = strlen(list);
    for (uint32_t g = 1; g < gpus; g++)
        used += (size_t)snprintf(list + used, sizeof list - used, "+%u", g);
    return measured_is(row, list);
}

static int whole_number(const struct measured *row, const char *key, double most, double *value, struct error *err) {
    if (measured_number(row, key, value, err) != 0)
        return -1;
    if (*value >= 1 && *value <= most)
        return 0;
    return error_at(err, row->at, "%s=%g is not from 1 to %.0f\n  hint: mend or drop the line", key, *value, most);
}

/* 1: `out` is a row; 0: it is of another kind. */
static int read_one(const struct measured *row, struct shared_row *out, struct error *err) {
    bool links = strcmp(row->group, "links") == 0, shared = strcmp(row->group, "shared") == 0,
         up = strcmp(row->variant, "h2d_sum") == 0, down = strcmp(row->variant, "d2h_sum") == 0,
         disk = strcmp(row->variant, "disk_sum") == 0, dram = strcmp(row->variant, "dram_sum") == 0;
    double gpus, block = LANE_BLOCK_BYTES, blocks = LANE_BLOCKS;
    if (!(links && (up || down)) && !(shared && (disk || dram)))
        return 0;
    if (whole_number(row, "gpus", SHARED_GPUS_MAX, &gpus, err) != 0)
        return -1;
    if (links && (measured_is(row, "node=remote") || !are_first(row, (uint32_t)gpus)))
        return 0;
    if (!dram && whole_number(row, "block", 1e12, &block, err) != 0)
        return -1;
    if (disk)
        blocks = DISK_THREADS;
    else if (links && whole_number(row, "blocks", 1e6, &blocks, err) != 0)
        return -1;
    *out = (struct shared_row){.row = row,
                               .from = disk   ? "ssd"
                                       : down ? "hbm"
                                              : "dram",
                               .to = down ? "dram" : "hbm",
                               .gpus = (uint32_t)gpus,
                               .bytes = (uint64_t)block * (uint64_t)blocks,
                               .blocks = (uint32_t)blocks,
                               .seconds = row->seconds,
                               .held_out = measured_held_out(row)};
    return 1;
}

int shared_rows_read(const struct measured_rows *rows, uint32_t least, struct arena *arena, struct shared_rows *out,
                     struct error *err) {
    *out = (struct shared_rows){.items = arena_alloc(arena, (rows->count + 1) * sizeof *out->items)};
    for (size_t i = 0; i < rows->count; i++) {
        int found = read_one(&rows->rows[i], &out->items[out->count], err);
        if (found < 0)
            return -1;
        out->count += found > 0 && out->items[out->count].gpus >= least;
    }
    return 0;
}

int shared_row_predict(const struct shared_row *row, const struct node_options *node, struct shared_gpu *gpus,
                       struct shared_result *result, double *seconds, struct error *err) {
    struct lone_copy copy = {.node = node,
                             .from = row->from,
                             .to = row->to,
                             .bytes = row->bytes * ROUNDS,
                             .blocks = row->blocks * ROUNDS,
                             .kind = COPY_BATCH,
                             .ctas = 1};
    if (row->gpus > 1 && (int64_t)row->gpus > node->gpus)
        return error_at(err, row->row->at, "a row of %u GPUs, and node '%s' has %lld\n  hint: another --node",
                        row->gpus, node->name, (long long)node->gpus);
    if (shared_copy_time(&copy, row->gpus, gpus, result, err) != 0)
        return -1;
    *seconds = result->last.seconds / ROUNDS;
    return 0;
}
