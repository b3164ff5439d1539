/* Blocks of requests and their copies below: the rules of sim/memory (kv.c, kv_lookup.c, offload.c, transfer.c) with
 * `write: fill` from tier to tier, and loads that go straight to HBM. */
#include <stdlib.h>

#include "validate/loop/loop.h"

static uint32_t *scratch(struct loop *loop, uint32_t count) {
    if (count > loop->scratch_room) {
        loop->scratch_room = 2 * count;
        loop->scratch = (uint32_t *)loop_grown(loop->scratch, loop->scratch_room, sizeof *loop->scratch);
    }
    return loop->scratch;
}

static uint32_t resident(const struct loop_tier *tier, uint64_t id) {
    uint32_t slot = pages_lookup(tier, id);
    return slot != LOOP_NONE && tier->slots[slot].state == LOOP_RESIDENT ? slot : LOOP_NONE;
}

/* ---- copies ---- */

static uint32_t move_open(struct loop *loop, uint32_t from, uint32_t to) {
    uint32_t id = 0;
    while (id < loop->move_count && loop->moves[id].live)
        id++;
    if (id == loop->move_count) {
        loop->moves = (struct loop_move *)loop_grown(loop->moves, ++loop->move_count, sizeof *loop->moves);
        loop->moves[id] = (struct loop_move){};
    }
    struct loop_move *move = &loop->moves[id];
    move->live = true;
    move->from = (uint8_t)from;
    move->to = (uint8_t)to;
    move->count = move->waiter_count = 0;
    loop->moves_live++;
    return id;
}

static void move_add(struct loop *loop, uint32_t id, uint32_t source, uint32_t target) {
    struct loop_move *move = &loop->moves[id];
    if (move->count == move->room) {
        move->room = move->room ? 2 * move->room : 64;
        move->source = (uint32_t *)loop_grown(move->source, move->room, sizeof *move->source);
        move->target = (uint32_t *)loop_grown(move->target, move->room, sizeof *move->target);
    }
    move->source[move->count] = source;
    move->target[move->count++] = target;
}

static void move_start(struct loop *loop, uint32_t id) {
    const struct loop_move *move = &loop->moves[id];
    loop->moved_blocks[move->from][move->to] += move->count;
    loop->platform.move(loop->platform.self, id, move);
}

/* A request needs what the move brings; once is enough. */
static void wait_for(struct loop *loop, uint32_t id, uint32_t request) {
    struct loop_move *move = &loop->moves[id];
    for (uint32_t i = 0; i < move->waiter_count; i++)
        if (move->waiters[i] == request)
            return;
    if (move->waiter_count == move->waiter_room) {
        move->waiter_room = move->waiter_room ? 2 * move->waiter_room : 8;
        move->waiters = (uint32_t *)loop_grown(move->waiters, move->waiter_room, sizeof *move->waiters);
    }
    move->waiters[move->waiter_count++] = request;
    loop->requests[request].loads++;
}

/* Copies named blocks of `slots` one tier down, as many as there is room for. What the tier below has stays there
 * while room is made; private copies (without a name) are passed over, and what is before and after them goes apart. */
static void offload_run(struct loop *loop, uint32_t from, const uint32_t *slots, uint32_t count) {
    uint32_t to = from + 1, missing = 0, *there = scratch(loop, 2 * count), *room = there + count;
    struct loop_tier *source = &loop->tiers[from], *target = &loop->tiers[to];
    for (uint32_t i = 0; i < count; i++) {
        there[i] = pages_lookup(target, source->slots[slots[i]].id);
        if (there[i] != LOOP_NONE)
            pages_ref(target, there[i]);
        else
            pages_ref(source, slots[i]), missing++;
    }
    uint32_t fits = missing < pages_room(target) ? missing : pages_room(target), used = 0;
    LOOP_MUST(pages_grab(target, fits, room));
    loop->skipped_blocks[to] += missing - fits;
    uint32_t move = fits > 0 ? move_open(loop, from, to) : LOOP_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (there[i] != LOOP_NONE)
            continue;
        if (used == fits) {
            pages_unref(source, slots[i]);
            continue;
        }
        pages_name(target, room[used], source->slots[slots[i]].id, LOOP_ARRIVING);
        move_add(loop, move, slots[i], room[used++]);
    }
    for (uint32_t i = count; i-- > 0;)
        if (there[i] != LOOP_NONE)
            pages_unref(target, there[i]);
    if (move != LOOP_NONE)
        move_start(loop, move);
}

static void offload(struct loop *loop, uint32_t from, const uint32_t *slots, uint32_t count) {
    const struct loop_tier *tier = &loop->tiers[from];
    if (from + 1 == LOOP_TIERS || loop->tiers[from + 1].count == 0)
        return;
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i;
        while (end < count && tier->slots[slots[end]].state != LOOP_TAKEN)
            end++;
        if (end > i)
            offload_run(loop, from, slots + i, end - i);
        i = end + 1;
    }
}

