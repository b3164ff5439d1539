/* Does what moves between tiers take the time and the room that the closed forms say? */
#include "tests/hierarchy_world.h"

enum { US = 1000 };

/* 1 byte a ns and 1 us: a block of 1000 bytes takes 1 us, a load of n blocks n + 1. The SSD: half as fast. */
static const char node_text[] =
    "name: small\n"
    "gpu: h100-sxm\n"
    "gpus: 8\n"
    "sockets: 2\n"
    "links:\n"
    "  - {name: wire, scope: gpu, fifo: yes, read: {bandwidth: 1 GB/s, latency: 1 us}, write: {bandwidth: 2 GB/s, "
    "latency: 2 us}, source: test}\n"
    "  - {name: dram, scope: socket, read: {bandwidth: 8 GB/s}, source: test}\n"
    "  - {name: drive, scope: node, read: {bandwidth: 500 MB/s, latency: 5 us}, write: {bandwidth: 250 MB/s, latency: "
    "3 us}, source: test}\n"
    "paths:\n"
    "  - {from: dram, to: hbm, via: [dram, wire]}\n"
    "  - {from: ssd, to: hbm, via: [drive, 'dram:write', 'dram:read', wire], stages: [dram]}\n"
    "  - {name: direct, from: ssd, to: hbm, via: [drive, wire]}\n"
    "  - {from: ssd, to: dram, via: [drive, 'dram:write']}\n";
static const char two_tiers[] = "tiers: [{name: hbm}, {name: dram, capacity: 40 kB, write: fill}]";

static uint32_t count_resident(const struct tier *tier, uint64_t first, uint32_t count) {
    uint32_t resident = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = tier_find(tier, first + i);
        resident += slot != SLOT_NONE && tier_state(tier, slot) == SLOT_RESIDENT;
    }
    return resident;
}

/* Pushes everything idle out of HBM by taking all of it and giving it back. */
static void empty_hbm(struct world *world) {
    struct kv kv = {0};
    uint64_t all = tier_counts(hierarchy_hbm(world->hierarchy, 0)).capacity;
    if (!kv_extend(world->hierarchy, 0, &kv, all, engine_now(world->engine))) {
        engine_run(world->engine, SIM_NEVER - 1);
        assert_true(kv_extend(world->hierarchy, 0, &kv, all, engine_now(world->engine)));
    }
    kv_shrink(world->hierarchy, 0, &kv, all, engine_now(world->engine));
    engine_run(world->engine, SIM_NEVER - 1);
}

static void a_fill_and_a_fetch_take_latency_and_bytes_over_bandwidth(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 10, 1000);
    world_start(world);
    world_seed(world, 100, 6);
    assert_int_equal(world->transfers, 1);
    assert_int_equal(world->transfer[0].end_ns, 2 * US + 6000 / 2);
    assert_int_equal(world->transfer[0].bytes, 6000);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    double predicted = kv_predict_fetch_s(world->hierarchy, 0, 1, 6);
    assert_int_equal(asker_begin(world, asker, 8, 7), KV_LOADING);
    assert_int_equal(kv_queued_bytes(world->hierarchy, 0, 1), 6000);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded, 1);
    assert_int_equal(world->loaded_tag[0], 7);
    assert_int_equal(world->loaded_at[0] - start, 1 * US + 6000);
    assert_int_equal(world->tier_ns[0][1], 1 * US + 6000);
    assert_true(predicted > 6.9999e-6 && predicted < 7.0001e-6);
    assert_true(asker_compute(world, asker, 8));
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

