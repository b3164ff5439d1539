/* A small continuous-batching loop: a queue, a paged pool with prefix caching, offload to DRAM and SSD, and the same
 * scheduling rule as sim/serve, over a decoder that is given. Plain C without CUDA, and C++ too: core.cu compiles the
 * same files into tiersim-calibrate, tests run them over a decoder whose steps take given times.
 *
 *   loop_trace.c   requests from a Mooncake JSONL
 *   loop_tier.c    slots, index and LRU of one tier             as sim/memory/tier.c, policies/evict/lru.c
 *   loop_kv.c      look-up, onboarding, publishing, offload     as sim/memory/kv.c, kv_lookup.c, offload.c, transfer.c
 *   loop_batch.c   composing and booking a step                 as sim/serve/schedule.c, admit.c, preempt.c, instance.c
 *   loop_run.c     time: arrivals, landings, steps
 *   loop_write.c   the two tables */
#ifndef VALIDATE_LOOP_LOOP_H
#define VALIDATE_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOOP_NONE UINT32_MAX
enum { LOOP_HBM, LOOP_DRAM, LOOP_SSD, LOOP_TIERS, LOOP_TEXT = 512 };

/* What must always hold; it is never compiled out. (sim/base is not linked into tiersim-calibrate.) */
void loop_must_fail(const char *file, int line, const char *condition);
#define LOOP_MUST(condition) ((condition) ? (void)0 : loop_must_fail(__FILE__, __LINE__, #condition))
/* As malloc, realloc: never NULL. Zeroed: loop_zeroed. */
void *loop_zeroed(size_t count, size_t size_bytes);
void *loop_grown(void *memory, size_t count, size_t size_bytes);

/* ---- the trace ---- */

struct loop_spec {
    double arrival_s; /* from the first line's */
    uint32_t input_tokens, output_tokens;
    uint64_t *ids; /* of the full blocks within the input: each names its prefix */
    uint32_t id_count;
};
struct loop_trace {
    struct loop_spec *items;
    uint32_t count;
};
/* Reads Mooncake JSONL: timestamp in milliseconds, in order; one hash a 512 tokens, which block_tokens must divide.
 * Arrival times are divided by rate_scale. false: text[LOOP_TEXT] says file:line, what, and a hint. */
bool loop_trace_read(const char *path, uint32_t block_tokens, double rate_scale, struct loop_trace *out, char *text);
void loop_trace_free(struct loop_trace *trace);

/* ---- one tier ---- */

enum loop_slot_state { LOOP_FREE, LOOP_TAKEN, LOOP_ARRIVING, LOOP_RESIDENT };
struct loop_slot {
    uint64_t id;
    uint32_t refs; /* requests that hold it and transfers that read or fill it */
    uint32_t before, after;
    uint8_t state;
    bool queued, asked; /* in the LRU queue; asked for since it took its place there */
};
/* A slot is a page of the tier's memory: its number is its place. A taken one holds KV without a name. */
struct loop_tier {
    struct loop_slot *slots;
    uint32_t count;
    uint32_t *free, free_count;
    uint32_t first, last; /* the queue: the next victim, the last used */
    uint32_t idle;        /* resident and held by nobody */
    uint32_t taken;
    uint32_t *index, index_mask; /* open addressing: slot + 1 */
};
void pages_open(struct loop_tier *tier, uint32_t slots);
void pages_close(struct loop_tier *tier);
uint32_t pages_lookup(const struct loop_tier *tier, uint64_t id);
/* Free ones, and those that can be made free. */
uint32_t pages_room(const struct loop_tier *tier);
/* Takes `count` slots, evicting where none is free; all or nothing. */
bool pages_grab(struct loop_tier *tier, uint32_t count, uint32_t *slots);
void pages_return(struct loop_tier *tier, uint32_t slot);
/* A taken slot gets a name, arriving or resident, and one reference. */
void pages_name(struct loop_tier *tier, uint32_t slot, uint64_t id, enum loop_slot_state state);
void pages_arrived(struct loop_tier *tier, uint32_t slot);
/* A reference. A block that is read by a transfer keeps its place in the queue; one that was asked for goes to its end
 * when the last reference is gone. */
void pages_ref(struct loop_tier *tier, uint32_t slot);
void pages_unref(struct loop_tier *tier, uint32_t slot);
void pages_asked(struct loop_tier *tier, uint32_t slot);
/* Counts and index agree; a broken one aborts. */
void pages_audit(const struct loop_tier *tier);

/* ---- blocks of requests ---- */

enum loop_phase { LOOP_COMING, LOOP_WAITING, LOOP_LOADING, LOOP_READY, LOOP_PREFILL, LOOP_DECODE, LOOP_DONE };
struct loop_request {
    const struct loop_spec *spec;
    uint32_t id; /* its line, from 0 */
    enum loop_phase phase;
    uint32_t target; /* tokens to compute before the next output token */
    uint32_t computed, generated, chunk;
    uint32_t *table, held, room; /* its blocks' slots in HBM, in order */
    uint32_t named;              /* of them, the first that have been given their name */
    uint32_t need_blocks;        /* it did not fit; wait until so many can be had */
    uint32_t loads;              /* transfers that it waits for */
    uint32_t next, before;       /* list */
    uint32_t hit_tokens[LOOP_TIERS], computed_tokens, preemptions, finish_order;
    double first_token_s, end_s;
};

