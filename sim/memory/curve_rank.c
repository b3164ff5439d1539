/* Curves of policies whose order of blocks changes only where a block is asked for, and then upwards: LRU (the order of
 * last use) and perfect LFU (uses ever, then last use). Rank 1 is what goes last.
 *
 * Prefix. After a request a cache of C is trimmed of the lowest of what it held and the request's blocks, and what was
 * trimmed rises only when it comes in again: it holds exactly ranks 1 to C. A block hits at C >= its rank.
 *
 * Flat. What is asked for must come in, even if it ranks low, and stays until the next miss: a cache of C holds ranks 1
 * to C - 1 and one more, its straggler. (By induction: a miss evicts the straggler, which ranks below the rest; a hit
 * leaves the contents as they are.) An access of block z moves it from rank r up to rank t. Caches of C > r held z
 * among their C - 1, and keep their straggler. Of the smaller ones, those of C > t get rank C as theirs; those of
 * C <= t get z. So stragglers stand in runs of sizes, and each access lays new runs over the lowest ones: a stack of
 * runs, where each is pushed and popped once. z hits from C = r + 1 on; at r too if rank r is the straggler there; and
 * in all the run whose straggler is z, which ends at r. LRU is the case t = 1: no run but sizes of their own ranks.
 *
 * Ranks: all places in the order are known beforehand (a use's number, sorted by uses so far), so that a set of bits
 * with a Fenwick tree over its words counts the blocks above one. P. M. Fenwick, A new data structure for cumulative
 * frequency tables, Software: Practice and Experience 24(3), 1994; for LRU distances first B. T. Bennett, V. J.
 * Kruskal, LRU stack processing, IBM J. Res. Dev. 19(4), 1975. */
#include <stdlib.h>

#include "sim/base/arena.h"
#include "sim/memory/curve_impl.h"

enum { WORD = 64 };

/* Sizes up to `upto` (and above those of the run pushed after it) have this straggler; 0: the block of their own rank.
 */
struct run {
    uint64_t upto;
    uint32_t straggler; /* id + 1 */
};
struct ranks {
    const struct replay_setup *setup;
    const uint64_t *sizes;
    size_t count;
    uint32_t *place;       /* by access: of the use in the order, lowest first; NULL: its time */
    uint32_t *place_of;    /* by id: of its last use, + 1; 0: not seen */
    uint64_t *bits, *tree; /* by place; by word of places, or where sizes count by place: Fenwick */
    const uint32_t *bytes; /* by access; NULL: blocks count as 1 */
    uint32_t *bytes_of;    /* by id */
    uint64_t places, nodes, total;
    struct run *runs; /* the first has all sizes; the last the lowest. NULL: ranks 1 to C are there */
    uint64_t run_count, run_room;
};

static void add(struct ranks *ranks, uint64_t place, uint64_t value) {
    uint64_t node = ranks->bytes ? place : place / WORD;
    ranks->total += value;
    if (!ranks->bytes)
        ranks->bits[node] ^= UINT64_C(1) << (place % WORD);
    for (node++; node <= ranks->nodes; node += node & (~node + 1))
        ranks->tree[node] += value;
}

/* Of blocks at places below. */
static uint64_t below(const struct ranks *ranks, uint64_t place) {
    uint64_t node = ranks->bytes ? place : place / WORD, sum = 0;
    if (!ranks->bytes && place % WORD)
        sum = (uint64_t)__builtin_popcountll(ranks->bits[node] << (WORD - place % WORD));
    for (; node > 0; node -= node & (~node + 1))
        sum += ranks->tree[node];
    return sum;
}

/* The rank of a block that was seen; where sizes count: bytes of it and what ranks above it. */
static uint64_t rank_of(const struct ranks *ranks, uint32_t id) {
    return ranks->total - below(ranks, ranks->place_of[id] - 1);
}

