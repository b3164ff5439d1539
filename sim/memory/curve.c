#include "sim/memory/curve.h"

#include <stdlib.h>
#include <string.h>

#include "sim/base/arena.h"
#include "sim/memory/curve_impl.h"

/* Of accesses that hit from one size on. */
struct bucket {
    uint64_t hits, hit_bytes, hit_tokens, warm_hits;
    uint64_t there; /* prefix: blocks that were there, hit or not */
};
struct curve {
    const struct replay_setup *setup;
    struct curve_way way;
    struct bucket *buckets; /* by size, and one for what hits nowhere */
    uint32_t *found;        /* prefix: by block of the request */
    size_t count;
    struct replay_result total; /* what does not depend on the size */
    uint64_t asked, asked_unique;
};

/* Does every object keep its size, and fit into `smallest` bytes? */
static bool sizes_stand(const struct replay_trace *trace, uint64_t smallest, const char **why) {
    uint32_t *bytes = lazy_alloc(trace->unique + 1, sizeof *bytes);
    *why = NULL;
    for (uint64_t i = 0; i < trace->count && !*why; i++) {
        uint32_t *known = &bytes[trace->ids[i]];
        if (*known != 0 && *known != trace->sizes[i])
            *why = "objects change their size";
        else if (trace->sizes[i] > smallest)
            *why = "an object is larger than the smallest size";
        *known = trace->sizes[i];
    }
    lazy_free(bytes, trace->unique + 1, sizeof *bytes);
    return *why == NULL;
}

/* Whether a block that counts as one under vLLM's rule ends a prompt elsewhere, where it is not asked for. */
static bool partial_elsewhere(const struct replay_trace *trace) {
    enum { WHOLE = 1, PART = 2 };
    uint8_t *as = lazy_alloc(trace->unique + 1, sizeof *as);
    bool both = false;
    for (uint32_t r = 0; r < trace->request_count && !both; r++) {
        const struct replay_request *request = &trace->requests[r];
        uint32_t whole = request->tokens / trace->block_tokens;
        for (uint32_t i = 0; i < request->blocks; i++) {
            uint8_t *known = &as[trace->ids[request->first + i]];
            *known |= i < whole ? WHOLE : PART;
            both |= *known == (WHOLE | PART);
        }
    }
    lazy_free(as, trace->unique + 1, sizeof *as);
    return both;
}

static bool is_named(const struct replay_setup *setup, const char *name) {
    return strcmp(setup->policy->policy.name, name) == 0;
}

bool curve_is_exact(const struct replay_setup *setup, uint64_t smallest, const char **why) {
    bool lru = is_named(setup, "lru");
    *why = NULL;
    if (!lru && !is_named(setup, "lfu-perfect") && !is_named(setup, "belady"))
        *why = "no stack algorithm of its own";
    else if (setup->admit)
        *why = "an admission policy stands in front";
    else if (setup->capacity_bytes > 0 && !lru)
        *why = "with sizes in bytes a larger cache may lack what a smaller one has";
    else if (setup->full_blocks && is_named(setup, "belady") && partial_elsewhere(setup->trace))
        *why = "a block is whole in one prompt and a part in another";
    else if (setup->capacity_bytes > 0)
        sizes_stand(setup->trace, smallest, why);
    return *why == NULL;
}

static void flat_request(struct curve *curve, const struct replay_request *request, bool counts) {
    const uint32_t *bytes = curve->setup->trace->sizes;
    for (uint64_t at = request->first; at < request->first + request->blocks; at++) {
        struct bucket *bucket = &curve->buckets[curve->way.find(curve->way.self, at)];
        bucket->hits += counts;
        bucket->warm_hits += !counts;
        bucket->hit_bytes += !counts ? 0 : bytes ? bytes[at] : 1;
        curve->way.use(curve->way.self, at, 1);
    }
    curve->asked += request->blocks;
    if (counts)
        for (uint64_t at = request->first; at < request->first + request->blocks; at++)
            curve->total.bytes += bytes ? bytes[at] : 1;
}

static uint64_t at_most(uint64_t value, uint64_t most) {
    return value < most ? value : most;
}

