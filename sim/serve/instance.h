/* An instance: one engine on tp GPUs, batching requests step by step as vLLM v1 does.
 *
 * At a step boundary (instance.c) the run that ended is booked, what has landed or arrived is seen, and the next run is
 * composed (schedule.c; preempt.c, admit.c, launch.c): first the running requests, decodes one token each and prompts
 * in chunks, preempting the last when the KV cache is full; then waiting requests in order while budget, places and
 * blocks last. The run goes on with the same composition until its own first completion (run.h); whatever touches the
 * instance earlier cuts it at the next boundary.
 *
 * Nothing is kept per token. All decodes advance together, so one counter of decode steps stands for all of them: a
 * sequence's end is a value of that counter (a heap), and where it crosses into a new block is its phase, (computed -
 * counter) mod block_tokens, of which a histogram is kept: the blocks that n steps need are a sum over it. */
#ifndef SIM_SERVE_INSTANCE_H
#define SIM_SERVE_INSTANCE_H

#include "sim/serve/cluster.h"
#include "sim/serve/request.h"
#include "sim/serve/run.h"
#include "sim/serve/spaces.h"
#include "sim/serve/wakes.h"

/* What all instances of a cluster share. */
struct fleet {
    const struct cluster_setup *setup;
    struct engine *engine;
    struct hierarchy *hierarchy;
    struct spaces *spaces;   /* NULL: one namespace */
    uint64_t largest_blocks; /* of HBM that a request may need */
    struct request_pool requests;
    struct cluster_result *result;
    uint32_t block_tokens;
    uint64_t hbm_blocks; /* an instance */
    double lower_block_bytes;
    uint64_t *ids; /* scratch: one chain, expanded */
    uint32_t ids_room;
    int64_t wait_request_ns;
    struct wakes wakes;
    uint32_t wake_source;
    /* A request has ended (finished or rejected); its spec is valid during the call. */
    void (*ended)(void *self, const struct request_spec *spec, sim_time now);
    void *ended_self;
    uint32_t ended_instance;     /* where that was */
    struct handovers *handovers; /* handover.h; NULL: every instance computes prompts and decodes */
    /* An instance has gone down: its waiting requests may go elsewhere. */
    void (*went_down)(void *self, uint32_t instance, sim_time now);
};

/* The run in progress. */
struct run {
    bool active;
    sim_time start_ns;
    struct step_segment segment;
    int64_t steps;          /* it ends after so many */
    int64_t decode_seqs;    /* that take part */
    int64_t prefill_tokens; /* a step */
    struct step_shape shape;
    /* --exact-steps */
    int64_t exact_steps_done, exact_elapsed_fixed, exact_blocks;
    sim_time touched_ns; /* first touch; SIM_NEVER: none */
    /* Loads that its only step waits for, layer by layer, and when it can be over for their sake. */
    uint32_t gates;
    sim_time gate_ns;
};

struct instance {
    struct fleet *fleet;
    uint32_t index, source;
    struct request_list waiting, ready, prefilling, decoding;
    uint32_t away;                         /* loading, swapping or swapped-out requests on their way */
    uint32_t swapping_out;                 /* of away */
    uint32_t *heap, heap_count, heap_room; /* decoding requests by finish_step */
    int64_t counter;                       /* decode steps taken */
    uint32_t longest;                      /* the decode with the longest context; REQUEST_NONE: not known now */
    int64_t decode_computed;               /* sum over decodes of tokens computed, now */
    uint32_t *phase_count;                 /* [block_tokens] */
    struct kv pool;                        /* blocks of decodes beyond what they owned on entry */
    uint64_t pool_used; /* of pool.anonymous, what decodes fill now; the rest is reserved for the run */
    struct run run;
    sim_time down_until; /* 0: it is up */
    bool dying;          /* it goes down as the step ends */
    bool holding;        /* the next step waits for copies out of HBM (copies_hold_steps) */
    bool blocked;        /* work, but no blocks: waits to be touched */
    sim_time stall_since;
    int64_t stall_clock;
    int64_t outstanding_tokens;
    uint64_t arrived;
    int64_t prompt_ns;                       /* in steps with prompts in them */
    uint64_t prompt_tokens, computed_tokens; /* of prompts whose first token is there: all, and those computed */
    uint32_t coming;                         /* requests that were sent here, and the host still works on */
    int64_t coming_tokens;
    struct instance_record totals;
};

