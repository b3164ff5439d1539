/* Composing the next run, as vLLM v1 composes a step: running requests first, then waiting ones in order. Only what one
 * step needs is decided here; how many equal steps follow is bounded at the end by the first completion and by the
 * blocks at hand. */
#include "sim/serve/instance.h"

/* What one call of instance_schedule is about to decide. */
struct composition {
    struct batch_plan plan;
    int64_t budget;     /* tokens left in the step */
    uint32_t sequences; /* taking part */
    bool preempted;     /* somebody gave way: nobody joins this step */
};

static struct tier *hbm(struct instance *instance) {
    return hierarchy_hbm(instance->fleet->hierarchy, instance->index);
}

/* The request's blocks are gone; what it had computed must be computed again (or be found in a cache). A request that
 * was decoding has all of its text as its prompt now, and its last token yields the next. */
static void forget_computed(struct instance *instance, struct request *request, bool was_decoding) {
    instance->outstanding_tokens += request->computed;
    if (was_decoding) {
        instance->outstanding_tokens++;
        request->target = request->spec.prompt_tokens + request->generated;
    }
    request->computed = 0;
    request->held_blocks = 0;
    request->resumes = false;
    request->recomputed_tokens -= request->recomputed_pending;
    request->recomputed_pending = 0;
    request->hit_tokens[request->hits_pending_tier] -= request->hits_pending;
    request->hits_pending = 0;
    if (request->preemptions == 0)
        for (int t = 0; t < TIERS_MAX; t++)
            request->hit_tokens[t] = 0;
}

static void note_reached(struct request *request) {
    if (request->computed > request->reached)
        request->reached = request->computed;
}

/* Takes a running request out of the batch, and puts it first in the queue or on its way to the tier below. */
static void preempt(struct instance *instance, uint32_t id, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    bool decoding = request->phase == PHASE_DECODE;
    if (decoding)
        decode_leave(instance, id);
    else
        list_remove(&fleet->requests, &instance->prefilling, id);
    instance_publish(instance, request, request->computed, now);
    request->preemptions++;
    fleet->result->preemptions++;
    request->chunk = 0;
    request->need_blocks = 0;
    request->recomputed_pending = 0;
    request->hits_pending = 0;
    bool swap = fleet->setup->serve->preemption == PREEMPT_SWAP &&
                kv_swap_out(fleet->hierarchy, instance->index, &request->kv, id, now);
    request_account(request, swap ? CAUSE_SWAP : CAUSE_PREEMPT, instance_stall_clock(instance, now), now);
    if (swap) {
        request->phase = PHASE_SWAPPING_OUT;
        instance->away++;
        instance->swapping_out++;
        return;
    }
    kv_drop(fleet->hierarchy, instance->index, &request->kv, now);
    note_reached(request);
    forget_computed(instance, request, decoding);
    request->phase = PHASE_WAITING;
    list_prepend(&fleet->requests, &instance->waiting, id);
}

/* Preempts one running request; false when there is none. */
static bool preempt_one(struct instance *instance, struct composition *now_composing, sim_time now, uint32_t *who) {
    uint32_t decoding = instance->decoding.count, count = decoding + instance->prefilling.count;
    if (count == 0)
        return false;
    const struct cluster_setup *setup = instance->fleet->setup;
    uint32_t pick = setup->batch->victim ? setup->batch->victim(setup->batch_options, count) : count - 1;
    MUST(pick < count);
    bool of_decoding = pick < decoding;
    uint32_t back = of_decoding ? decoding - 1 - pick : count - 1 - pick;
    uint32_t id = of_decoding ? instance->decoding.tail : instance->prefilling.tail;
    while (back-- > 0)
        id = instance_request(instance, id)->prev;
    if (instance_request(instance, id)->chunk > 0 && !of_decoding)
        now_composing->budget += instance_request(instance, id)->chunk;
    preempt(instance, id, now);
    now_composing->preempted = true;
    *who = id;
    return true;
}

