/* When things break under an instance: its process ends, a load fails, what was swapped out is gone. Whoever is hit
 * waits to be looked up anew, and finds what is left elsewhere. A process ends with the step in progress, since nothing
 * of an instance changes within a run. */
#include "sim/memory/faults.h"
#include "sim/serve/schedule.h"

void instance_go_down(struct instance *instance, sim_time until, sim_time now) {
    if (until <= instance->down_until)
        return;
    if (instance->down_until <= now)
        instance->dying = true;
    instance->down_until = until;
    instance_touch(instance, now);
}

void instance_come_up(struct instance *instance, sim_time now) {
    if (instance->down_until > now || instance->down_until == 0)
        return;
    instance->down_until = 0;
    instance_touch(instance, now);
}

/* Waits, or is swapped out, and holds blocks: lets go. */
static void let_go(struct instance *instance, struct request *request, sim_time now) {
    bool swapped = request->phase == PHASE_SWAPPED;
    if (request->held_blocks == 0 && !swapped)
        return;
    preempt_let_go(instance, request, now);
    request->phase = PHASE_WAITING;
}

/* Its load is given up; it waits again, first in the queue. */
static void stop_loading(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    MUST(request->phase == PHASE_LOADING && instance->away > 0);
    request_account(request, request->preemptions ? CAUSE_PREEMPT : CAUSE_QUEUE, 0, now);
    preempt_let_go(instance, request, now);
    request->phase = PHASE_WAITING;
    instance->away--;
    list_prepend(&instance->fleet->requests, &instance->waiting, id);
    instance_touch(instance, now);
}

void instance_load_failed(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    if (request->phase == PHASE_LOADING) {
        stop_loading(instance, id, now);
        return;
    }
    MUST(request->overlap != OVERLAP_NONE);
    if (request->overlap == OVERLAP_TAIL) { /* it goes on computing, up to its end */
        uint32_t give = request->kv.tail_count;
        kv_tail_give(instance->fleet->hierarchy, instance->index, &request->kv, give, now);
        request->decision.given_blocks += give;
        for (int t = 1; t < TIERS_MAX; t++)
            request->tail_blocks[t] = 0;
        request->overlap = OVERLAP_NONE;
        return;
    }
    /* Its step computed with layers that have not come: it is for nothing, and ends for its sake no more. */
    struct run *run = &instance->run;
    kv_drop(instance->fleet->hierarchy, instance->index, &request->kv, now);
    request->overlap = OVERLAP_NONE;
    request->lost = true;
    if (!request->gates) {
        if (!run->active)
            crash_prefill(instance, id, now);
        instance_touch(instance, now);
        return;
    }
    request->gates = false;
    MUST(run->active && run->gates > 0);
    if (--run->gates > 0)
        return;
    sim_time end = run->start_ns + run_elapsed_ns(&run->segment, 1);
    end = end > run->gate_ns ? end : run->gate_ns;
    engine_set(instance->fleet->engine, instance->source, end > now ? end : now);
}

void crash_prefill(struct instance *instance, uint32_t id, sim_time now) {
    preempt_dead(instance, id, now);
}

void crash_swapped(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    request->lost = false;
    if (request->phase == PHASE_READY)
        request->phase = PHASE_WAITING;
    preempt_let_go(instance, request, now);
    request->phase = PHASE_WAITING;
    if (instance->down_until > now)
        hierarchy_crash(instance->fleet->hierarchy, instance->index, now);
}

void instance_lose_swapped(struct instance *instance, uint32_t level, sim_time now) {
    struct request_pool *pool = &instance->fleet->requests;
    for (uint32_t id = 0; id < pool->capacity; id++) {
        struct request *request = &pool->items[id];
        if (request->phase == PHASE_FREE || request->instance != instance->index)
            continue;
        if (request->phase == PHASE_SWAPPED && request->kv.swap_tier == level) {
            let_go(instance, request, now);
            instance_touch(instance, now);
        }
        request->lost |= (request->phase == PHASE_SWAPPING_OUT || request->phase == PHASE_SWAPPING_IN) &&
                         request->kv.swap_tier == level;
    }
}

void crash_now(struct instance *instance, sim_time now) {
    struct fleet *fleet = instance->fleet;
    instance->dying = false;
    while (instance->decoding.count > 0)
        preempt_dead(instance, instance->decoding.tail, now);
    while (instance->prefilling.count > 0)
        preempt_dead(instance, instance->prefilling.tail, now);
    for (uint32_t id = 0; id < fleet->requests.capacity; id++) {
        struct request *request = &fleet->requests.items[id];
        if (request->phase == PHASE_FREE || request->instance != instance->index)
            continue;
        if (request->phase == PHASE_LOADING)
            stop_loading(instance, id, now);
        else if (request->phase == PHASE_SWAPPING_OUT || request->phase == PHASE_SWAPPING_IN)
            request->lost = true;
        else
            let_go(instance, request, now);
    }
    if (instance->pool.anonymous > instance->pool_used)
        kv_shrink(fleet->hierarchy, instance->index, &instance->pool, instance->pool.anonymous - instance->pool_used,
                  now);
    if (instance->stall_since != SIM_NEVER) {
        instance->stall_clock += now - instance->stall_since;
        instance->stall_since = SIM_NEVER;
    }
    hierarchy_crash(fleet->hierarchy, instance->index, now);
    fleet->went_down(fleet->ended_self, instance->index, now);
}

void instance_move(struct instance *from, struct instance *to, uint32_t id, sim_time now) {
    struct request *request = instance_request(from, id);
    int64_t tokens = (int64_t)request->target + request->spec.output_tokens - request->generated;
    MUST(request->phase == PHASE_WAITING && request->held_blocks == 0 && from != to);
    list_remove(&from->fleet->requests, &from->waiting, id);
    from->outstanding_tokens -= tokens;
    to->outstanding_tokens += tokens;
    request->instance = to->index;
    request->need_blocks = 0;
    request->prefetched = false;
    list_append(&to->fleet->requests, &to->waiting, id);
    instance_touch(to, now);
}