void instance_create(struct instance *instance, struct fleet *fleet, uint32_t index);
void instance_destroy(struct instance *instance);
/* A request is sent here: it counts as load from now on, and will arrive. */
void instance_expect(struct instance *instance, const struct request_spec *spec);
/* An expected request arrives (after the host's work on it): it waits, and is seen at the next step boundary. */
void instance_enqueue(struct instance *instance, const struct request_spec *spec, sim_time now);
/* Something changed that the next step may care about. */
void instance_touch(struct instance *instance, sim_time now);
/* Hooks of the hierarchy. */
void instance_loaded(struct instance *instance, uint32_t request, const int64_t tier_ns[TIERS_MAX], sim_time now);
void instance_swapped(struct instance *instance, uint32_t request, sim_time now);
/* The alarm of a request has come. */
void instance_woken(struct instance *instance, uint32_t request, sim_time now);
/* The process ends at the end of the step in progress, and is up again at `until` (crash.c). */
void instance_go_down(struct instance *instance, sim_time until, sim_time now);
/* `until` has come. */
void instance_come_up(struct instance *instance, sim_time now);
/* The load that a request waits for has failed: the request lets go of it. */
void instance_load_failed(struct instance *instance, uint32_t request, sim_time now);
/* What its requests had swapped out to a tier is gone. */
void instance_lose_swapped(struct instance *instance, uint32_t level, sim_time now);
/* A waiting request that holds nothing goes to another instance. */
void instance_move(struct instance *from, struct instance *to, uint32_t request, sim_time now);
/* Everything must be over. */
void instance_finish(struct instance *instance, sim_time now);

/* Between instance.c and those that compose. */
void instance_schedule(struct instance *instance, sim_time now);
void decode_enter(struct instance *instance, uint32_t id, sim_time now);
/* Its blocks are gone, its swap is over: it waits to begin anew. */
void crash_swapped(struct instance *instance, uint32_t id, sim_time now);
/* The prompt of a request that is lost leaves the batch. */
void crash_prefill(struct instance *instance, uint32_t id, sim_time now);
void crash_now(struct instance *instance, sim_time now);
/* Takes a request out of decode: its computed and generated are brought up to date and its blocks are its own again. */
void decode_leave(struct instance *instance, uint32_t id);
void instance_end_request(struct instance *instance, uint32_t id, sim_time now);
/* Identity of the full blocks within `tokens` tokens; ids before block `from` may be left out. Valid until asked again.
 */
struct kv_identity request_identity(struct instance *instance, const struct request *request, uint32_t tokens,
                                    uint32_t from, uint32_t *count);
/* Gives computed blocks their identity, up to `tokens` tokens. */
void instance_publish(struct instance *instance, struct request *request, uint32_t tokens, sim_time now);
/* Blocks that the decodes need for `steps` more steps. */
uint64_t decode_blocks(const struct instance *instance, int64_t steps);
/* Longest context in the next step; sum of min(context, window), 0 without a window. */
int64_t decode_longest(struct instance *instance);
int64_t decode_window(struct instance *instance, int64_t window);

static inline struct request *instance_request(struct instance *instance, uint32_t id) {
    return &instance->fleet->requests.items[id];
}
/* Where computing its prompt comes to an end, or to a tail that is loaded. */
static inline uint32_t request_goal(const struct instance *instance, const struct request *request) {
    return request->overlap == OVERLAP_TAIL ? request->kv.tail_first * instance->fleet->block_tokens : request->target;
}
static inline int64_t instance_stall_clock(const struct instance *instance, sim_time now) {
    return instance->stall_clock + (instance->stall_since == SIM_NEVER ? 0 : now - instance->stall_since);
}
static inline uint32_t blocks_for(uint32_t tokens, uint32_t block_tokens) {
    return tokens / block_tokens + (tokens % block_tokens != 0);
}

#endif
