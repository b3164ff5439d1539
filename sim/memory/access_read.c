/* Reading an access log: every line into one operation, its ids spelt out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory/access_impl.h"

static const char *const words[] = {"take", "denied", "give", "insert", "arrive",  "landed", "abandon",
                                    "left", "touch",  "use",  "hold",   "release", "pin",    "unpin",
                                    "miss", "delete", "wake", "evict",  "note",    "victim", "leaves"};

struct reader {
    struct access_file *file;
    const char *path;
    char *at;         /* in the line */
    char *line_start; /* for the column */
    int line;
    struct error *err;
};

static int bad(const struct reader *r, const char *what) {
    struct place at = {r->path, r->line, (int)(r->at - r->line_start) + 1};
    return error_at(r->err, at, "%s\n  hint: is it whole, and written by `tiersim run --access-log`?", what);
}

static void *grown(void *memory, uint64_t count, uint64_t *room, size_t size_bytes) {
    if (count < *room)
        return memory;
    *room = *room ? 2 * *room : 4096;
    memory = realloc(memory, *room * size_bytes);
    MUST(memory != NULL);
    return memory;
}

/* Passes over `word` if it comes next, as a whole. */
static bool accept(struct reader *r, const char *word) {
    size_t length = strlen(word);
    while (*r->at == ' ')
        r->at++;
    if (strncmp(r->at, word, length) != 0 || (r->at[length] != ' ' && r->at[length] != 0))
        return false;
    r->at += length;
    return true;
}

