/* Coming in: a waiting request's prefix is looked up, held, fetched, and its first chunk found room for. */
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

uint32_t admit_chunk(const struct request *request, const struct composition *composing) {
    int64_t chunk = (int64_t)request->target - request->computed;
    if (chunk > composing->budget)
        chunk = composing->budget;
    if (composing->plan.chunk_limit > 0 && chunk > composing->plan.chunk_limit)
        chunk = composing->plan.chunk_limit;
    return (uint32_t)(chunk > 0 ? chunk : 0);
}

struct reuse_world {
    struct instance *instance;
    const struct request *request;
    const struct kv_lookup *found;
};

static double predict_fetch_s(const void *world, uint32_t blocks) {
    const struct reuse_world *w = world;
    double longest_s = 0;
    for (uint32_t t = 1; t < TIERS_MAX && blocks > 0; t++) {
        uint32_t here = w->found->tier_blocks[t] < blocks ? w->found->tier_blocks[t] : blocks;
        if (here == 0)
            continue;
        double s = kv_predict_fetch_s(w->instance->fleet->hierarchy, w->instance->index, t, here);
        if (s > longest_s)
            longest_s = s;
        blocks -= here;
    }
    return longest_s;
}

/* Prefill in chunks of the budget that the decodes leave, each with the decodes beside it. */
static double predict_prefill_s(const void *world, uint32_t from_tokens) {
    const struct reuse_world *w = world;
    const struct instance *instance = w->instance;
    const struct serve_options *serve = instance->fleet->setup->serve;
    int64_t decodes = instance->decoding.count, chunk = serve->token_budget - decodes;
    if (chunk < 1)
        chunk = 1;
    double seconds = 0;
    for (int64_t at = from_tokens; at < w->request->target; at += chunk) {
        int64_t q = w->request->target - at < chunk ? w->request->target - at : chunk;
        struct step_shape shape = {.decode_seqs = decodes,
                                   .decode_context = instance->decode_computed + decodes,
                                   .prefill_seqs = 1,
                                   .prefill_tokens = q,
                                   .prefill_context = at + q,
                                   .prefill_pairs = q * (at + q) - q * (q - 1) / 2,
                                   .prefill_squares = q * q,
                                   .logits = decodes + 1};
        shape.decode_longest = decodes ? shape.decode_context / decodes : 0;
        seconds += step_cost(instance->fleet->setup->model, &shape).seconds;
    }
    return seconds;
}

static uint32_t decide_fetch(struct instance *instance, const struct request *request, const struct kv_lookup *found) {
    if (found->lower_blocks == 0)
        return 0;
    const struct fleet *fleet = instance->fleet;
    struct reuse_option options[REUSE_OPTIONS_MAX];
    struct reuse_view view = {.prompt_tokens = request->target,
                              .options = options,
                              .predict_fetch_s = predict_fetch_s,
                              .predict_prefill_s = predict_prefill_s,
                              .hbm_tokens = (found->hbm_blocks + found->arriving_blocks) * fleet->block_tokens};
    for (uint32_t t = 1; t < TIERS_MAX; t++) {
        if (found->tier_blocks[t] == 0)
            continue;
        options[view.option_count++] =
            (struct reuse_option){.tier = (uint8_t)t,
                                  .blocks = found->tier_blocks[t],
                                  .tokens = (uint64_t)found->tier_blocks[t] * fleet->block_tokens,
                                  .bytes = (uint64_t)((double)found->tier_blocks[t] * fleet->lower_block_bytes),
                                  .queued_bytes = kv_queued_bytes(fleet->hierarchy, instance->index, t)};
    }
    struct reuse_world world = {instance, request, found};
    view.world = &world;
    uint32_t fetch = fleet->setup->reuse->decide(fleet->setup->reuse_options, &view);
    return fetch < found->lower_blocks ? fetch : found->lower_blocks;
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
    /* At least the last token is computed: its logits are needed. */
    struct kv_identity identity = request_identity(instance, request, request->target - 1, 0, &count);
    struct kv_lookup found = {0};
    if (count > 0)
        kv_lookup(fleet->hierarchy, instance->index, identity.ids, count, &found);
    uint32_t fetch = decide_fetch(instance, request, &found);
    uint32_t held = found.hbm_blocks + found.arriving_blocks + fetch;
    request_room(request, held);
    enum kv_result result = kv_begin(fleet->hierarchy, instance->index, &request->kv, &identity, found.hbm_blocks,
                                     found.arriving_blocks, fetch, id, now);
    if (result == KV_FULL) {
        request->need_blocks = fetch;
        return NO_ROOM;
    }
    request->held_blocks = held;
    book_hits(instance, request, &found, fetch);
    if (result == KV_READY)
        return ADMITTED;
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
    uint32_t chunk = decodes_on ? 0 : admit_chunk(request, composing);
    if (!admit_extend(instance, request, chunk, now)) {
        uint64_t missing = admit_blocks_missing(instance, request, chunk);
        if (fresh)
            preempt_let_go(instance, request, now);
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
