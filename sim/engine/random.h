/* Counter-based random streams behind GSL's interface: number i of stream (seed, stream, entity) is
 * Philox4x32-10 of (key = seed, counter = entity, stream and i), from Debian's Random123, so no two streams overlap.
 * Paired runs that use the same streams share their random numbers, and an entity costs no state while it sleeps.
 * gsl_rng_get gives 32 bits; gsl_rng_uniform takes two numbers of the stream and gives 53 bits in [0, 1). */
#ifndef SIM_ENGINE_RANDOM_H
#define SIM_ENGINE_RANDOM_H

#include <gsl/gsl_rng.h>
#include <stdint.h>

/* What a stream is for. Add at the end: the numbers are part of every result. */
enum random_stream {
    RANDOM_ARRIVAL,
    RANDOM_LENGTH,
    RANDOM_THINK,
    RANDOM_SESSION,
    RANDOM_ROUTE,
    RANDOM_POLICY,
    RANDOM_DRAW,
    RANDOM_TEST,
    RANDOM_FAULT
};

/* The generator's type, for gsl_rng_alloc; unset streams are (seed 0, stream 0, entity 0). */
extern const gsl_rng_type *const random_philox;

/* Points an allocated random_philox generator at the start of a stream. No allocation: one gsl_rng serves any
 * number of entities. */
void random_seek(gsl_rng *rng, uint64_t seed, enum random_stream stream, uint64_t entity);

#endif
