/* Admission: whether a block that is offered to a tier is written there at all. Stands in front of the tier's eviction
 * policy: a block that is refused costs no write, no wear and no victim. */
#ifndef POLICIES_ADMIT_H
#define POLICIES_ADMIT_H

#include <stdbool.h>

#include "policies/registry.h"

/* What makes blocks be offered. */
enum admit_cause {
    ADMIT_FILL,
    ADMIT_COMPLETION,
    ADMIT_EVICTION,
    ADMIT_MISS /* `tiersim cache`: asked for and not there */
};

struct admit_block {
    uint64_t id;
    uint64_t bytes;  /* as this tier would store it */
    uint32_t hits;   /* NEED_HITS: look-ups that found it in the tier it comes from, since it came there; else 0 */
    uint32_t depth;  /* NEED_LENGTH: blocks before it in its prefix; else 0 */
    uint32_t tokens; /* NEED_LENGTH; else 1 */
    uint32_t tenant;
    uint8_t category; /* NEED_CATEGORY; else 0 */
    uint8_t priority; /* 0..100 */
};
struct admit_view {
    enum admit_cause cause;
    uint32_t count;
    const struct admit_block *blocks; /* in prompt order */
    uint64_t capacity, free;          /* of the tier, blocks */
    uint64_t queued_bytes;            /* writes ahead of it on the slowest link of the path */
};
struct admit_context {
    uint64_t capacity; /* of the tier, blocks */
    uint64_t seed;     /* NEED_RANDOM */
    const void *options;
};

struct admit_policy {
    struct policy policy; /* Required. First. */
    /* Optional, both or neither: state for one tier. Without it self is the options. Never fails; lazy_alloc. */
    void *(*create)(const struct admit_context *context);
    void (*destroy)(void *self);
    /* Optional. A look-up asked the tier for these ids (found or not), before blocks of that request are offered. */
    void (*seen)(void *self, const uint64_t *ids, uint32_t count, int64_t now);
    /* Optional. A look-up found this block in the tier. */
    void (*hit)(void *self, uint64_t id, int64_t now);
    /* Optional. The tier has evicted this block. */
    void (*evicted)(void *self, uint64_t id, int64_t now);
    /* Optional. As in policies/evict.h: decay and leases. */
    int64_t (*timer)(void *self, int64_t now);
    /* Required. Sets admit[i] for each offered block. A block whose predecessor is refused can still be admitted. */
    void (*decide)(void *self, const struct admit_view *view, bool *admit, int64_t now);
};

#endif