/* Asking costs 5 us and 0.1 us a block before the load; what was written is found 50 us later, not sooner. */
static void an_index_costs_and_lags(void **state) {
    (void)state;
    static const char tiers[] = "tiers: [{name: hbm}, {name: dram, capacity: 40 kB, write: fill, index_lookup: 5 us, "
                                "index_per_block: 0.1 us, index_delay: 50 us}]";
    struct world *world = world_open(node_text, tiers, 10, 1000);
    world->alarm = engine_add(world->engine, world_alarm, world);
    world_start(world);
    world_seed(world, 100, 6);
    sim_time listed = world->transfer[0].end_ns + 50 * US;
    assert_int_equal(world->transfer[0].end_ns, 2 * US + 6000 / 2);
    empty_hbm(world);
    struct asker *asker = asker_open(100);
    struct kv_lookup found;
    world_run(world, listed - 1);
    kv_lookup(world->hierarchy, 0, asker->ids, 6, &found);
    assert_int_equal(found.lower_blocks, 0);
    world_run(world, listed);
    kv_lookup(world->hierarchy, 0, asker->ids, 6, &found);
    assert_int_equal(found.lower_blocks, 6);
    sim_time start = engine_now(world->engine);
    double predicted = kv_predict_fetch_s(world->hierarchy, 0, 1, 6);
    assert_int_equal(asker_begin(world, asker, 6, 7), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded_at[0] - start, 1 * US + 6000 + 5 * US + 600);
    assert_float_equal(predicted, (1 + 6 + 5.6) * 1e-6, 1e-10);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

static void ranks_load_in_lock_step_over_their_own_links(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 10, 1000);
    world->setup.tp = 4;
    world->setup.instances_per_node = 2;
    world_start(world);
    world_seed(world, 100, 8);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 8, 7), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded_at[0] - start, 1 * US + 8000 / 4);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

/* An instance over both sockets has both DRAMs: 16 bytes a ns, and its eight wires 8. */
static void an_instance_uses_all_sockets_it_spans(void **state) {
    (void)state;
    for (int spans = 0; spans < 2; spans++) {
        struct world *world = world_open(node_text, two_tiers, 10, 8000);
        ((struct tier_options *)world->tiers.items)[1].capacity_bytes = 1e6;
        ((struct node_link *)world->node.links.items)[0].link.read.bandwidth_bytes_per_s = 100e9;
        world->setup.tp = spans ? 8 : 4;
        world->setup.instances_per_node = spans ? 1 : 2;
        world_start(world);
        world_seed(world, 100, 8);
        empty_hbm(world);
        sim_time start = engine_now(world->engine);
        struct asker *asker = asker_open(100);
        assert_int_equal(asker_begin(world, asker, 8, 7), KV_LOADING);
        world_run(world, SIM_NEVER - 1);
        assert_int_equal(world->loaded_at[0] - start, 1 * US + 64000 / (spans ? 16 : 8));
        asker_end(world, asker);
        free(asker);
        world_close(world);
    }
}

/* Latent KV that each of 4 ranks keeps whole: read once from DRAM, written four times over PCIe. */
static void replicas_cross_every_ranks_link(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 10, 1000);
    world->setup.tp = 4;
    world->setup.instances_per_node = 2;
    world->setup.hbm_block_bytes = 4000;
    world_start(world);
    world_seed(world, 100, 8);
    assert_int_equal(world->transfer[0].end_ns, 2 * US + 8000 / 8);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 8, 7), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded_at[0] - start, 1 * US + 8000);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

static void software_and_codec_come_before_the_wire(void **state) {
    (void)state;
    struct connector_profile connector = {.load_s = {.value = 10e-6},
                                          .load_per_token_s = {.value = 0.5e-6},
                                          .store_s = {.value = 4e-6},
                                          .store_per_token_s = {.value = 0.25e-6}};
    struct world *world = world_open(
        node_text, "tiers: [{name: hbm}, {name: dram, capacity: 40 kB, write: fill, format_ratio: 0.5, codec: 1 GB/s}]",
        10, 1000);
    world->setup.connector = &connector;
    world_start(world);
    world_seed(world, 100, 2);
    /* Stored: 32 tokens of software, 2000 bytes through the codec, 1000 on the wire. */
    assert_int_equal(world->transfer[0].end_ns, 4 * US + 8 * US + 2 * US + 2 * US + 1000 / 2);
    assert_int_equal(world->transfer[0].bytes, 1000);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    double predicted = kv_predict_fetch_s(world->hierarchy, 0, 1, 2);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 2, 7), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded_at[0] - start, 10 * US + 16 * US + 2 * US + 1 * US + 1000);
    assert_true(predicted > 29.999e-6 && predicted < 30.001e-6);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

