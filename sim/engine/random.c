/* Philox4x32-10 from Random123 as a gsl_rng_type.
 *
 * key = seed; counter = {entity low, entity high, block low, stream << 16 | block high}: distinct (seed, stream,
 * entity, block) give distinct inputs, so streams never overlap. A block is four 32-bit numbers, a stream has 2^50. */
#include "sim/engine/random.h"

#include <Random123/philox.h>

#include "sim/base/error.h"

enum { WORDS = 4 };

struct state {
    philox4x32_key_t key;
    philox4x32_ctr_t counter; /* of the next block */
    philox4x32_ctr_t block;
    unsigned used; /* words of `block` that were handed out; WORDS: none left */
};

static void point(struct state *state, uint64_t seed, uint32_t stream, uint64_t entity) {
    MUST(stream <= UINT16_MAX);
    state->key.v[0] = (uint32_t)seed;
    state->key.v[1] = (uint32_t)(seed >> 32);
    state->counter.v[0] = (uint32_t)entity;
    state->counter.v[1] = (uint32_t)(entity >> 32);
    state->counter.v[2] = 0;
    state->counter.v[3] = stream << 16;
    state->used = WORDS;
}

static inline uint32_t next(struct state *state) {
    if (state->used == WORDS) {
        state->block = philox4x32(state->counter, state->key);
        if (++state->counter.v[2] == 0)
            state->counter.v[3]++;
        state->used = 0;
    }
    return state->block.v[state->used++];
}

static void philox_set(void *state, unsigned long seed) {
    point(state, seed, 0, 0);
}

static unsigned long philox_get(void *state) {
    return next(state);
}

/* Uniform in [0, 1) with 53 bits, of two numbers of the stream: 32 would quantise the tail of an exponential. */
static double philox_get_double(void *state) {
    uint64_t high = next(state) >> 5, low = next(state) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

static const gsl_rng_type philox_type = {
    .name = "philox4x32-10",
    .max = UINT32_MAX,
    .min = 0,
    .size = sizeof(struct state),
    .set = philox_set,
    .get = philox_get,
    .get_double = philox_get_double,
};

const gsl_rng_type *const random_philox = &philox_type;

void random_seek(gsl_rng *rng, uint64_t seed, enum random_stream stream, uint64_t entity) {
    MUST(rng->type == random_philox);
    point(rng->state, seed, stream, entity);
}
