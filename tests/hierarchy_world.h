/* A small fleet's memory for tests: a node and tiers written as YAML, an engine, and what the hooks said. */
#ifndef TESTS_HIERARCHY_WORLD_H
#define TESTS_HIERARCHY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policies/evict.h"
#include "sim/config/read.h"
#include "sim/memory/hierarchy.h"

enum { WORLD_NOTES_MAX = 64, WORLD_BLOCKS_MAX = 64 };

struct world {
    struct arena *arena;
    struct engine *engine;
    struct hierarchy *hierarchy;
    struct node_options node;
    struct list tiers;
    struct sink sink;
    struct hierarchy_setup setup;
    uint32_t alarm;
    /* What the hooks said. */
    uint32_t loaded, spaces, swapped;
    sim_time loaded_at[WORLD_NOTES_MAX], space_at[WORLD_NOTES_MAX], swapped_at[WORLD_NOTES_MAX];
    uint64_t loaded_tag[WORLD_NOTES_MAX];
    int64_t tier_ns[WORLD_NOTES_MAX][TIERS_MAX];
    /* And the sink. */
    uint32_t transfers;
    struct transfer_record transfer[WORLD_NOTES_MAX];
    uint32_t links;
    struct link_record link[WORLD_NOTES_MAX];
    uint32_t tier_records;
    struct tier_record tier[WORLD_NOTES_MAX];
};

struct tiers_document {
    struct list tiers;
};
static const struct option tiers_document_table[] = {{.name = "tiers",
                                                      .kind = OPTION_LIST,
                                                      .offset = offsetof(struct tiers_document, tiers),
                                                      .table = tier_options_table,
                                                      .item_size = sizeof(struct tier_options),
                                                      .help = ""},
                                                     OPTION_END};

static inline int world_read(const char *text, const char *name, const struct option *table, void *out,
                             struct arena *arena, struct error *err) {
    struct node *root;
    if (node_read_text(text, strlen(text), name, arena, &root, err) != 0)
        return -1;
    return options_read(root, table, out, arena, err);
}

static inline int world_read_node(struct world *world, const char *text, struct error *err) {
    return world_read(text, "node.yaml", node_options_table, &world->node, world->arena, err);
}
/* Policies by their names alone. */
static inline int world_read_tiers(struct world *world, const char *text, struct error *err) {
    struct tiers_document document;
    if (world_read(text, "tiers.yaml", tiers_document_table, &document, world->arena, err) != 0)
        return -1;
    world->tiers = document.tiers;
    struct tier_options *tiers = document.tiers.items;
    for (size_t t = 0; t < document.tiers.count; t++) {
        const struct policy *policy = policy_find(POLICY_EVICT, tiers[t].evict ? tiers[t].evict->text : "lru", err);
        if (!policy)
            return -1;
        tiers[t].evict_policy = (const struct evict_policy *)policy;
        if (policy->options) {
            void *options = arena_alloc(world->arena, policy->options_size);
            if (options_read(NULL, policy->options, options, world->arena, err) != 0)
                return -1;
            tiers[t].evict_options = options;
        }
    }
    return 0;
}

static inline void world_on_loaded(void *self, uint32_t instance, uint64_t tag, const int64_t tier_ns[TIERS_MAX],
                                   sim_time now) {
    (void)instance;
    struct world *world = self;
    uint32_t i = world->loaded++ % WORLD_NOTES_MAX;
    world->loaded_at[i] = now;
    world->loaded_tag[i] = tag;
    memcpy(world->tier_ns[i], tier_ns, sizeof world->tier_ns[i]);
}
static inline void world_on_space(void *self, uint32_t instance, sim_time now) {
    (void)instance;
    struct world *world = self;
    world->space_at[world->spaces++ % WORLD_NOTES_MAX] = now;
}
static inline void world_on_swapped(void *self, uint32_t instance, uint64_t tag, sim_time now) {
    (void)instance, (void)tag;
    struct world *world = self;
    world->swapped_at[world->swapped++ % WORLD_NOTES_MAX] = now;
}
static inline void world_on_transfer(void *self, const struct transfer_record *record) {
    struct world *world = self;
    world->transfer[world->transfers++ % WORLD_NOTES_MAX] = *record;
}
static inline void world_on_link(void *self, const struct link_record *record) {
    struct world *world = self;
    world->link[world->links++ % WORLD_NOTES_MAX] = *record;
}
static inline void world_on_tier(void *self, const struct tier_record *record) {
    struct world *world = self;
    world->tier[world->tier_records++ % WORLD_NOTES_MAX] = *record;
}

static inline void world_alarm(void *self, sim_time now) {
    (void)self, (void)now;
}