/* The run of size `size`: the last whose `upto` reaches it. */
static uint64_t run_at(const struct ranks *ranks, uint64_t size) {
    uint64_t low = 0, high = ranks->run_count - 1;
    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        if (ranks->runs[middle].upto >= size)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint32_t find(void *self, uint64_t at) {
    struct ranks *ranks = self;
    uint32_t id = ranks->setup->trace->ids[at];
    if (ranks->place_of[id] == 0)
        return (uint32_t)ranks->count;
    uint64_t need = rank_of(ranks, id);
    if (ranks->runs) {
        uint64_t r = run_at(ranks, need);
        uint32_t straggler = ranks->runs[r].straggler;
        if (straggler == id + 1)
            need = r + 1 < ranks->run_count ? ranks->runs[r + 1].upto + 1 : 1;
        else if (straggler != 0)
            need++;
    }
    return curve_first_size(ranks->sizes, ranks->count, need);
}

static void push_run(struct ranks *ranks, uint64_t upto, uint32_t straggler) {
    if (ranks->run_count == ranks->run_room) {
        ranks->run_room = 2 * ranks->run_room + WORD;
        ranks->runs = realloc(ranks->runs, ranks->run_room * sizeof *ranks->runs);
        MUST(ranks->runs != NULL);
    }
    ranks->runs[ranks->run_count++] = (struct run){upto, straggler};
}

/* The block moved from rank `from` (UINT64_MAX: it is new) to rank `to`. */
static void straggle(struct ranks *ranks, uint32_t id, uint64_t from, uint64_t to) {
    while (ranks->run_count > 0 && ranks->runs[ranks->run_count - 1].upto <= from)
        ranks->run_count--;
    if (to < from)
        push_run(ranks, from, 0);
    push_run(ranks, to, id + 1);
}

static void use_one(struct ranks *ranks, uint64_t at, uint64_t time) {
    uint32_t id = ranks->setup->trace->ids[at];
    uint64_t place = ranks->place ? ranks->place[time] : time, from = UINT64_MAX;
    if (ranks->place_of[id] > 0) {
        if (ranks->runs)
            from = rank_of(ranks, id);
        add(ranks, ranks->place_of[id] - 1, 0 - (ranks->bytes ? (uint64_t)ranks->bytes_of[id] : 1));
    }
    if (ranks->bytes)
        ranks->bytes_of[id] = ranks->bytes[at];
    add(ranks, place, ranks->bytes ? ranks->bytes[at] : 1);
    ranks->place_of[id] = (uint32_t)place + 1;
    if (ranks->runs)
        straggle(ranks, id, from, rank_of(ranks, id));
}

/* A request's blocks are let go tail first: the first of them is the last used. */
static void use(void *self, uint64_t first, uint32_t count) {
    for (uint32_t i = count; i-- > 0;)
        use_one(self, first + i, first + count - 1 - i);
}

/* place[time] of perfect LFU: uses sorted by how many there were of their block by then, then by time. */
static void sort_by_uses(struct ranks *ranks) {
    const struct replay_setup *setup = ranks->setup;
    const struct replay_trace *trace = setup->trace;
    uint32_t *uses = lazy_alloc(trace->unique + 1, sizeof *uses), *at_time = lazy_alloc(trace->count + 1, sizeof *uses);
    uint64_t *start = lazy_alloc(trace->count + 2, sizeof *start);
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        uint32_t count = request->blocks;
        if (setup->full_blocks && request->tokens / trace->block_tokens < count)
            count = request->tokens / trace->block_tokens;
        for (uint32_t i = 0; i < count; i++)
            at_time[request->first + (setup->prefix ? count - 1 - i : i)] = ++uses[trace->ids[request->first + i]];
    }
    for (uint64_t t = 0; t < trace->count; t++)
        start[at_time[t] + 1]++;
    for (uint64_t u = 1; u <= trace->count + 1; u++)
        start[u] += start[u - 1];
    ranks->place = lazy_alloc(trace->count + 1, sizeof *ranks->place);
    for (uint64_t t = 0; t < trace->count; t++)
        ranks->place[t] = (uint32_t)start[at_time[t]]++;
    lazy_free(start, trace->count + 2, sizeof *start);
    lazy_free(at_time, trace->count + 1, sizeof *at_time);
    lazy_free(uses, trace->unique + 1, sizeof *uses);
}

static void destroy(void *self) {
    struct ranks *ranks = self;
    const struct replay_trace *trace = ranks->setup->trace;
    lazy_free(ranks->place, trace->count + 1, sizeof *ranks->place);
    lazy_free(ranks->place_of, trace->unique + 1, sizeof *ranks->place_of);
    lazy_free(ranks->bytes_of, trace->unique + 1, sizeof *ranks->bytes_of);
    lazy_free(ranks->bits, trace->count / WORD + 1, sizeof *ranks->bits);
    lazy_free(ranks->tree, ranks->nodes + 1, sizeof *ranks->tree);
    free(ranks->runs);
    free(ranks);
}

struct curve_way curve_by_rank(const struct replay_setup *setup, const uint64_t *sizes, size_t count, bool frequency) {
    const struct replay_trace *trace = setup->trace;
    struct ranks *ranks = calloc(1, sizeof *ranks);
    MUST(ranks != NULL && trace->count < UINT32_MAX);
    *ranks = (struct ranks){.setup = setup, .sizes = sizes, .count = count, .places = trace->count};
    ranks->bytes = setup->capacity_bytes > 0 ? trace->sizes : NULL;
    ranks->nodes = ranks->bytes ? trace->count : trace->count / WORD + 1;
    ranks->place_of = lazy_alloc(trace->unique + 1, sizeof *ranks->place_of);
    ranks->tree = lazy_alloc(ranks->nodes + 1, sizeof *ranks->tree);
    if (ranks->bytes)
        ranks->bytes_of = lazy_alloc(trace->unique + 1, sizeof *ranks->bytes_of);
    else
        ranks->bits = lazy_alloc(trace->count / WORD + 1, sizeof *ranks->bits);
    if (frequency)
        sort_by_uses(ranks);
    if (frequency && !setup->prefix) {
        push_run(ranks, UINT64_MAX, 0);
    }
    return (struct curve_way){find, use, destroy, ranks};
}