static bool number(struct reader *r, uint64_t *out) {
    while (*r->at == ' ')
        r->at++;
    if (*r->at < '0' || *r->at > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoull(r->at, &end, 10);
    if (errno != 0)
        return false;
    r->at = end;
    return true;
}

/* `word` and a number. */
static int field(struct reader *r, const char *word, uint64_t *out) {
    char what[96];
    if (accept(r, word) && number(r, out))
        return 0;
    snprintf(what, sizeof what, "'%s' and a whole number are missing here", word);
    return bad(r, what);
}

static void add_id(struct access_file *file, uint64_t id) {
    file->ids = grown(file->ids, file->id_count, &file->id_room, sizeof *file->ids);
    uint32_t known = int_map_get(file->dense, id);
    if (known == INT_MAP_NONE) {
        known = (uint32_t)file->unique;
        file->names = grown(file->names, file->unique, &file->name_room, sizeof *file->names);
        file->names[file->unique++] = id;
        int_map_put(file->dense, id, known);
    }
    file->ids[file->id_count++] = known;
}

/* The rest of a line: `ids A B+n ... [next T ...] [there I ...]`. */
static int read_ids(struct reader *r, struct access_op *op) {
    struct access_file *file = r->file;
    uint64_t first, more;
    op->first = file->id_count;
    while (number(r, &first)) {
        more = 0;
        if (*r->at == '+') {
            r->at++;
            if (!number(r, &more) || more > UINT32_MAX)
                return bad(r, "a run of ids has no length");
        }
        if (more > LINE_IDS_MAX || file->id_count - op->first + more >= LINE_IDS_MAX)
            return bad(r, "more ids than a line can have");
        for (uint64_t i = 0; i <= more; i++)
            add_id(file, first + i);
    }
    op->count = (uint32_t)(file->id_count - op->first);
    if (accept(r, "next")) {
        op->has_next = true;
        op->first_next = file->time_count;
        for (uint32_t i = 0; i < op->count; i++) {
            uint64_t at = INT64_MAX;
            if (!accept(r, "-") && (!number(r, &at) || at > INT64_MAX))
                return bad(r, "a time of next use is missing");
            file->times = grown(file->times, file->time_count, &file->time_room, sizeof *file->times);
            file->times[file->time_count++] = (int64_t)at;
        }
    }
    op->first_there = file->there_count;
    if (accept(r, "there"))
        while (number(r, &first)) {
            if (first >= op->count)
                return bad(r, "no id has that place");
            file->there = grown(file->there, file->there_count, &file->there_room, sizeof *file->there);
            file->there[file->there_count++] = (uint32_t)first;
            op->there++;
        }
    return 0;
}

/* What an insert says of its first block, and a use of its request. */
static int read_facts(struct reader *r, struct access_op *op, bool insert) {
    uint64_t value[8] = {0}, ignored;
    struct access_file *file = r->file;
    struct access_facts facts = {.parent = UINT32_MAX};
    if (insert && accept(r, "parent")) {
        if (!number(r, &ignored))
            return bad(r, "the parent's id is missing");
        add_id(file, ignored);
        facts.parent = file->ids[--file->id_count];
    }
    static const char *const names[] = {"owner", "priority", "lasts", "depth", "tokens", "tenant", "group", "category"};
    for (int i = 0; i < (insert ? 8 : 3); i++)
        if (field(r, names[i], &value[i]) != 0)
            return -1;
    facts.block = (struct block_new){.owner = value[0],
                                     .priority = (uint8_t)value[1],
                                     .duration_ns = (int64_t)value[2],
                                     .depth = (uint32_t)value[3],
                                     .tokens = (uint32_t)value[4],
                                     .tenant = (uint32_t)value[5],
                                     .group = (uint32_t)value[6],
                                     .category = (uint8_t)value[7]};
    file->facts = grown(file->facts, file->fact_count, &file->fact_room, sizeof *file->facts);
    op->has_facts = true;
    op->value = file->fact_count;
    file->facts[file->fact_count++] = facts;
    return 0;
}

static int read_note(struct reader *r, struct access_op *op) {
    uint64_t value[5];
    static const char *const names[] = {"event", "tool", "position", "session", "context"};
    for (int i = 0; i < 5; i++)
        if (field(r, names[i], &value[i]) != 0)
            return -1;
    if (value[0] > SESSION_STEPS || !accept(r, "returns"))
        return bad(r, "a note of a session says what nobody knows");
    char *end;
    struct access_file *file = r->file;
    file->notes = grown(file->notes, file->note_count, &file->note_room, sizeof *file->notes);
    op->value = file->note_count;
    file->notes[file->note_count++] = (struct session_note){.event = (enum session_event)value[0],
                                                            .tool = (uint32_t)value[1],
                                                            .position = (uint32_t)value[2],
                                                            .session = value[3],
                                                            .context_tokens = value[4],
                                                            .returns = strtod(r->at, &end)};
    if (end == r->at)
        return bad(r, "a probability is missing");
    r->at = end;
    return accept(r, "ids") ? read_ids(r, op) : bad(r, "'ids' is missing here");
}

static void add_victim(struct access_file *file, struct logged_unit *unit, const struct access_op *op) {
    (void)file;
    unit->victims = grown(unit->victims, unit->victim_count, &unit->victim_room, sizeof *unit->victims);
    unit->victims[unit->victim_count++] =
        (struct victim){.id = file->names[file->ids[op->first]], .kept = op->kind == OP_LEAVES};
}

static int read_op(struct reader *r, uint64_t unit) {
    struct access_file *file = r->file;
    struct access_op op = {.unit = (uint32_t)unit};
    uint64_t now;
    if (unit >= file->unit_count)
        return bad(r, "an operation on a tier that no line has named");
    if (!number(r, &now) || now > INT64_MAX)
        return bad(r, "the time of an operation is missing");
    op.now = (int64_t)now;
    int kind = 0;
    while (kind < OP_KINDS && !accept(r, words[kind]))
        kind++;
    if (kind == OP_KINDS)
        return bad(r, "no such operation");
    op.kind = (enum access_kind)kind;
    int failed = 0;
    if (kind == OP_TAKE || kind == OP_DENIED || kind == OP_GIVE || kind == OP_LEFT || kind == OP_WAKE ||
        kind == OP_EVICT)
        failed = number(r, &op.value) && op.value < SLOT_NONE ? 0 : bad(r, "a number is missing");
    else if (kind == OP_LANDED || kind == OP_ABANDON || kind == OP_MISS || kind == OP_DELETE || kind == OP_VICTIM ||
             kind == OP_LEAVES)
        failed = read_ids(r, &op) != 0 ? -1 : op.count == 1 ? 0 : bad(r, "one id is meant here");
    else if (kind == OP_NOTE)
        failed = read_note(r, &op);
    else {
        bool insert = kind == OP_INSERT || kind == OP_ARRIVE;
        while (*r->at == ' ')
            r->at++;
        if (insert || *r->at == 'o')
            failed = read_facts(r, &op, insert);
        if (!failed)
            failed = accept(r, "ids") ? read_ids(r, &op) : bad(r, "'ids' is missing here");
        if (!failed && (kind == OP_PIN || kind == OP_UNPIN) && op.count != 1)
            failed = bad(r, "one id is meant here");
    }
    while (!failed && *r->at == ' ')
        r->at++;
    if (!failed && *r->at != 0)
        failed = bad(r, "something stands behind the operation");
    if (failed)
        return -1;
    if (kind == OP_VICTIM || kind == OP_LEAVES) {
        add_victim(file, &file->units[unit], &op);
        return 0;
    }
    file->ops = grown(file->ops, file->op_count, &file->op_room, sizeof *file->ops);
    file->ops[file->op_count++] = op;
    return 0;
}

/* unit N NAME level L capacity C seed S prefix P policy TEXT */
static int read_unit(struct reader *r) {
    struct access_file *file = r->file;
    uint64_t index, level, prefix;
    struct logged_unit unit = {0};
    if (!number(r, &index) || index != file->unit_count)
        return bad(r, "tiers stand in order of their numbers");
    while (*r->at == ' ')
        r->at++;
    unit.about.name = r->at;
    r->at += strcspn(r->at, " ");
    if (*r->at == 0)
        return bad(r, "what the tier is is missing");
    *r->at++ = 0;
    if (field(r, "level", &level) != 0 || field(r, "capacity", &unit.about.capacity_blocks) != 0 ||
        field(r, "seed", &unit.about.seed) != 0 || field(r, "prefix", &prefix) != 0)
        return -1;
    if (unit.about.capacity_blocks == 0 || unit.about.capacity_blocks >= SLOT_NONE || level > UINT16_MAX)
        return bad(r, "a tier of no blocks, or of too many");
    if (!accept(r, "policy") || *r->at != ' ')
        return bad(r, "the tier's policy is missing");
    unit.about.policy = r->at + 1;
    unit.about.level = (uint32_t)level;
    unit.about.prefix = prefix != 0;
    file->units = grown(file->units, file->unit_count, &file->unit_room, sizeof *file->units);
    file->units[file->unit_count++] = unit;
    return 0;
}

/* costs N bytes B token S pair S first S block S */
static int read_costs(struct reader *r) {
    uint64_t index;
    if (!number(r, &index) || index >= r->file->unit_count)
        return bad(r, "the costs of a tier that no line has named");
    struct access_unit *about = &r->file->units[index].about;
    struct loss_costs *costs = &about->costs;
    double *const values[] = {&costs->token_s, &costs->pair_s, &costs->fetch_first_s, &costs->fetch_block_s};
    static const char *const names[] = {"token", "pair", "first", "block"};
    if (field(r, "bytes", &costs->block_bytes) != 0)
        return -1;
    for (int i = 0; i < 4; i++) {
        char *end = r->at;
        if (accept(r, names[i]))
            *values[i] = strtod(r->at, &end);
        if (end == r->at || !(*values[i] >= 0))
            return bad(r, "seconds are missing");
        r->at = end;
    }
    about->has_costs = true;
    return 0;
}

static int read_end(struct reader *r) {
    uint64_t index;
    if (!number(r, &index) || index >= r->file->unit_count)
        return bad(r, "the end of a tier that no line has named");
    struct access_unit *about = &r->file->units[index].about;
    r->file->units[index].ended = true;
    return field(r, "hits", &about->hits) != 0 || field(r, "inserted", &about->inserted) != 0 ||
                   field(r, "evicted", &about->evicted) != 0
               ? -1
               : 0;
}

static int read_lines(struct reader *r) {
    struct access_file *file = r->file;
    uint64_t unit;
    for (char *next = file->text; *next;) {
        r->line++;
        r->at = r->line_start = next;
        next += strcspn(next, "\n");
        if (*next)
            *next++ = 0;
        int failed;
        if (r->line == 1)
            failed = strcmp(r->at, "tiersim-access-log 1") == 0 ? 0 : bad(r, "this is no access log");
        else if (accept(r, "unit"))
            failed = read_unit(r);
        else if (accept(r, "costs"))
            failed = read_costs(r);
        else if (accept(r, "end"))
            failed = read_end(r);
        else
            failed = number(r, &unit) ? read_op(r, unit) : bad(r, "a line begins with a tier's number");
        if (failed)
            return -1;
    }
    r->line_start = r->at = file->text;
    if (file->unit_count == 0)
        return bad(r, r->line == 0 ? "this is no access log: it is empty" : "the log names no tier");
    for (uint64_t i = 0; i < file->unit_count; i++)
        if (!file->units[i].ended)
            return bad(r, "the log breaks off: a tier has no end");
    return 0;
}

static char *read_all(const char *path, struct error *err) {
    FILE *in = fopen(path, "rb");
    long size = -1;
    if (in && fseek(in, 0, SEEK_END) == 0)
        size = ftell(in);
    char *text = size >= 0 ? malloc((size_t)size + 1) : NULL;
    bool whole = false;
    if (text) {
        rewind(in);
        whole = fread(text, 1, (size_t)size, in) == (size_t)size;
        text[size] = 0;
    }
    if (in)
        fclose(in);
    if (whole)
        return text;
    free(text);
    error_set(err, "cannot read access log '%s'\n  hint: `tiersim run SCENARIO --access-log FILE` writes one", path);
    return NULL;
}

int access_file_read(const char *path, struct access_file **out, struct error *err) {
    struct access_file *file = calloc(1, sizeof *file);
    MUST(file != NULL);
    file->dense = int_map_create();
    file->text = read_all(path, err);
    struct reader reader = {.file = file, .path = path, .err = err};
    if (!file->text || read_lines(&reader) != 0) {
        access_file_free(file);
        return -1;
    }
    *out = file;
    return 0;
}

void access_file_free(struct access_file *file) {
    if (!file)
        return;
    for (uint64_t i = 0; i < file->unit_count; i++)
        free(file->units[i].victims);
    int_map_destroy(file->dense);
    free(file->units);
    free(file->ops);
    free(file->ids);
    free(file->names);
    free(file->times);
    free(file->there);
    free(file->facts);
    free(file->notes);
    free(file->text);
    free(file);
}

uint32_t access_file_units(const struct access_file *file) {
    return (uint32_t)file->unit_count;
}
const struct access_unit *access_file_unit(const struct access_file *file, uint32_t unit) {
    return &file->units[unit].about;
}
unsigned access_file_gives(const struct access_file *file, uint32_t unit) {
    unsigned gives = NEED_SESSION | NEED_GROUP;
    for (uint64_t i = 0; !(gives & NEED_FUTURE) && i < file->time_count; i++)
        gives |= file->times[i] != INT64_MAX ? NEED_FUTURE : 0u;
    for (uint64_t i = 0; i < file->note_count; i++)
        gives |= file->notes[i].event == SESSION_QUEUED  ? NEED_QUEUE
                 : file->notes[i].event == SESSION_STEPS ? NEED_AGENT_GRAPH
                                                         : 0u;
    return gives | (file->units[unit].about.has_costs ? NEED_COST : 0u);
}
