/* An upper bound on the prefill that any placement of blocks in any tiers can save.
 *
 * What is bounded. Requests are served one after another in the trace's order; between two of them each block is in
 * some tier or nowhere; a request saves the seconds of its hit prefix, less what fetching costs. Tiers together hold C
 * blocks.
 *
 * Relaxation. (1) The tiers are one pool of C blocks, and fetching is free: moving blocks between tiers, write rules,
 * admission, buffers and links all disappear, each of which can only cost time or room. (2) A block may be left out
 * when it comes (bypass), and the future is known. (3) A hit needs no hits before it: each block that is there saves
 * its own seconds v, so what a prefix saves is at most the sum over its blocks. A block enters only when a request that
 * has it computes it. So if request j finds block b, b was there in each gap between the last request i < j that has b,
 * and j. Choosing which such pairs (i, j, b) become hits is choosing intervals [i, j) of gaps, of value v each, with at
 * most C of them over any gap: OPT <= max sum v_x   over subsets of intervals with |{x over gap k}| <= C for each gap
 * k.
 *
 * Duality. For any prices p_k >= 0 of a gap, and any such subset S,
 *     sum_{x in S} v_x = sum_{x in S} (v_x - sum_{k in x} p_k) + sum_k p_k |{x in S over k}|
 *                     <= sum_x max(0, v_x - sum_{k in x} p_k) + C sum_k p_k =: D(p).
 * So D(p) bounds OPT for whatever p. Intervals over a line have a totally unimodular matrix, so the best p reaches the
 * relaxation's optimum itself (for equal v that is Belady's with bypass). The best p is sought by subgradient steps:
 * the room that is over at gap k, C - |{x chosen over k}|, is a subgradient. The least D seen is returned: stopping
 * early makes it looser, never wrong.
 *
 * Sums are of doubles; each D is widened by 1e-12 of its terms' sum, more than rounding can take away. */
#include "sim/memory/saving_bound.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 300, PATIENCE = 8 };

struct interval {
    uint32_t from, to; /* requests; gap k lies between requests k and k + 1 */
    double value_s;
};
struct search {
    struct interval *items;
    uint64_t count, room;
    uint32_t gaps;
    double capacity;
    double *price, *before, *over; /* a gap: its price, the sum of those before it, room that is over */
};

static void *room_for(uint64_t count, size_t size_bytes) {
    void *memory = calloc(count + 1, size_bytes);
    MUST(memory != NULL);
    return memory;
}

static void add(struct search *s, uint32_t from, uint32_t to, double value_s) {
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 4096;
        s->items = realloc(s->items, s->room * sizeof *s->items);
        MUST(s->items != NULL);
    }
    s->items[s->count++] = (struct interval){from, to, value_s};
}

static double collect(struct search *s, const struct saving_setup *setup) {
    const struct replay_trace *trace = setup->trace;
    uint32_t *last = room_for(trace->unique, sizeof *last); /* request that had it last, + 1 */
    double endless_s = 0;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        for (uint32_t b = 0; b < request->blocks; b++) {
            uint32_t id = trace->ids[request->first + b], before = last[id];
            last[id] = r + 1;
            if (before == 0 || before == r + 1 || r < setup->skip || (setup->usable && b >= setup->usable[r]))
                continue;
            MUST(setup->block_s[b] >= 0);
            endless_s += setup->block_s[b];
            add(s, before - 1, r, setup->block_s[b]);
        }
    }
    free(last);
    return endless_s;
}

/* D at the prices; the room that is over at each gap. */
static double dual(struct search *s) {
    double sum = 0, slack = 0;
    for (uint32_t k = 0; k <= s->gaps; k++) {
        s->before[k] = sum;
        sum += k < s->gaps ? s->price[k] : 0;
        s->over[k] = 0;
    }
    for (uint64_t i = 0; i < s->count; i++) {
        const struct interval *x = &s->items[i];
        double gain = x->value_s - (s->before[x->to] - s->before[x->from]);
        if (gain <= 0)
            continue;
        slack += gain;
        s->over[x->from] += 1;
        s->over[x->to] -= 1;
    }
    double chosen = 0;
    for (uint32_t k = 0; k < s->gaps; k++) {
        chosen += s->over[k];
        s->over[k] = s->capacity - chosen;
    }
    /* A sum of n terms is off by n 2^-53 of it at most, and each gain by that of the prices' sum. */
    double terms = slack + s->capacity * sum;
    return terms + 1e-12 * (terms + (double)s->count * sum * 1e-3);
}

/* One price for all gaps: where a second of holding a block costs the same throughout. */
static void begin(struct search *s) {
    enum { HALVINGS = 24 }; /* from the dearest block's value down to a ten-millionth of it */
    double best = dual(s), best_price = 0, price = 0;
    for (uint64_t i = 0; i < s->count; i++)
        price = s->items[i].value_s > price ? s->items[i].value_s : price;
    for (int halving = 0; price > 0 && halving < HALVINGS; halving++, price *= 0.5) {
        for (uint32_t k = 0; k < s->gaps; k++)
            s->price[k] = price;
        double found = dual(s);
        if (found < best) {
            best = found;
            best_price = price;
        }
    }
    for (uint32_t k = 0; k < s->gaps; k++)
        s->price[k] = best_price;
}

/* Prices fall where room is over and rise where it lacks, by Polyak's step towards a target below the best so far; the
 * target comes nearer when nothing better is found. */
static double improve(struct search *s, uint32_t rounds) {
    double best = dual(s), *kept = room_for(s->gaps, sizeof *kept), reach = 0.1;
    uint32_t since = 0;
    memcpy(kept, s->price, s->gaps * sizeof *kept);
    for (uint32_t round = 0; round < rounds && reach > 1e-6; round++) {
        double now = dual(s), squares = 0;
        if (now < best) {
            best = now;
            since = 0;
            memcpy(kept, s->price, s->gaps * sizeof *kept);
        } else if (++since > PATIENCE) {
            reach /= 2;
            since = 0;
            memcpy(s->price, kept, s->gaps * sizeof *kept);
            now = dual(s);
        }
        for (uint32_t k = 0; k < s->gaps; k++)
            if (s->price[k] > 0 || s->over[k] < 0) /* elsewhere the price stays at 0 */
                squares += s->over[k] * s->over[k];
        if (squares <= 0)
            break;
        double step = (now - best * (1 - reach)) / squares;
        for (uint32_t k = 0; k < s->gaps; k++) {
            double price = s->price[k] - step * s->over[k];
            s->price[k] = price > 0 ? price : 0;
        }
    }
    free(kept);
    return best;
}

void saving_bound(const struct saving_setup *setup, struct saving_bound *out) {
    uint32_t requests = setup->trace->request_count;
    struct search s = {.gaps = requests > 0 ? requests - 1 : 0, .capacity = (double)setup->capacity_blocks};
    s.price = room_for(requests, sizeof *s.price);
    s.before = room_for(requests, sizeof *s.before);
    s.over = room_for(requests, sizeof *s.over);
    out->endless_s = collect(&s, setup);
    out->seconds = out->endless_s;
    if (s.count > 0) {
        begin(&s);
        double found = improve(&s, setup->rounds ? setup->rounds : ROUNDS);
        out->seconds = found < out->endless_s ? found : out->endless_s;
    }
    free(s.items);
    free(s.price);
    free(s.before);
    free(s.over);
}
