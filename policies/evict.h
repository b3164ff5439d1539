/* Eviction: which block leaves a full tier.
 *
 * A tier is an array of slots; a policy keeps its own arrays by slot (lazily reserved: see evict_context.capacity)
 * and reads what it may know of a block from `blocks[slot]`, valid from insert to remove. The tier calls the
 * hooks below; each says when it runs and what it must do. All hooks run on one thread. `now` is ns of
 * simulated time (in `tiersim cache`: of the trace's timestamps). */
#ifndef POLICIES_EVICT_H
#define POLICIES_EVICT_H

#include <stdbool.h>

#include "policies/registry.h"

#define EVICT_NONE UINT32_MAX
#define EVICT_NEVER INT64_MAX

/* What is known of a resident block. Fields that a policy did not declare to need hold their neutral value. */
struct block_info {
    uint64_t id;        /* identity: equal id, equal prefix */
    int64_t next_use;   /* NEED_FUTURE: when it is next asked for; INT64_MAX never. Else INT64_MAX. Set again at each touch. */
    int64_t duration_ns;/* NEED_TIME: how long `priority` holds (TensorRT-LLM); 0: for ever */
    uint32_t parent;    /* NEED_TREE: slot of the block before it in the prefix if resident here, else EVICT_NONE */
    uint32_t children;  /* NEED_TREE: resident blocks whose parent this is */
    uint32_t refs;      /* live requests or transfers that hold it; > 0: it may not be the victim */
    uint32_t depth;     /* NEED_TREE: blocks before it in its prefix */
    uint32_t tokens;    /* NEED_LENGTH (flat: size): else 1 */
    uint32_t tenant;
    uint8_t category;   /* NEED_CATEGORY: enum category of the workload; else 0 */
    uint8_t priority;   /* 0..100, 35 unless the request says otherwise */
    uint8_t in_flight;  /* arriving or leaving: it may not be the victim */
    uint8_t state;      /* the tier's own */
    uint32_t unused;    /* makes a block one cache line */
};

struct evict_context {
    const struct block_info *blocks; /* by slot */
    uint32_t capacity;               /* slots in the tier */
    bool prefix;                     /* semantics: prefix, or flat */
    uint64_t seed;
    const void *options;             /* the policy's own struct, filled by its option table; NULL without one */
};

struct evict_policy {
    struct policy policy; /* Required. First. */
    unsigned lifts;       /* Required. enum policy_lift; the first set bit is the one used under prefix semantics */

    /* Required. Makes the state for one tier. Never fails; allocate with lazy_alloc (sim/base/arena.h). */
    void *(*create)(const struct evict_context *context);
    void (*destroy)(void *self);

    /* Required. The block has just become resident in `slot` (it may be held: refs > 0). */
    void (*insert)(void *self, uint32_t slot, int64_t now);
    /* Required. It was asked for and found. Runs once a look-up that uses it, before hold. */
    void (*touch)(void *self, uint32_t slot, int64_t now);
    /* Optional. refs went from 0 to 1: it cannot be a victim until release. */
    void (*hold)(void *self, uint32_t slot, int64_t now);
    /* Optional. refs went from 1 to 0. A request lets its blocks go tail first. */
    void (*release)(void *self, uint32_t slot, int64_t now);
    /* Optional. A transfer begins (true) or ends (false) to use it. */
    void (*in_flight)(void *self, uint32_t slot, bool begins, int64_t now);
    /* Optional. The clock has reached the time this hook returned last (first call: at creation); returns the next
     * time it wants, EVICT_NEVER for none. Asked again after each insert/touch/release. */
    int64_t (*timer)(void *self, int64_t now);
    /* Required. The slot to evict: resident, refs 0, not in flight; under LIFT_LEAF children 0. EVICT_NONE when no block
     * qualifies. Must not change state that remove has not confirmed, except lazily (a hand may advance). */
    uint32_t (*victim)(void *self, int64_t now);
    /* Required. The block in `slot` is going: evicted (the victim, or a descendant under cascade) or deleted from outside.
     * blocks[slot] can still be read, and its parent's children no longer counts it. */
    void (*remove)(void *self, uint32_t slot, bool evicted, int64_t now);
    /* Optional. A look-up of `id` missed (ghost lists). Runs before the insert that may follow. */
    void (*miss)(void *self, uint64_t id, int64_t now);
};

#endif
