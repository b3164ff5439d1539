/* A logged tier's operations through a policy again.
 *
 * For the policy that was logged each operation finds what it found then, and goes to the tier as it went then: the
 * same calls give the same slots, and so the same victims. Where another policy has kept or lost a block, the operation
 * does what it would have come to: see `come_in` and `insert_apart`. What holds always: a block that is here has as
 * many references as the log's has at that point. */
#include <stdlib.h>

#include "sim/memory/access_impl.h"

struct play {
    const struct access_file *file;
    const struct logged_unit *unit;
    struct tier *tier;
    struct access_result *out;
    uint32_t *wanted, *pins; /* by id's number: references in the log; of them, reads that the policy has heard of */
    uint64_t *facts;         /* by id's number: + 1, of its last insert; 0: none yet */
    uint32_t *leaving;       /* by victim's number: its slot, SLOT_NONE: not leaving, or it has left */
    bool *left;
    uint32_t *slots;
    uint64_t *ids;
    int64_t *next;
    uint64_t asked; /* by the last take */
    bool took;
};

static uint32_t find(const struct play *play, uint32_t number) {
    return tier_find(play->tier, play->file->names[number]);
}

static bool on_victim(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    (void)now;
    struct play *play = self;
    uint64_t number = play->out->evicted++;
    if (number >= play->unit->victim_count)
        return false;
    const struct victim *then = &play->unit->victims[number];
    if (play->out->as_logged < number || then->id != tier_block(tier, slot)->id)
        return false;
    play->out->as_logged++;
    if (!then->kept || play->left[number])
        return false;
    play->leaving[number] = slot;
    return true;
}

static uint64_t taken(const struct play *play) {
    return tier_counts(play->tier).taken;
}

/* What its last insert in the log said of a block. */
static struct block_new describe(const struct play *play, uint32_t number, int64_t next_use) {
    struct block_new block = {.parent = SLOT_NONE, .tokens = 1, .priority = PRIORITY_DEFAULT};
    if (play->facts[number] > 0)
        block = play->file->facts[play->facts[number] - 1].block;
    block.id = play->file->names[number];
    block.parent = SLOT_NONE;
    block.next_use = next_use;
    return block;
}

/* Asked for, found in the log and not here. */
static void come_in(struct play *play, uint32_t number, int64_t next_use, int64_t now) {
    struct block_new block = describe(play, number, next_use);
    tier_missed(play->tier, block.id, now);
    if (!tier_take(play->tier, 1, now)) {
        play->out->refused++;
        return;
    }
    uint32_t slot = tier_insert(play->tier, &block, SLOT_RESIDENT, now);
    play->out->inserted++;
    for (uint32_t refs = 1; refs < play->wanted[number]; refs++)
        tier_hold(play->tier, slot, now);
    if (play->wanted[number] == 0)
        tier_release(play->tier, slot, now);
}

static int64_t next_of(const struct play *play, const struct access_op *op, uint32_t i) {
    return op->has_next ? play->file->times[op->first_next + i] : INT64_MAX;
}

static void touch(struct play *play, const struct access_op *op) {
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t number = play->file->ids[op->first + i], slot = find(play, number);
        if (slot == SLOT_NONE) {
            come_in(play, number, next_of(play, op, i), op->now);
            continue;
        }
        tier_touch(play->tier, slot, next_of(play, op, i), op->now);
        play->out->hits++;
    }
}

/* The slots of an operation's blocks; returns how many are here. */
static uint32_t find_all(struct play *play, const struct access_op *op) {
    uint32_t here = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        play->slots[i] = find(play, play->file->ids[op->first + i]);
        play->next[i] = next_of(play, op, i);
        here += play->slots[i] != SLOT_NONE;
    }
    return here;
}

static void use(struct play *play, const struct access_op *op) {
    const struct block_new *said = op->has_facts ? &play->file->facts[op->value].block : NULL;
    struct block_use request = {0};
    if (said)
        request = (struct block_use){said->owner, said->duration_ns, said->priority};
    play->out->hits += find_all(play, op);
    tier_use_all(play->tier, play->slots, op->count, said ? &request : NULL, op->has_next ? play->next : NULL, op->now);
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t number = play->file->ids[op->first + i];
        play->wanted[number]++;
        if (play->slots[i] == SLOT_NONE && find(play, number) == SLOT_NONE)
            come_in(play, number, play->next[i], op->now);
    }
}

static void hold(struct play *play, const struct access_op *op) {
    find_all(play, op);
    for (uint32_t i = 0; i < op->count; i++)
        play->wanted[play->file->ids[op->first + i]]++;
    tier_hold_all(play->tier, play->slots, op->count, op->now);
}

