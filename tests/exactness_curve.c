/* Does one pass give what a replay at each size gives? LRU, Belady and perfect LFU, flat, prefix and in bytes, on
 * random traces at every size there is, and on real ones at many: hits, tokens, bytes, what came in and what went. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim/memory/curve.h"
#include "tests/policies_world.h"
#include "tests/real_traces.h"

static const char *const names[] = {"lru", "belady", "lfu-perfect"};
enum { NAMES = 3, TEXTS = 9, DEEP = 14, SIZES_MAX = 400 };

static const struct evict_policy *policy(const char *name) {
    struct error err = {0};
    const struct policy *found = policy_find(POLICY_EVICT, name, &err);
    assert_non_null(found);
    return (const struct evict_policy *)found;
}

/* Chains of a random tree: each a few blocks of one that was there, and new ones; now and then the last is partial. */
static struct replay_trace *some_chains(uint64_t seed, uint32_t requests, bool mixed) {
    struct replay_trace *trace = replay_trace_create(16);
    struct world dice = {.random = seed};
    uint64_t texts[TEXTS][DEEP], fresh = 0;
    uint32_t lengths[TEXTS] = {0};
    for (uint32_t r = 0; r < requests; r++) {
        uint32_t from = draw(&dice, TEXTS), onto = draw(&dice, TEXTS);
        uint32_t keep = lengths[from] ? draw(&dice, lengths[from] + 1) : 0, count = keep + draw(&dice, 4);
        count = count > DEEP ? DEEP : count;
        for (uint32_t i = 0; i < count; i++)
            texts[onto][i] = i < keep ? texts[from][i] : ++fresh;
        lengths[onto] = count;
        if (count == 0)
            continue;
        bool partial = draw(&dice, 3) > 0; /* its id stands for it alone, or (mixed) for whole blocks elsewhere too */
        struct replay_request request = {.at_ns = r, .blocks = count, .tokens = 16 * count, .session = onto};
        request.tokens -= partial ? 1 + draw(&dice, 15) : 0;
        if (partial && !mixed)
            texts[onto][count - 1] = ++fresh;
        lengths[onto] -= partial && !mixed;
        replay_trace_add(trace, &request, texts[onto], NULL);
    }
    return trace;
}

/* Objects, some popular, some in a loop, some asked for twice in a row; each of one size. */
static struct replay_trace *some_objects(uint64_t seed, uint32_t accesses, uint32_t ids, bool sized) {
    struct replay_trace *trace = replay_trace_create(0);
    struct world dice = {.random = seed};
    uint64_t id = 0;
    for (uint32_t a = 0; a < accesses; a++) {
        uint32_t kind = draw(&dice, 4);
        id = kind == 0   ? draw(&dice, ids)
             : kind == 1 ? (uint64_t)draw(&dice, ids) * draw(&dice, ids) / ids
             : kind == 2 ? ids + a % (ids / 3 + 1)
                         : id;
        uint32_t bytes = 1 + (uint32_t)((id * 2654435761u) >> 7) % 40;
        struct replay_request request = {.at_ns = a, .blocks = 1, .session = a};
        replay_trace_add(trace, &request, &id, sized ? &bytes : NULL);
    }
    return trace;
}

/* Holds a curve against replays at its sizes. */
static void same_as_replays(struct replay_setup *setup, const uint64_t *sizes, size_t count, const char *what) {
    bool in_bytes = setup->capacity_bytes > 0;
    struct replay_result *curve = calloc(count, sizeof *curve);
    const char *why;
    if (!curve_is_exact(setup, sizes[0], &why))
        fail_msg("%s, %s: %s", what, setup->policy->policy.name, why);
    curve_run(setup, sizes, count, curve);
    for (size_t i = 0; i < count; i++) {
        struct replay_result one;
        *(in_bytes ? &setup->capacity_bytes : &setup->capacity_blocks) = sizes[i];
        replay_run(setup, &one);
        const struct replay_result *c = &curve[i];
        if (c->hits != one.hits || c->misses != one.misses || c->accesses != one.accesses || c->tokens != one.tokens ||
            c->hit_tokens != one.hit_tokens || c->inserted != one.inserted || c->warm_hits != one.warm_hits ||
            c->warm_accesses != one.warm_accesses || (!in_bytes && c->evicted != one.evicted) ||
            (!setup->prefix && (c->bytes != one.bytes || c->hit_bytes != one.hit_bytes)))
            fail_msg(
                "%s, %s%s%s at %llu: curve %llu hits, %llu tokens, %llu in, %llu out; replay %llu, %llu, %llu, %llu",
                what, setup->policy->policy.name, setup->prefix ? ", prefix" : "",
                setup->full_blocks ? ", full blocks" : "", (unsigned long long)sizes[i], (unsigned long long)c->hits,
                (unsigned long long)c->hit_tokens, (unsigned long long)c->inserted, (unsigned long long)c->evicted,
                (unsigned long long)one.hits, (unsigned long long)one.hit_tokens, (unsigned long long)one.inserted,
                (unsigned long long)one.evicted);
    }
    free(curve);
}