/* Whether blocks that cannot be had now will come without anybody else giving way: some are leaving, or a request is on
 * its way out. */
static bool blocks_will_come(struct instance *instance) {
    return instance->swapping_out > 0 || tier_counts(hbm(instance)).leaving > 0;
}

/* Lets go what a waiting request holds; it is looked up anew when its turn comes. */
static void let_go(struct instance *instance, struct request *request, sim_time now) {
    bool was_decoding = request->resumes && request->generated > 0 &&
                        request->computed == request->spec.prompt_tokens + request->generated - 1;
    if (request->resumes)
        note_reached(request);
    kv_drop(instance->fleet->hierarchy, instance->index, &request->kv, now);
    forget_computed(instance, request, was_decoding);
}

/* Waiting requests that hold loaded blocks stand in the way of those that run, or of each other: the last lets go, and
 * is looked up anew when its turn comes. The first keeps its blocks when it is the one that needs more. */
static bool make_way(struct instance *instance, bool spare_first, sim_time now) {
    for (uint32_t id = instance->waiting.tail; id != REQUEST_NONE && !(spare_first && id == instance->waiting.head);
         id = instance_request(instance, id)->prev) {
        struct request *request = instance_request(instance, id);
        if (request->held_blocks == 0 || request->phase != PHASE_WAITING)
            continue;
        let_go(instance, request, now);
        return true;
    }
    return false;
}

/* Blocks for one step of the decodes. false: the step must wait for blocks that are leaving. */
static bool reserve_decodes(struct instance *instance, struct composition *composing, sim_time now) {
    while (instance->decoding.count > 0) {
        uint64_t want = instance->pool_used + decode_blocks(instance, 1);
        if (want <= instance->pool.anonymous)
            return true;
        if (kv_extend(instance->fleet->hierarchy, instance->index, &instance->pool, want - instance->pool.anonymous,
                      now))
            return true;
        if (blocks_will_come(instance))
            return false;
        if (make_way(instance, false, now))
            continue;
        uint32_t who;
        MUST(preempt_one(instance, composing, now, &who));
    }
    return true;
}

/* Blocks for `tokens` more of a request that holds kv. */
static uint64_t blocks_missing(const struct instance *instance, const struct request *request, uint32_t tokens) {
    uint64_t want = blocks_for(request->computed + tokens, instance->fleet->block_tokens);
    return want > request->held_blocks ? want - request->held_blocks : 0;
}

static bool extend_request(struct instance *instance, struct request *request, uint32_t tokens, sim_time now) {
    uint64_t blocks = blocks_missing(instance, request, tokens);
    if (blocks == 0)
        return true;
    if (!kv_extend(instance->fleet->hierarchy, instance->index, &request->kv, blocks, now))
        return false;
    request->held_blocks += (uint32_t)blocks;
    return true;
}

static uint32_t chunk_of(const struct request *request, const struct composition *composing) {
    int64_t chunk = (int64_t)request->target - request->computed;
    if (chunk > composing->budget)
        chunk = composing->budget;
    if (composing->plan.chunk_limit > 0 && chunk > composing->plan.chunk_limit)
        chunk = composing->plan.chunk_limit;
    return (uint32_t)(chunk > 0 ? chunk : 0);
}

/* Chunks for prompts already in the batch, in order of admission. */
static void continue_prefills(struct instance *instance, struct composition *composing, sim_time now) {
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next)
        instance_request(instance, id)->chunk = 0;
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE && composing->budget > 0;) {
        struct request *request = instance_request(instance, id);
        uint32_t chunk = chunk_of(request, composing);
        bool gone = false;
        while (!gone && !extend_request(instance, request, chunk, now)) {
            uint32_t who;
            if (blocks_will_come(instance)) {
                chunk = 0;
                break;
            }
            if (make_way(instance, false, now))
                continue;
            MUST(preempt_one(instance, composing, now, &who));
            gone = who == id;
        }
        if (gone)
            return; /* it was the last */
        request->chunk = chunk;
        composing->budget -= chunk;
        composing->sequences += chunk > 0;
        id = request->next;
    }
}