static void release(struct play *play, const struct access_op *op) {
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t number = play->file->ids[op->first + i];
        play->slots[i] = play->wanted[number] > 0 ? find(play, number) : SLOT_NONE;
        play->wanted[number] -= play->wanted[number] > 0;
    }
    tier_release_all(play->tier, play->slots, op->count, op->now);
}

static void pin(struct play *play, const struct access_op *op) {
    uint32_t number = play->file->ids[op->first], slot = find(play, number);
    if (op->kind == OP_PIN) {
        play->wanted[number]++;
        play->pins[number] += slot != SLOT_NONE;
        if (slot != SLOT_NONE)
            tier_pin(play->tier, slot, true, op->now);
        return;
    }
    if (play->wanted[number] == 0)
        return;
    play->wanted[number]--;
    if (slot == SLOT_NONE)
        return;
    if (play->pins[number] == 0) { /* it came in meanwhile */
        tier_release(play->tier, slot, op->now);
        return;
    }
    play->pins[number]--;
    tier_pin(play->tier, slot, false, op->now);
}

/* Is what the log found here also what is here now? Then all go in at once, as then. */
static bool as_then(struct play *play, const struct access_op *op) {
    uint32_t there = 0;
    find_all(play, op);
    for (uint32_t i = 0; i < op->count; i++) {
        bool passed = there < op->there && play->file->there[op->first_there + there] == i;
        there += passed;
        if (passed != (play->slots[i] != SLOT_NONE))
            return false;
    }
    return taken(play) >= op->count;
}

/* Block by block: what is here already is asked for again instead, and gives its room back. */
static void insert_apart(struct play *play, const struct access_op *op, enum slot_state state, struct block_new block) {
    uint32_t there = 0;
    for (uint32_t i = 0; i < op->count; i++, block.depth++) {
        uint32_t number = play->file->ids[op->first + i], slot = find(play, number);
        if (there < op->there && play->file->there[op->first_there + there] == i) {
            there++;
            block.parent = slot;
            continue;
        }
        play->wanted[number] = 1;
        if (slot != SLOT_NONE) {
            tier_hold(play->tier, slot, op->now);
            tier_touch(play->tier, slot, next_of(play, op, i), op->now);
            play->out->hits++;
            tier_give(play->tier, taken(play) > 0);
        } else if (taken(play) > 0) {
            block.id = play->file->names[number];
            block.next_use = next_of(play, op, i);
            slot = tier_insert(play->tier, &block, state, op->now);
            play->out->inserted++;
        } else {
            play->out->refused++;
        }
        /* A policy may have sent it away at once. */
        block.parent = find(play, number) == slot ? slot : SLOT_NONE;
    }
}

static void insert(struct play *play, const struct access_op *op) {
    const struct access_facts *facts = &play->file->facts[op->value];
    enum slot_state state = op->kind == OP_ARRIVE ? SLOT_ARRIVING : SLOT_RESIDENT;
    struct block_new first = facts->block;
    first.parent = facts->parent == UINT32_MAX ? SLOT_NONE : find(play, facts->parent);
    uint32_t there = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        uint32_t number = play->file->ids[op->first + i];
        play->ids[i] = play->file->names[number];
        bool passed = there < op->there && play->file->there[op->first_there + there] == i;
        there += passed;
        if (!passed)
            play->facts[number] = op->value + 1;
    }
    if (!as_then(play, op)) {
        insert_apart(play, op, state, first);
        return;
    }
    for (uint32_t i = 0; i < op->count; i++)
        if (play->slots[i] == SLOT_NONE)
            play->wanted[play->file->ids[op->first + i]] = 1;
    play->out->inserted += tier_insert_all(play->tier, &first, play->ids, op->has_next ? play->next : NULL, op->count,
                                           state, play->slots, op->now);
}

/* Operations on one block that is here. */
static void single(struct play *play, const struct access_op *op) {
    uint32_t number = play->file->ids[op->first], slot = find(play, number);
    if (op->kind == OP_MISS) {
        if (slot == SLOT_NONE)
            tier_missed(play->tier, play->file->names[number], op->now);
        return;
    }
    bool arriving = slot != SLOT_NONE && tier_state(play->tier, slot) == SLOT_ARRIVING;
    if (op->kind == OP_LANDED && arriving)
        tier_landed(play->tier, slot, op->now);
    if (op->kind == OP_DELETE && slot != SLOT_NONE && tier_block(play->tier, slot)->refs == 0)
        tier_delete(play->tier, slot, op->now);
    if (op->kind != OP_ABANDON)
        return;
    play->wanted[number] = 0;
    if (arriving)
        tier_abandon(play->tier, slot, op->now);
    else if (slot != SLOT_NONE)
        tier_release(play->tier, slot, op->now);
}

