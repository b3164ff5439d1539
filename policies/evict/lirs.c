/* LIRS: blocks are kept by the time between their last two uses, not by the last one.
 *
 * Rule     LIR blocks (99 % of the capacity) have short intervals; the others are HIR and wait in a small queue Q,
 *          whose oldest is the victim. A stack S holds blocks in order of last use: all LIR, and HIR blocks,
 *          resident or only remembered, whose last use is later than that of the LIR block at its bottom. A use of
 *          a HIR block that is in S makes it LIR, and the LIR block at the bottom goes to Q; S is then pruned down
 *          to its lowest LIR block.
 * Needs    nothing. Lift: orphan.
 * Cost     O(1) a hook, amortised; 26 bytes a slot, about 130 with what it remembers.
 * Source   S. Jiang, X. Zhang, LIRS, SIGMETRICS'02. HIR share 1 %.
 * Differs  S holds at most twice the capacity (libCacheSim's bound; of what is only remembered, what was evicted
 *          first is forgotten first). When all of Q is held, the victim is the lowest LIR block that is not. Where
 *          a tier counts bytes, shares are of the blocks it holds at the time. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/evict/segments.h"
#include "sim/base/int_map.h"

enum { IN_S = 1, LIR = 2 };
struct lirs_options {
    double hir_share, stack_share;
};
static const struct option lirs_table[] = {{.name = "hir_share",
                                            .kind = OPTION_REAL,
                                            .offset = offsetof(struct lirs_options, hir_share),
                                            .fallback = "0.01",
                                            .min = 0,
                                            .max = 1,
                                            .help = "Q's share of the capacity"},
                                           {.name = "stack_share",
                                            .kind = OPTION_REAL,
                                            .offset = offsetof(struct lirs_options, stack_share),
                                            .fallback = "2",
                                            .min = 1,
                                            .max = 16,
                                            .help = "S holds at most this many times the capacity"},
                                           OPTION_END};

/* Nodes of S: slots, and behind them what is only remembered. */
struct lirs {
    const struct block_info *blocks;
    struct lirs_options options;
    struct slot_segments q;    /* segment 0 */
    uint8_t *bits;             /* by slot */
    struct slot_link *s_links; /* by node */
    struct slot_list s;        /* lowest first */
    uint64_t s_count;
    struct int_map *ghost_of;  /* id -> ghost */
    uint64_t *ghost_ids;       /* by ghost */
    struct slot_link *g_links; /* by ghost */
    struct slot_list gone;     /* ghosts, evicted first first */
    struct slot_list unused;
    uint32_t ghosts_used, ghost_room;
    uint32_t capacity, slots, resident, lir; /* capacity 0: the tier counts bytes */
};

static void *lirs_create(const struct evict_context *context) {
    struct lirs *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->blocks = context->blocks;
    state->options = context->options ? *(const struct lirs_options *)context->options : (struct lirs_options){0.01, 2};
    state->capacity = context->capacity_bytes ? 0 : context->capacity;
    state->slots = context->slots;
    double ghosts = state->options.stack_share * context->capacity + 2;
    state->ghost_room = ghosts < UINT32_MAX / 4 ? (uint32_t)ghosts : UINT32_MAX / 4;
    segments_create(&state->q, context->slots);
    state->bits = lazy_alloc(state->slots, sizeof *state->bits);
    state->s_links = links_create(state->slots + state->ghost_room);
    state->g_links = links_create(state->ghost_room);
    state->ghost_ids = lazy_alloc(state->ghost_room, sizeof *state->ghost_ids);
    state->ghost_of = int_map_create();
    return state;
}
static void lirs_destroy(void *self) {
    struct lirs *state = self;
    segments_destroy(&state->q);
    lazy_free(state->bits, state->slots, sizeof *state->bits);
    links_destroy(state->s_links, state->slots + state->ghost_room);
    links_destroy(state->g_links, state->ghost_room);
    lazy_free(state->ghost_ids, state->ghost_room, sizeof *state->ghost_ids);
    int_map_destroy(state->ghost_of);
    free(state);
}

