/* Giving way: what happens to requests when the KV cache is full. */
#include "sim/serve/schedule.h"

/* The request's blocks are gone; what it had computed must be computed again (or be found in a cache). A request that
 * was decoding has all of its text as its prompt now, and its last token yields the next. */
static void forget_computed(struct instance *instance, struct request *request, bool was_decoding) {
    request->overlap = OVERLAP_NONE;
    request->landed = request->gates = false;
    request->alarm = 0;
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
    reuse_settle(instance, request, true, now);
    request->preemptions++;
    fleet->result->preemptions++;
    request->chunk = 0;
    request->gave_up = false;
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

void preempt_dead(struct instance *instance, uint32_t id, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    bool decoding = request->phase == PHASE_DECODE;
    if (decoding)
        decode_leave(instance, id);
    else
        list_remove(&fleet->requests, &instance->prefilling, id);
    reuse_settle(instance, request, true, now);
    request->preemptions++;
    fleet->result->preemptions++;
    request->chunk = 0;
    request->lost = request->gave_up = false;
    request->need_blocks = 0;
    request->recomputed_pending = 0;
    request->hits_pending = 0;
    request_account(request, CAUSE_PREEMPT, instance_stall_clock(instance, now), now);
    kv_drop(fleet->hierarchy, instance->index, &request->kv, now);
    note_reached(request);
    forget_computed(instance, request, decoding);
    request->phase = PHASE_WAITING;
    list_prepend(&fleet->requests, &instance->waiting, id);
}

bool preempt_one(struct instance *instance, struct composition *composing, sim_time now, uint32_t *who) {
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
        composing->budget += instance_request(instance, id)->chunk;
    preempt(instance, id, now);
    composing->preempted = true;
    *who = id;
    return true;
}

bool blocks_will_come(struct instance *instance) {
    return instance->swapping_out > 0 || tier_counts(instance_hbm(instance)).leaving > 0;
}

void preempt_let_go(struct instance *instance, struct request *request, sim_time now) {
    bool was_decoding = request->resumes && request->generated > 0 &&
                        request->computed == request->spec.prompt_tokens + request->generated - 1;
    if (request->resumes)
        note_reached(request);
    reuse_settle(instance, request, true, now);
    request->lost = false;
    if (request->preemptions == 0 && request->computed_tokens > 0) {
        /* It had computed up to a tail, and waited for that: this is a preemption as any. */
        note_reached(request);
        request->preemptions++;
        instance->fleet->result->preemptions++;
        request->recomputed_pending = 0;
    }
    kv_drop(instance->fleet->hierarchy, instance->index, &request->kv, now);
    forget_computed(instance, request, was_decoding);
}

bool preempt_waiting(struct instance *instance, bool spare_first, sim_time now) {
    for (uint32_t id = instance->waiting.tail; id != REQUEST_NONE && !(spare_first && id == instance->waiting.head);
         id = instance_request(instance, id)->prev) {
        struct request *request = instance_request(instance, id);
        if (request->held_blocks == 0 || request->phase != PHASE_WAITING)
            continue;
        preempt_let_go(instance, request, now);
        return true;
    }
    return false;
}
