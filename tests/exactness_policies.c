/* Does the eviction contract carry what no built-in policy needs? Mooncake's store (watermark, leases, groups that go
 * whole) is written here against policies/evict.h alone, as a plugin would be, and
 * answers its own unit case. Second-hit admission, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policies/admit.h"
#include "policies/evict/heap.h"
#include "sim/memory/tier.h"

enum { OBJECTS = 400, CAPACITY = 444 };

/* Mooncake store: above 0.90 full, 5 % of the objects go, the oldest lease first; leased ones are skipped; with one
 * object of a group the whole group goes. */
struct store {
    const struct block_info *blocks;
    const struct block_facts *facts;
    struct slot_heap leases; /* by when the lease ends */
    uint32_t slots, capacity, count, pending, group;
};
static void *store_create(const struct evict_context *context) {
    struct store *store = calloc(1, sizeof *store);
    *store = (struct store){
        .blocks = context->blocks, .facts = context->facts, .slots = context->slots, .capacity = context->capacity};
    slot_heap_create(&store->leases, context->slots);
    return store;
}
static void store_destroy(void *self) {
    struct store *store = self;
    slot_heap_destroy(&store->leases);
    free(store);
}
static void store_touch(void *self, uint32_t slot, int64_t now) {
    struct store *store = self;
    slot_heap_put(&store->leases, slot, (struct slot_key){now + store->facts[slot].duration_ns, 0});
}
static void store_insert(void *self, uint32_t slot, int64_t now) {
    struct store *store = self;
    store->count++;
    store_touch(self, slot, now);
    if (store->pending == 0 && 10 * store->count > 9 * store->capacity)
        store->pending = (store->count + 19) / 20;
}
/* A member of the group whose first has gone. */
static uint32_t rest_of_group(const struct store *store) {
    for (uint32_t slot = 0; store->group != 0 && slot < store->slots; slot++)
        if (slot_heap_has(&store->leases, slot) && store->facts[slot].group == store->group &&
            store->blocks[slot].refs == 0)
            return slot;
    return EVICT_NONE;
}
static uint32_t store_victim(void *self, int64_t now) {
    struct store *store = self;
    uint32_t slot = rest_of_group(store);
    if (slot != EVICT_NONE)
        return slot;
    slot = slot_heap_first(&store->leases);
    bool leased = slot != EVICT_NONE && (store->leases.keys[slot].first > now || store->blocks[slot].refs > 0);
    return leased ? EVICT_NONE : slot;
}
static void store_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)now;
    struct store *store = self;
    slot_heap_remove(&store->leases, slot);
    store->count--;
    if (!evicted)
        return;
    if (store->pending > 0)
        store->pending--;
    if (store->facts[slot].group != 0)
        store->group = store->facts[slot].group;
}
static uint32_t store_surplus(void *self, int64_t now) {
    (void)now;
    struct store *store = self;
    if (store->pending > 0)
        return store->pending;
    if (rest_of_group(store) != EVICT_NONE)
        return 1;
    store->group = 0;
    return 0;
}
static const struct evict_policy store_policy = {.policy = {.abi = POLICY_ABI,
                                                            .name = "mooncake-store",
                                                            .rule = "the oldest lease first, groups whole",
                                                            .source = "mooncake-store master_service.cpp",
                                                            .needs = NEED_TIME | NEED_GROUP},
                                                 .lifts = LIFT_ORPHAN,
                                                 .create = store_create,
                                                 .destroy = store_destroy,
                                                 .insert = store_insert,
                                                 .touch = store_touch,
                                                 .victim = store_victim,
                                                 .remove = store_remove,
                                                 .surplus = store_surplus};

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

/* Puts objects 1..OBJECTS, one a second; each object's lease and group as told. */
static void fill(struct gone *gone, int64_t (*lease_ns)(uint64_t id), uint32_t (*group)(uint64_t id)) {
    *gone = (struct gone){.count = 0};
    struct tier_setup setup = {.name = "store",
                               .capacity_blocks = CAPACITY,
                               .policy = &store_policy,
                               .on_victim = note_victim,
                               .on_victim_self = gone};
    struct tier *tier = tier_create(&setup);
    for (uint64_t id = 1; id <= OBJECTS; id++) {
        sim_time now = (sim_time)id * SIM_SECOND;
        assert_true(tier_take(tier, 1, now));
        struct block_new block = {.id = id, .parent = SLOT_NONE, .duration_ns = lease_ns(id), .group = group(id)};
        tier_release(tier, tier_insert(tier, &block, SLOT_RESIDENT, now), now);
        assert_true(id == OBJECTS || gone->count == 0);
    }
    assert_int_equal(tier_counts(tier).resident, OBJECTS - gone->count);
    tier_audit(tier);
    tier_destroy(tier);
}
static int64_t short_lease(uint64_t id) {
    return id > 0 ? SIM_SECOND : 0;
}
static int64_t some_long_leases(uint64_t id) {
    return id <= 10 ? 1000 * SIM_SECOND : SIM_SECOND;
}
static int64_t all_long_leases(uint64_t id) {
    return id > 0 ? 1000 * SIM_SECOND : 0;
}
static uint32_t alone(uint64_t id) {
    return id == 0;
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mooncake_store), cmocka_unit_test(second_hit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
