/* Do blocks, bytes and references balance, whatever tiers, rules and requests there are? Thousands of random fleets. */
#include "tests/hierarchy_world.h"

enum { SCENARIOS = 2000, REQUESTS_MAX = 16, CHAIN_MAX = 64, INSTANCES_MAX = 3 };

static uint64_t state_of_random;
static uint64_t draw(void) { /* splitmix64 */
    uint64_t z = state_of_random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static uint32_t below(uint32_t n) {
    return (uint32_t)(draw() % n);
}
static bool chance(uint32_t percent) {
    return below(100) < percent;
}

enum stage { GONE, WAITING, LOADING, RUNNING, SWAPPING_OUT, SWAPPED, SWAPPING_IN };
struct request {
    enum stage stage;
    bool starved; /* was refused: tries again when it hears of space, or when its instance lets something go */
    uint32_t instance, length;
    struct kv kv;
    uint32_t slots[CHAIN_MAX];
    uint64_t ids[CHAIN_MAX];
    int64_t next_use[CHAIN_MAX];
    struct kv_identity identity;
};

/* That everything that can happen did. */
struct seen {
    uint64_t loads, joins, cuts, full, starved, swaps, private_copies, behind_gap, transfers, evictions, staged;
};

struct fleet {
    struct world *world;
    struct request requests[REQUESTS_MAX];
    uint32_t driver, hbm_blocks;
    int ticks, limit;
    uint64_t link_bytes, expected_bytes;
    struct seen *seen;
};

static void append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...) {
    size_t used = strlen(text);
    va_list list;
    va_start(list, format);
    int more = vsnprintf(text + used, size - used, format, list);
    va_end(list);
    assert_true(more >= 0 && (size_t)more < size - used);
}

static void random_link(char *text, size_t size, const char *name, const char *scope) {
    uint32_t read = 1 + below(20), write = 1 + below(20);
    append(text, size,
           "  - {name: %s, scope: %s, read: {bandwidth: %u GB/s, latency: %u ns, descriptor: %u ns, submit: %u ns}, "
           "write: {bandwidth: %u GB/s, latency: %u ns}",
           name, scope, read, below(5000), below(300), below(300), write, below(5000));
    if (chance(40))
        append(text, size, ", duplex: %u GB/s", (read > write ? read : write) + below(10));
    append(text, size, ", fifo: %s, source: test}\n", chance(50) ? "yes" : "no");
}

static void random_node(char *text, size_t size) {
    text[0] = 0;
    append(text, size, "name: random\ngpu: h100-sxm\ngpus: 8\nsockets: %u\nlinks:\n", 1 + below(2));
    random_link(text, size, "wire", "gpu");
    random_link(text, size, "dram", "socket");
    random_link(text, size, "drive", "node");
    random_link(text, size, "shelf", "pod");
    append(text, size,
           "paths:\n"
           "  - {from: dram, to: hbm, via: [dram, wire]}\n"
           "  - {from: ssd, to: hbm, via: [drive, 'dram:write', 'dram:read', wire], stages: [dram]}\n"
           "  - {name: direct, from: ssd, to: hbm, via: [drive, wire]}\n"
           "  - {from: ssd, to: dram, via: [drive, 'dram:write']}\n"
           "  - {from: flash, to: hbm, via: [shelf, wire]}\n"
           "  - {name: staged, from: flash, to: hbm, via: [shelf, 'dram:write', 'dram:read', wire], stages: [dram]}\n"
           "  - {from: flash, to: dram, via: [shelf, 'dram:write']}\n"
           "  - {from: flash, to: ssd, via: [shelf, 'drive:write']}\n");
}

static const char *random_policy(void) {
    for (;;) {
        size_t count = 0;
        while (policy_at(POLICY_EVICT, count))
            count++;
        const struct policy *policy = policy_at(POLICY_EVICT, below((uint32_t)count));
        struct error err;
        if (tier_can_run((const struct evict_policy *)policy, NEED_FUTURE | NEED_SESSION, true, &err) == 0)
            return policy->name;
    }
}

