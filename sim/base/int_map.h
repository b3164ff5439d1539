/* A map from 64-bit keys to 32-bit values: open addressing, linear probing, deletion by shifting back. */
#ifndef SIM_BASE_INT_MAP_H
#define SIM_BASE_INT_MAP_H

#include <stdint.h>

#define INT_MAP_NONE UINT32_MAX /* never a value */

struct int_map;
struct int_map *int_map_create(void);
void int_map_destroy(struct int_map *map);
/* Sets key -> value (value < INT_MAP_NONE); replaces. */
void int_map_put(struct int_map *map, uint64_t key, uint32_t value);
/* INT_MAP_NONE: not there. */
uint32_t int_map_get(const struct int_map *map, uint64_t key);
/* Has the line fetched that a call with this key will touch: some keys ahead of the one at work. */
void int_map_ahead(const struct int_map *map, uint64_t key);
/* Returns what was there, INT_MAP_NONE for nothing. */
uint32_t int_map_delete(struct int_map *map, uint64_t key);
uint64_t int_map_count(const struct int_map *map);

#endif