static void a_block_that_arrives_is_joined_not_loaded_again(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 20, 1000);
    world_start(world);
    world_seed(world, 100, 8);
    empty_hbm(world);
    world->transfers = 0;
    sim_time start = engine_now(world->engine);
    struct asker *first = asker_open(100), *second = asker_open(100);
    assert_int_equal(asker_begin(world, first, 4, 1), KV_LOADING);
    world_run(world, start + 2 * US);
    struct kv_lookup found;
    kv_lookup(world->hierarchy, 0, second->ids, 8, &found);
    assert_int_equal(found.hbm_blocks, 0);
    assert_int_equal(found.arriving_blocks, 4);
    assert_int_equal(found.lower_blocks, 4);
    assert_int_equal(found.tier_blocks[0], 4);
    assert_int_equal(asker_begin(world, second, 8, 2), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded, 2);
    assert_int_equal(world->loaded_at[0] - start, 1 * US + 4000);
    /* The wire is first in, first out: the second load has waited out its latency, and follows. */
    assert_int_equal(world->loaded_at[1] - start, 1 * US + 8000);
    assert_int_equal(world->tier_ns[1][1], world->loaded_at[1] - start - 2 * US);
    assert_int_equal(world->transfers, 2);
    assert_int_equal(world->transfer[0].blocks + world->transfer[1].blocks, 8);
    asker_end(world, first);
    asker_end(world, second);
    free(first);
    free(second);
    world_close(world);
}

/* HBM has blocks 0, 1 and 4, 5; DRAM has all: two are loaded, and the tail is not computed again. */
static void blocks_behind_a_gap_are_used_when_the_gap_is_filled(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 8, 1000);
    world_start(world);
    world_seed(world, 100, 6);
    struct tier *hbm = hierarchy_hbm(world->hierarchy, 0);
    tier_delete(hbm, tier_find(hbm, 102), 0);
    tier_delete(hbm, tier_find(hbm, 103), 0);
    struct asker *asker = asker_open(100);
    struct kv_lookup found;
    kv_lookup(world->hierarchy, 0, asker->ids, 6, &found);
    assert_int_equal(found.hbm_blocks, 2);
    assert_int_equal(found.lower_blocks, 4);
    assert_int_equal(found.tier_blocks[1], 4);
    assert_int_equal(asker_begin(world, asker, 6, 1), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->transfer[1].blocks, 2);
    assert_int_equal(asker->kv.count, 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(tier_block(hbm, asker->slots[i])->id, 100 + i);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

static void a_staged_load_crosses_dram_twice_and_stays_there(void **state) {
    (void)state;
    struct world *world = world_open(node_text,
                                     "tiers: [{name: hbm}, {name: dram, capacity: 4 kB, write: none}, {name: ssd, "
                                     "capacity: 1 MB, write: fill, write_from: hbm}]",
                                     10, 1000);
    world_start(world);
    world_seed(world, 100, 8);
    /* Down: the drive writes 250 bytes a us; latencies of the wire and the drive. */
    assert_int_equal(world->transfer[0].end_ns, 2 * US + 3 * US + 8000 * 4);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 8, 1), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded_at[0] - start, 5 * US + 1 * US + 8000 * 2);
    asker_end(world, asker);
    free(asker);
    /* Room for four: the last four of the prompt. */
    struct tier *dram = hierarchy_tier(world->hierarchy, 1, 0);
    assert_int_equal(count_resident(dram, 100, 8), 4);
    assert_int_equal(count_resident(dram, 104, 4), 4);
    engine_run(world->engine, SIM_NEVER - 1);
    hierarchy_finish(world->hierarchy, engine_now(world->engine), &world->sink);
    uint64_t dram_read = 0, dram_write = 0;
    for (uint32_t i = 0; i < world->links; i++) {
        if (strcmp(world->link[i].name, "dram[0] read") == 0)
            dram_read = world->link[i].bytes;
        if (strcmp(world->link[i].name, "dram[0] write") == 0)
            dram_write = world->link[i].bytes;
    }
    assert_int_equal(dram_read, 16000);
    assert_int_equal(dram_write, 16000);
    world_close(world);
}

/* A load from DRAM beside a staged one from the drive: the copy engine is not held for as long as the drive takes, so
 * that both share the bus, 1 byte a ns: the drive's bytes take half of it. */