static void room(struct play *play, const struct access_op *op) {
    if (op->kind == OP_TAKE) {
        play->asked = op->value;
        play->took = tier_take(play->tier, op->value, op->now);
    } else if (op->kind == OP_DENIED) {
        if (play->took)
            tier_give(play->tier, play->asked);
    } else if (op->kind == OP_GIVE) {
        tier_give(play->tier, op->value < taken(play) ? op->value : taken(play));
    } else if (op->value < play->unit->victim_count) {
        uint32_t slot = play->leaving[op->value];
        play->left[op->value] = true;
        play->leaving[op->value] = SLOT_NONE;
        if (slot != SLOT_NONE)
            tier_left(play->tier, slot, op->now);
    }
}

static void note(struct play *play, const struct access_op *op) {
    struct session_note note = play->file->notes[op->value];
    for (uint32_t i = 0; i < op->count; i++)
        play->ids[i] = play->file->names[play->file->ids[op->first + i]];
    note.ids = play->ids;
    note.count = op->count;
    tier_note(play->tier, &note, op->now);
}

static void perform(struct play *play, const struct access_op *op) {
    switch (op->kind) {
    case OP_TAKE:
    case OP_DENIED:
    case OP_GIVE:
    case OP_LEFT:
        room(play, op);
        return;
    case OP_INSERT:
    case OP_ARRIVE:
        insert(play, op);
        return;
    case OP_TOUCH:
        touch(play, op);
        return;
    case OP_USE:
        use(play, op);
        return;
    case OP_HOLD:
        hold(play, op);
        return;
    case OP_RELEASE:
        release(play, op);
        return;
    case OP_PIN:
    case OP_UNPIN:
        pin(play, op);
        return;
    case OP_WAKE:
        tier_wake(play->tier, op->now);
        return;
    case OP_EVICT:
        tier_evict(play->tier, op->now);
        return;
    case OP_NOTE:
        note(play, op);
        return;
    default:
        single(play, op);
    }
}

static void *room_for(uint64_t count, size_t size_bytes) {
    void *memory = calloc(count + 1, size_bytes);
    MUST(memory != NULL);
    return memory;
}

void access_replay(const struct access_file *file, uint32_t unit, const struct evict_policy *policy,
                   const void *options, uint64_t capacity_blocks, struct access_result *out) {
    uint64_t longest = 0;
    for (uint64_t i = 0; i < file->op_count; i++)
        longest = file->ops[i].count > longest ? file->ops[i].count : longest;
    *out = (struct access_result){0};
    struct play play = {.file = file,
                        .unit = &file->units[unit],
                        .out = out,
                        .wanted = room_for(file->unique, sizeof *play.wanted),
                        .pins = room_for(file->unique, sizeof *play.pins),
                        .facts = room_for(file->unique, sizeof *play.facts),
                        .leaving = room_for(file->units[unit].victim_count, sizeof *play.leaving),
                        .left = room_for(file->units[unit].victim_count, sizeof *play.left),
                        .slots = room_for(longest, sizeof *play.slots),
                        .ids = room_for(longest, sizeof *play.ids),
                        .next = room_for(longest, sizeof *play.next)};
    for (uint64_t i = 0; i < play.unit->victim_count; i++)
        play.leaving[i] = SLOT_NONE;
    const struct access_unit *about = &play.unit->about;
    struct evict_costs costs = loss_costs_view(&about->costs);
    struct tier_setup setup = {.name = about->name,
                               .capacity_blocks = capacity_blocks,
                               .prefix = about->prefix,
                               .policy = policy,
                               .policy_options = options,
                               .costs = &costs,
                               .seed = about->seed,
                               .on_victim = on_victim,
                               .on_victim_self = &play};
    play.tier = tier_create(&setup);
    for (uint64_t i = 0; i < file->op_count; i++)
        if (file->ops[i].unit == unit)
            perform(&play, &file->ops[i]);
    out->same = out->hits == about->hits && out->inserted == about->inserted && out->evicted == about->evicted &&
                out->as_logged == out->evicted && out->evicted == play.unit->victim_count && out->refused == 0;
    tier_destroy(play.tier);
    free(play.wanted);
    free(play.pins);
    free(play.facts);
    free(play.leaving);
    free(play.left);
    free(play.slots);
    free(play.ids);
    free(play.next);
}
