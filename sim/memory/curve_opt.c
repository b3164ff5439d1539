/* The curve of Belady's optimum by its stack: priority is the time of the next use, soonest first.
 *
 * Source   R. L. Mattson, J. Gecsei, D. R. Slutz, I. L. Traiger, Evaluation techniques for storage hierarchies, IBM
 *          Systems Journal 9(2), 1970. Priorities there are one order for all sizes, whatever is asked for comes to the
 *          top, and what is displaced at one place goes on downwards: at each place the higher of the two stays. What a
 *          cache of C evicts is what passes from place C to the next.
 *
 * The order within places C[k-1] + 1 .. C[k] matters to none of the sizes asked for, so they are one level: a heap with
 * the furthest next use on top, C[k] - C[k-1] blocks. An access displaces from level to level down to where its block
 * was; a level whose furthest is sooner than what comes by lets it pass, one comparison.
 *
 * Prefix. After each request a cache of C keeps the soonest C of what it held and the request's blocks: the same, but a
 * block that comes in must not go to the top, it starts its way down there itself. That these are nested: of two caches
 * that are, and to which the same blocks are added, the larger one's C + 1 soonest contain the smaller one's C. That
 * the leaves that the policy takes are these: whoever asks for a block asks for all before it in its prefix, so a block
 * is never asked for before its ancestors are, nor, among equals, was it last used after them.
 *
 * Equals: under prefix a request's blocks share their next use; as in policies/evict/belady.c, the least recently used
 * goes first. Blocks that are never used again are all alike, since none of them hits. */
#include <stdlib.h>

#include "sim/base/arena.h"
#include "sim/memory/curve_impl.h"

#define OUTSIDE UINT32_MAX
static const uint64_t never = UINT64_MAX;

struct level {
    uint64_t first, room, count; /* of its heap in entries[] */
};
struct entry {
    uint64_t key; /* the higher, the earlier it goes: next use, then how long ago it was used */
    uint32_t id;
};
struct levels {
    const struct replay_setup *setup;
    struct level *levels;
    size_t count;
    struct entry *entries;
    uint64_t *place;    /* by id: in entries[] */
    uint32_t *level_of; /* by id: + 1, 0: in none */
    uint32_t *next;     /* by access: number of the next one of its block (prefix: of the request), OUTSIDE: none */
    uint64_t entry_room;
};

static void put(struct levels *all, uint64_t at, struct entry entry) {
    all->entries[at] = entry;
    all->place[entry.id] = at;
}

/* The entry at `at` (counted from the level's first) went up in key, or down. */
static void sift(struct levels *all, const struct level *level, uint64_t at, struct entry entry) {
    struct entry *heap = all->entries + level->first;
    for (; at > 0 && heap[(at - 1) / 2].key < entry.key; at = (at - 1) / 2)
        put(all, level->first + at, heap[(at - 1) / 2]);
    for (uint64_t child; (child = 2 * at + 1) < level->count; at = child) {
        if (child + 1 < level->count && heap[child + 1].key > heap[child].key)
            child++;
        if (heap[child].key <= entry.key)
            break;
        put(all, level->first + at, heap[child]);
    }
    put(all, level->first + at, entry);
}

static uint32_t find(void *self, uint64_t at) {
    struct levels *all = self;
    uint32_t level = all->level_of[all->setup->trace->ids[at]];
    return level > 0 ? level - 1 : (uint32_t)all->count;
}

/* `carried` goes down from level `from` to where the block asked for was, place `hole` of level was - 1, and takes
 * that; or, was 0, to the end. */
static void displace(struct levels *all, size_t from, struct entry carried, uint32_t was, uint64_t hole) {
    for (size_t l = from; l < all->count; l++) {
        struct level *level = &all->levels[l];
        struct entry furthest = all->entries[level->first];
        bool here = l + 1 == was, room = level->count < level->room;
        if (!here && !room && furthest.key <= carried.key)
            continue;
        all->level_of[carried.id] = (uint32_t)l + 1;
        sift(all, level, here ? hole - level->first : room ? level->count++ : 0, carried);
        if (here || room)
            return;
        carried = furthest;
    }
    all->level_of[carried.id] = 0;
}