struct reuse_world {
    struct instance *instance;
    const struct request *request;
    const struct kv_lookup *found;
};

static double predict_fetch_s(const void *world, uint32_t blocks) {
    const struct reuse_world *w = world;
    double longest_s = 0;
    for (uint32_t t = 1; t < TIERS_MAX && blocks > 0; t++) {
        uint32_t here = w->found->tier_blocks[t] < blocks ? w->found->tier_blocks[t] : blocks;
        if (here == 0)
            continue;
        double s = kv_predict_fetch_s(w->instance->fleet->hierarchy, w->instance->index, t, here);
        if (s > longest_s)
            longest_s = s;
        blocks -= here;
    }
    return longest_s;
}

/* Prefill in chunks of the budget that the decodes leave, each with the decodes beside it. */
static double predict_prefill_s(const void *world, uint32_t from_tokens) {
    const struct reuse_world *w = world;
    const struct instance *instance = w->instance;
    const struct serve_options *serve = instance->fleet->setup->serve;
    int64_t decodes = instance->decoding.count, chunk = serve->token_budget - decodes;
    if (chunk < 1)
        chunk = 1;
    double seconds = 0;
    for (int64_t at = from_tokens; at < w->request->target; at += chunk) {
        int64_t q = w->request->target - at < chunk ? w->request->target - at : chunk;
        struct step_shape shape = {.decode_seqs = decodes,
                                   .decode_context = instance->decode_computed + decodes,
                                   .prefill_seqs = 1,
                                   .prefill_tokens = q,
                                   .prefill_context = at + q,
                                   .prefill_pairs = q * (at + q) - q * (q - 1) / 2,
                                   .prefill_squares = q * q,
                                   .logits = decodes + 1};
        shape.decode_longest = decodes ? shape.decode_context / decodes : 0;
        seconds += step_cost(instance->fleet->setup->model, &shape).seconds;
    }
    return seconds;
}

static uint32_t decide_fetch(struct instance *instance, const struct request *request, const struct kv_lookup *found) {
    if (found->lower_blocks == 0)
        return 0;
    const struct fleet *fleet = instance->fleet;
    struct reuse_option options[REUSE_OPTIONS_MAX];
    struct reuse_view view = {.prompt_tokens = request->target,
                              .options = options,
                              .predict_fetch_s = predict_fetch_s,
                              .predict_prefill_s = predict_prefill_s,
                              .hbm_tokens = (found->hbm_blocks + found->arriving_blocks) * fleet->block_tokens};
    for (uint32_t t = 1; t < TIERS_MAX; t++) {
        if (found->tier_blocks[t] == 0)
            continue;
        options[view.option_count++] =
            (struct reuse_option){.tier = (uint8_t)t,
                                  .blocks = found->tier_blocks[t],
                                  .tokens = (uint64_t)found->tier_blocks[t] * fleet->block_tokens,
                                  .bytes = (uint64_t)((double)found->tier_blocks[t] * fleet->lower_block_bytes),
                                  .queued_bytes = kv_queued_bytes(fleet->hierarchy, instance->index, t)};
    }
    struct reuse_world world = {instance, request, found};
    view.world = &world;
    uint32_t fetch = fleet->setup->reuse->decide(fleet->setup->reuse_options, &view);
    return fetch < found->lower_blocks ? fetch : found->lower_blocks;
}

/* Preempted, it may find more of its prompt than it had had: read instead of computed, as any hit. */
static void book_later_hits(struct request *request, const struct kv_lookup *found, uint32_t fetch, uint64_t hits) {
    uint64_t prompt = request->spec.prompt_tokens, had = request->reached < prompt ? request->reached : prompt;
    if (hits > prompt)
        hits = prompt;
    request->hits_pending = hits > had ? hits - had : 0;
    request->hits_pending_tier = 0;
    for (uint8_t t = 1; fetch > 0 && t < TIERS_MAX; t++)
        if (found->tier_blocks[t] > 0)
            request->hits_pending_tier = t;
    request->hit_tokens[request->hits_pending_tier] += request->hits_pending;
}

