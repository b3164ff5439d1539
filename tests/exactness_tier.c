/* Do tiers do what the engines' own unit tests expect, and does the index find what a plain map finds? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/base/index.h"
#include "sim/base/int_map.h"
#include "sim/memory/tier.h"

enum { BLOCKS_MAX = 512 };

static const struct evict_policy *policy(const char *name) {
    struct error err = {0};
    const struct policy *found = policy_find(POLICY_EVICT, name, &err);
    assert_non_null(found);
    return (const struct evict_policy *)found;
}

/* Ids in the order in which they were evicted. */
struct victims {
    uint64_t ids[BLOCKS_MAX];
    uint32_t count;
    bool keep;
};
static bool note_victim(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    (void)now;
    struct victims *victims = self;
    victims->ids[victims->count++] = tier_block(tier, slot)->id;
    return victims->keep;
}

static struct tier *make(const char *policy_name, uint64_t capacity, bool prefix, struct victims *victims) {
    memset(victims, 0, sizeof *victims);
    struct tier_setup setup = {.name = "tier",
                               .capacity_blocks = capacity,
                               .prefix = prefix,
                               .policy = policy(policy_name),
                               .on_victim = note_victim,
                               .on_victim_self = victims};
    return tier_create(&setup);
}

static uint32_t add(struct tier *tier, uint64_t id, uint32_t parent, enum slot_state state) {
    assert_true(tier_take(tier, 1, 0));
    struct block_new block = {.id = id, .parent = parent, .next_use = INT64_MAX, .tokens = 1, .priority = 35};
    return tier_insert(tier, &block, state, 0);
}

static void expect_ids(const struct victims *victims, const uint64_t *ids, uint32_t count) {
    assert_int_equal(victims->count, count);
    assert_memory_equal(victims->ids, ids, count * sizeof *ids);
}

/* vLLM's block 0 is the null block, so its block n is slot n-1. Partial blocks have no hash: they are deleted when
 * freed. */
static void vllm_block_pool(void **unused) {
    (void)unused;
    struct victims victims;
    struct tier *tier = make("lru", 10, true, &victims);
    const uint64_t prompt[] = {101, 102, 103}, partial_0 = 900, partial_1 = 901;
    struct block_new first = {.parent = SLOT_NONE, .priority = 35};
    uint32_t zero[3], one[3];
    assert_true(tier_take(tier, 4, 0));
    assert_int_equal(tier_insert_all(tier, &first, prompt, NULL, 3, SLOT_RESIDENT, zero, 0), 3);
    struct block_new partial = {.id = partial_0, .parent = zero[2]};
    uint32_t fourth = tier_insert(tier, &partial, SLOT_RESIDENT, 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(zero[i] + 1, i + 1);
    assert_int_equal(fourth + 1, 4);

    assert_int_equal(tier_match(tier, prompt, 3, one), 3);
    tier_use_all(tier, one, 3, NULL, NULL, 1);
    assert_memory_equal(one, zero, sizeof one);
    uint32_t fifth = add(tier, partial_1, one[2], SLOT_RESIDENT);
    assert_int_equal(fifth + 1, 5);

    tier_release(tier, fourth, 2);
    tier_delete(tier, fourth, 2);
    tier_release_all(tier, zero, 3, 2);
    tier_release(tier, fifth, 3);
    tier_delete(tier, fifth, 3);
    tier_release_all(tier, one, 3, 3);
    assert_int_equal(tier_available(tier), 10);
    tier_audit(tier);

    static const uint32_t queue[] = {5, 4, 6, 7, 8, 9, 10, 3, 2, 1};
    static const uint64_t evicted[] = {103, 102, 101};
    assert_true(tier_take(tier, 10, 4));
    expect_ids(&victims, evicted, 3);
    for (uint32_t i = 0; i < 10; i++) {
        struct block_new block = {.id = 1000 + i, .parent = SLOT_NONE};
        assert_int_equal(tier_insert(tier, &block, SLOT_RESIDENT, 4) + 1, queue[i]);
    }
    tier_audit(tier);
    tier_destroy(tier);
}

/* Stores what is not there, arriving; what is there is protected meanwhile. false: refused. */
static bool store(struct tier *tier, const uint64_t *ids, uint32_t count) {
    uint32_t slots[8], missing = 0;
    tier_find_all(tier, ids, count, slots);
    tier_hold_all(tier, slots, count, 0);
    for (uint32_t i = 0; i < count; i++)
        missing += slots[i] == SLOT_NONE;
    bool room = tier_take(tier, missing, 0);
    for (uint32_t i = 0; i < count && room; i++) {
        struct block_new block = {.id = ids[i], .parent = SLOT_NONE};
        if (slots[i] == SLOT_NONE)
            tier_insert(tier, &block, SLOT_ARRIVING, 0);
    }
    tier_release_all(tier, slots, count, 0);
    return room;
}
static void stored(struct tier *tier, const uint64_t *ids, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = tier_find(tier, ids[i]);
        if (tier_state(tier, slot) != SLOT_ARRIVING)
            continue;
        tier_landed(tier, slot, 0);
        tier_release(tier, slot, 0);
    }
}
#define STORE(tier, ...) store(tier, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)
#define STORED(tier, ...) stored(tier, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)
#define EXPECT(victims, ...)                                                                                           \
    do {                                                                                                               \
        expect_ids(victims, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8);             \
        (victims)->count = 0;                                                                                          \
    } while (0)