static uint32_t all_blocks(const struct lirs *state) {
    return state->capacity ? state->capacity : state->resident;
}
static uint32_t lir_most(const struct lirs *state) {
    uint32_t hir = (uint32_t)(state->options.hir_share * all_blocks(state));
    return all_blocks(state) - (hir ? hir : 1);
}
static void s_leave(struct lirs *state, uint32_t node) {
    list_unlink(&state->s, state->s_links, node);
    state->s_count--;
}
static void s_top(struct lirs *state, uint32_t node) {
    if (link_is_in(state->s_links, node))
        s_leave(state, node);
    list_push_back(&state->s, state->s_links, node);
    state->s_count++;
}
static void forget(struct lirs *state, uint32_t ghost) {
    int_map_delete(state->ghost_of, state->ghost_ids[ghost]);
    s_leave(state, state->slots + ghost);
    list_unlink(&state->gone, state->g_links, ghost);
    list_push_back(&state->unused, state->g_links, ghost);
}
/* The lowest of S is LIR again. */
static void prune(struct lirs *state) {
    uint32_t node;
    while ((node = list_first(&state->s)) != EVICT_NONE) {
        if (node >= state->slots) {
            forget(state, node - state->slots);
        } else if (!(state->bits[node] & LIR)) {
            state->bits[node] = 0;
            s_leave(state, node);
        } else {
            return;
        }
    }
}
static void bound(struct lirs *state) {
    double most = state->options.stack_share * all_blocks(state);
    while ((double)state->s_count > most && list_first(&state->gone) != EVICT_NONE)
        forget(state, list_first(&state->gone));
}
/* While there are too many LIR blocks, the lowest goes to Q. */
static void demote(struct lirs *state) {
    prune(state);
    while (state->lir > lir_most(state)) {
        uint32_t node = list_first(&state->s);
        MUST(node < state->slots && state->bits[node] & LIR);
        s_leave(state, node);
        state->bits[node] = 0;
        state->lir--;
        segments_push_back(&state->q, node, 0);
        prune(state);
    }
}
static void make_lir(struct lirs *state, uint32_t slot) {
    segments_drop(&state->q, slot);
    state->bits[slot] = IN_S | LIR;
    state->lir++;
    s_top(state, slot);
    demote(state);
}
static void make_hir(struct lirs *state, uint32_t slot) {
    state->bits[slot] = IN_S;
    s_top(state, slot);
    segments_push_back(&state->q, slot, 0);
}
static void lirs_miss(void *self, uint64_t id, int64_t now) {
    (void)now;
    struct lirs *state = self;
    uint32_t ghost = int_map_get(state->ghost_of, id);
    if (ghost != INT_MAP_NONE) /* kept from being forgotten while room is made */
        s_top(state, state->slots + ghost);
}
static void lirs_insert(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lirs *state = self;
    state->resident++;
    uint32_t ghost = int_map_get(state->ghost_of, state->blocks[slot].id);
    if (ghost != INT_MAP_NONE)
        forget(state, ghost);
    if (ghost != INT_MAP_NONE || state->lir < lir_most(state))
        make_lir(state, slot);
    else
        make_hir(state, slot);
    bound(state);
}
static void lirs_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lirs *state = self;
    if (state->bits[slot] & LIR) {
        s_top(state, slot);
        prune(state);
    } else if (state->bits[slot] & IN_S) {
        make_lir(state, slot);
    } else {
        make_hir(state, slot);
    }
    bound(state);
}
static void lirs_release(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lirs *state = self;
    segments_return(&state->q, slot);
}
static void lirs_ahead(const void *self, uint32_t slot) {
    const struct lirs *state = self;
    __builtin_prefetch(&state->s_links[slot], 1);
    __builtin_prefetch(&state->bits[slot], 1);
}
static uint32_t lirs_victim(void *self, int64_t now) {
    (void)now;
    struct lirs *state = self;
    uint32_t slot = segments_first(&state->q, 0, state->blocks);
    if (slot != EVICT_NONE)
        return slot;
    for (uint32_t node = list_first(&state->s); node != EVICT_NONE; node = list_after(state->s_links, node))
        if (node < state->slots && state->bits[node] & LIR && state->blocks[node].refs == 0)
            return node;
    return EVICT_NONE;
}
/* An evicted HIR block that is in S stays there as a remembered id, at the same place. */
static void remember(struct lirs *state, uint32_t slot) {
    uint32_t ghost = list_first(&state->unused);
    if (ghost != EVICT_NONE)
        list_unlink(&state->unused, state->g_links, ghost);
    else if (state->ghosts_used < state->ghost_room)
        ghost = state->ghosts_used++;
    else {
        s_leave(state, slot);
        return;
    }
    uint32_t node = state->slots + ghost;
    struct slot_link link = state->s_links[slot];
    state->s_links[node] = link;
    state->s_links[slot] = (struct slot_link){0, 0};
    if (link.before == LINK_END)
        state->s.head = node + 1;
    else
        state->s_links[link.before - 1].after = node + 1;
    if (link.after == LINK_END)
        state->s.tail = node + 1;
    else
        state->s_links[link.after - 1].before = node + 1;
    state->ghost_ids[ghost] = state->blocks[slot].id;
    int_map_put(state->ghost_of, state->blocks[slot].id, ghost);
    list_push_back(&state->gone, state->g_links, ghost);
}
static void lirs_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct lirs *state = self;
    uint8_t bits = state->bits[slot];
    state->resident--;
    state->bits[slot] = 0;
    segments_drop(&state->q, slot);
    if (bits & LIR) {
        state->lir--;
        s_leave(state, slot);
        prune(state);
    } else if (bits & IN_S && evicted) {
        remember(state, slot);
    } else if (bits & IN_S) {
        s_leave(state, slot);
    }
}

static const struct evict_policy lirs = {
    .policy = {.abi = POLICY_ABI,
               .name = "lirs",
               .rule = "blocks whose last two uses lie close together stay; the others pass through a small queue",
               .source = "Jiang and Zhang, SIGMETRICS'02",
               .needs = NEED_NOTHING,
               .options = lirs_table,
               .options_size = sizeof(struct lirs_options)},
    .lifts = LIFT_ORPHAN,
    .create = lirs_create,
    .destroy = lirs_destroy,
    .insert = lirs_insert,
    .touch = lirs_touch,
    .release = lirs_release,
    .ahead = lirs_ahead,
    .victim = lirs_victim,
    .remove = lirs_remove,
    .miss = lirs_miss};
POLICY_REGISTER(evict, lirs)