static void all_ways(const struct replay_trace *trace, const uint64_t *sizes, size_t count, uint32_t skip,
                     const char *what) {
    for (int way = 0; way < (trace->block_tokens ? 3 : 1); way++) {
        int64_t *next_use = replay_foresee(trace, way > 0);
        for (int n = 0; n < NAMES; n++) {
            struct replay_setup setup = {.trace = trace,
                                         .policy = policy(names[n]),
                                         .next_use = next_use,
                                         .prefix = way > 0,
                                         .full_blocks = way == 2,
                                         .skip = skip,
                                         .seed = 1};
            same_as_replays(&setup, sizes, count, what);
        }
        free(next_use);
    }
}

static void random_traces(void **unused) {
    (void)unused;
    uint64_t sizes[SIZES_MAX];
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct replay_trace *chains = some_chains(seed, 150, false),
                            *objects = some_objects(seed, 900, 30 + 5 * (uint32_t)seed, false);
        for (int t = 0; t < 2; t++) {
            const struct replay_trace *trace = t ? objects : chains;
            size_t count = 0;
            for (uint64_t size = 1; size <= trace->unique + 2 && count < SIZES_MAX; size++)
                sizes[count++] = size;
            all_ways(trace, sizes, count, seed % 3 ? (uint32_t)(10 * seed) : 0, t ? "objects" : "chains");
        }
        replay_trace_destroy(chains);
        replay_trace_destroy(objects);
    }
}

/* A few sizes, none of them 1: levels of several blocks each. */
static void few_sizes(void **unused) {
    (void)unused;
    static const uint64_t sizes[] = {3, 4, 11, 40, 41, 100, 1000};
    for (uint64_t seed = 20; seed < 40; seed++) {
        struct replay_trace *chains = some_chains(seed, 200, false), *objects = some_objects(seed, 1200, 150, false);
        all_ways(chains, sizes, sizeof sizes / sizeof *sizes, 0, "chains");
        all_ways(objects, sizes, sizeof sizes / sizeof *sizes, 7, "objects");
        replay_trace_destroy(chains);
        replay_trace_destroy(objects);
    }
}

static void objects_in_bytes(void **unused) {
    (void)unused;
    uint64_t sizes[SIZES_MAX];
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct replay_trace *trace = some_objects(seed, 1500, 60, true);
        for (size_t i = 0; i < SIZES_MAX; i++)
            sizes[i] = 40 + 6 * i + i * i % 5;
        struct replay_setup setup = {.trace = trace, .policy = policy("lru"), .capacity_bytes = 1, .skip = 100};
        same_as_replays(&setup, sizes, SIZES_MAX, "objects in bytes");
        const char *why;
        assert_false(curve_is_exact(&setup, 20, &why)); /* some objects are of 40 bytes */
        assert_string_equal(why, "an object is larger than the smallest size");
        setup.policy = policy("belady");
        assert_false(curve_is_exact(&setup, 1000, &why));
        replay_trace_destroy(trace);
    }
}

/* On the traces at hand, at sizes from one block to more than there are. */
static void real_traces(void **unused) {
    (void)unused;
    static const uint64_t sizes[] = {1, 17, 317, 1001, 4000, 8000, 12000, 20000, 64000, 400000};
    static const uint64_t few[] = {17, 4000, 20000, 64000};
    for (int t = 0; t < REAL_TRACES; t++) {
        struct replay_trace *trace = real_trace(t);
        if (!trace)
            continue;
        bool large = trace->count > 1000000; /* replays are what takes long */
        all_ways(trace, large ? few : sizes, large ? sizeof few / sizeof *few : sizeof sizes / sizeof *sizes,
                 t == 0 ? 6015 : 0, real_trace_names[t]);
        if (trace->sizes) {
            uint64_t bytes[] = {128 << 10, 1 << 20, 134217728, 268435456, 402653184, 536870912, 1073741824, 4294967296};
            struct replay_setup setup = {.trace = trace, .policy = policy("lru"), .capacity_bytes = 1};
            same_as_replays(&setup, bytes, sizeof bytes / sizeof *bytes, real_trace_names[t]);
        }
        replay_trace_destroy(trace);
    }
}

/* Where the argument for one pass does not hold, it is not taken. */
static void not_exact(void **unused) {
    (void)unused;
    const char *why;
    struct error err = {0};
    struct replay_trace *mixed = some_chains(5, 100, true);
    struct replay_setup setup = {.trace = mixed, .policy = policy("belady"), .prefix = true};
    assert_true(curve_is_exact(&setup, 1, &why));
    setup.full_blocks = true;
    assert_false(curve_is_exact(&setup, 1, &why));
    assert_string_equal(why, "a block is whole in one prompt and a part in another");
    setup.policy = policy("lru");
    assert_true(curve_is_exact(&setup, 1, &why));
    setup.policy = policy("arc");
    assert_false(curve_is_exact(&setup, 1, &why));
    setup.policy = policy("lru");
    setup.admit = (const struct admit_policy *)policy_find(POLICY_ADMIT, "second-hit", &err);
    assert_false(curve_is_exact(&setup, 1, &why));
    replay_trace_destroy(mixed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_traces), cmocka_unit_test(few_sizes),
                                       cmocka_unit_test(objects_in_bytes), cmocka_unit_test(not_exact),
                                       cmocka_unit_test(real_traces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