static void prefix_request(struct curve *curve, const struct replay_request *request, bool counts) {
    const struct replay_setup *setup = curve->setup;
    uint64_t block = setup->trace->block_tokens;
    uint32_t count = request->blocks, can_hit;
    if (setup->full_blocks)
        count = (uint32_t)at_most(count, request->tokens / block);
    can_hit = count;
    if (setup->full_blocks && request->tokens > 0)
        can_hit = (uint32_t)at_most(can_hit, (request->tokens - 1) / block);
    uint32_t from = 0; /* the size from which on all blocks so far are there */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t found = curve->way.find(curve->way.self, request->first + i);
        curve->buckets[found].there++;
        from = found > from ? found : from;
        if (i >= can_hit)
            continue;
        struct bucket *bucket = &curve->buckets[from];
        bucket->hits += counts;
        bucket->warm_hits += !counts;
        if (counts)
            bucket->hit_tokens +=
                at_most((uint64_t)(i + 1) * block, request->tokens) - at_most((uint64_t)i * block, request->tokens);
    }
    curve->way.use(curve->way.self, request->first, count);
    curve->asked += count;
    curve->total.tokens += counts ? request->tokens : 0;
    *(counts ? &curve->total.accesses : &curve->total.warm_accesses) += count;
}

/* Distinct blocks that were asked for: what a cache of any size holds at most. */
static uint64_t distinct(const struct replay_setup *setup) {
    const struct replay_trace *trace = setup->trace;
    if (!setup->full_blocks)
        return trace->unique;
    uint8_t *seen = lazy_alloc(trace->unique + 1, sizeof *seen);
    uint64_t count = 0;
    for (uint32_t r = 0; r < trace->request_count; r++) {
        const struct replay_request *request = &trace->requests[r];
        uint64_t full = at_most(request->blocks, request->tokens / trace->block_tokens);
        for (uint64_t at = request->first; at < request->first + full; at++) {
            count += !seen[trace->ids[at]];
            seen[trace->ids[at]] = 1;
        }
    }
    lazy_free(seen, trace->unique + 1, sizeof *seen);
    return count;
}

/* From the smallest size up, what hit at it or below. */
static void sum_up(const struct curve *curve, const uint64_t *sizes, struct replay_result *out) {
    const struct replay_setup *setup = curve->setup;
    uint64_t unique = distinct(setup), there = 0;
    struct replay_result sum = curve->total;
    for (size_t i = 0; i < curve->count; i++) {
        const struct bucket *bucket = &curve->buckets[i];
        sum.hits += bucket->hits;
        sum.warm_hits += bucket->warm_hits;
        sum.hit_bytes += bucket->hit_bytes;
        sum.hit_tokens += bucket->hit_tokens;
        there += setup->prefix ? bucket->there : bucket->hits + bucket->warm_hits;
        out[i] = sum;
        out[i].misses = sum.accesses - sum.hits;
        out[i].inserted = curve->asked - there;
        out[i].evicted = setup->capacity_bytes ? 0 : out[i].inserted - at_most(unique, sizes[i]);
    }
}

void curve_run(const struct replay_setup *setup, const uint64_t *sizes, size_t count, struct replay_result *out) {
    const struct replay_trace *trace = setup->trace;
    const char *why;
    MUST(count > 0 && count < UINT32_MAX && curve_is_exact(setup, sizes[0], &why));
    for (size_t i = 1; i < count; i++)
        MUST(sizes[i - 1] < sizes[i]);
    struct curve curve = {.setup = setup, .count = count};
    curve.buckets = calloc(count + 1, sizeof *curve.buckets);
    MUST(curve.buckets != NULL);
    curve.way = is_named(setup, "belady") ? curve_by_levels(setup, sizes, count)
                                          : curve_by_rank(setup, sizes, count, is_named(setup, "lfu-perfect"));
    for (uint32_t r = 0; r < trace->request_count; r++) {
        bool counts = r >= setup->skip;
        if (setup->prefix) {
            prefix_request(&curve, &trace->requests[r], counts);
            continue;
        }
        flat_request(&curve, &trace->requests[r], counts);
        *(counts ? &curve.total.accesses : &curve.total.warm_accesses) += trace->requests[r].blocks;
    }
    sum_up(&curve, sizes, out);
    curve.way.destroy(curve.way.self);
    free(curve.buckets);
}
