/* Does the engine fire what it should, in the order it should? The winner tree is held against the plain heap and
 * against a scan, operation for operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <gsl/gsl_rng.h>

#include "sim/engine/engine.h"
#include "sim/engine/queue.h"
#include "sim/engine/random.h"

static gsl_rng *stream(uint64_t entity) {
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    random_seek(rng, 1, RANDOM_TEST, entity);
    return rng;
}

/* Both queues and a plain array take the same random changes; times come from a small range, so ties are many. */
static void agree(uint32_t sources, unsigned operations, unsigned range) {
    struct winner_tree *tree = winner_tree_create(sources);
    struct binary_heap *heap = binary_heap_create(sources);
    int64_t *times = malloc(sources * sizeof *times);
    for (uint32_t i = 0; i < sources; i++)
        times[i] = INT64_MAX;
    gsl_rng *rng = stream(sources);
    for (unsigned i = 0; i < operations; i++) {
        uint32_t source = (uint32_t)gsl_rng_uniform_int(rng, sources);
        int64_t a, b, time = gsl_rng_uniform_int(rng, 10) == 0 ? INT64_MAX : (int64_t)gsl_rng_uniform_int(rng, range);
        if (gsl_rng_uniform_int(rng, 4) == 0) /* half the events of a run change the first */
            source = winner_tree_first(tree, &a);
        winner_tree_set(tree, source, time);
        binary_heap_set(heap, source, time);
        times[source] = time;
        uint32_t first = 0;
        for (uint32_t j = 1; j < sources; j++)
            if (times[j] < times[first])
                first = j;
        uint32_t of_tree = winner_tree_first(tree, &a), of_heap = binary_heap_first(heap, &b);
        assert_int_equal(a, times[first]);
        assert_int_equal(b, times[first]);
        if (times[first] != INT64_MAX) {
            assert_int_equal(of_tree, first);
            assert_int_equal(of_heap, first);
        }
        assert_int_equal(winner_tree_get(tree, source), time);
        assert_int_equal(binary_heap_get(heap, source), time);
    }
    gsl_rng_free(rng);
    free(times);
    winner_tree_destroy(tree);
    binary_heap_destroy(heap);
}

static void tree_and_heap_agree(void **state) {
    (void)state;
    for (uint32_t sources = 1; sources <= 70; sources++) {
        agree(sources, 1000, 5);
        agree(sources, 1000, 1000000);
    }
    agree(4095, 500, 50);
    agree(4096, 500, 50);
    agree(4097, 500, 50);
}

static void all_tied(void **state) {
    (void)state;
    for (uint32_t sources = 1; sources < 40; sources++) {
        struct winner_tree *tree = winner_tree_create(sources);
        int64_t time;
        winner_tree_first(tree, &time);
        assert_int_equal(time, INT64_MAX);
        for (uint32_t i = sources; i-- > 0;)
            winner_tree_set(tree, i, 7);
        for (uint32_t i = 0; i < sources; i++) {
            assert_int_equal(winner_tree_first(tree, &time), i);
            assert_int_equal(time, 7);
            winner_tree_set(tree, i, INT64_MAX);
        }
        winner_tree_first(tree, &time);
        assert_int_equal(time, INT64_MAX);
        winner_tree_destroy(tree);
    }
}

enum { ACTORS = 37 };

/* Sources that change each other's minds at random, on either queue. */
struct world {
    struct engine *engine;
    gsl_rng *rng;
    uint32_t order[4000];
    sim_time at[4000];
    unsigned fired;
    uint32_t current;
    struct actor {
        struct world *world;
        uint32_t id;
    } actors[ACTORS];
};

