#include "sim/serve/instance.h"

#include <stdlib.h>

#include "sim/serve/handover.h"
#include "sim/serve/news.h"
#include "sim/serve/prefetch.h"
#include "sim/serve/schedule.h"

static void instance_fire(void *self, sim_time now);

void instance_create(struct instance *instance, struct fleet *fleet, uint32_t index) {
    *instance = (struct instance){.fleet = fleet,
                                  .index = index,
                                  .waiting = REQUEST_LIST_EMPTY,
                                  .ready = REQUEST_LIST_EMPTY,
                                  .prefilling = REQUEST_LIST_EMPTY,
                                  .decoding = REQUEST_LIST_EMPTY,
                                  .stall_since = SIM_NEVER,
                                  .longest = REQUEST_NONE,
                                  .totals = {.instance = (uint16_t)index}};
    instance->phase_count = calloc(fleet->block_tokens, sizeof *instance->phase_count);
    MUST(instance->phase_count != NULL);
    instance->source = engine_add(fleet->engine, instance_fire, instance);
}

void instance_destroy(struct instance *instance) {
    free(instance->phase_count);
    free(instance->heap);
}

void instance_touch(struct instance *instance, sim_time now) {
    struct run *run = &instance->run;
    if (!run->active) {
        engine_set(instance->fleet->engine, instance->source, now);
        return;
    }
    if (instance->fleet->setup->exact_steps) {
        if (run->touched_ns == SIM_NEVER)
            run->touched_ns = now;
        return;
    }
    int64_t steps = run_boundary_after(&run->segment, run->steps, now - run->start_ns);
    if (steps < run->steps) {
        run->steps = steps;
        engine_set(instance->fleet->engine, instance->source, run->start_ns + run_elapsed_ns(&run->segment, steps));
    }
}

void instance_expect(struct instance *instance, const struct request_spec *spec) {
    instance->coming++;
    instance->coming_tokens += (int64_t)spec->prompt_tokens + spec->output_tokens;
}

void instance_enqueue(struct instance *instance, const struct request_spec *spec, sim_time now) {
    struct fleet *fleet = instance->fleet;
    uint32_t id = request_open(&fleet->requests, spec);
    struct request *request = instance_request(instance, id);
    request->space = spaces_of(fleet->spaces, instance->index, spec);
    request->instance = instance->index;
    uint64_t tokens = (uint64_t)spec->prompt_tokens + spec->output_tokens;
    MUST(instance->coming > 0);
    instance->coming--;
    instance->arrived++;
    instance->coming_tokens -= (int64_t)tokens;
    int64_t limit = fleet->setup->serve->max_context_tokens ? fleet->setup->serve->max_context_tokens
                                                            : fleet->setup->arch->max_context;
    bool fits =
        (tokens + fleet->block_tokens - 1) / fleet->block_tokens <= fleet->largest_blocks && (int64_t)tokens <= limit;
    if (!fits || spec->prompt_tokens == 0 || spec->output_tokens == 0) {
        request_account(request, CAUSE_QUEUE, 0, now);
        request_emit(request, (uint16_t)instance->index, REQUEST_REJECTED, now, fleet->setup->sink);
        fleet->result->rejected++;
        struct request_spec copy = request->spec;
        request_close(&fleet->requests, id);
        fleet->ended(fleet->ended_self, &copy, now);
        return;
    }
    instance->outstanding_tokens += (int64_t)tokens;
    news_queued(instance, request, now);
    list_append(&fleet->requests, &instance->waiting, id);
    prefetch_ask(instance, request, PREFETCH_ARRIVAL, instance->waiting.count - 1, now);
    instance_touch(instance, now);
}

static void note_slowest(struct request *request, const int64_t tier_ns[TIERS_MAX]) {
    for (int t = 0; t < TIERS_MAX; t++)
        if (tier_ns[t] > 0 && t > request->slowest_tier)
            request->slowest_tier = (int8_t)t;
}

/* What it loaded has landed while it was not waiting for it. */
static void landed_under_way(struct instance *instance, struct request *request, const int64_t tier_ns[TIERS_MAX],
                             sim_time now) {
    struct run *run = &instance->run;
    MUST(request->overlap != OVERLAP_NONE && !request->landed);
    reuse_book_load(request, tier_ns, request->cause_ns[CAUSE_LOAD]);
    if (request->overlap == OVERLAP_TAIL) {
        request->landed = true;
        return;
    }
    request->overlap = OVERLAP_NONE;
    if (!request->gates)
        return;
    /* Its last layer is computed when it has landed. */
    request->gates = false;
    sim_time layer_ns = run->segment.a / STEP_FIXED_ONE / instance->fleet->setup->arch->layers;
    MUST(run->active && run->gates > 0);
    run->gate_ns = now + layer_ns;
    if (--run->gates > 0)
        return;
    sim_time end = run->start_ns + run_elapsed_ns(&run->segment, 1);
    engine_set(instance->fleet->engine, instance->source, end > run->gate_ns ? end : run->gate_ns);
}