static void random_tiers(char *text, size_t size) {
    static const char *const names[] = {"dram", "ssd", "flash"};
    static const char *const scopes[] = {"instance", "node", "pod"};
    static const char *const rules[] = {"none", "fill", "completion", "eviction"};
    const char *above[4] = {"hbm"};
    uint32_t count = 1;
    text[0] = 0;
    append(text, size, "tiers:\n  - {name: hbm, evict: %s}\n", random_policy());
    uint32_t widest = below(3); /* a shared tier is not written from one that is more shared */
    for (uint32_t t = 0; t < 3; t++) {
        if (chance(35))
            continue;
        const char *rule = rules[below(4)];
        widest += below(3 - widest);
        append(text, size,
               "  - {name: %s, evict: %s, scope: %s, capacity: %u kB, write: %s, write_buffer: %u kB, format_ratio: "
               "%s, codec: %s",
               names[t], random_policy(), scopes[widest], 4 + below(120), rule, below(8), chance(30) ? "0.5" : "1",
               chance(30) ? "20 GB/s" : "0");
        if (strcmp(rule, "fill") == 0 || strcmp(rule, "eviction") == 0)
            append(text, size, ", write_from: %s", above[below(count)]);
        if (t > 0 && chance(40))
            append(text, size, ", path: %s", t == 1 ? "direct" : "staged");
        append(text, size, "}\n");
        above[count++] = names[t];
    }
}

static void fleet_loaded(void *self, uint32_t instance, uint64_t tag, const int64_t tier_ns[TIERS_MAX], sim_time now) {
    (void)tier_ns, (void)now;
    struct fleet *fleet = self;
    struct request *request = &fleet->requests[tag];
    assert_true(request->stage == LOADING && request->instance == instance);
    request->stage = RUNNING;
    const struct tier *hbm = hierarchy_hbm(fleet->world->hierarchy, instance);
    for (uint32_t i = 0; i < request->kv.count; i++) {
        assert_int_equal(tier_state(hbm, request->slots[i]), SLOT_RESIDENT);
        assert_true(tier_block(hbm, request->slots[i])->id == request->ids[i]);
    }
}
static void feed(struct fleet *fleet, uint32_t instance) {
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        if (fleet->requests[i].instance == instance)
            fleet->requests[i].starved = false;
}
static void fleet_space(void *self, uint32_t instance, sim_time now) {
    (void)now;
    feed(self, instance);
}
static void fleet_swapped(void *self, uint32_t instance, uint64_t tag, sim_time now) {
    (void)instance, (void)now;
    struct fleet *fleet = self;
    struct request *request = &fleet->requests[tag];
    assert_true(request->stage == SWAPPING_OUT || request->stage == SWAPPING_IN);
    request->stage = request->stage == SWAPPING_OUT ? SWAPPED : RUNNING;
}
static void fleet_transfer(void *self, const struct transfer_record *record) {
    struct fleet *fleet = self;
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    uint32_t count =
        topology_hops(&fleet->world->node, &fleet->world->tiers, record->from_tier, record->to_tier, hops, NULL);
    assert_true(count > 0 && record->submitted_ns <= record->started_ns && record->started_ns <= record->end_ns);
    fleet->expected_bytes += record->bytes * count;
    fleet->seen->transfers++;
    fleet->seen->evictions += record->from_tier == 0 && record->blocks > 0;
}
static void fleet_link(void *self, const struct link_record *record) {
    struct fleet *fleet = self;
    fleet->link_bytes += record->bytes;
}

/* Sessions of a few families share a front; a third of them share more. */
static void request_open(struct fleet *fleet, struct request *request) {
    *request = (struct request){.stage = WAITING, .instance = below(fleet->world->setup.instances)};
    uint32_t most = fleet->hbm_blocks * 3 / 4;
    request->length = 1 + below(most < CHAIN_MAX ? most : CHAIN_MAX);
    uint64_t family = 1 + below(3), branch = below(4);
    uint32_t shared = below(8);
    for (uint32_t i = 0; i < CHAIN_MAX; i++) {
        request->ids[i] = i < 2 + 4 * family ? family << 32 | i : (family << 8 | (branch + 1)) << 32 | i;
        request->next_use[i] = chance(50) ? (int64_t)(fleet->ticks + below(100)) * 10000 : INT64_MAX;
    }
    request->kv = (struct kv){.slots = request->slots, .room = CHAIN_MAX};
    request->identity = (struct kv_identity){.ids = request->ids,
                                             .next_use = chance(70) ? request->next_use : NULL,
                                             .count = chance(70) ? request->length : 0,
                                             .owner = branch,
                                             .shared_blocks = shared,
                                             .priority = (uint8_t)below(100),
                                             .duration_ns = chance(20) ? below(100000) : 0};
}