static void act(void *self, sim_time now) {
    struct actor *actor = self;
    struct world *world = actor->world;
    assert_int_equal(engine_now(world->engine), now);
    assert_true(engine_next(world->engine, actor->id) == SIM_NEVER);
    if (world->fired == 4000) {
        engine_stop(world->engine);
        return;
    }
    world->order[world->fired] = actor->id;
    world->at[world->fired++] = now;
    for (int i = 0; i < 2; i++) {
        uint32_t other = (uint32_t)gsl_rng_uniform_int(world->rng, ACTORS);
        engine_set(world->engine, other, now + (sim_time)gsl_rng_uniform_int(world->rng, 6));
    }
    if (gsl_rng_uniform_int(world->rng, 3) == 0)
        engine_set(world->engine, (uint32_t)gsl_rng_uniform_int(world->rng, ACTORS), SIM_NEVER);
    if (gsl_rng_uniform_int(world->rng, 2) == 0)
        engine_set(world->engine, actor->id, now);
}

static void play(struct world *world, enum engine_queue queue) {
    world->engine = engine_create(queue);
    world->rng = stream(99);
    world->fired = 0;
    for (uint32_t i = 0; i < ACTORS; i++) {
        world->actors[i] = (struct actor){world, engine_add(world->engine, act, &world->actors[i])};
        assert_int_equal(world->actors[i].id, i);
        engine_set(world->engine, i, (sim_time)(i % 5)); /* between additions: growing keeps the times */
    }
    engine_run(world->engine, SIM_NEVER);
    gsl_rng_free(world->rng);
}

static void engines_agree_event_for_event(void **state) {
    (void)state;
    struct world *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    play(a, ENGINE_WINNER_TREE);
    play(b, ENGINE_BINARY_HEAP);
    assert_int_equal(a->fired, 4000);
    assert_int_equal(b->fired, 4000);
    assert_memory_equal(a->order, b->order, sizeof a->order);
    assert_memory_equal(a->at, b->at, sizeof a->at);
    assert_true(engine_order_hash(a->engine) == engine_order_hash(b->engine));
    assert_int_equal(engine_events(a->engine), engine_events(b->engine));
    for (unsigned i = 1; i < a->fired; i++)
        assert_true(a->at[i - 1] <= a->at[i]);
    engine_destroy(a->engine);
    engine_destroy(b->engine);
    free(a);
    free(b);
}

struct ticker {
    struct engine *engine;
    uint32_t id;
    unsigned ticks;
};

static void tick(void *self, sim_time now) {
    struct ticker *ticker = self;
    ticker->ticks++;
    if (ticker->ticks < 10)
        engine_set(ticker->engine, ticker->id, now + 100);
}

static void runs_until_and_goes_on(void **state) {
    (void)state;
    for (int queue = ENGINE_WINNER_TREE; queue <= ENGINE_BINARY_HEAP; queue++) {
        struct ticker ticker = {engine_create((enum engine_queue)queue), 0, 0};
        assert_int_equal(engine_run(ticker.engine, SIM_NEVER), 0); /* without sources */
        ticker.id = engine_add(ticker.engine, tick, &ticker);
        assert_int_equal(engine_run(ticker.engine, SIM_NEVER), 0); /* nobody waits */
        engine_set(ticker.engine, ticker.id, 50);
        assert_int_equal(engine_run(ticker.engine, 49), 0);
        assert_int_equal(engine_run(ticker.engine, 250), 3); /* 50, 150 and 250 */
        assert_int_equal(engine_now(ticker.engine), 250);
        assert_int_equal(engine_next(ticker.engine, ticker.id), 350);
        assert_int_equal(engine_run(ticker.engine, SIM_NEVER), 7);
        assert_int_equal(engine_now(ticker.engine), 950);
        assert_int_equal(engine_events(ticker.engine), 10);
        assert_true(engine_next(ticker.engine, ticker.id) == SIM_NEVER);
        engine_destroy(ticker.engine);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_and_heap_agree),
        cmocka_unit_test(all_tied),
        cmocka_unit_test(engines_agree_event_for_event),
        cmocka_unit_test(runs_until_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
