/* Eviction: which block leaves a full tier.
 *
 * A tier is an array of slots; a policy keeps its own arrays by slot (lazily reserved, evict_context.slots long) and
 * reads what it may know of a block from `blocks[slot]` and `facts[slot]`, valid from insert to remove. The tier calls
 * the hooks below; each says when it runs and what it must do. All hooks of one tier run on one thread. `now` is ns of
 * simulated time (in `tiersim cache`: of the trace's timestamps, later by 1 ns an access where those are equal).
 *
 * docs/policy-contract.md walks every policy we know of through these hooks. */
#ifndef POLICIES_EVICT_H
#define POLICIES_EVICT_H

#include <stdbool.h>

#include "policies/registry.h"

#define EVICT_NONE UINT32_MAX
#define EVICT_NEVER INT64_MAX
enum { PRIORITY_DEFAULT = 35 }; /* of a block whose request says nothing (TensorRT-LLM) */

/* What is always known of a block: four to a cache line, since most policies look at no more. */
struct block_info {
    uint64_t id;       /* identity: equal id, equal prefix */
    uint32_t refs;     /* live requests or transfers that hold it; > 0: it may not be the victim */
    uint8_t category;  /* NEED_CATEGORY: enum category of the workload; else 0 */
    uint8_t priority;  /* 0..100, 35 unless the request says otherwise; set again at each touch that says so */
    uint8_t in_flight; /* arriving or leaving: it may not be the victim */
    uint8_t state;     /* the tier's own */
};
_Static_assert(sizeof(struct block_info) == 16, "four blocks are one cache line");

/* What is known of it to a policy that declares to need it (NEED_FACTS); a field not declared holds its neutral value.
 */
struct block_facts {
    uint64_t owner;      /* NEED_SESSION: session (agent) that asked for it last, set again at each touch; else 0 */
    int64_t next_use;    /* NEED_FUTURE: when it is next asked for, set again at each touch; INT64_MAX: never */
    int64_t duration_ns; /* NEED_TIME: how long `priority` holds, or a lease lasts; 0: for ever */
    uint32_t parent;     /* NEED_TREE: slot of the block before it in the prefix if that is here, else EVICT_NONE */
    uint32_t children;   /* NEED_TREE: resident blocks whose parent this is */
    uint32_t depth;      /* NEED_TREE or NEED_LENGTH: blocks before it in its prefix; else 0 */
    uint32_t tokens;     /* NEED_LENGTH: tokens (flat semantics: the object's size); else 1 */
    uint32_t tenant;     /* NEED_SESSION: whose session; else 0 */
    uint32_t group;      /* NEED_GROUP: blocks of one group are to leave together (surplus); 0: alone */
};
enum { NEED_FACTS = NEED_SESSION | NEED_FUTURE | NEED_TIME | NEED_TREE | NEED_LENGTH | NEED_GROUP };

/* NEED_COST: what losing a block costs, predicted. Seconds to compute `tokens` tokens after `from` others; seconds to
 * fetch `blocks` blocks back from where this tier's victims go (HUGE_VAL: nowhere, they are lost). */
struct evict_costs {
    double (*compute_s)(const void *world, uint64_t from, uint32_t tokens);
    double (*fetch_s)(const void *world, uint32_t blocks);
    uint64_t block_bytes;
    const void *world;
};

struct evict_context {
    const struct block_info *blocks; /* by slot */
    const struct block_facts *facts; /* by slot; NULL unless the policy declares a need of NEED_FACTS */
    uint32_t slots;                  /* slots there are: the length of a policy's arrays */
    uint32_t capacity;               /* blocks the tier holds: what segments and ghost lists are shares of; <= slots */
    uint64_t capacity_bytes;         /* 0: the tier counts blocks. Else it counts bytes, a block's are its `tokens` */
    bool prefix;                     /* semantics: prefix, or flat */
    uint64_t seed;                   /* NEED_RANDOM: of this tier alone */
    const struct evict_costs *costs; /* NEED_COST, else NULL */
    const void *options;             /* the policy's own struct, filled by its option table; NULL without one */
};

