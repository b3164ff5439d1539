#include "policies/evict/sketch.h"

#include "sim/base/arena.h"

void sketch_create(struct sketch *s, uint64_t width, uint32_t rows, bool conservative) {
    width = width ? width : 1;
    *s = (struct sketch){
        .counters = lazy_alloc(rows * width, 1), .width = width, .rows = rows, .conservative = conservative};
}

void sketch_destroy(struct sketch *s) {
    lazy_free(s->counters, s->rows * s->width, 1);
}

/* Finaliser of MurmurHash3 (public domain). */
static uint64_t mix(uint64_t key) {
    key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
    key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

/* The counter of a row: the hash's halves, combined as Kirsch and Mitzenmacher do, scaled to the width. */
static inline uint8_t *counter(const struct sketch *s, uint64_t hash, uint32_t row) {
    uint64_t spread = (uint32_t)((uint32_t)hash + row * ((uint32_t)(hash >> 32) | 1));
    return &s->counters[row * s->width + (spread * s->width >> 32)];
}

uint32_t sketch_count(const struct sketch *s, uint64_t id) {
    uint64_t hash = mix(id);
    uint32_t least = SKETCH_MOST;
    for (uint32_t row = 0; row < s->rows; row++) {
        uint32_t count = *counter(s, hash, row);
        least = count < least ? count : least;
    }
    return least;
}

void sketch_add(struct sketch *s, uint64_t id) {
    uint64_t hash = mix(id);
    uint32_t below = s->conservative ? sketch_count(s, id) + 1 : SKETCH_MOST;
    for (uint32_t row = 0; row < s->rows; row++) {
        uint8_t *here = counter(s, hash, row);
        if (*here < below && *here < SKETCH_MOST)
            ++*here;
    }
}

void sketch_halve(struct sketch *s) {
    for (uint64_t i = 0; i < s->rows * s->width; i++)
        s->counters[i] >>= 1;
}
