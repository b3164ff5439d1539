/* Time and order.
 *
 * Everything that can happen next is a *source*: an instance's batch, the flow network, a device queue, the
 * arrivals, the timers. A source has one next time; changing its mind is changing that time. Nothing is
 * cancelled and no event is allocated. The engine fires the source with the smallest (time, source id);
 * a source that holds several things of one time orders them by its own sequence. So the order is total,
 * and the same on every machine. Its hash is kept (engine_order_hash) and guarded by a golden test.
 *
 * The queue is a winner tree over the sources (queue.h); a plain binary heap behind the same interface is
 * the reference that it is tested against. */
#ifndef SIM_ENGINE_ENGINE_H
#define SIM_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t sim_time; /* ns since the start of the run */
#define SIM_NEVER INT64_MAX
#define SIM_SECOND INT64_C(1000000000)

/* Called when the clock reaches the source's time. Before the call the source's time is SIM_NEVER: the hook sets
 * the next one with engine_set (a time >= now), of itself or of any other source. */
typedef void (*source_fire)(void *self, sim_time now);

struct engine;
enum engine_queue { ENGINE_WINNER_TREE, ENGINE_BINARY_HEAP };

struct engine *engine_create(enum engine_queue queue);
void engine_destroy(struct engine *engine);
/* Adds a source that will never fire until engine_set. Ids count up from 0: the order of registration is the order
 * of ties. Not during engine_run. */
uint32_t engine_add(struct engine *engine, source_fire fire, void *self);
/* Sets when `source` fires next; SIM_NEVER: not. `at` before now is a defect. */
void engine_set(struct engine *engine, uint32_t source, sim_time at);
sim_time engine_next(const struct engine *engine, uint32_t source);
sim_time engine_now(const struct engine *engine);
/* Fires sources in order until none is left or the next would be after `until`. Returns the number fired. */
uint64_t engine_run(struct engine *engine, sim_time until);
/* Ends engine_run after the hook that calls it. */
void engine_stop(struct engine *engine);
uint64_t engine_events(const struct engine *engine);
/* Hash over (time, source) of everything fired so far. */
uint64_t engine_order_hash(const struct engine *engine);

#endif
