/* Writing the access log: one line an operation. */
#include "sim/memory/access_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/arena.h"

enum { BUFFER_BYTES = 1 << 20 };

struct access_log {
    FILE *file;
    char *buffer;
    const char *const *texts;
    uint32_t text_count, units;
    bool failed;
};
struct tier_log {
    struct access_log *log;
    uint32_t unit, slots;
    uint64_t hits, inserted, evicted;
    uint32_t *victim_of; /* by slot that is leaving: which victim that was */
};

int access_log_open(const char *path, const char *const *texts, uint32_t count, struct access_log **out,
                    struct error *err) {
    FILE *file = fopen(path, "w");
    if (!file)
        return error_set(err, "cannot write the access log '%s': %s\n  hint: a file in a folder that is there", path,
                         strerror(errno));
    struct access_log *log = calloc(1, sizeof *log);
    MUST(log != NULL);
    *log = (struct access_log){.file = file, .texts = texts, .text_count = count, .buffer = malloc(BUFFER_BYTES)};
    MUST(log->buffer != NULL);
    setvbuf(file, log->buffer, _IOFBF, BUFFER_BYTES);
    fputs("tiersim-access-log 1\n", file);
    *out = log;
    return 0;
}

int access_log_close(struct access_log *log, struct error *err) {
    if (!log)
        return 0;
    bool failed = ferror(log->file) != 0;
    failed |= fclose(log->file) != 0;
    free(log->buffer);
    free(log);
    return failed ? error_set(err, "writing the access log failed\n  hint: is there room on the disk?") : 0;
}

struct tier_log *access_log_tier(struct access_log *log, const char *name, uint32_t level,
                                 const struct tier_setup *setup) {
    struct tier_log *unit = calloc(1, sizeof *unit);
    MUST(unit != NULL && level < log->text_count);
    *unit = (struct tier_log){
        .log = log, .unit = log->units++, .slots = (uint32_t)(setup->capacity_blocks + setup->slack_blocks)};
    unit->victim_of = lazy_alloc(unit->slots, sizeof *unit->victim_of);
    fprintf(log->file, "unit %u %s level %u capacity %llu seed %llu prefix %d policy %s\n", unit->unit, name, level,
            (unsigned long long)setup->capacity_blocks, (unsigned long long)setup->seed, setup->prefix,
            log->texts[level]);
    return unit;
}

void tier_log_destroy(struct tier_log *log) {
    if (!log)
        return;
    fprintf(log->log->file, "end %u hits %llu inserted %llu evicted %llu\n", log->unit, (unsigned long long)log->hits,
            (unsigned long long)log->inserted, (unsigned long long)log->evicted);
    lazy_free(log->victim_of, log->slots, sizeof *log->victim_of);
    free(log);
}

void tier_log_costs(struct tier_log *log, const struct loss_costs *costs) {
    fprintf(log->log->file, "costs %u bytes %llu token %a pair %a first %a block %a\n", log->unit,
            (unsigned long long)costs->block_bytes, costs->token_s, costs->pair_s, costs->fetch_first_s,
            costs->fetch_block_s);
}

static FILE *line(struct tier_log *log, sim_time now, const char *word) {
    fprintf(log->log->file, "%u %lld %s", log->unit, (long long)now, word);
    return log->log->file;
}

void tier_log_count(struct tier_log *log, sim_time now, const char *word, uint64_t count) {
    fprintf(line(log, now, word), " %llu\n", (unsigned long long)count);
}

void tier_log_id(struct tier_log *log, sim_time now, const char *word, uint64_t id) {
    tier_log_count(log, now, word, id);
}

/* Ids one by one; runs of consecutive ones are put together. */
struct runs {
    FILE *file;
    uint64_t first, more;
    bool open;
};
static void runs_flush(struct runs *runs) {
    if (!runs->open)
        return;
    if (runs->more > 0)
        fprintf(runs->file, " %llu+%llu", (unsigned long long)runs->first, (unsigned long long)runs->more);
    else
        fprintf(runs->file, " %llu", (unsigned long long)runs->first);
    runs->open = false;
}
static void runs_add(struct runs *runs, uint64_t id) {
    if (runs->open && id == runs->first + runs->more + 1) {
        runs->more++;
        return;
    }
    runs_flush(runs);
    *runs = (struct runs){.file = runs->file, .first = id, .open = true};
}

