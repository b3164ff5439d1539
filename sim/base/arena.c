#include "sim/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim/base/error.h"

struct piece {
    struct piece *before;
    size_t used, size;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct piece *last;
};

enum { PIECE_BYTES = 64 * 1024 };

static void *must_have(void *memory) {
    if (memory)
        return memory;
    fprintf(stderr, "tiersim: out of memory\n  hint: a smaller scenario, fewer variants at once (-j 1), or a machine "
                    "with more memory\n");
    exit(EXIT_RUN_FAILED);
}

struct arena *arena_create(void) {
    return must_have(calloc(1, sizeof(struct arena)));
}

void arena_destroy(struct arena *arena) {
    if (!arena)
        return;
    for (struct piece *piece = arena->last; piece;) {
        struct piece *before = piece->before;
        free(piece);
        piece = before;
    }
    free(arena);
}

void *arena_alloc(struct arena *arena, size_t size_bytes) {
    size_t aligned = (size_bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    MUST(aligned >= size_bytes && aligned <= SIZE_MAX / 2);
    struct piece *piece = arena->last;
    if (!piece || piece->size - piece->used < aligned) {
        size_t size = aligned > PIECE_BYTES ? aligned : PIECE_BYTES;
        piece = must_have(calloc(1, sizeof *piece + size));
        piece->size = size;
        piece->before = arena->last;
        arena->last = piece;
    }
    void *memory = piece->bytes + piece->used;
    piece->used += aligned;
    return memory;
}

char *arena_strdup(struct arena *arena, const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size), text, size);
}

char *arena_printf(struct arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    MUST(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

static _Thread_local size_t lazy_held;

size_t lazy_held_bytes(void) {
    return lazy_held;
}

void *lazy_alloc(size_t count, size_t size_bytes) {
    MUST(size_bytes == 0 || count <= SIZE_MAX / 2 / size_bytes);
    size_t bytes = count > 0 && size_bytes > 0 ? count * size_bytes : 1;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    lazy_held += bytes;
    return must_have(memory == MAP_FAILED ? NULL : memory);
}

void lazy_free(void *memory, size_t count, size_t size_bytes) {
    if (!memory)
        return;
    size_t bytes = count > 0 && size_bytes > 0 ? count * size_bytes : 1;
    lazy_held -= bytes;
    MUST(munmap(memory, bytes) == 0);
}