static void vllm_cpu_offload(void **unused) {
    (void)unused;
    struct victims victims;
    struct tier *tier = make("lru", 4, false, &victims);
    assert_true(STORE(tier, 1, 2));
    STORED(tier, 1, 2);
    assert_true(STORE(tier, 2, 3, 4, 5));
    EXPECT(&victims, 1);
    assert_false(STORE(tier, 1, 6)); /* 3, 4 and 5 are on their way */
    assert_int_equal(victims.count, 0);
    STORED(tier, 2, 3, 4, 5);
    uint32_t two = tier_find(tier, 2), three = tier_find(tier, 3);
    tier_pin(tier, two, true, 0);
    tier_pin(tier, three, true, 0);
    assert_false(STORE(tier, 6, 7, 8));
    assert_int_equal(victims.count, 0);
    tier_pin(tier, two, false, 0);
    tier_pin(tier, three, false, 0);
    assert_true(STORE(tier, 6, 7, 8));
    EXPECT(&victims, 2, 3, 4);
    STORED(tier, 6, 7, 8);
    for (uint64_t id = 7; id >= 5; id--) /* in reverse, as the engine does */
        tier_touch(tier, tier_find(tier, id), INT64_MAX, 0);
    assert_true(STORE(tier, 9));
    EXPECT(&victims, 8);
    tier_audit(tier);
    tier_destroy(tier);
}

