/* Miss-ratio curves: what replay_run would give at every size of a list, from one pass over the trace, exactly.
 *
 * A stack algorithm's cache of C blocks is part of its cache of C + 1, so each access has one smallest size at which it
 * hits. Such are here (what "by rank" and "by levels" are, and why they are exact, stands in the files):
 *
 * lru          flat, prefix; flat in bytes too, where an object keeps its size and fits        curve_rank.c, by rank
 * lfu-perfect  flat, prefix                                                                   curve_rank.c, by rank
 * belady       flat (the optimum), prefix (the clairvoyant leaf)                                curve_opt.c, by levels
 *
 * Under prefix semantics a request hits as far as all its blocks so far are there: at the largest of their sizes. */
#ifndef SIM_MEMORY_CURVE_H
#define SIM_MEMORY_CURVE_H

#include "sim/memory/replay.h"

/* Whether curve_run gives what replays so set up would (capacity_bytes > 0: sizes in bytes, all of them at least
 * `smallest`). If not, *why says what stands against it. */
bool curve_is_exact(const struct replay_setup *setup, uint64_t smallest, const char **why);

/* What replay_run gives at each of `sizes` (ascending, each once), but for `late` and `computed_s`. setup's capacity
 * counts for nothing but its unit. MUST be one that curve_is_exact accepts. O(n log n), by levels O(n count) at worst.
 */
void curve_run(const struct replay_setup *setup, const uint64_t *sizes, size_t count, struct replay_result *out);

#endif
