/* A live request: from its arrival at an instance to its last token. Live requests are kept in a pool, so memory
 * follows what is live; each carries its accounts from the start, so its critical path sums to its E2E exactly. */
#ifndef SIM_SERVE_REQUEST_H
#define SIM_SERVE_REQUEST_H

#include "policies/reuse.h"
#include "sim/base/record.h"
#include "sim/memory/hierarchy.h"
#include "sim/workload/workload.h"

#define REQUEST_NONE UINT32_MAX

enum phase {
    PHASE_FREE,
    PHASE_WAITING, /* in the waiting queue; kv.count may already be > 0 after a load */
    PHASE_LOADING, /* its blocks are on their way */
    PHASE_READY,   /* landed; seen at the next step boundary */
    PHASE_PREFILL, /* running, within its prompt (or what must be computed again) */
    PHASE_DECODE,  /* running, producing tokens */
    PHASE_SWAPPING_OUT,
    PHASE_SWAPPED,
    PHASE_SWAPPING_IN,
    PHASE_HANDED /* its prompt is computed, its KV is on its way to the instance that decodes it */
};

/* How a request computes while blocks of its own are on their way. */
enum overlap {
    OVERLAP_NONE,
    OVERLAP_TAIL,  /* those before the kv's tail are computed, the tail is loaded */
    OVERLAP_LAYERS /* its first step takes each layer as it lands */
};

/* A decision of the reuse policy that waits for what comes of it. */
struct decision {
    bool open;
    sim_time at;
    struct reuse_plan plan;
    uint32_t hbm_tokens, held_blocks, given_blocks;
    uint64_t ahead_tokens;
    double predicted_s, predicted_fetch_s, predicted_compute_s;
    /* For the price of a fetch that was not done: by tier, as far as there are several. */
    uint32_t mark_count, mark_blocks[2];
    uint8_t mark_tier[2];
    struct network_mark marks[2];
    int64_t steps, decodes, decode_context; /* of the steps with its prompt in them, summed */
};

struct request {
    struct request_spec spec;
    uint32_t space; /* its namespace, as it was looked up last */
    struct kv kv;
    uint32_t instance; /* where it is */
    bool lost; /* what it computes with is gone: it is taken out of the batch as the run ends, or when its swap does */
    enum phase phase;
    uint32_t next, prev;   /* in the list that its phase implies */
    uint32_t heap_index;   /* DECODE: where it stands in the heap of completions */
    uint32_t chunk;        /* PREFILL: tokens a step in the current run */
    uint32_t computed;     /* tokens whose KV is in this instance's HBM */
    uint32_t target;       /* PREFILL ends when computed reaches it: prompt + tokens generated before a preemption */
    uint32_t generated;    /* output tokens produced */
    uint32_t held_blocks;  /* of HBM, in its own kv: with identity, private copies, and taken for tokens to come */
    uint32_t entry_blocks; /* DECODE: blocks it owned itself on entry; later ones are in the instance's pool */
    uint32_t reached;      /* tokens that it had in HBM at most before a preemption */
    uint64_t recomputed_pending; /* of recomputed_tokens, what the last look-up added: taken back when it is looked up
                                    anew */
    uint64_t hits_pending;       /* of hit_tokens[hits_pending_tier], the same */
    uint8_t hits_pending_tier;
    uint64_t need_blocks; /* WAITING: available blocks below which trying again is pointless */
    int64_t finish_step;  /* DECODE: value of the decode counter at its last token */
    uint32_t preemptions;
    uint64_t hit_tokens[TIERS_MAX], recomputed_tokens, computed_tokens;
    bool started; /* tiers were told that it has */
    bool resumes; /* swapped in: goes on where it was */
    enum overlap overlap;
    bool landed;                     /* TAIL: and the tail is there */
    bool gates;                      /* LAYERS: the run in progress waits for its load */
    bool gave_up;                    /* its load: it is computed whatever tiers hold */
    bool plain;                      /* no room was left to compute beside its load: it loads first */
    uint8_t lowest_tier;             /* that it fetches from */
    uint32_t tail_blocks[TIERS_MAX]; /* TAIL: of the tail, by tier */
    bool prefetched;                 /* of what lower tiers hold of it, something has been moved up */
    uint64_t alarm;                  /* number of its wake; 0: none */
    struct decision decision;
    /* Its hand-over (handover.h). hand: the blocks that it has where it will be decoded. */
    struct kv hand;
    uint32_t hand_to, hand_flows; /* instance + 1, 0: not chosen; transfers under way */
    uint32_t hand_sent;           /* tokens of the prompt that are there or under way */
    uint64_t hand_last_bytes;     /* of the chunk being computed: its last layer's, sent as the step ends */
    bool hand_held;               /* its blocks there are held */
    uint32_t hand_from;           /* where its prompt was computed, + 1 */
    /* Accounts. */
    sim_time first_token_ns, since;
    enum cause cause;
    int64_t cause_ns[CAUSE_COUNT], first_ns[CAUSE_COUNT], load_tier_ns[TIERS_MAX]; /* first_ns: to the first token */
    int64_t stall_mark; /* the instance's stall clock when the current account began */
    int8_t slowest_tier;
};

struct request_pool {
    struct request *items;
    uint32_t capacity, free_head, live, peak;
};
void request_pool_create(struct request_pool *pool);
void request_pool_destroy(struct request_pool *pool);
/* A request made from `spec`, WAITING, its first account QUEUE since arrival. Pointers into the pool are valid until
 * the next call. */
uint32_t request_open(struct request_pool *pool, const struct request_spec *spec);
void request_close(struct request_pool *pool, uint32_t id);
/* Room for `blocks` slots in the request's kv. */
void request_room(struct request *request, uint32_t blocks);

/* Books the time since the last call under the cause that was current, less what the instance's stall clock moved
 * meanwhile (booked as STALL when `stalls`), and makes `cause` current. */
void request_account(struct request *request, enum cause cause, int64_t stall_clock, sim_time now);
/* The first token is there: what its time to it was spent on. */
void request_first_token(struct request *request, int64_t stall_clock, sim_time now);
/* The record of a request that has ended; the accounts must sum to its E2E (MUST). */
void request_emit(const struct request *request, uint16_t instance, enum request_end end, sim_time now,
                  struct sink *sink);

/* A doubly linked list of requests through next/prev. */
struct request_list {
    uint32_t head, tail, count;
};
#define REQUEST_LIST_EMPTY ((struct request_list){REQUEST_NONE, REQUEST_NONE, 0})
void list_append(struct request_pool *pool, struct request_list *list, uint32_t id);
void list_prepend(struct request_pool *pool, struct request_list *list, uint32_t id);
void list_remove(struct request_pool *pool, struct request_list *list, uint32_t id);

#endif