/* Its blocks are there: it is ready for the batch. */
static void make_ready(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    request_account(request, request->preemptions ? CAUSE_PREEMPT : CAUSE_QUEUE, 0, now);
    request->phase = PHASE_READY;
    request->alarm = 0;
    instance->away--;
    list_append(&instance->fleet->requests, &instance->ready, id);
    instance_touch(instance, now);
}

void instance_loaded(struct instance *instance, uint32_t id, const int64_t tier_ns[TIERS_MAX], sim_time now) {
    struct request *request = instance_request(instance, id);
    note_slowest(request, tier_ns);
    if (request->phase != PHASE_LOADING) {
        landed_under_way(instance, request, tier_ns, now);
        return;
    }
    MUST(instance->away > 0);
    reuse_book_load(request, tier_ns, request->cause_ns[CAUSE_LOAD] + now - request->since);
    if (request->overlap == OVERLAP_TAIL)
        reuse_join(instance, request);
    request->overlap = OVERLAP_NONE;
    make_ready(instance, id, now);
}

void instance_woken(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    MUST(request->phase == PHASE_LOADING);
    request->alarm = 0;
    if (request->overlap == OVERLAP_LAYERS) {
        make_ready(instance, id, now);
        return;
    }
    uint32_t had = request->kv.count;
    enum kv_result result = kv_cut(instance->fleet->hierarchy, instance->index, &request->kv, now);
    request->gave_up = true;
    reuse_give(instance, request, had - request->kv.count);
    if (result != KV_READY)
        return;
    int64_t tier_ns[TIERS_MAX] = {0};
    tier_ns[request->lowest_tier] = now - request->since;
    note_slowest(request, tier_ns);
    reuse_book_load(request, tier_ns, request->cause_ns[CAUSE_LOAD] + now - request->since);
    make_ready(instance, id, now);
}

void instance_swapped(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    MUST(instance->away > 0);
    instance->away--;
    instance->swapping_out -= request->phase == PHASE_SWAPPING_OUT;
    request_account(request, CAUSE_PREEMPT, 0, now);
    request->resumes = true;
    request->phase = request->phase == PHASE_SWAPPING_OUT ? PHASE_SWAPPED : PHASE_READY;
    list_append(&instance->fleet->requests, &instance->ready, id);
    if (request->lost)
        crash_swapped(instance, id, now);
    instance_touch(instance, now);
}

struct kv_identity request_identity(struct instance *instance, const struct request *request, uint32_t tokens,
                                    uint32_t from, uint32_t *count) {
    struct fleet *fleet = instance->fleet;
    const struct request_spec *spec = &request->spec;
    if (tokens > spec->chain.tokens)
        tokens = spec->chain.tokens;
    uint32_t most = tokens / fleet->block_tokens;
    if (most > fleet->ids_room) {
        fleet->ids_room = 2 * most;
        free(fleet->ids);
        fleet->ids = malloc(fleet->ids_room * sizeof *fleet->ids);
        MUST(fleet->ids != NULL);
    }
    *count = 0;
    if (spec->chain.hash_tokens > 0)
        *count = chain_expand(&spec->chain, fleet->block_tokens, tokens, from, fleet->ids, most);
    if (fleet->spaces && from < *count) {
        MUST(space_takes_id(fleet->ids[from]) && space_takes_id(fleet->ids[*count - 1]));
        for (uint32_t i = from; i < *count; i++)
            fleet->ids[i] += space_salt(request->space);
    }
    return (struct kv_identity){.ids = fleet->ids,
                                .owner = spec->session,
                                .next_use = spec->next_use,
                                .tenant = spec->tenant,
                                .priority = 35,
                                .shared_blocks = spec->shared_tokens / fleet->block_tokens};
}

void instance_publish(struct instance *instance, struct request *request, uint32_t tokens, sim_time now) {
    uint32_t full = tokens / instance->fleet->block_tokens;
    if (full <= request->kv.count || request->spec.chain.hash_tokens == 0)
        return;
    uint32_t count, held = request->kv.count;
    /* The last block held is the parent of the first new one. */
    struct kv_identity identity = request_identity(instance, request, tokens, held > 0 ? held - 1 : 0, &count);
    if (count <= request->kv.count)
        return;
    request_room(request, count);
    kv_publish(instance->fleet->hierarchy, instance->index, &request->kv, &identity, count - request->kv.count, now);
}

