/* Composing a step as vLLM v1 does (sim/serve/schedule.c, admit.c, preempt.c; policies/batch/chunked.c), and booking it
 * (sim/serve/instance.c). The functions have those files' names; HBM copies nothing out on eviction, so nobody ever
 * waits for blocks that are leaving. */
#include "validate/loop/loop.h"

void list_push(struct loop *loop, struct loop_list *list, uint32_t id) {
    loop->requests[id].before = list->tail;
    loop->requests[id].next = LOOP_NONE;
    *(list->tail == LOOP_NONE ? &list->head : &loop->requests[list->tail].next) = id;
    list->tail = id;
    list->count++;
}
void list_push_front(struct loop *loop, struct loop_list *list, uint32_t id) {
    loop->requests[id].next = list->head;
    loop->requests[id].before = LOOP_NONE;
    *(list->head == LOOP_NONE ? &list->tail : &loop->requests[list->head].before) = id;
    list->head = id;
    list->count++;
}
void list_take(struct loop *loop, struct loop_list *list, uint32_t id) {
    struct loop_request *own = &loop->requests[id];
    *(own->before == LOOP_NONE ? &list->head : &loop->requests[own->before].next) = own->next;
    *(own->next == LOOP_NONE ? &list->tail : &loop->requests[own->next].before) = own->before;
    list->count--;
}

struct composing {
    int64_t budget;
    bool preempted;
};

/* ---- preempt.c ---- */

/* What it had is computed again; a request that was decoding has all of its text as its prompt now. */
static void let_go(struct loop *loop, struct loop_request *request) {
    kv_release(loop, request->id);
    if (request->generated > 0)
        request->target = request->spec->input_tokens + request->generated;
    request->computed = 0;
}

/* The last of those that run gives way: prompts before decodes, as they came after them. */
static bool preempt_one(struct loop *loop, struct composing *composing, uint32_t *who) {
    bool prefill = loop->prefilling.count > 0;
    struct loop_list *list = prefill ? &loop->prefilling : &loop->decoding;
    if (list->count == 0)
        return false;
    struct loop_request *request = &loop->requests[ *who = list->tail];
    composing->budget += prefill ? request->chunk : 0;
    list_take(loop, list, request->id);
    kv_name(loop, request->id, request->computed);
    request->preemptions++;
    loop->preemptions++;
    request->chunk = request->need_blocks = 0;
    let_go(loop, request);
    request->phase = LOOP_WAITING;
    list_push_front(loop, &loop->waiting, request->id);
    return composing->preempted = true;
}

/* Of those that wait and hold loaded blocks, the last lets go; it is looked up anew when its turn comes. */
static bool preempt_waiting(struct loop *loop, bool spare_first) {
    for (uint32_t id = loop->waiting.tail; id != LOOP_NONE && !(spare_first && id == loop->waiting.head);
         id = loop->requests[id].before)
        if (loop->requests[id].held > 0) {
            let_go(loop, &loop->requests[id]);
            return true;
        }
    return false;
}

/* ---- schedule.c ---- */

static uint32_t blocks_missing(const struct loop *loop, const struct loop_request *request, uint32_t tokens) {
    uint32_t want = loop_blocks_for(request->computed + tokens, loop->options.block_tokens);
    return want > request->held ? want - request->held : 0;
}

static uint32_t decode_blocks(const struct loop *loop) {
    uint32_t blocks = 0;
    for (uint32_t id = loop->decoding.head; id != LOOP_NONE; id = loop->requests[id].next)
        blocks += blocks_missing(loop, &loop->requests[id], 1);
    return blocks;
}

static void reserve_decodes(struct loop *loop, struct composing *composing) {
    uint32_t who;
    while (decode_blocks(loop) > pages_room(&loop->tiers[LOOP_HBM]))
        if (!preempt_waiting(loop, false))
            LOOP_MUST(preempt_one(loop, composing, &who));
    for (uint32_t id = loop->decoding.head; id != LOOP_NONE; id = loop->requests[id].next)
        LOOP_MUST(kv_grow(loop, id, blocks_missing(loop, &loop->requests[id], 1)));
}

