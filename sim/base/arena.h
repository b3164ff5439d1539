/* Memory that is given back all at once: whatever is read at load lives in one arena.
 * Never fails to the caller: out of memory ends the program with a message and exit code 1. */
#ifndef SIM_BASE_ARENA_H
#define SIM_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena *arena);
/* `size_bytes` zeroed bytes, aligned for any type, living until arena_destroy. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A zeroed array of count x size bytes whose pages are taken from the system only when they are touched,
 * so that a tier can be sized for what it may hold and cost what it does hold. Stable address. */
void *lazy_alloc(size_t count, size_t size_bytes);
void lazy_free(void *memory, size_t count, size_t size_bytes);
/* Bytes that this thread has reserved so and not given back (less what it gave back for others). */
size_t lazy_held_bytes(void);

#endif