/* An id for the prefix that ends in `token` after the prefix `before`. */
static uint64_t chained(uint64_t before, uint64_t token) {
    return (before * 1000003 + token) * UINT64_C(0x9e3779b97f4a7c15) >> 8;
}
static uint32_t chain(const uint64_t *tokens, uint32_t count, uint64_t *ids) {
    uint64_t id = 0;
    for (uint32_t i = 0; i < count; i++)
        ids[i] = id = chained(id, tokens[i]);
    return count;
}
static void sglang_radix(void **unused) {
    (void)unused;
    struct victims victims;
    struct tier *tier = make("radix-lfu", 64, true, &victims);
    static const uint64_t texts[][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 9, 10}};
    static const uint32_t lengths[] = {8, 4};
    uint64_t ids[8];
    uint32_t slots[8];
    for (int t = 0; t < 2; t++) {
        uint32_t count = chain(texts[t], lengths[t], ids);
        uint32_t found = tier_match(tier, ids, count, slots);
        tier_use_all(tier, slots, found, NULL, NULL, t);
        assert_true(tier_take(tier, count - found, t));
        struct block_new first = {.parent = found ? slots[found - 1] : SLOT_NONE};
        tier_insert_all(tier, &first, ids + found, NULL, count - found, SLOT_RESIDENT, slots + found, t);
        tier_release_all(tier, slots, count, t);
    }
    assert_int_equal(tier_counts(tier).resident, 10);
    static const uint64_t asked[] = {1, 2, 3, 4, 999};
    assert_int_equal(tier_match(tier, ids, chain(asked, 5, ids), slots), 4);
    /* Only leaves go: of those two, 8 was used longer ago; then 7 is one. */
    assert_true(tier_evict(tier, 2));
    chain(texts[0], 8, ids);
    EXPECT(&victims, ids[7]);
    assert_true(tier_evict(tier, 2));
    EXPECT(&victims, ids[6]);
    tier_audit(tier);
    tier_destroy(tier);
}

/* A block leaves its parent's family whichever of the two goes first, is on its way, or is deleted. */
static void families(void **unused) {
    (void)unused;
    struct victims victims;
    struct tier *tier = make("radix-lfu", 16, true, &victims);
    uint32_t root = add(tier, 1, SLOT_NONE, SLOT_RESIDENT);
    uint32_t left = add(tier, 2, root, SLOT_RESIDENT), right = add(tier, 3, root, SLOT_ARRIVING);
    uint32_t below = add(tier, 4, right, SLOT_ARRIVING);
    assert_int_equal(tier_facts(tier, root)->children, 1);
    tier_landed(tier, below, 1); /* before its parent */
    assert_int_equal(tier_facts(tier, right)->children, 1);
    tier_landed(tier, right, 1);
    assert_int_equal(tier_facts(tier, root)->children, 2);
    for (uint32_t i = 0; i < 4; i++)
        tier_release(tier, (const uint32_t[]){below, right, left, root}[i], 2);
    tier_audit(tier);
    tier_delete(tier, right, 3);
    assert_int_equal(tier_facts(tier, root)->children, 1);
    assert_int_equal(tier_facts(tier, below)->parent, EVICT_NONE);
    uint32_t again = add(tier, 5, right, SLOT_RESIDENT); /* in the slot that its would-be parent had: an orphan */
    assert_int_equal(again, right);
    assert_int_equal(tier_facts(tier, again)->parent, EVICT_NONE);
    uint32_t late = add(tier, 6, left, SLOT_ARRIVING);
    assert_true(tier_evict(tier, 4) && tier_evict(tier, 4) && tier_evict(tier, 4));
    assert_false(tier_evict(tier, 4));
    assert_int_equal(victims.count, 3);
    assert_int_equal(tier_facts(tier, late)->parent, EVICT_NONE); /* its parent went while it was on its way */
    tier_landed(tier, late, 5);
    tier_audit(tier);
    tier_abandon(tier, add(tier, 7, late, SLOT_ARRIVING), 6);
    tier_give(tier, 1);
    tier_audit(tier);
    tier_destroy(tier);
}