static void a_staged_load_does_not_hold_the_copy_engine(void **state) {
    (void)state;
    static const char node[] =
        "name: bus\ngpu: h100-sxm\ngpus: 8\nsockets: 2\nlinks:\n"
        "  - {name: wire, scope: gpu, fifo: yes, read: {bandwidth: 1 GB/s, latency: 1 us}, source: test}\n"
        "  - {name: bus, scope: gpu, read: {bandwidth: 1 GB/s}, source: test}\n"
        "  - {name: dram, scope: socket, read: {bandwidth: 8 GB/s}, source: test}\n"
        "  - {name: drive, scope: node, read: {bandwidth: 500 MB/s, latency: 5 us}, source: test}\n"
        "paths:\n"
        "  - {from: dram, to: hbm, via: [dram, bus, wire]}\n"
        "  - {from: ssd, to: hbm, via: [drive, 'dram:write', 'dram:read', bus, wire], stages: [dram]}\n"
        "  - {from: ssd, to: dram, via: [drive, 'dram:write']}\n";
    struct world *world = world_open(node,
                                     "tiers: [{name: hbm}, {name: dram, capacity: 8 kB, write: fill}, {name: ssd, "
                                     "capacity: 1 MB, write: fill, write_from: hbm}]",
                                     10, 1000);
    world_start(world);
    world_seed(world, 100, 4); /* the drive alone has it in the end */
    world_seed(world, 200, 4);
    world_seed(world, 300, 4);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *slow = asker_open(100), *fast = asker_open(300);
    assert_int_equal(asker_begin(world, slow, 4, 1), KV_LOADING);
    world_run(world, start + 6 * US);
    assert_int_equal(asker_begin(world, fast, 4, 2), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded, 2);
    assert_int_equal(world->loaded_tag[0], 1);
    assert_int_equal(world->loaded_at[0] - start, 5 * US + 8 * US);
    assert_int_equal(world->loaded_tag[1], 2);
    assert_int_equal(world->loaded_at[1] - start, 7 * US + 6 * US + 1 * US); /* 3000 bytes at half, 1000 at full rate */
    asker_end(world, slow);
    asker_end(world, fast);
    free(slow);
    free(fast);
    world_close(world);
}

static void a_tier_chooses_among_paths(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: ssd, capacity: 1 MB, write: fill, path: direct}]", 10, 1000);
    world_start(world);
    world_seed(world, 100, 4);
    hierarchy_finish(world->hierarchy, 0, &world->sink);
    for (uint32_t i = 0; i < world->links; i++)
        assert_null(strstr(world->link[i].name, "dram"));
    world_close(world);
}

/* HBM of 4 blocks, full of idle ones: what is asked for can be had once the evicted blocks have left. */
static void an_eviction_is_written_before_its_slot_is_free(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: dram, capacity: 40 kB, write: eviction}]", 4, 1000);
    world_start(world);
    world_seed(world, 100, 4);
    assert_int_equal(world->transfers, 0);
    struct kv kv = {0};
    sim_time start = engine_now(world->engine);
    assert_false(kv_extend(world->hierarchy, 0, &kv, 3, start));
    assert_int_equal(tier_counts(hierarchy_hbm(world->hierarchy, 0)).leaving, 3);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->spaces, 1);
    assert_int_equal(world->space_at[0] - start, 2 * US + 3000 / 2);
    assert_true(kv_extend(world->hierarchy, 0, &kv, 3, engine_now(world->engine)));
    /* Tail first: the front is what is left. */
    assert_int_equal(count_resident(hierarchy_hbm(world->hierarchy, 0), 100, 1), 1);
    assert_int_equal(count_resident(hierarchy_tier(world->hierarchy, 1, 0), 101, 3), 3);
    kv_shrink(world->hierarchy, 0, &kv, 3, engine_now(world->engine));
    /* What DRAM has already is not written again. */
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 4, 1), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    asker_end(world, asker);
    free(asker);
    world->transfers = 0;
    empty_hbm(world);
    assert_int_equal(world->transfers, 1);
    assert_int_equal(world->transfer[0].blocks, 1);
    world_close(world);
}

/* DRAM evicts to the SSD through a buffer of two blocks: its slots are free at once, and what comes beyond is dropped.
 */
static void evictions_below_hbm_go_through_a_buffer(void **state) {
    (void)state;
    struct world *world = world_open(node_text,
                                     "tiers: [{name: hbm}, {name: dram, capacity: 4 kB, write: fill}, {name: ssd, "
                                     "capacity: 40 kB, write: eviction, write_buffer: 2 kB}]",
                                     20, 1000);
    world_start(world);
    world_seed(world, 100, 4);
    world_seed(world, 200, 4);
    struct tier *dram = hierarchy_tier(world->hierarchy, 1, 0), *ssd = hierarchy_tier(world->hierarchy, 2, 0);
    assert_int_equal(count_resident(dram, 200, 4), 4);
    assert_int_equal(count_resident(ssd, 100, 4), 2);
    world_close(world);
}