void kv_landed(struct loop *loop, uint32_t id) {
    struct loop_move move = loop->moves[id];
    struct loop_tier *from = &loop->tiers[move.from], *to = &loop->tiers[move.to];
    for (uint32_t i = 0; i < move.count; i++) {
        pages_unref(from, move.source[i]);
        if (move.to == LOOP_HBM)
            loop->filling[move.target[i]] = 0;
        pages_arrived(to, move.target[i]);
    }
    /* DRAM is written as HBM fills, so it gets what came from further down, too. A store goes on downwards. */
    if (move.to != LOOP_HBM || move.from > LOOP_DRAM)
        offload(loop, move.to, move.target, move.count);
    for (uint32_t i = move.count; i-- > 0;)
        pages_unref(to, move.target[i]);
    for (uint32_t i = 0; i < move.waiter_count; i++) {
        struct loop_request *request = &loop->requests[move.waiters[i]];
        if (--request->loads > 0)
            continue;
        LOOP_MUST(request->phase == LOOP_LOADING);
        request->phase = LOOP_READY;
        loop->away--;
        list_push(loop, &loop->ready, request->id);
    }
    loop->moves[id].live = false;
    loop->moves_live--;
}

/* ---- look-up and onboarding ---- */

static uint32_t fastest_below(const struct loop *loop, uint64_t id, uint32_t *slot) {
    for (uint32_t t = LOOP_DRAM; t < LOOP_TIERS; t++)
        if ((*slot = resident(&loop->tiers[t], id)) != LOOP_NONE)
            return t;
    return LOOP_HBM;
}

void kv_find(const struct loop *loop, const uint64_t *ids, uint32_t count, struct loop_found *out) {
    const struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    *out = (struct loop_found){};
    uint32_t at = 0, before = LOOP_HBM, slot;
    while (at < count && resident(hbm, ids[at]) != LOOP_NONE)
        at++;
    out->hbm = at;
    for (; at < count; at++) {
        slot = pages_lookup(hbm, ids[at]);
        if (slot == LOOP_NONE || hbm->slots[slot].state != LOOP_ARRIVING)
            break;
        out->arriving++;
    }
    if (loop->tiers[LOOP_DRAM].count == 0)
        out->arriving = 0;
    for (; at < count; at++) {
        uint32_t tier = fastest_below(loop, ids[at], &slot);
        /* Behind the gap, HBM may still have what nothing below has. */
        if (tier == LOOP_HBM && (before == LOOP_HBM || pages_lookup(hbm, ids[at]) == LOOP_NONE))
            break;
        before = tier != LOOP_HBM ? tier : before;
        out->tier[before]++;
        out->lower++;
    }
    out->tier[LOOP_HBM] = out->hbm + out->arriving;
}

static void table_room(struct loop_request *request, uint32_t blocks) {
    if (blocks <= request->room)
        return;
    request->room = 2 * blocks;
    request->table = (uint32_t *)loop_grown(request->table, request->room, sizeof *request->table);
}

/* The request's hits keep their place in DRAM, which holds all that HBM holds. Tail first: the front stays longest. */
static void touch_copies(struct loop *loop, const uint64_t *ids, uint32_t count) {
    struct loop_tier *dram = &loop->tiers[LOOP_DRAM];
    for (uint32_t i = count; i-- > 0;) {
        uint32_t slot = resident(dram, ids[i]);
        if (slot != LOOP_NONE)
            pages_asked(dram, slot);
    }
}

/* Begins the loads of blocks whose slots are not known yet, one copy a source tier. */
static void start_loads(struct loop *loop, struct loop_request *request, uint32_t from, uint32_t end,
                        const uint32_t *room) {
    struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    uint32_t moves[LOOP_TIERS] = {LOOP_NONE, LOOP_NONE, LOOP_NONE}, used = 0, source;
    for (uint32_t i = from; i < end; i++) {
        if (request->table[i] != LOOP_NONE)
            continue;
        uint64_t id = request->spec->ids[i];
        uint32_t tier = fastest_below(loop, id, &source), slot = room[used++];
        LOOP_MUST(tier != LOOP_HBM);
        pages_asked(&loop->tiers[tier], source); /* pinned above */
        if (moves[tier] == LOOP_NONE)
            moves[tier] = move_open(loop, tier, LOOP_HBM);
        pages_name(hbm, slot, id, LOOP_ARRIVING);
        move_add(loop, moves[tier], source, slot);
        loop->filling[slot] = moves[tier] + 1;
        pages_ref(hbm, slot); /* the request's; the first is the copy's */
        request->table[i] = slot;
    }
    for (uint32_t tier = LOOP_DRAM; tier < LOOP_TIERS; tier++)
        if (moves[tier] != LOOP_NONE) {
            wait_for(loop, moves[tier], request->id);
            move_start(loop, moves[tier]);
        }
}

static void hold(struct loop *loop, const struct loop_request *request, uint32_t count, bool on) {
    struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    for (uint32_t i = 0; on && i < count; i++)
        if (request->table[i] != LOOP_NONE)
            pages_ref(hbm, request->table[i]);
    for (uint32_t i = count; !on && i-- > 0;)
        if (request->table[i] != LOOP_NONE)
            pages_unref(hbm, request->table[i]);
}