/* The same as kv_lookup, id by id. */
static void check_lookup(struct fleet *fleet, const struct request *request, const struct kv_lookup *found) {
    struct hierarchy *h = fleet->world->hierarchy;
    uint32_t at = 0, behind = 0, lower = 0;
    int phase = 0; /* resident, arriving, lower */
    uint32_t by_tier[TIERS_MAX] = {0}, before = 0;
    for (; at < request->length; at++) {
        uint32_t slot = tier_find(hierarchy_hbm(h, request->instance), request->ids[at]), level = 0;
        enum slot_state in_hbm = slot == SLOT_NONE ? SLOT_FREE : tier_state(hierarchy_hbm(h, request->instance), slot);
        if (phase == 0 && in_hbm != SLOT_RESIDENT)
            phase = 1;
        if (phase == 1 && in_hbm != SLOT_ARRIVING)
            phase = 2;
        if (phase == 2) {
            for (uint32_t t = hierarchy_tier_count(h) - 1; t > 0; t--) {
                const struct tier *tier = hierarchy_tier(h, t, request->instance);
                uint32_t there = tier_find(tier, request->ids[at]);
                if (there != SLOT_NONE && tier_state(tier, there) == SLOT_RESIDENT)
                    level = t;
            }
            behind += in_hbm != SLOT_FREE && (level > 0 || before > 0);
            if (level == 0 && (in_hbm == SLOT_FREE || before == 0))
                break;
            before = level ? level : before;
            lower++;
        }
        by_tier[phase == 2 ? before : 0]++;
    }
    assert_int_equal(found->hbm_blocks + found->arriving_blocks + found->lower_blocks, at);
    assert_int_equal(found->lower_blocks, lower);
    for (uint32_t t = 0; t < TIERS_MAX; t++)
        assert_int_equal(found->tier_blocks[t], by_tier[t]);
    fleet->seen->behind_gap += behind;
}

static void begin(struct fleet *fleet, struct request *request, sim_time now) {
    struct hierarchy *h = fleet->world->hierarchy;
    struct kv_lookup found;
    kv_lookup(h, request->instance, request->ids, request->length, &found);
    check_lookup(fleet, request, &found);
    uint32_t hits = found.hbm_blocks, arriving = found.arriving_blocks, fetch = found.lower_blocks;
    if (chance(20))
        fetch = below(fetch + 1);
    if (chance(10))
        fetch = 0, arriving = below(arriving + 1);
    if (chance(10))
        fetch = arriving = 0, hits = below(hits + 1);
    enum kv_result result = kv_begin(h, request->instance, &request->kv, &request->identity, hits, arriving, fetch,
                                     (uint64_t)(request - fleet->requests), now);
    if (result == KV_FULL) {
        assert_int_equal(request->kv.count, 0);
        request->starved = true;
        fleet->seen->full++;
        return;
    }
    assert_int_equal(request->kv.count, hits + arriving + fetch);
    request->stage = result == KV_LOADING ? LOADING : RUNNING;
    fleet->seen->loads += result == KV_LOADING && fetch > 0;
    fleet->seen->joins += arriving > 0;
}

static void leave(struct fleet *fleet, struct request *request, bool comes_again) {
    request->stage = comes_again ? WAITING : GONE;
    feed(fleet, request->instance);
}

static void go_on(struct fleet *fleet, struct request *request, sim_time now) {
    struct hierarchy *h = fleet->world->hierarchy;
    uint32_t left = request->length - request->kv.count, blocks = left ? 1 + below(left) : 0;
    if (left == 0 || chance(10)) {
        kv_end(h, request->instance, &request->kv, now);
        leave(fleet, request, false);
    } else if (chance(8)) {
        kv_drop(h, request->instance, &request->kv, now);
        leave(fleet, request, chance(50));
    } else if (chance(10) &&
               kv_swap_out(h, request->instance, &request->kv, (uint64_t)(request - fleet->requests), now)) {
        request->stage = SWAPPING_OUT;
        fleet->seen->swaps++;
    } else if (!kv_extend(h, request->instance, &request->kv,
                          blocks > request->kv.anonymous ? blocks - request->kv.anonymous : 0, now)) {
        kv_drop(h, request->instance, &request->kv, now);
        leave(fleet, request, true);
    } else {
        kv_publish(h, request->instance, &request->kv, &request->identity, blocks, now);
        uint32_t copies = 0;
        for (uint32_t i = 0; i < request->kv.count; i++)
            copies += request->slots[i] == SLOT_NONE;
        fleet->seen->private_copies += copies;
        if (request->kv.anonymous > copies && chance(50)) {
            kv_shrink(h, request->instance, &request->kv, request->kv.anonymous - copies, now);
            feed(fleet, request->instance);
        }
    }
}

