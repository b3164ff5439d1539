/* From a composed step to a run: its shape, how many equal steps it may take, and the blocks that these need. */
#include "sim/serve/handover.h"
#include "sim/serve/schedule.h"

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
        if (request->overlap == OVERLAP_LAYERS || handover_steps(instance))
            return 1;
        int64_t chunks = (request_goal(instance, request) - request->computed) / request->chunk;
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
        blocks += admit_blocks_missing(instance, request, (uint32_t)(request->chunk * steps));
    }
    return blocks;
}

/* Reserves the blocks of as many of `steps` steps as can be had; one step's are there already. */
static int64_t reserve_run(struct instance *instance, bool decode, int64_t steps, sim_time now) {
    struct fleet *fleet = instance->fleet;
    for (; steps > 1; steps = (steps + 1) / 2) {
        if (run_blocks(instance, decode, steps) > tier_available(instance_hbm(instance)))
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
                had = admit_extend(instance, request, (uint32_t)(request->chunk * steps), now);
        }
        if (had)
            return steps;
    }
    return 1;
}

/* Prompts whose blocks are still landing, layer by layer: their one step waits for them. */
static uint32_t count_gates(struct instance *instance) {
    uint32_t gates = 0;
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        struct request *request = instance_request(instance, id);
        request->gates = request->chunk > 0 && request->overlap == OVERLAP_LAYERS;
        gates += request->gates;
    }
    return gates;
}

void launch_run(struct instance *instance, bool decode, sim_time now) {
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
    run->gates = count_gates(instance);
    handover_launched(instance, now);
    MUST(run->gates == 0 || run->steps == 1);
    int64_t first = fleet->setup->exact_steps ? 1 : run->steps;
    engine_set(fleet->engine, instance->source, now + run_elapsed_ns(&run->segment, first));
}