static void pin_sources(struct loop *loop, const struct loop_request *request, uint32_t from, uint32_t end, bool on) {
    uint32_t slot;
    for (uint32_t i = from; i < end; i++) {
        if (request->table[i] != LOOP_NONE)
            continue;
        struct loop_tier *tier = &loop->tiers[fastest_below(loop, request->spec->ids[i], &slot)];
        on ? pages_ref(tier, slot) : pages_unref(tier, slot);
    }
}

enum kv_onboarded kv_onboard(struct loop *loop, uint32_t id, const struct loop_found *found) {
    struct loop_request *request = &loop->requests[id];
    struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    const uint64_t *ids = request->spec->ids;
    uint32_t known = found->hbm + found->arriving, count = known + found->lower, missing = 0, idle = 0;
    bool waits = false;
    table_room(request, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = request->table[i] = pages_lookup(hbm, ids[i]);
        missing += slot == LOOP_NONE;
        idle += slot != LOOP_NONE && hbm->slots[slot].refs == 0;
        waits |= slot == LOOP_NONE || hbm->slots[slot].state == LOOP_ARRIVING;
    }
    if (missing > 0 && pages_room(hbm) < idle + missing)
        return KV_FULL_NOW;
    hold(loop, request, count, true);
    pin_sources(loop, request, known, count, true);
    uint32_t *room = scratch(loop, missing + 1);
    LOOP_MUST(pages_grab(hbm, missing, room));
    for (uint32_t i = found->hbm; i < count; i++) {
        uint32_t slot = request->table[i];
        if (slot != LOOP_NONE && hbm->slots[slot].state == LOOP_RESIDENT)
            pages_asked(hbm, slot); /* behind the gap, those that are there are hits as well */
        if (slot != LOOP_NONE && hbm->slots[slot].state == LOOP_ARRIVING)
            wait_for(loop, loop->filling[slot] - 1, id);
    }
    start_loads(loop, request, known, count, room);
    for (uint32_t i = 0; i < found->hbm; i++)
        pages_asked(hbm, request->table[i]);
    touch_copies(loop, ids, found->hbm);
    request->held = request->named = count;
    return waits ? KV_ON_ITS_WAY : KV_THERE;
}

/* ---- growing, naming, letting go ---- */

bool kv_grow(struct loop *loop, uint32_t id, uint32_t blocks) {
    struct loop_request *request = &loop->requests[id];
    table_room(request, request->held + blocks);
    if (!pages_grab(&loop->tiers[LOOP_HBM], blocks, request->table + request->held))
        return false;
    request->held += blocks;
    return true;
}

void kv_name(struct loop *loop, uint32_t id, uint32_t tokens) {
    struct loop_request *request = &loop->requests[id];
    struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    uint32_t full = tokens / loop->options.block_tokens, first = request->named;
    if (full > request->spec->id_count)
        full = request->spec->id_count;
    if (full <= first)
        return;
    LOOP_MUST(full <= request->held);
    for (uint32_t i = first; i < full; i++) /* what somebody else has computed meanwhile stays private */
        if (pages_lookup(hbm, request->spec->ids[i]) == LOOP_NONE)
            pages_name(hbm, request->table[i], request->spec->ids[i], LOOP_RESIDENT);
    request->named = full;
    offload(loop, LOOP_HBM, request->table + first, full - first);
}

void kv_release(struct loop *loop, uint32_t id) {
    struct loop_request *request = &loop->requests[id];
    struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    LOOP_MUST(request->loads == 0);
    for (uint32_t i = request->held; i-- > 0;)
        if (hbm->slots[request->table[i]].state == LOOP_TAKEN)
            pages_return(hbm, request->table[i]);
        else
            pages_unref(hbm, request->table[i]);
    request->held = request->named = 0;
}

void kv_audit(const struct loop *loop) {
    uint32_t refs = 0, taken = 0, held[LOOP_TIERS] = {0};
    for (uint32_t t = 0; t < LOOP_TIERS; t++)
        pages_audit(&loop->tiers[t]);
    const struct loop_tier *hbm = &loop->tiers[LOOP_HBM];
    for (uint32_t i = 0; i < loop->trace->count; i++)
        for (uint32_t b = 0; b < loop->requests[i].held; b++)
            if (hbm->slots[loop->requests[i].table[b]].state == LOOP_TAKEN)
                taken++;
            else
                held[LOOP_HBM]++;
    for (uint32_t m = 0; m < loop->move_count; m++)
        if (loop->moves[m].live) {
            held[loop->moves[m].from] += loop->moves[m].count;
            held[loop->moves[m].to] += loop->moves[m].count;
        }
    LOOP_MUST(taken == hbm->taken);
    for (uint32_t t = 0; t < LOOP_TIERS; t++) {
        refs = 0;
        for (uint32_t i = 0; i < loop->tiers[t].count; i++)
            refs += loop->tiers[t].slots[i].state >= LOOP_ARRIVING ? loop->tiers[t].slots[i].refs : 0;
        LOOP_MUST(refs == held[t]);
    }
}