void instance_end_request(struct instance *instance, uint32_t id, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    MUST(request->generated == request->spec.output_tokens);
    instance_publish(instance, request, request->computed, now);
    kv_end(fleet->hierarchy, instance->index, &request->kv, now);
    news_ended(instance, request, now);
    uint64_t hits = 0;
    for (int t = 0; t < TIERS_MAX; t++)
        hits += request->hit_tokens[t];
    MUST(request->preemptions > 0 || hits + request->computed_tokens == request->spec.prompt_tokens);
    request_account(request, CAUSE_DECODE, instance_stall_clock(instance, now), now);
    request_emit(request, (uint16_t)instance->index, REQUEST_FINISHED, now, fleet->setup->sink);
    fleet->result->finished++;
    struct request_spec spec = request->spec;
    fleet->ended_instance = request->hand_from > 0 ? request->hand_from - 1 : instance->index;
    request_close(&fleet->requests, id);
    fleet->ended(fleet->ended_self, &spec, now);
}

/* A prompt is computed: its last token's logits give the next output token. */
static void prefill_done(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    list_remove(&instance->fleet->requests, &instance->prefilling, id);
    request->generated++;
    instance->outstanding_tokens--;
    if (request->generated == 1) {
        request_first_token(request, instance_stall_clock(instance, now), now);
        instance->prompt_tokens += request->spec.prompt_tokens;
        instance->computed_tokens += request->computed_tokens;
    }
    reuse_settle(instance, request, false, now);
    if (request->generated == request->spec.output_tokens)
        instance_end_request(instance, id, now);
    else if (handover_leaves(instance))
        handover_prefilled(instance, id, now);
    else
        decode_enter(instance, id, now);
}

static void book_prefills(struct instance *instance, int64_t steps, sim_time now) {
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE;) {
        struct request *request = instance_request(instance, id);
        uint32_t next = request->next;
        if (request->lost) {
            crash_prefill(instance, id, now);
        } else if (request->chunk > 0) {
            uint32_t tokens = (uint32_t)(request->chunk * steps);
            request->computed += tokens;
            request->computed_tokens += tokens;
            instance->outstanding_tokens -= tokens;
            MUST(request->computed <= request_goal(instance, request));
            reuse_note_steps(&instance->run, request, steps);
            handover_computed(instance, id, now);
            instance_publish(instance, request, request->computed, now);
            if (request->overlap == OVERLAP_TAIL && request->computed == request_goal(instance, request))
                reuse_meet(instance, id, now);
            else if (request->computed == request->target)
                prefill_done(instance, id, now);
        }
        id = next;
    }
}

/* Books `steps` steps of the run. Decodes first: what they leave is there for whoever comes next. */
static void run_book(struct instance *instance, int64_t steps, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct run *run = &instance->run;
    run->active = false;
    instance->totals.busy_ns += now - run->start_ns;
    instance->prompt_ns += run->prefill_tokens > 0 ? now - run->start_ns : 0;
    instance->totals.steps += (uint64_t)steps;
    instance->totals.runs++;
    /* Work is linear along a run, so its middle step stands for all. */
    struct step_shape first = run->shape, last = step_shape_later(&run->shape, steps - 1);
    double bytes_first, flops_first, bytes_last, flops_last;
    step_work(fleet->setup->model, &first, &bytes_first, &flops_first);
    step_work(fleet->setup->model, &last, &bytes_last, &flops_last);
    instance->totals.model_bytes += 0.5 * (bytes_first + bytes_last) * (double)steps;
    instance->totals.model_flops += 0.5 * (flops_first + flops_last) * (double)steps;
    if (run->decode_seqs > 0) {
        uint64_t blocks = decode_blocks(instance, steps);
        MUST(!fleet->setup->exact_steps || blocks == (uint64_t)run->exact_blocks);
        instance->pool_used += blocks;
        MUST(instance->pool_used <= instance->pool.anonymous);
        instance->counter += steps;
        instance->decode_computed += run->decode_seqs * steps;
        instance->outstanding_tokens -= run->decode_seqs * steps;
    }
    while (instance->heap_count > 0 &&
           instance_request(instance, instance->heap[0])->finish_step == instance->counter) {
        uint32_t id = instance->heap[0];
        decode_leave(instance, id);
        instance_end_request(instance, id, now);
    }
    uint32_t left = instance->decoding.count;
    book_prefills(instance, steps, now);
    if (fleet->setup->record_runs && fleet->setup->sink->run) {
        struct run_record record = {.instance = (uint16_t)instance->index,
                                    .start_ns = run->start_ns,
                                    .end_ns = now,
                                    .steps = (uint32_t)steps,
                                    .decode_sequences = (uint32_t)run->decode_seqs,
                                    .prefill_tokens = (uint32_t)run->prefill_tokens,
                                    .decodes_left = left,
                                    .decodes_joined = instance->decoding.count - left,
                                    .kernel = step_decode_kernel(fleet->setup->model, &run->shape)};
        fleet->setup->sink->run(fleet->setup->sink->self, &record);
    }
    if (instance->pool.anonymous > instance->pool_used)
        kv_shrink(fleet->hierarchy, instance->index, &instance->pool, instance->pool.anonymous - instance->pool_used,
                  now);
}