/* Room for everything a test may want to change before world_start. */
static inline struct world *world_open(const char *node, const char *tiers, uint64_t hbm_blocks, double block_bytes) {
    struct world *world = calloc(1, sizeof *world);
    struct error err;
    assert_non_null(world);
    world->arena = arena_create();
    if (world_read_node(world, node, &err) != 0 || world_read_tiers(world, tiers, &err) != 0)
        fail_msg("%s", err.text);
    world->engine = engine_create(ENGINE_WINNER_TREE);
    world->sink =
        (struct sink){.self = world, .transfer = world_on_transfer, .link = world_on_link, .tier = world_on_tier};
    world->setup = (struct hierarchy_setup){.engine = world->engine,
                                            .node = &world->node,
                                            .tiers = &world->tiers,
                                            .instances = 1,
                                            .instances_per_node = 1,
                                            .tp = 1,
                                            .block_tokens = 16,
                                            .hbm_block_bytes = block_bytes,
                                            .lower_block_bytes = block_bytes,
                                            .hbm_blocks = hbm_blocks,
                                            .prefix = true,
                                            .seed = 1,
                                            .sink = &world->sink,
                                            .record_transfers = true,
                                            .on_loaded = world_on_loaded,
                                            .on_space = world_on_space,
                                            .on_swapped = world_on_swapped,
                                            .self = world};
    return world;
}
static inline void world_start(struct world *world) {
    struct error err;
    if (hierarchy_create(&world->setup, &world->hierarchy, &err) != 0)
        fail_msg("%s", err.text);
}
/* Runs what is left, balances the books and gives everything back. */
static inline void world_close(struct world *world) {
    engine_run(world->engine, SIM_NEVER - 1);
    hierarchy_audit(world->hierarchy);
    hierarchy_finish(world->hierarchy, engine_now(world->engine), &world->sink);
    hierarchy_destroy(world->hierarchy);
    engine_destroy(world->engine);
    arena_destroy(world->arena);
    free(world);
}
/* Until that time, which it is then; SIM_NEVER - 1: until nothing is left to happen. */
static inline void world_run(struct world *world, sim_time until) {
    if (until < SIM_NEVER - 1)
        engine_set(world->engine, world->alarm, until);
    engine_run(world->engine, until);
    hierarchy_audit(world->hierarchy);
}

/* A request of up to WORLD_BLOCKS_MAX blocks. */
struct asker {
    struct kv kv;
    uint32_t slots[WORLD_BLOCKS_MAX];
    uint64_t ids[WORLD_BLOCKS_MAX];
    int64_t next_use[WORLD_BLOCKS_MAX];
    struct kv_identity identity;
};
static inline struct asker *asker_open(uint64_t first_id) {
    struct asker *asker = calloc(1, sizeof *asker);
    assert_non_null(asker);
    asker->kv = (struct kv){.slots = asker->slots, .room = WORLD_BLOCKS_MAX};
    for (uint32_t i = 0; i < WORLD_BLOCKS_MAX; i++) {
        asker->ids[i] = first_id + i;
        asker->next_use[i] = INT64_MAX;
    }
    asker->identity = (struct kv_identity){.ids = asker->ids, .next_use = asker->next_use, .priority = 35};
    return asker;
}
/* Looks `blocks` up and begins with all that is found. */
static inline enum kv_result asker_begin(struct world *world, struct asker *asker, uint32_t blocks, uint64_t tag) {
    struct kv_lookup found;
    kv_lookup(world->hierarchy, 0, asker->ids, blocks, &found);
    return kv_begin(world->hierarchy, 0, &asker->kv, &asker->identity, found.hbm_blocks, found.arriving_blocks,
                    found.lower_blocks, tag, engine_now(world->engine));
}
/* Computes up to `blocks` blocks in all. */
static inline bool asker_compute(struct world *world, struct asker *asker, uint32_t blocks) {
    sim_time now = engine_now(world->engine);
    uint32_t more = blocks - asker->kv.count;
    if (!kv_extend(world->hierarchy, 0, &asker->kv, more, now))
        return false;
    kv_publish(world->hierarchy, 0, &asker->kv, &asker->identity, more, now);
    return true;
}
static inline void asker_end(struct world *world, struct asker *asker) {
    kv_end(world->hierarchy, 0, &asker->kv, engine_now(world->engine));
}
/* Computes, ends and forgets a request; all copies it causes run to their end. */
static inline void world_seed(struct world *world, uint64_t first_id, uint32_t blocks) {
    struct asker *asker = asker_open(first_id);
    assert_int_equal(asker_begin(world, asker, blocks, 999), KV_READY);
    assert_true(asker_compute(world, asker, blocks));
    asker_end(world, asker);
    free(asker);
    engine_run(world->engine, SIM_NEVER - 1);
}

#endif