/* DRAM is full, and HBM's own evictions want room there while blocks are fetched from it. */
static void what_is_being_fetched_is_not_evicted_to_make_room(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: dram, capacity: 4 kB, write: eviction}]", 4, 1000);
    world_start(world);
    world_seed(world, 100, 4);
    world_seed(world, 200, 4 - 4);
    empty_hbm(world);
    world_seed(world, 200, 4);
    assert_int_equal(count_resident(hierarchy_tier(world->hierarchy, 1, 0), 100, 4), 4);
    struct asker *asker = asker_open(100);
    /* HBM is full of 200..203, which find no room in DRAM, whose blocks are all being read: they are dropped. */
    assert_int_equal(asker_begin(world, asker, 4, 1), KV_LOADING);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded, 1);
    assert_int_equal(count_resident(hierarchy_hbm(world->hierarchy, 0), 100, 4), 4);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

static void a_load_that_is_dropped_is_cut_after_the_block_on_its_way(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 12, 1000);
    world_start(world);
    world_seed(world, 100, 10);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 10, 1), KV_LOADING);
    world_run(world, start + 1 * US + 2500); /* two and a half blocks */
    kv_drop(world->hierarchy, 0, &asker->kv, engine_now(world->engine));
    hierarchy_audit(world->hierarchy);
    struct tier_counts counts = tier_counts(hierarchy_hbm(world->hierarchy, 0));
    assert_int_equal(counts.arriving, 3);
    assert_int_equal(counts.taken, 0);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded, 0);
    assert_int_equal(world->transfer[1].end_ns - start, 1 * US + 3000);
    assert_int_equal(world->transfer[1].bytes, 3000);
    assert_int_equal(count_resident(hierarchy_hbm(world->hierarchy, 0), 100, 10), 3);
    free(asker);
    world_close(world);
}

/* Who has joined the first five blocks still gets them. */
static void a_load_is_not_cut_below_what_others_wait_for(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 12, 1000);
    world_start(world);
    world_seed(world, 100, 10);
    empty_hbm(world);
    sim_time start = engine_now(world->engine);
    struct asker *first = asker_open(100), *second = asker_open(100);
    assert_int_equal(asker_begin(world, first, 10, 1), KV_LOADING);
    assert_int_equal(asker_begin(world, second, 5, 2), KV_LOADING);
    kv_drop(world->hierarchy, 0, &first->kv, engine_now(world->engine));
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->loaded, 1);
    assert_int_equal(world->loaded_tag[0], 2);
    assert_int_equal(world->loaded_at[0] - start, 1 * US + 5000);
    assert_int_equal(count_resident(hierarchy_hbm(world->hierarchy, 0), 100, 10), 5);
    asker_end(world, second);
    free(first);
    free(second);
    world_close(world);
}

static void a_swap_copies_every_block_and_back(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: dram, capacity: 8 kB, write: none}]", 8, 1000);
    world_start(world);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 4, 1), KV_READY);
    assert_true(asker_compute(world, asker, 4));
    assert_true(kv_extend(world->hierarchy, 0, &asker->kv, 2, 0));
    assert_true(kv_swap_out(world->hierarchy, 0, &asker->kv, 1, 0));
    assert_int_equal(asker->kv.swapped, 6);
    assert_int_equal(tier_counts(hierarchy_hbm(world->hierarchy, 0)).taken, 2);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->swapped, 1);
    assert_int_equal(world->swapped_at[0], 2 * US + 6000 / 2);
    assert_int_equal(tier_counts(hierarchy_hbm(world->hierarchy, 0)).taken, 0);
    assert_int_equal(tier_counts(hierarchy_tier(world->hierarchy, 1, 0)).taken, 6);
    sim_time start = engine_now(world->engine);
    assert_true(kv_swap_in(world->hierarchy, 0, &asker->kv, 1, start));
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->swapped_at[1] - start, 1 * US + 6000);
    assert_int_equal(asker->kv.anonymous, 6);
    kv_drop(world->hierarchy, 0, &asker->kv, engine_now(world->engine));
    free(asker);
    world_close(world);
}