static void book_hits(struct instance *instance, struct request *request, const struct kv_lookup *found,
                      uint32_t fetch) {
    uint64_t tokens = instance->fleet->block_tokens;
    uint64_t hits = (found->hbm_blocks + found->arriving_blocks + (uint64_t)fetch) * tokens;
    request->computed = (uint32_t)hits;
    instance->outstanding_tokens -= (int64_t)hits;
    if (request->preemptions > 0) {
        request->recomputed_pending = request->reached > hits ? request->reached - hits : 0;
        book_later_hits(request, found, fetch, hits);
    } else {
        request->hit_tokens[0] = (found->hbm_blocks + found->arriving_blocks) * tokens;
        uint32_t left = fetch;
        for (uint32_t t = 1; t < TIERS_MAX; t++) {
            uint32_t here = found->tier_blocks[t] < left ? found->tier_blocks[t] : left;
            request->hit_tokens[t] = here * tokens;
            left -= here;
        }
        request->recomputed_pending = (found->lower_blocks - fetch) * tokens;
    }
    request->recomputed_tokens += request->recomputed_pending;
}

enum admission { ADMITTED, WENT_AWAY, NO_ROOM };

/* Looks a waiting request's prefix up, holds what HBM has and starts loading what lower tiers have. */
static enum admission look_up(struct instance *instance, uint32_t id, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    uint32_t count;
    /* At least the last token is computed: its logits are needed. */
    struct kv_identity identity = request_identity(instance, request, request->target - 1, 0, &count);
    struct kv_lookup found = {0};
    if (count > 0)
        kv_lookup(fleet->hierarchy, instance->index, identity.ids, count, &found);
    uint32_t fetch = decide_fetch(instance, request, &found);
    uint32_t held = found.hbm_blocks + found.arriving_blocks + fetch;
    request_room(request, held);
    enum kv_result result = kv_begin(fleet->hierarchy, instance->index, &request->kv, &identity, found.hbm_blocks,
                                     found.arriving_blocks, fetch, id, now);
    if (result == KV_FULL) {
        request->need_blocks = fetch;
        return NO_ROOM;
    }
    request->held_blocks = held;
    book_hits(instance, request, &found, fetch);
    if (result == KV_READY)
        return ADMITTED;
    list_remove(&fleet->requests, &instance->waiting, id);
    request->phase = PHASE_LOADING;
    request_account(request, CAUSE_LOAD, 0, now);
    instance->away++;
    return WENT_AWAY;
}

static enum admission admit(struct instance *instance, uint32_t id, struct composition *composing, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    if (request->phase == PHASE_SWAPPED) {
        /* Room for those that run to grow by a block each is left: else two requests would swap each other out for
         * ever. */
        uint64_t others = instance->decoding.count + instance->prefilling.count + instance->away;
        if (others > 0 && tier_available(hbm(instance)) < request->kv.swapped + others + 1)
            return NO_ROOM;
        if (!kv_swap_in(fleet->hierarchy, instance->index, &request->kv, id, now))
            return NO_ROOM;
        list_remove(&fleet->requests, &instance->waiting, id);
        request_account(request, CAUSE_SWAP, 0, now);
        request->phase = PHASE_SWAPPING_IN;
        instance->away++;
        return WENT_AWAY;
    }
    bool fresh = request->held_blocks == 0;
    if (fresh) {
        if (request->need_blocks > tier_available(hbm(instance)))
            return NO_ROOM;
        enum admission result = look_up(instance, id, now);
        if (result != ADMITTED)
            return result;
    }
    bool decodes_on = request->resumes && request->generated > 0 &&
                      request->computed == request->spec.prompt_tokens + request->generated - 1;
    uint32_t chunk = decodes_on ? 0 : chunk_of(request, composing);
    if (!extend_request(instance, request, chunk, now)) {
        uint64_t missing = blocks_missing(instance, request, chunk);
        if (fresh)
            let_go(instance, request, now);
        request->need_blocks = missing;
        return NO_ROOM;
    }
    list_remove(&fleet->requests, &instance->waiting, id);
    request->resumes = false;
    if (chunk == 0) {
        decode_enter(instance, id, now);
        return ADMITTED;
    }
    request->phase = PHASE_PREFILL;
    request_account(request, CAUSE_PREFILL, instance_stall_clock(instance, now), now);
    request->chunk = chunk;
    composing->budget -= chunk;
    list_append(&fleet->requests, &instance->prefilling, id);
    return ADMITTED;
}

