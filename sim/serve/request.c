#include "sim/serve/request.h"

#include <stdlib.h>
#include <string.h>

void request_pool_create(struct request_pool *pool) {
    *pool = (struct request_pool){.free_head = REQUEST_NONE};
}

void request_pool_destroy(struct request_pool *pool) {
    for (uint32_t i = 0; i < pool->capacity; i++) {
        free(pool->items[i].kv.slots);
        free(pool->items[i].hand.slots);
    }
    free(pool->items);
}

static void pool_grow(struct request_pool *pool) {
    uint32_t capacity = pool->capacity ? 2 * pool->capacity : 64;
    struct request *items = realloc(pool->items, capacity * sizeof *items);
    MUST(items != NULL);
    memset(items + pool->capacity, 0, (capacity - pool->capacity) * sizeof *items);
    for (uint32_t i = capacity; i-- > pool->capacity;) {
        items[i].next = pool->free_head;
        pool->free_head = i;
    }
    pool->items = items;
    pool->capacity = capacity;
}

uint32_t request_open(struct request_pool *pool, const struct request_spec *spec) {
    if (pool->free_head == REQUEST_NONE)
        pool_grow(pool);
    uint32_t id = pool->free_head;
    struct request *request = &pool->items[id];
    pool->free_head = request->next;
    /* The slot array is kept from the request that had this place before. */
    uint32_t *slots = request->kv.slots, room = request->kv.room;
    memset(request, 0, sizeof *request);
    request->kv.slots = slots;
    request->kv.room = room;
    request->spec = *spec;
    request->phase = PHASE_WAITING;
    request->next = request->prev = REQUEST_NONE;
    request->target = spec->prompt_tokens;
    request->cause = CAUSE_QUEUE;
    request->since = spec->arrival_ns;
    request->slowest_tier = -1;
    pool->live++;
    if (pool->live > pool->peak)
        pool->peak = pool->live;
    return id;
}

void request_close(struct request_pool *pool, uint32_t id) {
    struct request *request = &pool->items[id];
    MUST(request->hand.slots == NULL);
    MUST(request->phase != PHASE_FREE && request->kv.count == 0 && request->kv.anonymous == 0);
    request->phase = PHASE_FREE;
    request->next = pool->free_head;
    pool->free_head = id;
    pool->live--;
}

void request_room(struct request *request, uint32_t blocks) {
    if (blocks <= request->kv.room)
        return;
    uint32_t room = request->kv.room ? request->kv.room : 32;
    while (room < blocks)
        room *= 2;
    uint32_t *slots = realloc(request->kv.slots, room * sizeof *slots);
    MUST(slots != NULL);
    request->kv.slots = slots;
    request->kv.room = room;
}

void request_account(struct request *request, enum cause cause, int64_t stall_clock, sim_time now) {
    int64_t elapsed_ns = now - request->since;
    bool running = request->cause == CAUSE_PREFILL || request->cause == CAUSE_DECODE;
    int64_t stalled_ns = running ? stall_clock - request->stall_mark : 0;
    MUST(elapsed_ns >= 0 && stalled_ns >= 0 && stalled_ns <= elapsed_ns);
    request->cause_ns[request->cause] += elapsed_ns - stalled_ns;
    request->cause_ns[CAUSE_STALL] += stalled_ns;
    request->cause = cause;
    request->since = now;
    request->stall_mark = stall_clock;
}

void request_first_token(struct request *request, int64_t stall_clock, sim_time now) {
    request_account(request, request->cause, stall_clock, now);
    request->first_token_ns = now;
    memcpy(request->first_ns, request->cause_ns, sizeof request->first_ns);
}

void request_emit(const struct request *request, uint16_t instance, enum request_end end, sim_time now,
                  struct sink *sink) {
    const struct request_spec *spec = &request->spec;
    struct request_record record = {.id = spec->id,
                                    .session = spec->session,
                                    .tenant = spec->tenant,
                                    .turn = spec->turn,
                                    .instance = instance,
                                    .end = end,
                                    .arrival_ns = spec->arrival_ns,
                                    .first_token_ns = request->first_token_ns,
                                    .end_ns = now,
                                    .prompt_tokens = spec->prompt_tokens,
                                    .output_tokens = spec->output_tokens,
                                    .preemptions = request->preemptions,
                                    .recomputed_tokens = request->recomputed_tokens,
                                    .computed_tokens = request->computed_tokens,
                                    .slowest_tier = request->slowest_tier};
    int64_t sum_ns = 0, first_ns = 0, load_ns = 0;
    for (int c = 0; c < CAUSE_COUNT; c++) {
        sum_ns += record.cause_ns[c] = request->cause_ns[c];
        first_ns += record.first_ns[c] = request->first_ns[c];
    }
    for (int t = 0; t < TIERS_MAX; t++) {
        load_ns += record.load_tier_ns[t] = request->load_tier_ns[t];
        record.hit_tokens[t] = request->hit_tokens[t];
    }
    MUST(end == REQUEST_REJECTED || first_ns == record.first_token_ns - spec->arrival_ns);
    MUST(sum_ns == now - spec->arrival_ns && load_ns == request->cause_ns[CAUSE_LOAD]);
    if (sink->request)
        sink->request(sink->self, &record);
}

void list_append(struct request_pool *pool, struct request_list *list, uint32_t id) {
    struct request *request = &pool->items[id];
    request->next = REQUEST_NONE;
    request->prev = list->tail;
    if (list->tail == REQUEST_NONE)
        list->head = id;
    else
        pool->items[list->tail].next = id;
    list->tail = id;
    list->count++;
}

void list_prepend(struct request_pool *pool, struct request_list *list, uint32_t id) {
    struct request *request = &pool->items[id];
    request->prev = REQUEST_NONE;
    request->next = list->head;
    if (list->head == REQUEST_NONE)
        list->tail = id;
    else
        pool->items[list->head].prev = id;
    list->head = id;
    list->count++;
}

void list_remove(struct request_pool *pool, struct request_list *list, uint32_t id) {
    struct request *request = &pool->items[id];
    if (request->prev == REQUEST_NONE)
        list->head = request->next;
    else
        pool->items[request->prev].next = request->next;
    if (request->next == REQUEST_NONE)
        list->tail = request->prev;
    else
        pool->items[request->next].prev = request->prev;
    request->next = request->prev = REQUEST_NONE;
    MUST(list->count > 0);
    list->count--;
}
