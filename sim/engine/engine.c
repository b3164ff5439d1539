/* The loop: take the first source, tell it, repeat. */
#include "sim/engine/engine.h"

#include <stdlib.h>

#include "sim/base/error.h"
#include "sim/engine/queue.h"

#define NONE UINT32_MAX

struct source {
    source_fire fire;
    void *self;
};

struct engine {
    enum engine_queue queue;
    struct winner_tree *tree;
    struct binary_heap *heap;
    struct source *sources;
    uint32_t count, room;
    sim_time now;
    uint64_t events, hash;
    /* The source whose hook runs and has not set its next time yet. The queue still holds its old time: writing
     * SIM_NEVER there first would cost a second replay of the tree for nearly every event. */
    uint32_t firing;
    bool running, stop;
};

struct engine *engine_create(enum engine_queue queue) {
    struct engine *engine = calloc(1, sizeof *engine);
    MUST(engine);
    engine->queue = queue;
    engine->firing = NONE;
    engine->hash = UINT64_C(0xcbf29ce484222325); /* any odd start will do; FNV's */
    return engine;
}

void engine_destroy(struct engine *engine) {
    if (!engine)
        return;
    winner_tree_destroy(engine->tree);
    binary_heap_destroy(engine->heap);
    free(engine->sources);
    free(engine);
}

static inline void queue_set(struct engine *engine, uint32_t source, sim_time at) {
    if (engine->queue == ENGINE_WINNER_TREE)
        winner_tree_set(engine->tree, source, at);
    else
        binary_heap_set(engine->heap, source, at);
}

static inline sim_time queue_get(const struct engine *engine, uint32_t source) {
    return engine->queue == ENGINE_WINNER_TREE ? winner_tree_get(engine->tree, source)
                                               : binary_heap_get(engine->heap, source);
}

static inline uint32_t queue_first(struct engine *engine, sim_time *at) {
    return engine->queue == ENGINE_WINNER_TREE ? winner_tree_first(engine->tree, at)
                                               : binary_heap_first(engine->heap, at);
}

/* Makes room for twice as many sources, with the times that are set. */
static void grow(struct engine *engine) {
    struct winner_tree *tree = engine->tree;
    struct binary_heap *heap = engine->heap;
    engine->room = engine->room ? 2 * engine->room : 8;
    engine->sources = realloc(engine->sources, engine->room * sizeof *engine->sources);
    MUST(engine->sources);
    if (engine->queue == ENGINE_WINNER_TREE)
        engine->tree = winner_tree_create(engine->room);
    else
        engine->heap = binary_heap_create(engine->room);
    for (uint32_t i = 0; i < engine->count; i++)
        queue_set(engine, i, tree ? winner_tree_get(tree, i) : binary_heap_get(heap, i));
    winner_tree_destroy(tree);
    binary_heap_destroy(heap);
}

uint32_t engine_add(struct engine *engine, source_fire fire, void *self) {
    MUST(!engine->running && fire && engine->count < NONE / 2);
    if (engine->count == engine->room)
        grow(engine);
    engine->sources[engine->count] = (struct source){fire, self};
    return engine->count++;
}

void engine_set(struct engine *engine, uint32_t source, sim_time at) {
    MUST(source < engine->count && at >= engine->now);
    if (source == engine->firing)
        engine->firing = NONE;
    queue_set(engine, source, at);
}

sim_time engine_next(const struct engine *engine, uint32_t source) {
    MUST(source < engine->count);
    return source == engine->firing ? SIM_NEVER : queue_get(engine, source);
}

sim_time engine_now(const struct engine *engine) {
    return engine->now;
}

static inline uint64_t hash_step(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

uint64_t engine_run(struct engine *engine, sim_time until) {
    MUST(!engine->running);
    uint64_t before = engine->events;
    engine->running = true;
    engine->stop = false;
    while (!engine->stop && engine->count > 0) {
        sim_time at;
        uint32_t source = queue_first(engine, &at);
        if (at == SIM_NEVER || at > until)
            break;
        engine->now = at;
        engine->events++;
        engine->hash = hash_step(hash_step(engine->hash, (uint64_t)at), source);
        engine->firing = source;
        engine->sources[source].fire(engine->sources[source].self, at);
        if (engine->firing != NONE) {
            queue_set(engine, source, SIM_NEVER);
            engine->firing = NONE;
        }
    }
    engine->running = false;
    return engine->events - before;
}

void engine_stop(struct engine *engine) {
    engine->stop = true;
}
uint64_t engine_events(const struct engine *engine) {
    return engine->events;
}
uint64_t engine_order_hash(const struct engine *engine) {
    return engine->hash;
}
