#include "sim/serve/prefetch.h"

#include "sim/serve/predict.h"

static double fetch_s(const void *world, uint32_t tier, uint32_t blocks) {
    (void)tier;
    return predict_load_s(world, 0, blocks);
}
static double wait_s(const void *world) {
    return predict_backlog_s(world);
}
static double prefill_s(const void *world, uint32_t from) {
    const struct reuse_world *w = world;
    return predict_compute_s(w->instance, &w->load, from, w->request->target);
}

static bool ask(struct instance *instance, const struct request *request, enum prefetch_cause cause, uint32_t number,
                sim_time now) {
    struct fleet *fleet = instance->fleet;
    const struct cluster_setup *setup = fleet->setup;
    uint32_t count;
    struct kv_identity identity = request_identity(instance, request, request->target - 1, 0, &count);
    struct kv_lookup found;
    if (count == 0)
        return false;
    kv_lookup(fleet->hierarchy, instance->index, identity.ids, count, &found);
    if (found.lower_blocks == 0)
        return false;
    struct reuse_world world = {.instance = instance,
                                .request = request,
                                .found = &found,
                                .load = batch_load_now(instance),
                                .hbm_tokens = found.tier_blocks[0] * fleet->block_tokens};
    struct prefetch_view view = {.cause = cause,
                                 .position = cause == PREFETCH_STEPS ? 0 : number,
                                 .steps = cause == PREFETCH_STEPS ? number : 0,
                                 .arrival_ns = cause == PREFETCH_STEPS ? 0 : request->spec.arrival_ns,
                                 .prompt_tokens = request->target,
                                 .block_tokens = fleet->block_tokens,
                                 .tier_count = hierarchy_tier_count(fleet->hierarchy),
                                 .predict_fetch_s = fetch_s,
                                 .predict_wait_s = wait_s,
                                 .predict_prefill_s = prefill_s,
                                 .world = &world};
    for (uint32_t t = 0; t < view.tier_count; t++) {
        struct tier_counts counts = tier_counts(hierarchy_tier(fleet->hierarchy, t, instance->index));
        view.blocks[t] = found.tier_blocks[t];
        /* Who waits has its hits among the blocks that nobody holds, and eviction begins with the least recent: at most
         * half of them are taken as had without harm. */
        uint64_t idle = tier_available(hierarchy_tier(fleet->hierarchy, t, instance->index)) / 2;
        view.free_blocks[t] = counts.free > idle ? counts.free : idle;
        uint64_t queued = t > 0 ? kv_queued_bytes(fleet->hierarchy, instance->index, t) : 0;
        view.queued_bytes = queued > view.queued_bytes ? queued : view.queued_bytes;
    }
    struct prefetch_plan plan = {0};
    setup->prefetch->decide(setup->prefetch_options, &view, &plan, now);
    uint32_t blocks = plan.blocks < found.lower_blocks ? plan.blocks : found.lower_blocks;
    return blocks > 0 && kv_prefetch(fleet->hierarchy, instance->index, &identity, found.hbm_blocks,
                                     found.arriving_blocks, blocks, plan.tier, now) > 0;
}

void prefetch_ask(struct instance *instance, const struct request *request, enum prefetch_cause cause, uint32_t number,
                  sim_time now) {
    if (instance->fleet->setup->prefetch && instance->down_until == 0)
        ask(instance, request, cause, number, now);
}

void prefetch_queue(struct instance *instance, sim_time now) {
    if (!instance->fleet->setup->prefetch)
        return;
    uint32_t position = 0;
    for (uint32_t id = instance->waiting.head; id != REQUEST_NONE && position < PREFETCH_QUEUE_MAX; position++) {
        struct request *request = instance_request(instance, id);
        if (request->held_blocks == 0 && request->phase == PHASE_WAITING && !request->prefetched)
            request->prefetched = ask(instance, request, PREFETCH_QUEUE, position, now);
        id = request->next;
    }
}
