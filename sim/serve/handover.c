#include "sim/serve/handover.h"

#include <stdlib.h>

#include "sim/memory/handover.h"
#include "sim/serve/router.h"
#include "sim/serve/schedule.h"

/* Those who wait for blocks of one instance, in order. */
struct queue_of_ids {
    uint32_t *ids, first, count, room;
};

struct handovers {
    struct fleet *fleet;
    struct instance *instances;
    uint32_t prompts; /* instances 0..prompts-1 compute them */
    bool layerwise;
    struct router router;      /* among those that decode */
    struct queue_of_ids *wait; /* [instance] */
};

struct handovers *handovers_create(struct fleet *fleet, struct instance *instances) {
    const struct cluster_setup *setup = fleet->setup;
    struct handovers *h = calloc(1, sizeof *h);
    MUST(h != NULL);
    *h = (struct handovers){.fleet = fleet,
                            .instances = instances,
                            .prompts = (uint32_t)setup->serve->prefill_instances,
                            .layerwise = setup->serve->handover == HANDOVER_LAYERWISE,
                            .wait = calloc(setup->instances, sizeof *h->wait)};
    MUST(h->wait != NULL && h->prompts < setup->instances);
    router_create(&h->router, fleet, instances + h->prompts, setup->instances - h->prompts, setup->decode_route,
                  setup->decode_route_options);
    return h;
}

void handovers_destroy(struct handovers *h) {
    if (!h)
        return;
    for (uint32_t i = 0; i < h->fleet->setup->instances; i++)
        free(h->wait[i].ids);
    router_destroy(&h->router);
    free(h->wait);
    free(h);
}

bool handover_leaves(const struct instance *instance) {
    const struct handovers *h = instance->fleet->handovers;
    return h && instance->index < h->prompts;
}

bool handover_steps(const struct instance *instance) {
    return handover_leaves(instance) && instance->fleet->handovers->layerwise;
}

/* Bytes of the first `tokens` tokens: sums of differences are whole. */
static uint64_t bytes_upto(const struct fleet *fleet, uint32_t tokens) {
    return (uint64_t)(fleet->lower_block_bytes / fleet->block_tokens * tokens + 0.5);
}

/* Holds blocks for the whole prompt where it will be decoded; what HBM there has of it need not be sent. */
static bool hold(struct handovers *h, uint32_t id, sim_time now) {
    struct fleet *fleet = h->fleet;
    struct request *request = &fleet->requests.items[id];
    struct instance *to = &h->instances[request->hand_to - 1];
    uint32_t need = blocks_for(request->spec.prompt_tokens, fleet->block_tokens), count;
    struct kv_identity identity = request_identity(to, request, request->spec.prompt_tokens, 0, &count);
    struct kv_lookup found = {0};
    if (count > 0)
        kv_lookup(fleet->hierarchy, to->index, identity.ids, count, &found);
    if (need - found.hbm_blocks > tier_available(hierarchy_hbm(fleet->hierarchy, to->index)))
        return false;
    if (!request->hand.slots) {
        request->hand.slots = calloc(need, sizeof *request->hand.slots);
        request->hand.room = need;
        MUST(request->hand.slots != NULL);
    }
    enum kv_result result =
        kv_begin(fleet->hierarchy, to->index, &request->hand, &identity, found.hbm_blocks, 0, 0, id, now);
    MUST(result != KV_LOADING);
    if (result == KV_FULL)
        return false;
    if (!kv_extend(fleet->hierarchy, to->index, &request->hand, need - found.hbm_blocks, now)) {
        kv_drop(fleet->hierarchy, to->index, &request->hand, now);
        return false;
    }
    request->hand_held = true;
    request->hand_sent = found.hbm_blocks * fleet->block_tokens;
    return true;
}

/* Its KV is there: it is decoded there from its next step on. `within`: in the step boundary of where it comes from. */
static void arrive(struct handovers *h, uint32_t id, bool within, sim_time now) {
    struct fleet *fleet = h->fleet;
    struct request *request = &fleet->requests.items[id];
    struct instance *from = &h->instances[request->instance], *to = &h->instances[request->hand_to - 1];
    int64_t left = (int64_t)request->spec.output_tokens - request->generated;
    kv_drop(fleet->hierarchy, from->index, &request->kv, now);
    free(request->kv.slots);
    request->kv = request->hand;
    request->hand = (struct kv){0};
    from->away--;
    to->coming--;
    to->coming_tokens -= left;
    to->outstanding_tokens += left;
    request->instance = to->index;
    request->held_blocks = blocks_for(request->computed, fleet->block_tokens);
    request->need_blocks = 0;
    request->prefetched = false;
    request->resumes = true;
    request_account(request, CAUSE_QUEUE, 0, now);
    int64_t tier_ns[TIERS_MAX] = {INT64_MAX};
    reuse_book_load(request, tier_ns, request->cause_ns[CAUSE_LOAD]);
    instance_publish(to, request, request->computed, now);
    request->phase = PHASE_READY;
    list_append(&fleet->requests, &to->ready, id);
    fleet->result->handed_over++;
    instance_touch(to, now);
    if (!within)
        instance_touch(from, now);
}