/* The same list as FIFO, but descendants go too. */
static void cascade(void **unused) {
    (void)unused;
    struct victims victims = {0};
    struct evict_policy cascading = *policy("fifo");
    cascading.lifts = LIFT_CASCADE;
    struct tier_setup setup = {.name = "tier",
                               .capacity_blocks = 8,
                               .prefix = true,
                               .policy = &cascading,
                               .on_victim = note_victim,
                               .on_victim_self = &victims};
    struct tier *tier = tier_create(&setup);
    /* 1 - 2 - 3 - 4, 2 - 5 (held) - 6 */
    uint32_t slots[7];
    static const uint32_t parents[] = {0, 0, 1, 2, 3, 2, 5};
    for (uint64_t id = 1; id <= 6; id++)
        slots[id] = add(tier, id, id == 1 ? SLOT_NONE : slots[parents[id]], SLOT_RESIDENT);
    for (uint64_t id = 6; id >= 1; id--)
        if (id != 5)
            tier_release(tier, slots[id], 1);
    assert_true(tier_evict(tier, 2));
    EXPECT(&victims, 4, 3, 2, 1);
    tier_audit(tier);
    assert_int_equal(tier_facts(tier, slots[5])->parent, EVICT_NONE);
    assert_int_equal(tier_facts(tier, slots[6])->parent, slots[5]);
    tier_release(tier, slots[5], 3);
    assert_true(tier_evict(tier, 4));
    EXPECT(&victims, 6, 5);
    tier_audit(tier);
    tier_destroy(tier);
}

/* A victim that is copied out first keeps its slot until the copy is done. */
static void leaving(void **unused) {
    (void)unused;
    struct victims victims;
    struct tier *tier = make("lru", 2, false, &victims);
    victims.keep = true;
    uint32_t one = add(tier, 1, SLOT_NONE, SLOT_RESIDENT), two = add(tier, 2, SLOT_NONE, SLOT_RESIDENT);
    assert_false(tier_take(tier, 1, 0));
    tier_release(tier, one, 1);
    tier_release(tier, two, 1);
    assert_false(tier_take(tier, 1, 2));
    EXPECT(&victims, 1);
    assert_int_equal(tier_state(tier, one), SLOT_LEAVING);
    assert_int_equal(tier_find(tier, 1), SLOT_NONE);
    assert_int_equal(tier_available(tier), 2);
    assert_false(tier_take(tier, 1, 2)); /* one is leaving: no second victim */
    assert_int_equal(victims.count, 0);
    tier_audit(tier);
    tier_left(tier, one, 3);
    assert_true(tier_take(tier, 1, 3));
    assert_int_equal(tier_counts(tier).taken, 1);
    assert_int_equal(tier_counts(tier).leaving, 0);
    tier_audit(tier);
    tier_destroy(tier);
}

/* TensorRT-LLM: a priority that runs out falls back to the default, at the tail. */
static void priorities_run_out(void **unused) {
    (void)unused;
    struct victims victims;
    struct tier *tier = make("priority", 8, true, &victims);
    static const struct block_new blocks[] = {{.id = 1, .priority = 80, .duration_ns = 100},
                                              {.id = 2, .priority = 35},
                                              {.id = 3, .priority = 90},
                                              {.id = 4, .priority = 10},
                                              {.id = 5, .priority = 80, .duration_ns = 300}};
    assert_true(tier_take(tier, 5, 0));
    for (size_t i = 0; i < 5; i++) {
        struct block_new block = blocks[i];
        block.parent = SLOT_NONE;
        tier_release(tier, tier_insert(tier, &block, SLOT_RESIDENT, 0), 10);
    }
    assert_int_equal(tier_wake_time(tier), 110);
    assert_true(tier_evict(tier, 20));
    EXPECT(&victims, 4);
    tier_wake(tier, 110);
    assert_int_equal(tier_wake_time(tier), 310);
    assert_true(tier_evict(tier, 111) && tier_evict(tier, 111)); /* 2, then 1, which joined behind it */
    EXPECT(&victims, 2, 1);
    /* Asked for again, with a duration that starts when it is let go. */
    uint32_t five = tier_find(tier, 5);
    struct block_use use = {.priority = 95, .duration_ns = 1000};
    tier_use_all(tier, &five, 1, &use, NULL, 200);
    assert_int_equal(tier_wake_time(tier), SIM_NEVER);
    tier_release(tier, five, 400);
    assert_int_equal(tier_wake_time(tier), 1400);
    assert_true(tier_evict(tier, 500));
    EXPECT(&victims, 3);
    tier_destroy(tier);
}