/* What becomes known of sessions while they are not asking for anything (NEED_SESSION, NEED_QUEUE, NEED_AGENT_GRAPH).
 */
enum session_event {
    SESSION_QUEUED,  /* NEED_QUEUE: a request waits at `position` of the queue and will ask for ids[0..count) */
    SESSION_STARTED, /* its request is in the batch */
    SESSION_TOOL,    /* its request has ended in a call of tool `tool`; it will come back */
    SESSION_TURN,    /* its request has ended and the user is to move */
    SESSION_ENDED,   /* it will not come back */
    SESSION_STEPS    /* NEED_AGENT_GRAPH: this agent runs after `position` more steps */
};
struct session_note {
    enum session_event event;
    uint32_t tool, position;
    uint64_t session;
    uint64_t context_tokens; /* prompt and output so far */
    double returns;          /* predicted probability that it comes back, -1: nobody says */
    const uint64_t *ids;
    uint32_t count;
};

struct evict_policy {
    struct policy policy; /* Required. First. */
    unsigned lifts;       /* Required. enum policy_lift; the first set bit is the one used under prefix semantics */

    /* Required. Makes the state for one tier. Never fails; allocate with lazy_alloc (sim/base/arena.h). */
    void *(*create)(const struct evict_context *context);
    /* Required. */
    void (*destroy)(void *self);

    /* Required. The block has just become resident in `slot` (it may be held: refs > 0). Its parent's children count
     * it. */
    void (*insert)(void *self, uint32_t slot, int64_t now);
    /* Required. It was asked for and found, or asked for behind a gap and refilled. Runs once a look-up that uses it;
     * the look-up may hold it by then. */
    void (*touch)(void *self, uint32_t slot, int64_t now);
    /* Optional. refs went from 0 to 1: it cannot be a victim until release. */
    void (*hold)(void *self, uint32_t slot, int64_t now);
    /* Optional. refs went from 1 to 0. A request lets its blocks go tail first. */
    void (*release)(void *self, uint32_t slot, int64_t now);
    /* Optional. A transfer begins (true) or ends (false) to read it; it is held meanwhile. */
    void (*in_flight)(void *self, uint32_t slot, bool begins, int64_t now);
    /* Optional. The clock has reached the time this hook returned last (first call: at creation); returns the next
     * time it wants, EVICT_NEVER for none. Asked again after hooks that may change it (insert, touch, release, victim).
     */
    int64_t (*timer)(void *self, int64_t now);
    /* Required. The slot to evict: resident, refs 0, not in flight; under LIFT_LEAF children 0. EVICT_NONE when no
     * block qualifies. Changes nothing that remove has not confirmed, except lazily (a hand may advance, a block may
     * change queues). */
    uint32_t (*victim)(void *self, int64_t now);
    /* Required. The block in `slot` is going: evicted (the victim, or a descendant under cascade) or deleted from
     * outside. blocks[slot] and facts[slot] can still be read, its parent's children no longer counts it, and its own
     * children have no parent. */
    void (*remove)(void *self, uint32_t slot, bool evicted, int64_t now);
    /* Optional. A look-up of `id` missed (ghost lists). Runs before room is made for it: the next victim is sought for
     * the ids last missed. */
    void (*miss)(void *self, uint64_t id, int64_t now);
    /* Optional. Blocks to evict beyond what room is needed: down from a watermark, the rest of a victim's group, what
     * has expired. Asked after blocks came, after victims went and after the timer, until it says 0 or victim says
     * EVICT_NONE. */
    uint32_t (*surplus)(void *self, int64_t now);
    /* Optional. `slot` may be asked for in a moment (and may be gone by then): a good time to fetch its lines. Must
     * change nothing. */
    void (*ahead)(const void *self, uint32_t slot);
    /* Optional. News of a session. */
    void (*note)(void *self, const struct session_note *note, int64_t now);
};

#endif