/* A copy of whole blocks between tiers, page by page. */
struct loop_move {
    bool live;
    uint8_t from, to;
    uint32_t count, *source, *target, room;
    uint32_t *waiters, waiter_count, waiter_room; /* requests that need it */
};

/* What the loop runs on. Times in seconds on one clock that begins at 0 with the run. */
struct loop_item {
    uint32_t request, query, context; /* context: tokens that the last query token attends to, itself included */
    const uint32_t *blocks;           /* HBM slots of all of them, in order */
};
struct loop_batch {
    const struct loop_item *items; /* decodes first */
    uint32_t count, decodes;
    uint32_t prefill_tokens;
    uint64_t decode_context, prefill_context; /* sums */
};
struct loop_step_time {
    double launched_s, end_s; /* the batch was handed to the GPU; its tokens are there */
    double device_s;          /* by the GPU's own clock */
};
struct loop_platform {
    void *self;
    double (*now_s)(void *self);
    /* Computes the batch; returns when its tokens are on the host. */
    void (*step)(void *self, const struct loop_batch *batch, struct loop_step_time *out);
    /* Begins a copy; source and target stay valid until it has landed. */
    void (*move)(void *self, uint32_t move, const struct loop_move *what);
    bool (*landed)(void *self, uint32_t move);
    /* Nothing to compute: until `until_s`, or sooner when something may have landed. */
    void (*rest)(void *self, double until_s);
};

struct loop_options {
    uint32_t block_tokens, token_budget, max_sequences, chunk_limit; /* chunk_limit 0: none */
    uint32_t blocks[LOOP_TIERS];                                     /* capacity; 0 below HBM: no such tier */
    bool audit;                                                      /* check all counts at each step */
};

/* One step, as it was. */
struct loop_step {
    double start_s, launched_s, end_s, device_s; /* start: the step boundary before it */
    uint32_t decodes, prefills, prefill_tokens;
    uint64_t decode_context, prefill_context;
};

struct loop_list {
    uint32_t head, tail, count;
};
struct loop {
    struct loop_options options;
    struct loop_platform platform;
    const struct loop_trace *trace;
    struct loop_request *requests;
    struct loop_tier tiers[LOOP_TIERS];
    struct loop_move *moves;
    uint32_t move_count, moves_live;
    uint32_t *filling; /* by HBM slot: the move that fills it + 1 */
    struct loop_list waiting, ready, prefilling, decoding;
    uint32_t away; /* loading */
    uint32_t *scratch, scratch_room;
    struct loop_item *items;
    struct loop_step *steps;
    uint32_t step_count, step_room;
    uint32_t arrived, finished, preemptions;
    uint64_t moved_blocks[LOOP_TIERS][LOOP_TIERS], skipped_blocks[LOOP_TIERS];
};

void loop_open(struct loop *loop, const struct loop_options *options, const struct loop_platform *platform,
               const struct loop_trace *trace);
void loop_close(struct loop *loop);
/* Serves the whole trace; returns when the last request has its last token and the last copy has landed. */
void loop_run(struct loop *loop);

/* loop_<name>.csv and steps_<name>.csv in `dir`, whole or not at all. false: text[LOOP_TEXT] says why. */
bool loop_write(const struct loop *loop, const char *dir, const char *name, char *text);

/* ---- between the files ---- */

void list_push(struct loop *loop, struct loop_list *list, uint32_t id);
void list_push_front(struct loop *loop, struct loop_list *list, uint32_t id);
void list_take(struct loop *loop, struct loop_list *list, uint32_t id);

/* What look-up finds: blocks in HBM, arriving there, and further down to the first gap. */
struct loop_found {
    uint32_t hbm, arriving, lower, tier[LOOP_TIERS];
};
void kv_find(const struct loop *loop, const uint64_t *ids, uint32_t count, struct loop_found *out);
enum kv_onboarded { KV_FULL_NOW, KV_THERE, KV_ON_ITS_WAY };
/* Holds the request's hits and begins to load the rest of what was found. KV_FULL_NOW: nothing is held. */
enum kv_onboarded kv_onboard(struct loop *loop, uint32_t id, const struct loop_found *found);
bool kv_grow(struct loop *loop, uint32_t id, uint32_t blocks);
/* Names the request's full blocks within `tokens`, and offloads them. */
void kv_name(struct loop *loop, uint32_t id, uint32_t tokens);
void kv_release(struct loop *loop, uint32_t id);
/* Books a copy that has landed; requests that it completes go to the ready list. */
void kv_landed(struct loop *loop, uint32_t move);
void kv_audit(const struct loop *loop);

/* Composes the next step; false: nothing can run now. */
bool batch_compose(struct loop *loop, struct loop_batch *batch);
/* The composed step is over. */
void batch_book(struct loop *loop, double now_s);

static inline uint32_t loop_blocks_for(uint32_t tokens, uint32_t block_tokens) {
    return tokens / block_tokens + (tokens % block_tokens != 0);
}

#ifdef __cplusplus
}
#endif
#endif