static void admit_waiting(struct instance *instance, struct composition *composing, sim_time now) {
    int64_t places =
        instance->fleet->setup->serve->max_sequences - instance->decoding.count - instance->prefilling.count;
    while (instance->waiting.count > 0 && composing->budget > 0 && places > 0) {
        enum admission result = admit(instance, instance->waiting.head, composing, now);
        if (result == NO_ROOM)
            break;
        if (result == ADMITTED)
            places--;
    }
}

static struct step_shape compose_shape(struct instance *instance, bool decode) {
    struct step_shape shape = {0};
    if (decode) {
        shape.decode_seqs = instance->decoding.count;
        shape.decode_context = instance->decode_computed + shape.decode_seqs;
        shape.decode_longest = decode_longest(instance);
        shape.decode_window = decode_window(instance, instance->fleet->setup->arch->window);
    }
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        const struct request *request = instance_request(instance, id);
        int64_t q = request->chunk, context = request->computed + q;
        if (q == 0)
            continue;
        shape.prefill_seqs++;
        shape.prefill_tokens += q;
        shape.prefill_context += context;
        shape.prefill_pairs += q * context - q * (q - 1) / 2;
        shape.prefill_squares += q * q;
    }
    shape.logits = shape.decode_seqs + shape.prefill_seqs;
    return shape;
}

/* Steps until the first completion among what takes part. */
static int64_t steps_to_completion(struct instance *instance, bool decode) {
    int64_t steps = 1 << 20;
    if (decode && instance->heap_count > 0)
        steps = instance_request(instance, instance->heap[0])->finish_step - instance->counter;
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        const struct request *request = instance_request(instance, id);
        if (request->chunk == 0)
            continue;
        int64_t chunks = (request->target - request->computed) / request->chunk;
        if (chunks < steps)
            steps = chunks;
    }
    MUST(steps >= 1);
    return steps;
}

static uint64_t run_blocks(struct instance *instance, bool decode, int64_t steps) {
    uint64_t blocks = 0;
    if (decode) {
        uint64_t want = instance->pool_used + decode_blocks(instance, steps);
        blocks += want > instance->pool.anonymous ? want - instance->pool.anonymous : 0;
    }
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        struct request *request = instance_request(instance, id);
        blocks += blocks_missing(instance, request, (uint32_t)(request->chunk * steps));
    }
    return blocks;
}

/* Reserves the blocks of as many of `steps` steps as can be had; one step's are there already. */
static int64_t reserve_run(struct instance *instance, bool decode, int64_t steps, sim_time now) {
    struct fleet *fleet = instance->fleet;
    for (; steps > 1; steps = (steps + 1) / 2) {
        if (run_blocks(instance, decode, steps) > tier_available(hbm(instance)))
            continue;
        bool had = true;
        if (decode) {
            uint64_t want = instance->pool_used + decode_blocks(instance, steps);
            if (want > instance->pool.anonymous)
                had =
                    kv_extend(fleet->hierarchy, instance->index, &instance->pool, want - instance->pool.anonymous, now);
        }
        for (uint32_t id = instance->prefilling.head; had && id != REQUEST_NONE;
             id = instance_request(instance, id)->next) {
            struct request *request = instance_request(instance, id);
            if (request->chunk > 0)
                had = extend_request(instance, request, (uint32_t)(request->chunk * steps), now);
        }
        if (had)
            return steps;
    }
    return 1;
}

