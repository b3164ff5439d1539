/* Do the policies of serving engines answer the engines' own unit cases, and their rules on small examples worked out
 * by hand? (vLLM's block pool and offload, SGLang's tree and TensorRT-LLM's queues: tests/exactness_tier.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policies/admit.h"
#include "sim/memory/tier.h"

enum { OBJECTS = 400, CAPACITY = 444 };

static const struct evict_policy *evict(const char *name) {
    struct error err = {0};
    const struct policy *found = policy_find(POLICY_EVICT, name, &err);
    assert_non_null(found);
    return (const struct evict_policy *)found;
}

/* Mooncake's store, its options as they are by default. */
struct gone {
    bool ids[OBJECTS + 1];
    uint32_t count;
};
static bool note_victim(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    (void)now;
    struct gone *gone = self;
    gone->ids[tier_block(tier, slot)->id] = true;
    gone->count++;
    return false;
}

static bool pinned;
static int64_t short_lease(uint64_t id) {
    return id > 0 ? SIM_SECOND : 0;
}
static int64_t some_long_leases(uint64_t id) {
    return id <= 10 ? 1000 * SIM_SECOND : SIM_SECOND;
}
static int64_t all_long_leases(uint64_t id) {
    return id > 0 ? 1000 * SIM_SECOND : 0;
}
static uint8_t priority_of(uint64_t id) {
    return pinned && id <= 10 ? 90 : PRIORITY_DEFAULT;
}
static uint32_t alone(uint64_t id) {
    return id == 0;
}
/* Puts objects 1..OBJECTS, one a second; each object's lease and group as told. */
static void fill(struct gone *gone, int64_t (*lease_ns)(uint64_t id), uint32_t (*group)(uint64_t id)) {
    *gone = (struct gone){.count = 0};
    struct tier_setup setup = {.name = "store",
                               .capacity_blocks = CAPACITY,
                               .policy = evict("mooncake-store"),
                               .on_victim = note_victim,
                               .on_victim_self = gone};
    struct tier *tier = tier_create(&setup);
    for (uint64_t id = 1; id <= OBJECTS; id++) {
        sim_time now = (sim_time)id * SIM_SECOND;
        assert_true(tier_take(tier, 1, now));
        struct block_new block = {.id = id,
                                  .parent = SLOT_NONE,
                                  .duration_ns = lease_ns(id),
                                  .group = group(id),
                                  .priority = priority_of(id)};
        tier_release(tier, tier_insert(tier, &block, SLOT_RESIDENT, now), now);
        assert_true(id == OBJECTS || gone->count == 0);
    }
    assert_int_equal(tier_counts(tier).resident, OBJECTS - gone->count);
    tier_audit(tier);
    tier_destroy(tier);
}
static uint32_t a_group_of_three(uint64_t id) {
    return id == 20 || id == 100 || id == 200 ? 7 : 0;
}

static void mooncake_store(void **unused) {
    (void)unused;
    static struct gone gone;
    fill(&gone, short_lease, alone);
    assert_int_equal(gone.count, 20);
    for (uint64_t id = 1; id <= 20; id++)
        assert_true(gone.ids[id]);
    fill(&gone, short_lease, a_group_of_three);
    assert_int_equal(gone.count, 22);
    for (uint64_t id = 1; id <= 20; id++)
        assert_true(gone.ids[id]);
    assert_true(gone.ids[100] && gone.ids[200]);
    fill(&gone, some_long_leases, alone); /* what is leased is skipped */
    assert_int_equal(gone.count, 20);
    for (uint64_t id = 11; id <= 30; id++)
        assert_true(gone.ids[id]);
    fill(&gone, all_long_leases, alone);
    assert_int_equal(gone.count, 0);
    pinned = true; /* objects 1 to 10: others go first */
    fill(&gone, short_lease, alone);
    pinned = false;
    assert_int_equal(gone.count, 20);
    for (uint64_t id = 11; id <= 30; id++)
        assert_true(gone.ids[id]);
}

