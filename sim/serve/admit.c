/* Coming in: a waiting request's prefix is looked up, held, fetched, and its first chunk found room for. */
#include "sim/serve/news.h"
#include "sim/serve/schedule.h"

uint64_t admit_blocks_missing(const struct instance *instance, const struct request *request, uint32_t tokens) {
    uint64_t want = blocks_for(request->computed + tokens, instance->fleet->block_tokens);
    return want > request->held_blocks ? want - request->held_blocks : 0;
}

bool admit_extend(struct instance *instance, struct request *request, uint32_t tokens, sim_time now) {
    uint64_t blocks = admit_blocks_missing(instance, request, tokens);
    if (blocks == 0)
        return true;
    if (!kv_extend(instance->fleet->hierarchy, instance->index, &request->kv, blocks, now))
        return false;
    request->held_blocks += (uint32_t)blocks;
    return true;
}

uint32_t admit_chunk(const struct request *request, uint32_t goal, const struct composition *composing) {
    int64_t chunk = (int64_t)goal - request->computed;
    if (chunk > composing->budget)
        chunk = composing->budget;
    if (composing->plan.chunk_limit > 0 && chunk > composing->plan.chunk_limit)
        chunk = composing->plan.chunk_limit;
    return (uint32_t)(chunk > 0 ? chunk : 0);
}

/* Preempted, it may find more of its prompt than it had had: read instead of computed, as any hit. */
static void book_later_hits(struct request *request, const struct kv_lookup *found, uint32_t fetch, uint64_t hits) {
    uint64_t prompt = request->spec.prompt_tokens, had = request->reached < prompt ? request->reached : prompt;
    if (hits > prompt)
        hits = prompt;
    request->hits_pending = hits > had ? hits - had : 0;
    request->hits_pending_tier = 0;
    for (uint8_t t = 1; fetch > 0 && t < TIERS_MAX; t++)
        if (found->tier_blocks[t] > 0)
            request->hits_pending_tier = t;
    request->hit_tokens[request->hits_pending_tier] += request->hits_pending;
}

static void book_hits(struct instance *instance, struct request *request, const struct kv_lookup *found,
                      uint32_t fetch) {
    uint64_t tokens = instance->fleet->block_tokens;
    uint64_t hits = (found->hbm_blocks + found->arriving_blocks + (uint64_t)fetch) * tokens;
    request->computed = (uint32_t)hits;
    instance->outstanding_tokens -= (int64_t)hits;
    if (request->preemptions > 0) {
        request->recomputed_pending = request->reached > hits ? request->reached - hits : 0;
        book_later_hits(request, found, fetch, hits);
    } else {
        request->hit_tokens[0] = (found->hbm_blocks + found->arriving_blocks) * tokens;
        uint32_t left = fetch;
        for (uint32_t t = 1; t < TIERS_MAX; t++) {
            uint32_t here = found->tier_blocks[t] < left ? found->tier_blocks[t] : left;
            request->hit_tokens[t] = here * tokens;
            left -= here;
        }
        request->recomputed_pending = (found->lower_blocks - fetch) * tokens;
    }
    request->recomputed_tokens += request->recomputed_pending;
}

enum admission { ADMITTED, WENT_AWAY, NO_ROOM };