static void start_run(struct instance *instance, bool decode, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct run *run = &instance->run;
    int64_t steps = reserve_run(instance, decode, steps_to_completion(instance, decode), now);
    *run = (struct run){
        .active = true, .start_ns = now, .shape = compose_shape(instance, decode), .touched_ns = SIM_NEVER};
    run->segment = step_segment(fleet->setup->model, &run->shape, steps);
    MUST(run->segment.a > 0 && run->segment.b >= 0 && run->segment.steps >= 1 && run->segment.steps <= steps);
    run->steps = run_cap(&run->segment, run->segment.steps);
    run->decode_seqs = run->shape.decode_seqs;
    run->prefill_tokens = run->shape.prefill_tokens;
    run->exact_elapsed_fixed = run->segment.a;
    int64_t first = fleet->setup->exact_steps ? 1 : run->steps;
    engine_set(fleet->engine, instance->source, now + run_elapsed_ns(&run->segment, first));
}

static void stall_begin(struct instance *instance, sim_time now) {
    if (instance->stall_since == SIM_NEVER)
        instance->stall_since = now;
}
static void stall_end(struct instance *instance, sim_time now) {
    if (instance->stall_since == SIM_NEVER)
        return;
    instance->stall_clock += now - instance->stall_since;
    instance->stall_since = SIM_NEVER;
}

static int64_t chunks_planned(struct instance *instance) {
    int64_t tokens = 0;
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next)
        tokens += instance_request(instance, id)->chunk;
    return tokens;
}

/* How composing a step ended. */
struct composed {
    bool decode;    /* the decodes take part */
    bool stalled;   /* blocks that it needs are leaving */
    bool preempted; /* somebody gave way, so nobody was let in */
};

/* Composes one step; returns whether it holds anything. */
static bool compose(struct instance *instance, bool force_decode, struct composed *out, sim_time now) {
    const struct cluster_setup *setup = instance->fleet->setup;
    struct batch_view view = {.token_budget = setup->serve->token_budget,
                              .max_sequences = setup->serve->max_sequences,
                              .decoding = instance->decoding.count,
                              .prefilling = instance->prefilling.count,
                              .waiting = instance->waiting.count};
    if (view.waiting > 0)
        view.waiting_tokens = instance_request(instance, instance->waiting.head)->target;
    struct composition composing = {0};
    setup->batch->plan(setup->batch_options, &view, &composing.plan);
    composing.budget = composing.plan.prefill_tokens;
    bool decodes = composing.plan.decode || force_decode;
    *out = (struct composed){.stalled = decodes && !reserve_decodes(instance, &composing, now)};
    if (out->stalled)
        return false;
    continue_prefills(instance, &composing, now);
    if (composing.plan.admit && !composing.preempted)
        admit_waiting(instance, &composing, now);
    /* Who was swapped in decodes at once. */
    out->decode = decodes && reserve_decodes(instance, &composing, now) && instance->decoding.count > 0;
    out->preempted = composing.preempted;
    return out->decode || chunks_planned(instance) > 0;
}

void instance_schedule(struct instance *instance, sim_time now) {
    bool force_decode = false;
    struct composed composed;
    for (;;) {
        uint32_t running = instance->decoding.count + instance->prefilling.count;
        if (running + instance->waiting.count == 0)
            return;
        if (compose(instance, force_decode, &composed, now)) {
            stall_end(instance, now);
            start_run(instance, composed.decode, now);
            return;
        }
        if (!composed.stalled && !force_decode && instance->decoding.count > 0) {
            force_decode = true; /* a policy that serves prompts first, and no prompt can go on */
            continue;
        }
        running = instance->decoding.count + instance->prefilling.count;
        if (running == 0 && composed.preempted)
            continue; /* the last one gave way: now others may come in */
        if (running > 0)
            stall_begin(instance, now);
        if (composed.stalled || blocks_will_come(instance) || instance->away > 0 || !make_way(instance, true, now)) {
            kv_want(instance->fleet->hierarchy, instance->index);
            return;
        }
    }
}