/* HBM's LRU knows no future; DRAM's Belady must be told all the same. */
static void lower_tiers_know_what_hbm_does_not_ask(void **state) {
    (void)state;
    struct world *world = world_open(
        node_text, "tiers: [{name: hbm}, {name: dram, capacity: 2 kB, write: fill, evict: belady}]", 8, 1000);
    world_start(world);
    struct asker *asker = asker_open(100);
    const int64_t next_use[] = {5000000, 9000000, 7000000};
    memcpy(asker->next_use, next_use, sizeof next_use);
    assert_int_equal(asker_begin(world, asker, 3, 1), KV_READY);
    assert_true(asker_compute(world, asker, 2));
    world_run(world, SIM_NEVER - 1);
    assert_true(asker_compute(world, asker, 3));
    asker_end(world, asker);
    world_run(world, SIM_NEVER - 1);
    struct tier *dram = hierarchy_tier(world->hierarchy, 1, 0);
    assert_int_equal(count_resident(dram, 100, 1), 1);
    assert_int_equal(count_resident(dram, 101, 1), 0); /* used last: it went */
    assert_int_equal(count_resident(dram, 102, 1), 1);
    free(asker);
    world_close(world);
}

/* Two requests compute the same block: the second keeps a private copy, which goes when it ends. */
static void a_block_computed_twice_is_kept_once(void **state) {
    (void)state;
    struct world *world = world_open(node_text, two_tiers, 8, 1000);
    world_start(world);
    struct asker *first = asker_open(100), *second = asker_open(100);
    assert_int_equal(asker_begin(world, first, 3, 1), KV_READY);
    assert_int_equal(asker_begin(world, second, 3, 2), KV_READY);
    assert_true(asker_compute(world, first, 2));
    assert_true(asker_compute(world, second, 3));
    assert_int_equal(second->slots[0], SLOT_NONE);
    assert_int_equal(second->kv.anonymous, 2);
    struct tier_counts counts = tier_counts(hierarchy_hbm(world->hierarchy, 0));
    assert_int_equal(counts.resident, 3);
    assert_int_equal(counts.taken, 2);
    asker_end(world, second);
    asker_end(world, first);
    assert_int_equal(tier_counts(hierarchy_hbm(world->hierarchy, 0)).resident, 3);
    free(first);
    free(second);
    world_close(world);
}

/* Written when the request has ended, and only what is not there yet. */
static void completion_writes_all_blocks_once(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: dram, capacity: 40 kB, write: completion}]", 8, 1000);
    world_start(world);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 4, 1), KV_READY);
    assert_true(asker_compute(world, asker, 4));
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->transfers, 0);
    asker_end(world, asker);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->transfers, 1);
    assert_int_equal(world->transfer[0].blocks, 4);
    assert_int_equal(asker_begin(world, asker, 4, 1), KV_READY);
    assert_true(asker_compute(world, asker, 5));
    asker_end(world, asker);
    world_run(world, SIM_NEVER - 1);
    assert_int_equal(world->transfers, 2);
    assert_int_equal(world->transfer[1].blocks, 1);
    free(asker);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fill_and_a_fetch_take_latency_and_bytes_over_bandwidth),
        cmocka_unit_test(an_index_costs_and_lags),
        cmocka_unit_test(ranks_load_in_lock_step_over_their_own_links),
        cmocka_unit_test(an_instance_uses_all_sockets_it_spans),
        cmocka_unit_test(replicas_cross_every_ranks_link),
        cmocka_unit_test(software_and_codec_come_before_the_wire),
        cmocka_unit_test(a_block_that_arrives_is_joined_not_loaded_again),
        cmocka_unit_test(blocks_behind_a_gap_are_used_when_the_gap_is_filled),
        cmocka_unit_test(a_staged_load_crosses_dram_twice_and_stays_there),
        cmocka_unit_test(a_staged_load_does_not_hold_the_copy_engine),
        cmocka_unit_test(a_tier_chooses_among_paths),
        cmocka_unit_test(an_eviction_is_written_before_its_slot_is_free),
        cmocka_unit_test(evictions_below_hbm_go_through_a_buffer),
        cmocka_unit_test(what_is_being_fetched_is_not_evicted_to_make_room),
        cmocka_unit_test(a_load_that_is_dropped_is_cut_after_the_block_on_its_way),
        cmocka_unit_test(a_load_is_not_cut_below_what_others_wait_for),
        cmocka_unit_test(a_swap_copies_every_block_and_back),
        cmocka_unit_test(lower_tiers_know_what_hbm_does_not_ask),
        cmocka_unit_test(a_block_computed_twice_is_kept_once),
        cmocka_unit_test(completion_writes_all_blocks_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