/* Looks a waiting request's prefix up, holds what HBM has and starts loading what lower tiers have. */
static enum admission look_up(struct instance *instance, uint32_t id, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    uint32_t count;
    request->space = spaces_of(fleet->spaces, instance->index, &request->spec);
    /* At least the last token is computed: its logits are needed. */
    struct kv_identity identity = request_identity(instance, request, request->target - 1, 0, &count);
    struct kv_lookup found = {0};
    if (count > 0)
        kv_lookup(fleet->hierarchy, instance->index, identity.ids, count, &found);
    if (request->gave_up)
        found.arriving_blocks = 0; /* others' loads that it does not wait for */
    request->recomputed_tokens -= request->recomputed_pending;
    request->recomputed_pending = 0;
    struct reuse_plan plan = reuse_decide(instance, request, &found, now);
    uint32_t held = found.hbm_blocks + found.arriving_blocks + (plan.skip > 0 ? 0 : plan.fetch);
    request_room(request, found.hbm_blocks + found.arriving_blocks + plan.skip + plan.fetch);
    enum kv_result result = plan.skip > 0 ? kv_begin_tail(fleet->hierarchy, instance->index, &request->kv, &identity,
                                                          found.hbm_blocks, plan.skip, plan.fetch, id, now)
                                          : kv_begin(fleet->hierarchy, instance->index, &request->kv, &identity,
                                                     found.hbm_blocks, found.arriving_blocks, plan.fetch, id, now);
    if (result == KV_FULL) {
        request->need_blocks = plan.fetch;
        request->decision.open = false;
        return NO_ROOM;
    }
    request->held_blocks = held;
    news_started(instance, request, now);
    if (count > 0)
        kv_seen(fleet->hierarchy, instance->index, identity.ids, count, now);
    book_hits(instance, request, &found, plan.skip > 0 ? 0 : plan.fetch);
    if (plan.skip > 0) {
        request->overlap = OVERLAP_TAIL;
        request->landed = result == KV_READY;
        reuse_begun(instance, id, &found, &plan, now);
        return ADMITTED;
    }
    if (result == KV_READY)
        return ADMITTED;
    reuse_begun(instance, id, &found, &plan, now);
    if (request->overlap == OVERLAP_LAYERS && request->alarm == 0)
        return ADMITTED; /* its step begins at once */
    list_remove(&fleet->requests, &instance->waiting, id);
    request->phase = PHASE_LOADING;
    request_account(request, CAUSE_LOAD, 0, now);
    instance->away++;
    return WENT_AWAY;
}

static enum admission admit(struct instance *instance, uint32_t id, struct composition *composing, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    if (request->phase == PHASE_SWAPPED) {
        /* Room for those that run to grow by a block each is left: else two requests would swap each other out for
         * ever. */
        uint64_t others = instance->decoding.count + instance->prefilling.count + instance->away;
        if (others > 0 && tier_available(instance_hbm(instance)) < request->kv.swapped + others + 1)
            return NO_ROOM;
        if (!kv_swap_in(fleet->hierarchy, instance->index, &request->kv, id, now))
            return NO_ROOM;
        list_remove(&fleet->requests, &instance->waiting, id);
        request_account(request, CAUSE_SWAP, 0, now);
        request->phase = PHASE_SWAPPING_IN;
        instance->away++;
        return WENT_AWAY;
    }
    bool fresh = request->held_blocks == 0;
    if (fresh) {
        if (request->need_blocks > tier_available(instance_hbm(instance)))
            return NO_ROOM;
        enum admission result = look_up(instance, id, now);
        if (result != ADMITTED)
            return result;
    }
    bool decodes_on = request->resumes && request->generated > 0 &&
                      request->computed == request->spec.prompt_tokens + request->generated - 1;
    uint32_t chunk = decodes_on ? 0 : admit_chunk(request, request_goal(instance, request), composing);
    if (!admit_extend(instance, request, chunk, now)) {
        uint64_t missing = admit_blocks_missing(instance, request, chunk);
        if (fresh) {
            request->decision.open = false; /* it is taken anew; were it the same, it would be for ever */
            request->plain = true;
            preempt_let_go(instance, request, now);
        }
        request->need_blocks = missing;
        return NO_ROOM;
    }
    list_remove(&fleet->requests, &instance->waiting, id);
    request->resumes = false;
    if (chunk == 0) {
        decode_enter(instance, id, now);
        return ADMITTED;
    }
    request->phase = PHASE_PREFILL;
    request_account(request, CAUSE_PREFILL, instance_stall_clock(instance, now), now);
    request->chunk = chunk;
    composing->budget -= chunk;
    list_append(&fleet->requests, &instance->prefilling, id);
    return ADMITTED;
}

void admit_waiting(struct instance *instance, struct composition *composing, sim_time now) {
    int64_t places =
        instance->fleet->setup->serve->max_sequences - instance->decoding.count - instance->prefilling.count;
    while (instance->waiting.count > 0 && composing->budget > 0 && places > 0) {
        enum admission result = admit(instance, instance->waiting.head, composing, now);
        if (result == NO_ROOM)
            break;
        if (result == ADMITTED)
            places--;
    }
}
