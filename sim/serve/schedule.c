/* Composing the next run, as vLLM v1 composes a step: running requests first, then waiting ones in order. Only what one
 * step needs is decided here; how many equal steps follow is bounded at the end (launch.c) by the first completion and
 * by the blocks at hand. */
#include "sim/serve/schedule.h"
#include "sim/serve/predict.h"

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
        if (preempt_waiting(instance, false, now))
            continue;
        uint32_t who;
        MUST(preempt_one(instance, composing, now, &who));
    }
    return true;
}

/* Chunks for prompts already in the batch, in order of admission. */
static void continue_prefills(struct instance *instance, struct composition *composing, sim_time now) {
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next)
        instance_request(instance, id)->chunk = 0;
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE && composing->budget > 0;) {
        struct request *request = instance_request(instance, id);
        uint32_t chunk = admit_chunk(request, request_goal(instance, request), composing);
        bool gone = false;
        while (!gone && !admit_extend(instance, request, chunk, now)) {
            uint32_t who;
            if (blocks_will_come(instance)) {
                chunk = 0;
                break;
            }
            if (preempt_waiting(instance, false, now))
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
    struct batch_world world = {instance, batch_load_now(instance), 0};
    struct batch_view view = {.token_budget = setup->serve->token_budget,
                              .max_sequences = setup->serve->max_sequences,
                              .decoding = instance->decoding.count,
                              .prefilling = instance->prefilling.count,
                              .waiting = instance->waiting.count,
                              .step_s = predict_step_s,
                              .world = &world};
    if (view.prefilling > 0)
        world.computed = instance_request(instance, instance->prefilling.head)->computed;
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
            launch_run(instance, composed.decode, now);
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
        if (composed.stalled || blocks_will_come(instance) || instance->away > 0 ||
            !preempt_waiting(instance, true, now)) {
            kv_want(instance->fleet->hierarchy, instance->index);
            return;
        }
    }
}