static void write_time(FILE *file, int64_t next_use) {
    if (next_use == INT64_MAX)
        fputs(" -", file);
    else
        fprintf(file, " %lld", (long long)next_use);
}

void tier_log_slots(struct tier_log *log, sim_time now, const char *word, const struct block_info *blocks,
                    const uint32_t *slots, uint32_t count, const struct block_use *use, const int64_t *next_use) {
    uint32_t there = 0;
    for (uint32_t i = 0; i < count; i++)
        there += slots[i] != SLOT_NONE;
    if (there == 0 && strcmp(word, "hold") == 0)
        return; /* the others ask the policy what it wants gone, whatever came */
    FILE *file = line(log, now, word);
    if (use)
        fprintf(file, " owner %llu priority %u lasts %lld", (unsigned long long)use->owner, use->priority,
                (long long)use->duration_ns);
    fputs(" ids", file);
    struct runs runs = {.file = file};
    for (uint32_t i = 0; i < count; i++)
        if (slots[i] != SLOT_NONE)
            runs_add(&runs, blocks[slots[i]].id);
    runs_flush(&runs);
    if (next_use)
        fputs(" next", file);
    for (uint32_t i = 0; next_use && i < count; i++)
        if (slots[i] != SLOT_NONE)
            write_time(file, next_use[i]);
    fputc('\n', file);
    if (strcmp(word, "use") == 0)
        log->hits += there;
}

void tier_log_insert(struct tier_log *log, sim_time now, const struct block_new *first, bool has_parent,
                     uint64_t parent, const uint64_t *ids, const int64_t *next_use, const uint32_t *slots,
                     uint32_t count, enum slot_state state) {
    FILE *file = line(log, now, state == SLOT_ARRIVING ? "arrive" : "insert");
    if (has_parent)
        fprintf(file, " parent %llu", (unsigned long long)parent);
    fprintf(file, " owner %llu priority %u lasts %lld depth %u tokens %u tenant %u group %u category %u ids",
            (unsigned long long)first->owner, first->priority, (long long)first->duration_ns, first->depth,
            first->tokens, first->tenant, first->group, first->category);
    struct runs runs = {.file = file};
    uint32_t passed = 0;
    for (uint32_t i = 0; i < count; i++) {
        runs_add(&runs, ids[i]);
        passed += slots[i] == SLOT_NONE;
    }
    runs_flush(&runs);
    if (next_use)
        fputs(" next", file);
    for (uint32_t i = 0; next_use && i < count; i++)
        write_time(file, next_use[i]);
    if (passed > 0)
        fputs(" there", file);
    for (uint32_t i = 0; i < count; i++)
        if (slots[i] == SLOT_NONE)
            fprintf(file, " %u", i);
    fputc('\n', file);
    log->inserted += count - passed;
}

void tier_log_touch(struct tier_log *log, sim_time now, uint64_t id, int64_t next_use) {
    FILE *file = line(log, now, "touch");
    fprintf(file, " ids %llu next", (unsigned long long)id);
    write_time(file, next_use);
    fputc('\n', file);
    log->hits++;
}

void tier_log_note(struct tier_log *log, sim_time now, const struct session_note *note) {
    FILE *file = line(log, now, "note");
    fprintf(file, " event %d tool %u position %u session %llu context %llu returns %a ids", (int)note->event,
            note->tool, note->position, (unsigned long long)note->session, (unsigned long long)note->context_tokens,
            note->returns);
    struct runs runs = {.file = file};
    for (uint32_t i = 0; i < note->count; i++)
        runs_add(&runs, note->ids[i]);
    runs_flush(&runs);
    fputc('\n', file);
}

void tier_log_victim(struct tier_log *log, sim_time now, uint32_t slot, uint64_t id, bool kept) {
    log->victim_of[slot] = (uint32_t)log->evicted++;
    fprintf(line(log, now, kept ? "leaves" : "victim"), " %llu\n", (unsigned long long)id);
}

void tier_log_left(struct tier_log *log, sim_time now, uint32_t slot) {
    tier_log_count(log, now, "left", log->victim_of[slot]);
}
