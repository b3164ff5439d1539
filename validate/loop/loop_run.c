/* Time: requests come by the clock, copies land, steps follow each other. */
#include <stdlib.h>
#include <string.h>

#include "validate/loop/loop.h"

void loop_open(struct loop *loop, const struct loop_options *options, const struct loop_platform *platform,
               const struct loop_trace *trace) {
    struct loop_list none = {LOOP_NONE, LOOP_NONE, 0};
    memset(loop, 0, sizeof *loop);
    loop->options = *options;
    loop->platform = *platform;
    loop->trace = trace;
    loop->waiting = loop->ready = loop->prefilling = loop->decoding = none;
    loop->requests = (struct loop_request *)loop_zeroed(trace->count, sizeof *loop->requests);
    loop->items = (struct loop_item *)loop_zeroed(options->max_sequences, sizeof *loop->items);
    loop->filling = (uint32_t *)loop_zeroed(options->blocks[LOOP_HBM], sizeof *loop->filling);
    for (uint32_t t = 0; t < LOOP_TIERS; t++)
        pages_open(&loop->tiers[t], options->blocks[t]);
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct loop_spec *spec = &trace->items[i];
        LOOP_MUST(loop_blocks_for(spec->input_tokens + spec->output_tokens, options->block_tokens) <=
                  options->blocks[LOOP_HBM]);
        loop->requests[i].spec = spec;
        loop->requests[i].id = i;
        loop->requests[i].target = spec->input_tokens;
    }
}

void loop_close(struct loop *loop) {
    for (uint32_t i = 0; i < loop->trace->count; i++)
        free(loop->requests[i].table);
    for (uint32_t i = 0; i < loop->move_count; i++) {
        free(loop->moves[i].source);
        free(loop->moves[i].target);
        free(loop->moves[i].waiters);
    }
    for (uint32_t t = 0; t < LOOP_TIERS; t++)
        pages_close(&loop->tiers[t]);
    free(loop->requests);
    free(loop->moves);
    free(loop->filling);
    free(loop->scratch);
    free(loop->items);
    free(loop->steps);
}

static void see_arrivals(struct loop *loop, double now_s) {
    while (loop->arrived < loop->trace->count && loop->trace->items[loop->arrived].arrival_s <= now_s) {
        loop->requests[loop->arrived].phase = LOOP_WAITING;
        list_push(loop, &loop->waiting, loop->arrived++);
    }
}

static void see_landings(struct loop *loop) {
    for (uint32_t i = 0; i < loop->move_count; i++)
        if (loop->moves[i].live && loop->platform.landed(loop->platform.self, i))
            kv_landed(loop, i);
    /* What has landed goes before what never ran, in order of landing. */
    while (loop->ready.count > 0) {
        uint32_t id = loop->ready.tail;
        list_take(loop, &loop->ready, id);
        loop->requests[id].phase = LOOP_WAITING;
        list_push_front(loop, &loop->waiting, id);
    }
}

static void note_step(struct loop *loop, double start_s, const struct loop_batch *batch,
                      const struct loop_step_time *time) {
    if (loop->step_count == loop->step_room) {
        loop->step_room = loop->step_room ? 2 * loop->step_room : 4096;
        loop->steps = (struct loop_step *)loop_grown(loop->steps, loop->step_room, sizeof *loop->steps);
    }
    struct loop_step *step = &loop->steps[loop->step_count++];
    step->start_s = start_s;
    step->launched_s = time->launched_s;
    step->end_s = time->end_s;
    step->device_s = time->device_s;
    step->decodes = batch->decodes;
    step->prefills = batch->count - batch->decodes;
    step->prefill_tokens = batch->prefill_tokens;
    step->decode_context = batch->decode_context;
    step->prefill_context = batch->prefill_context;
}

void loop_run(struct loop *loop) {
    const struct loop_platform *platform = &loop->platform;
    for (;;) {
        double start_s = platform->now_s(platform->self);
        struct loop_batch batch;
        see_arrivals(loop, start_s);
        see_landings(loop);
        bool more = loop->arrived < loop->trace->count;
        if (batch_compose(loop, &batch)) {
            struct loop_step_time time = {0, 0, 0};
            platform->step(platform->self, &batch, &time);
            note_step(loop, start_s, &batch, &time);
            batch_book(loop, time.end_s);
        } else if (more || loop->moves_live > 0) {
            platform->rest(platform->self, more ? loop->trace->items[loop->arrived].arrival_s : start_s + 1);
        } else {
            break;
        }
        if (loop->options.audit)
            kv_audit(loop);
    }
    LOOP_MUST(loop->finished == loop->trace->count && loop->tiers[LOOP_HBM].taken == 0);
}
