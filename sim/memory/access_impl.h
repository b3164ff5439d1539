/* What access_read.c and access_replay.c share: a log in memory. */
#ifndef SIM_MEMORY_ACCESS_IMPL_H
#define SIM_MEMORY_ACCESS_IMPL_H

#include "sim/base/int_map.h"
#include "sim/memory/access_log.h"

enum { LINE_IDS_MAX = 1 << 26 };

/* In the order of access_read.c's words; the last two are answers and no operations. */
enum access_kind {
    OP_TAKE,
    OP_DENIED, /* the take before it was */
    OP_GIVE,
    OP_INSERT,
    OP_ARRIVE,
    OP_LANDED,
    OP_ABANDON,
    OP_LEFT,
    OP_TOUCH,
    OP_USE,
    OP_HOLD,
    OP_RELEASE,
    OP_PIN,
    OP_UNPIN,
    OP_MISS,
    OP_DELETE,
    OP_WAKE,
    OP_EVICT,
    OP_NOTE,
    OP_VICTIM,
    OP_LEAVES,
    OP_KINDS
};
struct access_facts {
    struct block_new block; /* of an insert's first; of a use: owner, priority, duration */
    uint32_t parent;        /* number of its id, UINT32_MAX: none */
};
struct access_op {
    int64_t now;
    uint64_t first, first_next, first_there; /* in ids, times, there */
    uint64_t value;                          /* a count, or the number of facts or a note */
    uint32_t count, there, unit;
    enum access_kind kind;
    bool has_next, has_facts;
};
struct victim {
    uint64_t id;
    bool kept;
};
struct logged_unit {
    struct access_unit about;
    bool ended;
    struct victim *victims;
    uint64_t victim_count, victim_room;
};
struct access_file {
    char *text;
    struct logged_unit *units;
    struct access_op *ops;
    uint32_t *ids;   /* by number: 0..unique-1 */
    uint64_t *names; /* their ids */
    int64_t *times;
    uint32_t *there;
    struct access_facts *facts;
    struct session_note *notes;
    struct int_map *dense;
    uint64_t unit_count, op_count, id_count, unique, time_count, there_count, fact_count, note_count;
    uint64_t unit_room, op_room, id_room, name_room, time_room, there_room, fact_room, note_room;
};

#endif
