/* Is the order, and is every random number, the same on every machine? Golden values guard both: a change here
 * changes every result anybody has published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <Random123/philox.h>
#include <gsl/gsl_rng.h>

#include "sim/engine/engine.h"
#include "sim/engine/random.h"

enum { SOURCES = 100 };
#define GOLDEN UINT64_C(0xf588463b34f83) /* also what a program in another language gets */

struct clockwork {
    struct engine *engine;
    gsl_rng *rng;
    struct wheel {
        struct clockwork *clockwork;
        uint32_t id, turns;
    } wheels[SOURCES];
};

static void turn(void *self, sim_time now) {
    struct wheel *wheel = self;
    struct clockwork *c = wheel->clockwork;
    random_seek(c->rng, 42, RANDOM_TEST, (uint64_t)wheel->id << 32 | wheel->turns);
    if (wheel->turns++ < 100)
        engine_set(c->engine, wheel->id, now + (sim_time)gsl_rng_uniform_int(c->rng, 50));
}

static uint64_t order(enum engine_queue queue) {
    struct clockwork c = {engine_create(queue), gsl_rng_alloc(random_philox), {{0}}};
    for (uint32_t i = 0; i < SOURCES; i++) {
        c.wheels[i] = (struct wheel){&c, engine_add(c.engine, turn, &c.wheels[i]), 0};
        engine_set(c.engine, i, 0);
    }
    assert_int_equal(engine_run(c.engine, SIM_NEVER), SOURCES * 101);
    uint64_t hash = engine_order_hash(c.engine);
    gsl_rng_free(c.rng);
    engine_destroy(c.engine);
    return hash;
}

static void order_hash_is_golden(void **state) {
    (void)state;
    assert_true(order(ENGINE_WINNER_TREE) == GOLDEN);
    assert_true(order(ENGINE_BINARY_HEAP) == GOLDEN);
}

/* philox4x32-10 of Random123's known-answer vectors (kat_vectors; Salmon et al., SC'11). */
static void known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        philox4x32_ctr_t counter;
        philox4x32_key_t key = {{vectors[i].key[0], vectors[i].key[1]}};
        for (int j = 0; j < 4; j++)
            counter.v[j] = vectors[i].counter[j];
        counter = philox4x32(counter, key);
        for (int j = 0; j < 4; j++)
            assert_int_equal(counter.v[j], vectors[i].answer[j]);
    }
    gsl_rng *rng = gsl_rng_alloc(random_philox); /* never seeded: the first vector */
    for (int j = 0; j < 4; j++)
        assert_int_equal(gsl_rng_get(rng), vectors[0].answer[j]);
    gsl_rng_free(rng);
}

/* A stream is what random.h says: numbers of (key, counter), whoever else was drawn from in between. */
static void a_stream_is_its_counter(void **state) {
    (void)state;
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    uint64_t seed = UINT64_C(0x0123456789abcdef), entity = UINT64_C(0xfedcba9876543210);
    random_seek(rng, seed + 1, RANDOM_ARRIVAL, 5);
    gsl_rng_get(rng);
    random_seek(rng, seed, RANDOM_THINK, entity);
    for (uint32_t i = 0; i < 64; i++) {
        philox4x32_ctr_t counter = {{0x76543210, 0xfedcba98, i / 4, (uint32_t)RANDOM_THINK << 16}};
        philox4x32_key_t key = {{0x89abcdef, 0x01234567}};
        assert_int_equal(gsl_rng_get(rng), philox4x32(counter, key).v[i % 4]);
    }
    /* A copy goes on by itself. */
    gsl_rng *copy = gsl_rng_clone(rng);
    unsigned long next = gsl_rng_get(rng);
    gsl_rng_get(rng);
    assert_int_equal(gsl_rng_get(copy), next);
    gsl_rng_free(copy);
    gsl_rng_free(rng);
}

static void a_double_has_53_bits(void **state) {
    (void)state;
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    for (uint64_t entity = 0; entity < 100; entity++) {
        random_seek(rng, 9, RANDOM_TEST, entity);
        uint64_t high = gsl_rng_get(rng), low = gsl_rng_get(rng);
        random_seek(rng, 9, RANDOM_TEST, entity);
        double value = gsl_rng_uniform(rng);
        assert_true(value == (double)((high >> 5) << 26 | low >> 6) * 0x1p-53);
        assert_true(value >= 0 && value < 1);
    }
    gsl_rng_free(rng);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_hash_is_golden),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(a_stream_is_its_counter),
        cmocka_unit_test(a_double_has_53_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