static uint64_t key_of(const struct levels *all, uint64_t at, uint64_t time) {
    return all->next[at] == OUTSIDE ? never : (uint64_t)all->next[at] << 32 | (uint32_t)~time;
}

static void use_flat(void *self, uint64_t at, uint32_t count) {
    (void)count;
    struct levels *all = self;
    uint32_t id = all->setup->trace->ids[at], was = all->level_of[id];
    uint64_t hole = all->place[id];
    struct level *top = &all->levels[0];
    struct entry entry = {key_of(all, at, at), id}, furthest = all->entries[top->first];
    bool room = top->count < top->room;
    all->level_of[id] = 1;
    sift(all, top, was == 1 ? hole - top->first : room ? top->count++ : 0, entry);
    if (was != 1 && !room)
        displace(all, 1, furthest, was, hole);
}

static void use_prefix(void *self, uint64_t first, uint32_t count) {
    struct levels *all = self;
    const uint32_t *ids = all->setup->trace->ids + first;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t level = all->level_of[ids[i]];
        if (level > 0)
            sift(all, &all->levels[level - 1], all->place[ids[i]] - all->levels[level - 1].first,
                 (struct entry){key_of(all, first + i, first + count - 1 - i), ids[i]});
    }
    for (uint32_t i = count; i-- > 0;)
        displace(all, 0, (struct entry){key_of(all, first + i, first + count - 1 - i), ids[i]}, all->level_of[ids[i]],
                 all->place[ids[i]]);
}

/* The next access of its block; under prefix the next request with it, whose blocks are all asked for at once. */
static void foresee(struct levels *all) {
    const struct replay_trace *trace = all->setup->trace;
    uint32_t *later = lazy_alloc(trace->unique + 1, sizeof *later); /* + 1 */
    for (uint32_t r = trace->request_count; r-- > 0;) {
        const struct replay_request *request = &trace->requests[r];
        for (uint32_t i = request->blocks; i-- > 0;) {
            uint64_t at = request->first + i;
            uint32_t *next = &later[trace->ids[at]];
            all->next[at] = *next > 0 ? *next - 1 : OUTSIDE;
            *next = (all->setup->prefix ? r : (uint32_t)at) + 1;
        }
    }
    lazy_free(later, trace->unique + 1, sizeof *later);
}

static void destroy(void *self) {
    struct levels *all = self;
    const struct replay_trace *trace = all->setup->trace;
    lazy_free(all->entries, all->entry_room, sizeof *all->entries);
    lazy_free(all->place, trace->unique + 1, sizeof *all->place);
    lazy_free(all->level_of, trace->unique + 1, sizeof *all->level_of);
    lazy_free(all->next, trace->count + 1, sizeof *all->next);
    free(all->levels);
    free(all);
}

struct curve_way curve_by_levels(const struct replay_setup *setup, const uint64_t *sizes, size_t count) {
    const struct replay_trace *trace = setup->trace;
    struct levels *all = calloc(1, sizeof *all);
    MUST(all != NULL && trace->count < OUTSIDE);
    *all = (struct levels){.setup = setup, .count = count, .levels = calloc(count, sizeof *all->levels)};
    MUST(all->levels != NULL);
    for (size_t l = 0; l < count; l++) {
        uint64_t upto = sizes[l] < trace->unique ? sizes[l] : trace->unique + l + 1; /* no more can be in them */
        all->levels[l] =
            (struct level){.first = all->entry_room, .room = upto > all->entry_room ? upto - all->entry_room : 1};
        all->entry_room = all->levels[l].first + all->levels[l].room;
    }
    all->entries = lazy_alloc(all->entry_room, sizeof *all->entries);
    all->place = lazy_alloc(trace->unique + 1, sizeof *all->place);
    all->level_of = lazy_alloc(trace->unique + 1, sizeof *all->level_of);
    all->next = lazy_alloc(trace->count + 1, sizeof *all->next);
    foresee(all);
    return (struct curve_way){find, setup->prefix ? use_prefix : use_flat, destroy, all};
}