static void act(struct fleet *fleet, struct request *request, sim_time now) {
    struct hierarchy *h = fleet->world->hierarchy;
    if (request->starved)
        return;
    switch (request->stage) {
    case GONE:
        if (fleet->ticks < fleet->limit)
            request_open(fleet, request);
        return;
    case WAITING:
        begin(fleet, request, now);
        return;
    case RUNNING:
        go_on(fleet, request, now);
        return;
    case LOADING:
        if (chance(15)) {
            kv_drop(h, request->instance, &request->kv, now);
            leave(fleet, request, chance(50));
            fleet->seen->cuts++;
        }
        return;
    case SWAPPED:
        if (chance(10)) {
            kv_drop(h, request->instance, &request->kv, now);
            leave(fleet, request, true);
        } else if (kv_swap_in(h, request->instance, &request->kv, (uint64_t)(request - fleet->requests), now)) {
            request->stage = SWAPPING_IN;
        } else {
            request->starved = true;
            fleet->seen->starved++;
        }
        return;
    case SWAPPING_OUT:
    case SWAPPING_IN:
        return;
    }
}

static void tick(void *self, sim_time now) {
    struct fleet *fleet = self;
    act(fleet, &fleet->requests[below(REQUESTS_MAX)], now);
    if (fleet->ticks++ % 16 == 0)
        hierarchy_audit(fleet->world->hierarchy);
    bool busy = fleet->ticks < fleet->limit;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        busy |= fleet->requests[i].stage != GONE;
    assert_true(fleet->ticks < 100 * fleet->limit); /* else somebody waits for what never comes */
    if (busy)
        engine_set(fleet->world->engine, fleet->driver, now + below(8000));
}

/* One random fleet, to its end. Returns the hash of the order in which things happened. */
static uint64_t run_fleet(uint64_t seed, struct seen *seen) {
    char node[4096], tiers[2048];
    struct connector_profile connector = {
        .load_s = {.value = 1e-6}, .load_per_token_s = {.value = 1e-9}, .store_s = {.value = 2e-6}};
    struct fleet *fleet = calloc(1, sizeof *fleet);
    assert_non_null(fleet);
    state_of_random = seed;
    random_node(node, sizeof node);
    random_tiers(tiers, sizeof tiers);
    fleet->hbm_blocks = 8 + below(48);
    struct world *world = world_open(node, tiers, fleet->hbm_blocks, 1000);
    fleet->world = world;
    fleet->seen = seen;
    fleet->limit = 50 + (int)below(200);
    world->setup.instances = 1 + below(INSTANCES_MAX);
    world->setup.instances_per_node = 1 + below(2);
    world->setup.tp = 1 << below(3);
    world->setup.hbm_block_bytes = chance(30) ? 2000 : 1000;
    world->setup.connector = chance(30) ? &connector : NULL;
    world->sink = (struct sink){.self = fleet, .transfer = fleet_transfer, .link = fleet_link};
    world->setup.on_loaded = fleet_loaded;
    world->setup.on_space = fleet_space;
    world->setup.on_swapped = fleet_swapped;
    world->setup.self = fleet;
    world_start(world);
    fleet->driver = engine_add(world->engine, tick, fleet);
    engine_set(world->engine, fleet->driver, 0);
    /* Timers of policies may go on for ever; what is under way does not. */
    engine_run(world->engine, SIM_NEVER - 1);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        assert_int_equal(fleet->requests[i].stage, GONE);
    uint64_t hash = engine_order_hash(world->engine);
    world_close(world);
    assert_true(fleet->link_bytes == fleet->expected_bytes);
    free(fleet);
    return hash;
}

static void books_balance_in_random_fleets(void **state) {
    (void)state;
    struct seen seen = {0};
    uint64_t scenarios = SCENARIOS * (getenv("TIERSIM_LONG") ? 20 : 1);
    for (uint64_t seed = 1; seed <= scenarios; seed++)
        run_fleet(seed, &seen);
    /* A test that saw none of it has tested none of it. */
    assert_true(seen.loads > 1000 && seen.joins > 100 && seen.cuts > 100 && seen.full > 100 && seen.swaps > 100);
    assert_true(seen.private_copies > 100 && seen.behind_gap > 100 && seen.transfers > 10000 && seen.evictions > 1000);
    assert_true(seen.starved > 0);
}

static void equal_seeds_give_equal_orders(void **state) {
    (void)state;
    struct seen seen = {0};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint64_t first = run_fleet(seed, &seen), second = run_fleet(seed, &seen);
        assert_true(first == second && first != run_fleet(seed + 1000000, &seen));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(books_balance_in_random_fleets),
                                       cmocka_unit_test(equal_seeds_give_equal_orders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