static uint32_t next_chunk(const struct loop *loop, const struct loop_request *request,
                           const struct composing *composing) {
    int64_t chunk = (int64_t)request->target - request->computed;
    if (chunk > composing->budget)
        chunk = composing->budget;
    if (loop->options.chunk_limit > 0 && chunk > loop->options.chunk_limit)
        chunk = loop->options.chunk_limit;
    return (uint32_t)(chunk > 0 ? chunk : 0);
}

static void continue_prefills(struct loop *loop, struct composing *composing) {
    for (uint32_t id = loop->prefilling.head; id != LOOP_NONE; id = loop->requests[id].next)
        loop->requests[id].chunk = 0;
    for (uint32_t id = loop->prefilling.head; id != LOOP_NONE && composing->budget > 0;) {
        struct loop_request *request = &loop->requests[id];
        uint32_t chunk = next_chunk(loop, request, composing), who = LOOP_NONE;
        while (!kv_grow(loop, id, blocks_missing(loop, request, chunk))) {
            if (preempt_waiting(loop, false))
                continue;
            LOOP_MUST(preempt_one(loop, composing, &who));
            if (who == id)
                return; /* it was the last */
        }
        request->chunk = chunk;
        composing->budget -= chunk;
        id = request->next;
    }
}

/* ---- admit.c ---- */

enum admission { ADMITTED, WENT_AWAY, NO_ROOM };

static void book_hits(const struct loop *loop, struct loop_request *request, const struct loop_found *found) {
    uint32_t tokens = loop->options.block_tokens;
    request->computed = (found->hbm + found->arriving + found->lower) * tokens;
    for (uint32_t t = 0; t < LOOP_TIERS && request->preemptions == 0; t++)
        request->hit_tokens[t] = found->tier[t] * tokens;
}

static enum admission look_up(struct loop *loop, struct loop_request *request) {
    /* At least the last token is computed: its logits are needed. */
    uint32_t count = (request->target - 1) / loop->options.block_tokens;
    struct loop_found found;
    kv_find(loop, request->spec->ids, count < request->spec->id_count ? count : request->spec->id_count, &found);
    enum kv_onboarded result = kv_onboard(loop, request->id, &found);
    if (result == KV_FULL_NOW) {
        request->need_blocks = found.lower;
        return NO_ROOM;
    }
    book_hits(loop, request, &found);
    if (result == KV_THERE)
        return ADMITTED;
    list_take(loop, &loop->waiting, request->id);
    request->phase = LOOP_LOADING;
    loop->away++;
    return WENT_AWAY;
}

static enum admission admit(struct loop *loop, uint32_t id, struct composing *composing) {
    struct loop_request *request = &loop->requests[id];
    bool fresh = request->held == 0;
    if (fresh) {
        if (request->need_blocks > pages_room(&loop->tiers[LOOP_HBM]))
            return NO_ROOM;
        enum admission result = look_up(loop, request);
        if (result != ADMITTED)
            return result;
    }
    uint32_t chunk = next_chunk(loop, request, composing), missing = blocks_missing(loop, request, chunk);
    if (!kv_grow(loop, id, missing)) {
        if (fresh)
            let_go(loop, request);
        request->need_blocks = missing;
        return NO_ROOM;
    }
    list_take(loop, &loop->waiting, id);
    request->phase = LOOP_PREFILL;
    request->chunk = chunk;
    composing->budget -= chunk;
    list_push(loop, &loop->prefilling, id);
    return ADMITTED;
}

static void admit_waiting(struct loop *loop, struct composing *composing) {
    int64_t places = (int64_t)loop->options.max_sequences - loop->decoding.count - loop->prefilling.count;
    while (loop->waiting.count > 0 && composing->budget > 0 && places > 0) {
        enum admission result = admit(loop, loop->waiting.head, composing);
        if (result == NO_ROOM)
            break;
        places -= result == ADMITTED;
    }
}

/* ---- launch.c ---- */

static void put_item(struct loop *loop, struct loop_batch *batch, const struct loop_request *request, uint32_t query) {
    struct loop_item *item = &loop->items[batch->count++];
    item->request = request->id;
    item->query = query;
    item->context = request->computed + query;
    item->blocks = request->table;
}