/* Sends tokens hand_sent..to-1 but for `spare` bytes. */
static void send(struct handovers *h, uint32_t id, uint32_t to, uint64_t spare, sim_time delay_ns, sim_time now) {
    struct fleet *fleet = h->fleet;
    struct request *request = &fleet->requests.items[id];
    if (to <= request->hand_sent)
        return;
    uint64_t bytes = bytes_upto(fleet, to) - bytes_upto(fleet, request->hand_sent);
    uint32_t blocks = blocks_for(to - request->hand_sent, fleet->block_tokens);
    MUST(spare <= bytes);
    request->hand_sent = to;
    fleet->result->handed_bytes += bytes;
    if (bytes == spare)
        return;
    delay_ns += (sim_time)(hierarchy_hand_software_s(fleet->hierarchy, blocks) * 1e9 + 0.5);
    hierarchy_hand(fleet->hierarchy, request->instance, request->hand_to - 1, bytes - spare, blocks, delay_ns, id, now);
    request->hand_flows++;
}

/* Its prompt is computed and its blocks over there are held. */
static void send_rest(struct handovers *h, uint32_t id, bool within, sim_time now) {
    struct request *request = &h->fleet->requests.items[id];
    request_account(request, CAUSE_LOAD, 0, now);
    send(h, id, request->spec.prompt_tokens, 0, 0, now);
    if (request->hand_flows == 0)
        arrive(h, id, within, now);
}

static void begin(struct instance *from, uint32_t id, sim_time now) {
    struct handovers *h = from->fleet->handovers;
    struct request *request = instance_request(from, id);
    uint32_t index = h->prompts + router_choose(&h->router, &request->spec, now);
    struct queue_of_ids *wait = &h->wait[index];
    request->hand_to = index + 1;
    request->hand_from = from->index + 1;
    h->instances[index].coming++;
    h->instances[index].coming_tokens += (int64_t)request->spec.output_tokens - 1;
    if (wait->count == 0 && hold(h, id, now))
        return;
    kv_want(from->fleet->hierarchy, index);
    if (wait->first + wait->count == wait->room) {
        for (uint32_t i = 0; i < wait->count; i++)
            wait->ids[i] = wait->ids[wait->first + i];
        wait->first = 0;
        wait->room = 2 * wait->count + 16;
        wait->ids = realloc(wait->ids, wait->room * sizeof *wait->ids);
        MUST(wait->ids != NULL);
    }
    wait->ids[wait->first + wait->count++] = id;
}

void handover_room(struct instance *to, sim_time now) {
    struct handovers *h = to->fleet->handovers;
    if (!h)
        return;
    struct queue_of_ids *wait = &h->wait[to->index];
    while (wait->count > 0) {
        uint32_t id = wait->ids[wait->first];
        if (!hold(h, id, now)) {
            kv_want(to->fleet->hierarchy, to->index);
            return;
        }
        wait->first++;
        wait->count--;
        if (instance_request(to, id)->phase == PHASE_HANDED)
            send_rest(h, id, false, now);
    }
}

void handover_launched(struct instance *instance, sim_time now) {
    if (!handover_steps(instance))
        return;
    struct handovers *h = instance->fleet->handovers;
    uint32_t layers = (uint32_t)instance->fleet->setup->arch->layers;
    sim_time step_ns = run_elapsed_ns(&instance->run.segment, 1);
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        struct request *request = instance_request(instance, id);
        request->hand_last_bytes = 0;
        if (request->chunk == 0 || request->spec.output_tokens == 1)
            continue;
        if (request->hand_to == 0)
            begin(instance, id, now);
        uint32_t end = request->computed + request->chunk;
        if (!request->hand_held || request->hand_sent >= end)
            continue;
        send(h, id, request->computed, 0, 0, now);
        uint64_t bytes = bytes_upto(instance->fleet, end) - bytes_upto(instance->fleet, request->hand_sent);
        request->hand_last_bytes = bytes / layers;
        send(h, id, end, request->hand_last_bytes, step_ns / layers, now);
    }
}

void handover_computed(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    if (request->hand_last_bytes == 0)
        return;
    struct fleet *fleet = instance->fleet;
    hierarchy_hand(fleet->hierarchy, instance->index, request->hand_to - 1, request->hand_last_bytes,
                   blocks_for(request->chunk, fleet->block_tokens), 0, id, now);
    request->hand_last_bytes = 0;
    request->hand_flows++;
}

void handover_prefilled(struct instance *instance, uint32_t id, sim_time now) {
    struct request *request = instance_request(instance, id);
    int64_t left = (int64_t)request->spec.output_tokens - request->generated;
    request_account(request, CAUSE_QUEUE, instance_stall_clock(instance, now), now);
    request->phase = PHASE_HANDED;
    request->chunk = 0;
    instance->away++;
    instance->outstanding_tokens -= left;
    if (request->hand_to == 0)
        begin(instance, id, now);
    if (request->hand_held)
        send_rest(instance->fleet->handovers, id, true, now);
}

void handover_landed(struct handovers *h, uint32_t id, sim_time now) {
    struct request *request = &h->fleet->requests.items[id];
    MUST(request->hand_flows > 0);
    if (--request->hand_flows == 0 && request->phase == PHASE_HANDED &&
        request->hand_sent == request->spec.prompt_tokens)
        arrive(h, id, false, now);
}
