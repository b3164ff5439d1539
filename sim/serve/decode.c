/* The decoding sequences of an instance: a heap by the step at which each ends, and a histogram of block phases. */
#include <stdlib.h>

#include "sim/serve/instance.h"

static bool ends_before(struct instance *instance, uint32_t a, uint32_t b) {
    const struct request *ra = instance_request(instance, a), *rb = instance_request(instance, b);
    if (ra->finish_step != rb->finish_step)
        return ra->finish_step < rb->finish_step;
    return ra->spec.id < rb->spec.id;
}

static void heap_put(struct instance *instance, uint32_t index, uint32_t id) {
    instance->heap[index] = id;
    instance_request(instance, id)->heap_index = index;
}

static void heap_up(struct instance *instance, uint32_t index, uint32_t id) {
    while (index > 0 && ends_before(instance, id, instance->heap[(index - 1) / 2])) {
        heap_put(instance, index, instance->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_put(instance, index, id);
}

static void heap_down(struct instance *instance, uint32_t index, uint32_t id) {
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= instance->heap_count)
            break;
        if (child + 1 < instance->heap_count && ends_before(instance, instance->heap[child + 1], instance->heap[child]))
            child++;
        if (!ends_before(instance, instance->heap[child], id))
            break;
        heap_put(instance, index, instance->heap[child]);
        index = child;
    }
    heap_put(instance, index, id);
}

static void heap_insert(struct instance *instance, uint32_t id) {
    if (instance->heap_count == instance->heap_room) {
        instance->heap_room = instance->heap_room ? 2 * instance->heap_room : 64;
        instance->heap = realloc(instance->heap, instance->heap_room * sizeof *instance->heap);
        MUST(instance->heap != NULL);
    }
    heap_up(instance, instance->heap_count++, id);
}

static void heap_remove(struct instance *instance, uint32_t index) {
    uint32_t last = instance->heap[--instance->heap_count];
    if (index == instance->heap_count)
        return;
    if (index > 0 && ends_before(instance, last, instance->heap[(index - 1) / 2]))
        heap_up(instance, index, last);
    else
        heap_down(instance, index, last);
}

/* Where in the cycle of block_tokens steps a sequence starts a new block. */
static uint32_t block_phase(const struct instance *instance, uint32_t computed) {
    int64_t tokens = instance->fleet->block_tokens;
    return (uint32_t)(((computed - instance->counter) % tokens + tokens) % tokens);
}

/* Tokens that the sequence's next query attends to, its own included. */
static int64_t decode_context(struct instance *instance, uint32_t id) {
    const struct request *request = instance_request(instance, id);
    return (int64_t)request->spec.prompt_tokens + request->spec.output_tokens -
           (request->finish_step - instance->counter);
}

/* All grow together, so the longest stays the longest until it leaves. */
int64_t decode_longest(struct instance *instance) {
    if (instance->decoding.count == 0)
        return 0;
    if (instance->longest == REQUEST_NONE)
        for (uint32_t id = instance->decoding.head; id != REQUEST_NONE; id = instance_request(instance, id)->next)
            if (instance->longest == REQUEST_NONE ||
                decode_context(instance, id) > decode_context(instance, instance->longest))
                instance->longest = id;
    return decode_context(instance, instance->longest);
}

int64_t decode_window(struct instance *instance, int64_t window) {
    int64_t sum = 0;
    for (uint32_t id = instance->decoding.head; window > 0 && id != REQUEST_NONE;
         id = instance_request(instance, id)->next) {
        int64_t context = decode_context(instance, id);
        sum += context < window ? context : window;
    }
    return sum;
}

void decode_enter(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    MUST(request->generated >= 1 && request->generated < request->spec.output_tokens);
    request->phase = PHASE_DECODE;
    request_account(request, CAUSE_DECODE, instance_stall_clock(instance, now), now);
    request->finish_step = instance->counter + (request->spec.output_tokens - request->generated);
    request->entry_blocks = blocks_for(request->computed, instance->fleet->block_tokens);
    MUST(request->entry_blocks == request->held_blocks);
    instance->decode_computed += request->computed;
    instance->phase_count[block_phase(instance, request->computed)]++;
    list_append(&instance->fleet->requests, &instance->decoding, id);
    heap_insert(instance, id);
    if (instance->longest != REQUEST_NONE && decode_context(instance, id) > decode_context(instance, instance->longest))
        instance->longest = id;
}

void decode_leave(struct instance *instance, uint32_t id) {
    struct request *request = instance_request(instance, id);
    uint32_t left = (uint32_t)(request->finish_step - instance->counter);
    uint32_t generated = request->spec.output_tokens - left;
    request->computed += generated - request->generated;
    request->generated = generated;
    instance->decode_computed -= request->computed;
    uint32_t *count = &instance->phase_count[block_phase(instance, request->computed)];
    MUST(*count > 0);
    --*count;
    uint32_t share = blocks_for(request->computed, instance->fleet->block_tokens) - request->entry_blocks;
    MUST(share <= instance->pool_used);
    instance->pool_used -= share;
    instance->pool.anonymous -= share;
    request->kv.anonymous += share;
    request->held_blocks += share;
    if (instance->longest == id)
        instance->longest = REQUEST_NONE;
    heap_remove(instance, request->heap_index);
    list_remove(&instance->fleet->requests, &instance->decoding, id);
}

uint64_t decode_blocks(const struct instance *instance, int64_t steps) {
    int64_t tokens = instance->fleet->block_tokens;
    uint64_t blocks = (uint64_t)(steps / tokens) * instance->decoding.count;
    /* Step j of the rest needs a block for each sequence of phase -(counter + j). */
    int64_t phase = (tokens - instance->counter % tokens) % tokens;
    for (int64_t j = 0; j < steps % tokens; j++) {
        blocks += instance->phase_count[phase];
        phase = phase == 0 ? tokens - 1 : phase - 1;
    }
    return blocks;
}
