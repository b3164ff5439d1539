/* What each tier's eviction policy saw in a run, as a file; and the same through any policy again.
 *
 * `tiersim run --access-log FILE` writes down every operation on every tier: what was asked for and found (use, touch),
 * what was not (miss), what came in (insert, landed), what was held and let go (hold, release), room taken and given
 * back, wakes of the policy's timer; and each victim. `tiersim cache --replay-log FILE` puts a tier through them again.
 * The policy that was logged must give the same hits and the same victims in the same order. Another policy gets the
 * same operations, by the ids of blocks: what it has kept beyond the logged one is a hit where that one loaded or
 * computed it, what it has lost comes in anew. The run itself would have gone otherwise then (who misses, waits, and
 * comes back later): a replay holds demand as it was.
 *
 * One line an operation, `UNIT TIME_NS WORD ...`. Ids stand as runs, `first` or `first+more`; times of next use stand
 * in the order of ids, `-` for never. */
#ifndef SIM_MEMORY_ACCESS_LOG_H
#define SIM_MEMORY_ACCESS_LOG_H

#include <stdio.h>

#include "sim/memory/loss_costs.h"
#include "sim/memory/tier.h"

/* ---- writing ---- */

struct access_log;
/* texts[t]: the eviction policy of tier t as a user writes it (NAME or {name: NAME, its options}). -1: the file cannot
 * be written. */
int access_log_open(const char *path, const char *const *texts, uint32_t count, struct access_log **out,
                    struct error *err);
/* Writes what is left. -1: the disk is full, or the like. */
int access_log_close(struct access_log *log, struct error *err);

/* A tier's part of the log: what tier*.c says. `name` is the unit's, `level` the number of its tier. */
struct tier_log;
struct tier_log *access_log_tier(struct access_log *log, const char *name, uint32_t level,
                                 const struct tier_setup *setup);
/* What losing a block costs there. */
void tier_log_costs(struct tier_log *log, const struct loss_costs *costs);
void tier_log_destroy(struct tier_log *log);
void tier_log_count(struct tier_log *log, sim_time now, const char *word, uint64_t count);
void tier_log_id(struct tier_log *log, sim_time now, const char *word, uint64_t id);
/* Blocks in `slots`; SLOT_NONE is left out. use, next_use: NULL where nothing is said of it. */
void tier_log_slots(struct tier_log *log, sim_time now, const char *word, const struct block_info *blocks,
                    const uint32_t *slots, uint32_t count, const struct block_use *use, const int64_t *next_use);
/* slots[i] SLOT_NONE: was there, and passed over. parent: its id where there is one. next_use as tier_insert_all. */
void tier_log_insert(struct tier_log *log, sim_time now, const struct block_new *first, bool has_parent,
                     uint64_t parent, const uint64_t *ids, const int64_t *next_use, const uint32_t *slots,
                     uint32_t count, enum slot_state state);
void tier_log_touch(struct tier_log *log, sim_time now, uint64_t id, int64_t next_use);
void tier_log_note(struct tier_log *log, sim_time now, const struct session_note *note);
/* The policy's answer; kept: its slot is leaving. And such a slot is free. */
void tier_log_victim(struct tier_log *log, sim_time now, uint32_t slot, uint64_t id, bool kept);
void tier_log_left(struct tier_log *log, sim_time now, uint32_t slot);

/* ---- reading ---- */

/* A tier's unit as it was logged. Strings live as long as the log that was read. */
struct access_unit {
    const char *name, *policy; /* as a user writes it */
    uint32_t level;
    uint64_t capacity_blocks, seed;
    bool prefix;
    uint64_t hits, inserted, evicted; /* that were logged */
    bool has_costs;                   /* what losing a block cost is known */
    struct loss_costs costs;
};
struct access_file;
/* Error: file:line:column, what, the remedy. */
int access_file_read(const char *path, struct access_file **out, struct error *err);
void access_file_free(struct access_file *file);
uint32_t access_file_units(const struct access_file *file);
const struct access_unit *access_file_unit(const struct access_file *file, uint32_t unit);
/* What a replay of a unit can show a policy beyond what a tier always can (enum policy_need): the future, the queue,
 * the agents' order and costs only where the run told them to a policy. */
unsigned access_file_gives(const struct access_file *file, uint32_t unit);

struct access_result {
    uint64_t hits, inserted, evicted; /* asked for and found; came in; victims */
    uint64_t refused;                 /* would have come in, and no room was to be had: 0 for the logged policy */
    uint64_t as_logged;               /* leading victims that are those of the log, in its order */
    bool same;                        /* hits, what came in and all victims are */
};
/* A unit's operations through a tier with `policy`, which must be one that can run (tier_can_run). */
void access_replay(const struct access_file *file, uint32_t unit, const struct evict_policy *policy,
                   const void *options, uint64_t capacity_blocks, struct access_result *out);

#endif
