/* The next source: two queues with one contract. `keys` are times by source; the smallest (time, id) wins.
 * winner tree: what the engine uses. binary heap: the obvious reference, for tests and the benchmark. */
#ifndef SIM_ENGINE_QUEUE_H
#define SIM_ENGINE_QUEUE_H

#include <stdint.h>

struct winner_tree;
struct winner_tree *winner_tree_create(uint32_t sources); /* all at INT64_MAX */
void winner_tree_destroy(struct winner_tree *tree);
void winner_tree_set(struct winner_tree *tree, uint32_t source, int64_t time);
int64_t winner_tree_get(const struct winner_tree *tree, uint32_t source);
/* The winner, with its time in *time (INT64_MAX: nobody is waiting). */
uint32_t winner_tree_first(const struct winner_tree *tree, int64_t *time);

/* A plain heap of (time, source, stamp) entries: set pushes, entries of an old stamp are dropped when they
 * come up. */
struct binary_heap;
struct binary_heap *binary_heap_create(uint32_t sources);
void binary_heap_destroy(struct binary_heap *heap);
void binary_heap_set(struct binary_heap *heap, uint32_t source, int64_t time);
int64_t binary_heap_get(const struct binary_heap *heap, uint32_t source);
uint32_t binary_heap_first(struct binary_heap *heap, int64_t *time);

#endif