static void fill_batch(struct loop *loop, struct loop_batch *batch) {
    *batch = (struct loop_batch){};
    batch->items = loop->items;
    for (uint32_t id = loop->decoding.head; id != LOOP_NONE; id = loop->requests[id].next) {
        put_item(loop, batch, &loop->requests[id], 1);
        batch->decode_context += loop->requests[id].computed + 1;
    }
    batch->decodes = batch->count;
    for (uint32_t id = loop->prefilling.head; id != LOOP_NONE; id = loop->requests[id].next) {
        const struct loop_request *request = &loop->requests[id];
        if (request->chunk == 0)
            continue;
        put_item(loop, batch, request, request->chunk);
        batch->prefill_tokens += request->chunk;
        batch->prefill_context += request->computed + request->chunk;
    }
}

bool batch_compose(struct loop *loop, struct loop_batch *batch) {
    for (;;) {
        if (loop->decoding.count + loop->prefilling.count + loop->waiting.count == 0)
            return false;
        int64_t left = (int64_t)loop->options.token_budget - loop->decoding.count;
        struct composing composing = {left > 0 ? left : 0, false};
        reserve_decodes(loop, &composing);
        continue_prefills(loop, &composing);
        if (!composing.preempted)
            admit_waiting(loop, &composing);
        fill_batch(loop, batch);
        if (batch->count > 0)
            return true;
        if (loop->decoding.count + loop->prefilling.count == 0 && composing.preempted)
            continue; /* the last one gave way: now others may come in */
        if (loop->away > 0 || !preempt_waiting(loop, true))
            return false;
    }
}

/* ---- instance.c ---- */

static void end_request(struct loop *loop, struct loop_request *request, double now_s) {
    uint32_t hits = 0;
    for (uint32_t t = 0; t < LOOP_TIERS; t++)
        hits += request->hit_tokens[t];
    LOOP_MUST(request->generated == request->spec->output_tokens);
    LOOP_MUST(request->preemptions > 0 || hits + request->computed_tokens == request->spec->input_tokens);
    kv_name(loop, request->id, request->computed);
    kv_release(loop, request->id);
    request->phase = LOOP_DONE;
    request->end_s = now_s;
    request->finish_order = loop->finished++;
}

static void book_decodes(struct loop *loop, double now_s) {
    uint32_t ended = LOOP_NONE;
    for (uint32_t id = loop->decoding.head; id != LOOP_NONE; id = loop->requests[id].next) {
        loop->requests[id].computed++;
        loop->requests[id].generated++;
    }
    do { /* by number, as the simulator's heap has it */
        ended = LOOP_NONE;
        for (uint32_t id = loop->decoding.head; id != LOOP_NONE; id = loop->requests[id].next)
            if (loop->requests[id].generated == loop->requests[id].spec->output_tokens && id < ended)
                ended = id;
        if (ended != LOOP_NONE) {
            list_take(loop, &loop->decoding, ended);
            end_request(loop, &loop->requests[ended], now_s);
        }
    } while (ended != LOOP_NONE);
}

static void prefill_done(struct loop *loop, struct loop_request *request, double now_s) {
    list_take(loop, &loop->prefilling, request->id);
    if (request->generated++ == 0)
        request->first_token_s = now_s;
    if (request->generated == request->spec->output_tokens) {
        end_request(loop, request, now_s);
        return;
    }
    request->phase = LOOP_DECODE;
    list_push(loop, &loop->decoding, request->id);
}

void batch_book(struct loop *loop, double now_s) {
    book_decodes(loop, now_s);
    for (uint32_t id = loop->prefilling.head; id != LOOP_NONE;) {
        struct loop_request *request = &loop->requests[id];
        uint32_t next = request->next;
        if (request->chunk > 0) {
            request->computed += request->chunk;
            request->computed_tokens += request->chunk;
            kv_name(loop, id, request->computed);
            if (request->computed == request->target)
                prefill_done(loop, request, now_s);
        }
        id = next;
    }
}