/* Against the plain map of sim/base: dense runs, sparse ids, removals in both orders. */
static void index_agrees_with_a_map(void **unused) {
    (void)unused;
    enum { ROUNDS = 200000, LIVE = 20000 };
    struct block_index index;
    index_create(&index);
    struct int_map *map = int_map_create();
    static uint64_t live[LIVE];
    uint64_t state = 12345, next = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t place = (uint32_t)(state >> 40) % LIVE;
        uint64_t id = live[place];
        if (id) {
            assert_int_equal(index_find(&index, id), int_map_get(map, id));
            index_remove(&index, id);
            int_map_delete(map, id);
            live[place] = 0;
        } else {
            id = state >> 33 & 1 ? ++next : state >> 34 & 1 ? state >> 4 : (state >> 20) << 20;
            uint32_t there = int_map_get(map, id);
            assert_int_equal(index_add(&index, id, round, round & 1), there);
            if (there != INT_MAP_NONE || id == 0)
                continue;
            int_map_put(map, id, round);
            live[place] = id;
        }
        assert_int_equal(index_find(&index, id), int_map_get(map, id));
    }
    assert_int_equal(index_count(&index), int_map_count(map));
    for (uint32_t i = 0; i < LIVE; i++) {
        uint32_t slot, resident = live[i] ? int_map_get(map, live[i]) & 1 : 0;
        assert_int_equal(index_match(&index, &live[i], live[i] != 0, &slot), resident);
        if (resident)
            assert_int_equal(slot, int_map_get(map, live[i]));
    }
    int_map_destroy(map);
    index_destroy(&index);
}

/* A row is matched as far as it is resident, and found as far as it is there. */
static void rows(void **unused) {
    (void)unused;
    enum { COUNT = 300 };
    struct victims victims;
    struct tier *tier = make("lru", 2 * COUNT, true, &victims);
    uint64_t ids[COUNT];
    uint32_t slots[COUNT], found[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        ids[i] = i < 100 ? 1003 + i : i < 200 ? UINT64_C(77) << 40 | i * 8 : UINT64_C(0x123456789) * i;
    assert_true(tier_take(tier, COUNT, 0));
    struct block_new first = {.parent = SLOT_NONE};
    for (uint32_t i = 0; i < COUNT; i += 10)
        assert_int_equal(
            tier_insert_all(tier, &first, ids + i, NULL, 10, i < 250 ? SLOT_RESIDENT : SLOT_ARRIVING, slots + i, 0),
            10);
    assert_int_equal(tier_match(tier, ids, COUNT, found), 250);
    assert_memory_equal(found, slots, 250 * sizeof *slots);
    tier_find_all(tier, ids, COUNT, found);
    assert_memory_equal(found, slots, sizeof slots);
    ids[120]++;
    assert_int_equal(tier_match(tier, ids, COUNT, NULL), 120);
    ids[0]--;
    assert_int_equal(tier_match(tier, ids, COUNT, NULL), 0);
    /* What is there already is passed over. */
    assert_true(tier_take(tier, COUNT, 0));
    assert_int_equal(tier_insert_all(tier, &first, ids, NULL, COUNT, SLOT_RESIDENT, found, 0), 2);
    assert_true(found[0] != SLOT_NONE && found[1] == SLOT_NONE && found[120] != SLOT_NONE && found[121] == SLOT_NONE);
    tier_give(tier, COUNT - 2);
    tier_audit(tier);
    tier_destroy(tier);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vllm_block_pool),
        cmocka_unit_test(vllm_cpu_offload),
        cmocka_unit_test(sglang_radix),
        cmocka_unit_test(families),
        cmocka_unit_test(cascade),
        cmocka_unit_test(leaving),
        cmocka_unit_test(rows),
        cmocka_unit_test(priorities_run_out),
        cmocka_unit_test(index_agrees_with_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
