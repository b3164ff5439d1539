/* As in index.c, an entry is a group of sixteen ids, since ids of one text are consecutive: open addressing, linear
 * probing, deletion by shifting back, at most half full. An entry has for each of its ids a bit a holder. */
#include "sim/memory/presence.h"

#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"

enum { GROUP = 16, FIRST_ROOM = 64, WORD = 64 };

struct head {
    uint64_t key;   /* id / GROUP */
    uint64_t count; /* bits that are set; 0: the place is empty */
};
struct presence {
    struct head *heads;
    uint64_t *bits; /* by place: GROUP x words */
    uint64_t mask, used, last;
    uint32_t holders, words;
    uint64_t *alive; /* scratch: who has had all ids so far */
};

/* The finaliser of MurmurHash3 (A. Appleby, public domain). */
static uint64_t hash(uint64_t key) {
    key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
    key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

static void allocate(struct presence *p, uint64_t room) {
    p->heads = calloc(room, sizeof *p->heads);
    p->bits = calloc(room * GROUP * p->words, sizeof *p->bits);
    MUST(p->heads != NULL && p->bits != NULL);
    p->mask = room - 1;
    p->last = 0;
}

struct presence *presence_create(uint32_t holders) {
    struct presence *p = calloc(1, sizeof *p);
    MUST(p != NULL && holders > 0);
    p->holders = holders;
    p->words = (holders + WORD - 1) / WORD;
    p->alive = calloc(p->words, sizeof *p->alive);
    MUST(p->alive != NULL);
    allocate(p, FIRST_ROOM);
    return p;
}

void presence_destroy(struct presence *p) {
    if (!p)
        return;
    free(p->heads);
    free(p->bits);
    free(p->alive);
    free(p);
}

/* The place of the group, or the empty one where it would stand. */
static uint64_t place_of(const struct presence *p, uint64_t key) {
    uint64_t at = hash(key) & p->mask;
    while (p->heads[at].count > 0 && p->heads[at].key != key)
        at = (at + 1) & p->mask;
    return at;
}

static uint64_t *group_at(const struct presence *p, uint64_t place) {
    return p->bits + place * GROUP * p->words;
}
static uint64_t *word_at(const struct presence *p, uint64_t place, uint64_t id, uint32_t holder) {
    return group_at(p, place) + id % GROUP * p->words + holder / WORD;
}

static void move(struct presence *to, uint64_t to_place, const struct presence *from, uint64_t place) {
    to->heads[to_place] = from->heads[place];
    memcpy(group_at(to, to_place), group_at(from, place), GROUP * from->words * sizeof *from->bits);
}

static void grow(struct presence *p) {
    struct presence old = *p;
    allocate(p, 2 * (old.mask + 1));
    for (uint64_t at = 0; at <= old.mask; at++)
        if (old.heads[at].count > 0)
            move(p, place_of(p, old.heads[at].key), &old, at);
    free(old.heads);
    free(old.bits);
}

/* The place of an id about to change: more often than not the one that changed last. */
static uint64_t place_to_change(struct presence *p, uint64_t id) {
    const struct head *head = &p->heads[p->last];
    if (head->count == 0 || head->key != id / GROUP)
        p->last = place_of(p, id / GROUP);
    return p->last;
}

void presence_add(struct presence *p, uint32_t holder, uint64_t id) {
    MUST(holder < p->holders);
    if (2 * p->used > p->mask)
        grow(p);
    uint64_t place = place_to_change(p, id), bit = UINT64_C(1) << holder % WORD;
    struct head *head = &p->heads[place];
    if (head->count == 0) {
        head->key = id / GROUP;
        p->used++;
    }
    uint64_t *word = word_at(p, place, id, holder);
    MUST(!(*word & bit));
    *word |= bit;
    head->count++;
}

/* Whatever stands after the gap and would be reached across it moves into it. An empty group has no bit set. */
static void close_gap(struct presence *p, uint64_t gap) {
    for (uint64_t at = (gap + 1) & p->mask; p->heads[at].count > 0; at = (at + 1) & p->mask) {
        uint64_t home = hash(p->heads[at].key) & p->mask;
        if (((at - home) & p->mask) < ((at - gap) & p->mask))
            continue;
        move(p, gap, p, at);
        gap = at;
    }
    p->heads[gap].count = 0;
    memset(group_at(p, gap), 0, GROUP * p->words * sizeof *p->bits);
}

void presence_remove(struct presence *p, uint32_t holder, uint64_t id) {
    uint64_t place = place_to_change(p, id), bit = UINT64_C(1) << holder % WORD;
    uint64_t *word = word_at(p, place, id, holder);
    MUST(holder < p->holders && p->heads[place].count > 0 && *word & bit);
    *word &= ~bit;
    if (--p->heads[place].count > 0)
        return;
    p->used--;
    close_gap(p, place);
}

/* Holders that had all before and lack this one: they have `leading` ids. Returns whether any goes on. */
static bool narrow(struct presence *p, const uint64_t *holding, uint32_t at, uint32_t *leading) {
    bool any = false;
    for (uint32_t w = 0; w < p->words; w++) {
        uint64_t has = holding ? holding[w] : 0;
        for (uint64_t lost = p->alive[w] & ~has; lost; lost &= lost - 1)
            leading[w * WORD + (uint32_t)__builtin_ctzll(lost)] = at;
        p->alive[w] &= has;
        any |= p->alive[w] != 0;
    }
    return any;
}

void presence_match(struct presence *p, const uint64_t *ids, uint32_t count, uint32_t *leading) {
    for (uint32_t w = 0; w < p->words; w++)
        p->alive[w] = w + 1 < p->words || p->holders % WORD == 0 ? UINT64_MAX : (UINT64_C(1) << p->holders % WORD) - 1;
    const uint64_t *group = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || ids[i] / GROUP != ids[i - 1] / GROUP) {
            uint64_t place = place_of(p, ids[i] / GROUP);
            group = p->heads[place].count > 0 ? group_at(p, place) : NULL;
        }
        if (!narrow(p, group ? group + ids[i] % GROUP * p->words : NULL, i, leading))
            return;
    }
    narrow(p, NULL, count, leading);
}