static void second_hit(void **unused) {
    (void)unused;
    struct error err = {0};
    const struct admit_policy *policy = (const struct admit_policy *)policy_find(POLICY_ADMIT, "second-hit", &err);
    assert_non_null(policy);
    const struct { int64_t hits, entries; } options = {2, 3};
    assert_int_equal(policy->policy.options_size, sizeof options);
    struct admit_context context = {.capacity = 10, .options = &options};
    void *self = policy->create(&context);
    /* Asked for in this order; 1 is forgotten when 4 comes, since 2 and 3 were asked for later. */
    static const uint64_t seen[] = {1, 2, 3, 2, 4, 1, 4, 4};
    static const bool admits[] = {false, false, false, true, false, false, true, true};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        policy->seen(self, &seen[i], 1, 0);
        struct admit_block block = {.id = seen[i]};
        struct admit_view view = {.count = 1, .blocks = &block};
        bool admit = !admits[i];
        policy->decide(self, &view, &admit, 0);
        assert_int_equal(admit, admits[i]);
    }
    policy->destroy(self);
}

/* Objects or blocks 1.. in a tier of `capacity`; the ids of victims, in order. */
enum { IDS_MAX = 32 };
struct small {
    struct tier *tier;
    uint64_t gone[IDS_MAX];
    uint32_t count;
};
static bool small_victim(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    (void)now;
    struct small *small = self;
    small->gone[small->count++] = tier_block(tier, slot)->id;
    return false;
}
static void small_create(struct small *small, const char *name, uint32_t capacity, bool prefix) {
    *small = (struct small){0};
    struct tier_setup setup = {.name = name,
                               .capacity_blocks = capacity,
                               .prefix = prefix,
                               .policy = evict(name),
                               .on_victim = small_victim,
                               .on_victim_self = small};
    small->tier = tier_create(&setup);
}
/* Asks for a block by itself: touches it, or brings it in below `parent`. */
static uint32_t ask(struct small *small, uint64_t id, uint32_t parent, uint8_t priority) {
    uint32_t slot = tier_find(small->tier, id);
    if (slot != SLOT_NONE) {
        tier_touch(small->tier, slot, INT64_MAX, 0);
        return slot;
    }
    tier_missed(small->tier, id, 0);
    assert_true(tier_take(small->tier, 1, 0));
    struct block_new block = {.id = id, .parent = parent, .priority = priority};
    slot = tier_insert(small->tier, &block, SLOT_RESIDENT, 0);
    tier_release(small->tier, slot, 0);
    return slot;
}
static void expect_gone(struct small *small, const uint64_t *ids, uint32_t count) {
    while (tier_counts(small->tier).resident > 0)
        assert_true(tier_evict(small->tier, 0));
    assert_int_equal(small->count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(small->gone[i], ids[i]);
    tier_destroy(small->tier);
}

/* Two texts: 1-2-3 and 1-4, then 5 alone; then 4 is asked for again, then 3. Priorities fall with the id. */
static void sglang_keys(void **unused) {
    (void)unused;
    static const struct {
        const char *name;
        uint64_t order[5];
    } cases[] = {
        {"radix-lru", {5, 4, 3, 2, 1}},  /* 5 used before 4 and 3; 2 and 1, when they are leaves, are old but last */
        {"radix-mru", {3, 4, 5, 2, 1}},  /* 2 becomes a leaf after 3 has gone: older than 4 and 5 */
        {"radix-fifo", {3, 2, 4, 1, 5}}, /* in order of arrival, children first */
        {"radix-filo", {5, 4, 3, 2, 1}}, {"radix-lfu", {5, 4, 3, 2, 1}}, /* 5 came once; 4 and 3 were used twice, 4
                                                                            earlier; then 2 and 1 */
        {"radix-slru", {5, 4, 3, 2, 1}}, {"radix-priority", {5, 4, 3, 2, 1}}, {"dynamo-lineage", {5, 4, 3, 2, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct small small;
        small_create(&small, cases[i].name, 16, true);
        uint32_t one = ask(&small, 1, SLOT_NONE, 90), two = ask(&small, 2, one, 80);
        ask(&small, 3, two, 70);
        ask(&small, 4, one, 60);
        ask(&small, 5, SLOT_NONE, 50);
        ask(&small, 4, one, 60);
        ask(&small, 3, two, 70);
        print_message("%s\n", cases[i].name);
        expect_gone(&small, cases[i].order, 5);
    }
}

/* Capacity 3. 1, 2, 3 come; 1 is used: T2. 4: T1 has 2 >= 0, so 2 goes, to B1. Missing 2 raises the target to 1: T1 (3,
 * 4) has 2 >= 1, 3 goes, and 2 enters T1, not T2 as in ARC. Missing 3 (B1 = {3}): target 2; T1 (4, 2) has 2 >= 2: 4
 * goes. Then 2 and 3 are used: T1 is empty, 0 < 2, so T2's oldest goes when 5 comes: 1. */
static void vllm_arc(void **unused) {
    (void)unused;
    struct small small;
    small_create(&small, "vllm-arc", 3, false);
    static const uint64_t asked[] = {1, 2, 3, 1, 4, 2, 3, 2, 3, 5};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        ask(&small, asked[i], SLOT_NONE, PRIORITY_DEFAULT);
    assert_int_equal(small.count, 4);
    /* What is left: T1 {5} below its target of 2, so T2 {2, 3} goes first. */
    expect_gone(&small, (const uint64_t[]){2, 3, 4, 1, 2, 3, 5}, 7);
}

/* Uses: 1 five more times, 2 once, 3 none, 4 fifteen: counts 6, 2, 1, 16 are four levels. */
static void dynamo_multilru(void **unused) {
    (void)unused;
    struct small small;
    small_create(&small, "dynamo-multilru", 8, false);
    static const uint32_t uses[] = {6, 2, 1, 16};
    for (uint64_t id = 1; id <= 4; id++)
        for (uint32_t i = 0; i < uses[id - 1]; i++)
            ask(&small, id, SLOT_NONE, PRIORITY_DEFAULT);
    expect_gone(&small, (const uint64_t[]){3, 2, 1, 4}, 4);
}

static const struct admit_policy *admission(const char *name) {
    struct error err = {0};
    const struct policy *found = policy_find(POLICY_ADMIT, name, &err);
    assert_non_null(found);
    return (const struct admit_policy *)found;
}
static bool admits(const struct admit_policy *policy, void *self, struct admit_block block, enum admit_cause cause) {
    struct admit_view view = {.cause = cause, .count = 1, .blocks = &block};
    bool admit = false;
    policy->decide(self, &view, &admit, 0);
    return admit;
}

static void engines_admission(void **unused) {
    (void)unused;
    const struct admit_policy *policy = admission("trtllm-priority");
    assert_false(admits(policy, NULL, (struct admit_block){.priority = 29}, ADMIT_FILL));
    assert_true(admits(policy, NULL, (struct admit_block){.priority = 30}, ADMIT_FILL));
    policy = admission("hicache-write-back");
    assert_false(admits(policy, NULL, (struct admit_block){.id = 1}, ADMIT_FILL));
    assert_false(admits(policy, NULL, (struct admit_block){.id = 1}, ADMIT_COMPLETION));
    assert_true(admits(policy, NULL, (struct admit_block){.id = 1}, ADMIT_EVICTION));

    struct admit_context context = {.capacity = 10};
    policy = admission("hicache-selective");
    void *self = policy->create(&context);
    uint64_t id = 7;
    policy->seen(self, &id, 1, 0);
    assert_false(admits(policy, self, (struct admit_block){.id = 7}, ADMIT_FILL));
    assert_true(admits(policy, self, (struct admit_block){.id = 7, .hits = 1}, ADMIT_FILL));
    policy->seen(self, &id, 1, 0);
    assert_true(admits(policy, self, (struct admit_block){.id = 7}, ADMIT_FILL));
    policy->destroy(self);

    /* 1 at first sight, 2 at the second; a decay makes that 1; doubled again 2; two decays forget it. */
    policy = admission("dynamo-frequency");
    self = policy->create(&context);
    int64_t decay = 600 * SIM_SECOND;
    struct admit_block seven = {.id = 7};
    policy->seen(self, &id, 1, 0);
    assert_false(admits(policy, self, seven, ADMIT_EVICTION));
    policy->seen(self, &id, 1, 0);
    assert_true(admits(policy, self, seven, ADMIT_EVICTION));
    assert_int_equal(policy->timer(self, decay), 2 * decay);
    assert_false(admits(policy, self, seven, ADMIT_EVICTION));
    policy->seen(self, &id, 1, decay);
    assert_true(admits(policy, self, seven, ADMIT_EVICTION));
    assert_int_equal(policy->timer(self, 3 * decay + 1), 4 * decay);
    policy->seen(self, &id, 1, decay);
    assert_false(admits(policy, self, seven, ADMIT_EVICTION));
    policy->destroy(self);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mooncake_store),  cmocka_unit_test(second_hit),
                                       cmocka_unit_test(sglang_keys),     cmocka_unit_test(vllm_arc),
                                       cmocka_unit_test(dynamo_multilru), cmocka_unit_test(engines_admission)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