/* --exact-steps: one step is over. Counts each sequence's blocks and looks for completions one by one, as the closed
 * forms must have it. Returns whether the run ends here. */
static bool exact_step(struct instance *instance, sim_time now) {
    struct run *run = &instance->run;
    int64_t step = run->exact_steps_done++;
    bool completes = false;
    if (run->decode_seqs > 0)
        for (uint32_t id = instance->decoding.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
            const struct request *request = instance_request(instance, id);
            int64_t left = request->finish_step - instance->counter - step;
            int64_t computed = (int64_t)request->spec.prompt_tokens + request->spec.output_tokens - 1 - left;
            run->exact_blocks += computed % instance->fleet->block_tokens == 0;
            completes |= left == 1;
        }
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        const struct request *request = instance_request(instance, id);
        completes |=
            request->chunk > 0 && request->computed + request->chunk * (step + 1) >= request_goal(instance, request);
    }
    MUST(!completes || run->exact_steps_done == run->steps);
    return run->exact_steps_done == run->steps || run->touched_ns < now;
}

/* An engine whose copies hold back what is launched after them: no step until the blocks of the prompts in the last one
 * are out. */
static bool held_back(struct instance *instance, bool prompts) {
    const struct engine_profile *engine = instance->fleet->setup->engine;
    if (!engine || !engine->copies_hold_steps)
        return false;
    instance->holding = (instance->holding || prompts) && kv_stores(instance->fleet->hierarchy, instance->index);
    return instance->holding;
}

static void instance_fire(void *self, sim_time now) {
    struct instance *instance = self;
    struct run *run = &instance->run;
    bool prompts = false;
    if (run->active) {
        int64_t steps = run->steps;
        if (run->gates > 0 || now < run->gate_ns) {
            engine_set(instance->fleet->engine, instance->source, run->gates > 0 ? SIM_NEVER : run->gate_ns);
            return;
        }
        if (instance->fleet->setup->exact_steps) {
            bool over = exact_step(instance, now);
            run->exact_elapsed_fixed += run->segment.a + run->segment.b * run->exact_steps_done;
            if (!over) {
                engine_set(instance->fleet->engine, instance->source,
                           run->start_ns + run->exact_elapsed_fixed / STEP_FIXED_ONE);
                return;
            }
            steps = run->exact_steps_done;
        }
        prompts = run->prefill_tokens > 0;
        run_book(instance, steps, now);
    }
    handover_room(instance, now);
    /* What has landed goes before what never ran, in order of landing. */
    while (instance->ready.count > 0) {
        uint32_t id = instance->ready.tail;
        list_remove(&instance->fleet->requests, &instance->ready, id);
        if (instance_request(instance, id)->phase == PHASE_READY)
            instance_request(instance, id)->phase = PHASE_WAITING;
        list_prepend(&instance->fleet->requests, &instance->waiting, id);
    }
    if (instance->dying)
        crash_now(instance, now);
    if (instance->down_until > now || held_back(instance, prompts))
        return;
    instance_schedule(instance, now);
    prefetch_queue(instance, now);
    if (instance->fleet->setup->audit)
        hierarchy_audit(instance->fleet->hierarchy);
}

void instance_finish(struct instance *instance, sim_time now) {
    (void)now;
    MUST(instance->waiting.count == 0 && instance->ready.count == 0 && instance->away == 0);
    MUST(instance->prefilling.count == 0 && instance->decoding.count == 0 && instance->heap_count == 0);
    MUST(instance->pool.anonymous == 0 && instance->pool_used == 0 && instance->decode_computed == 0);
    MUST(instance->outstanding_tokens == 0 && instance->coming == 0 && instance->coming_tokens == 0);
    for (uint32_t i = 0; i < instance->fleet->block_tokens; i++)
        MUST(instance->phase_count[i] == 0);
    struct sink *sink = instance->fleet->setup->sink;
    if (sink->instance)
        sink->instance(sink->self, &instance->totals);
}
