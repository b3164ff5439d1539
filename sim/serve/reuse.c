/* Fetch or compute: the decision, loads that computing overlaps or cuts short, and what came of it. */
#include "sim/serve/predict.h"
#include "sim/serve/schedule.h"

static double view_fetch_s(const void *world, uint32_t blocks) {
    return predict_load_s(world, 0, blocks);
}
static double view_load_s(const void *world, uint32_t skip, uint32_t fetch) {
    return predict_load_s(world, skip, fetch);
}
static double view_compute_s(const void *world, uint32_t from, uint32_t to) {
    const struct reuse_world *w = world;
    return predict_compute_s(w->instance, &w->load, from, to);
}
static double view_prefill_s(const void *world, uint32_t from) {
    const struct reuse_world *w = world;
    return view_compute_s(world, from, w->request->target);
}
static double view_plan_s(const void *world, const struct reuse_plan *plan) {
    return predict_plan_s(world, plan);
}
static uint32_t view_links(const void *world, uint32_t option, struct reuse_link links[REUSE_LINKS_MAX]) {
    const struct reuse_world *w = world;
    struct network_queue queues[NETWORK_HOPS_MAX];
    uint32_t tier = 1;
    for (; tier < TIERS_MAX; tier++)
        if (w->found->tier_blocks[tier] > 0 && option-- == 0)
            break;
    if (tier == TIERS_MAX)
        return 0;
    uint32_t count = kv_path_queues(w->instance->fleet->hierarchy, w->instance->index, tier, queues);
    for (uint32_t i = 0; i < count; i++)
        links[i] = (struct reuse_link){queues[i].name,  queues[i].bytes,       queues[i].wait_s, queues[i].bytes_per_s,
                                       queues[i].flows, queues[i].flows_per_s, queues[i].share};
    return count;
}
_Static_assert((int)REUSE_LINKS_MAX >= (int)NETWORK_HOPS_MAX, "every link of a path has a place");

static uint32_t fill_options(const struct instance *instance, const struct kv_lookup *found,
                             struct reuse_option *options) {
    const struct fleet *fleet = instance->fleet;
    uint32_t count = 0;
    for (uint32_t t = 1; t < TIERS_MAX; t++) {
        if (found->tier_blocks[t] == 0)
            continue;
        options[count++] =
            (struct reuse_option){.tier = (uint8_t)t,
                                  .blocks = found->tier_blocks[t],
                                  .tokens = (uint64_t)found->tier_blocks[t] * fleet->block_tokens,
                                  .bytes = (uint64_t)((double)found->tier_blocks[t] * fleet->lower_block_bytes),
                                  .queued_bytes = kv_queued_bytes(fleet->hierarchy, instance->index, t)};
    }
    return count;
}

static void ask(struct instance *instance, const struct reuse_world *world, struct reuse_plan *plan, sim_time now) {
    const struct cluster_setup *setup = instance->fleet->setup;
    struct reuse_option options[REUSE_OPTIONS_MAX];
    bool first_time = world->request->preemptions == 0 && !world->request->plain;
    struct reuse_view view = {.prompt_tokens = world->request->target,
                              .hbm_tokens = world->hbm_tokens,
                              .option_count = fill_options(instance, world->found, options),
                              .options = options,
                              .predict_fetch_s = view_fetch_s,
                              .predict_prefill_s = view_prefill_s,
                              .world = world,
                              .blocks = world->found->lower_blocks,
                              .block_tokens = instance->fleet->block_tokens,
                              .decoding = instance->decoding.count,
                              .waiting = instance->waiting.count > 0 ? instance->waiting.count - 1 : 0,
                              .ahead_tokens = world->request->decision.ahead_tokens,
                              .ahead_s = world->ahead_s,
                              .backlog_s = setup->reuse->plan ? predict_backlog_s(world) : 0,
                              .arrivals_per_s = now > 0 ? (double)instance->arrived / ((double)now * 1e-9) : 0,
                              .prompt_share = now > 0 ? (double)instance->prompt_ns / (double)now : 0,
                              .hbm_blocks = (uint32_t)instance->fleet->hbm_blocks,
                              .hbm_free =
                                  (uint32_t)tier_available(hierarchy_hbm(instance->fleet->hierarchy, instance->index)),
                              .can_skip = first_time && world->found->arriving_blocks == 0,
                              .can_overlap = first_time,
                              .predict_s = view_plan_s,
                              .predict_compute_s = view_compute_s,
                              .predict_load_s = view_load_s,
                              .links = view_links};
    if (setup->reuse->plan)
        setup->reuse->plan(setup->reuse_options, &view, plan);
    else
        plan->fetch = setup->reuse->decide(setup->reuse_options, &view);
    uint32_t blocks = view.blocks;
    if (plan->skip > 0 && !view.can_skip) {
        plan->fetch = plan->fetch < blocks - plan->skip ? plan->fetch + plan->skip : blocks;
        plan->skip = 0;
    }
    if (plan->skip > blocks)
        plan->skip = blocks;
    if (plan->fetch > blocks - plan->skip)
        plan->fetch = blocks - plan->skip;
    if (plan->fetch == 0)
        plan->skip = 0;
    plan->layerwise &= view.can_overlap && plan->skip == 0 && plan->fetch > 0;
    if (!view.can_overlap || plan->skip > 0 || plan->layerwise || plan->fetch == 0)
        plan->deadline_s = 0;
}

struct reuse_plan reuse_decide(struct instance *instance, struct request *request, const struct kv_lookup *found,
                               sim_time now) {
    const struct fleet *fleet = instance->fleet;
    struct reuse_plan plan = {0};
    request->decision.open = false;
    if (found->lower_blocks == 0 || request->gave_up)
        return plan;
    struct decision *decision = &request->decision;
    struct reuse_world world = {.instance = instance,
                                .request = request,
                                .found = found,
                                .load = batch_load_now(instance),
                                .hbm_tokens = (found->hbm_blocks + found->arriving_blocks) * fleet->block_tokens};
    *decision = (struct decision){.at = now,
                                  .hbm_tokens = world.hbm_tokens,
                                  .held_blocks = found->lower_blocks,
                                  .ahead_tokens = predict_ahead_tokens(instance)};
    world.ahead_s = predict_compute_s(instance, &world.load, 0, (int64_t)decision->ahead_tokens);
    ask(instance, &world, &plan, now);
    if (request->generated > 0) /* no first token is to come */
        return plan;
    struct reuse_plan all = {.fetch = found->lower_blocks}, none = {0};
    decision->open = true;
    decision->plan = plan;
    decision->predicted_fetch_s = predict_plan_s(&world, &all);
    decision->predicted_compute_s = predict_plan_s(&world, &none);
    bool plain = plan.skip == 0 && !plan.layerwise && plan.deadline_s == 0;
    decision->predicted_s = plain && plan.fetch == all.fetch ? decision->predicted_fetch_s
                            : plain && plan.fetch == 0       ? decision->predicted_compute_s
                                                             : predict_plan_s(&world, &plan);
    if (plan.fetch == found->lower_blocks)
        return plan;
    for (uint8_t t = TIERS_MAX; --t > 0 && decision->mark_count < 2;) {
        if (found->tier_blocks[t] == 0)
            continue;
        decision->mark_tier[decision->mark_count] = t;
        decision->mark_blocks[decision->mark_count] = found->tier_blocks[t];
        kv_mark(fleet->hierarchy, instance->index, t, &decision->marks[decision->mark_count++]);
    }
    return plan;
}

static void set_alarm(struct instance *instance, uint32_t id, double after_s, sim_time now) {
    struct fleet *fleet = instance->fleet;
    double after_ns = after_s * 1e9 < 9e18 ? after_s * 1e9 : 9e18;
    sim_time at = after_ns < (double)(SIM_NEVER - 1 - now) ? now + (sim_time)after_ns : SIM_NEVER - 1;
    if (at <= now)
        at = now + 1;
    instance_request(instance, id)->alarm = wakes_set(&fleet->wakes, at, instance->index, id);
    engine_set(fleet->engine, fleet->wake_source, wakes_next(&fleet->wakes));
}

void reuse_begun(struct instance *instance, uint32_t id, const struct kv_lookup *found, const struct reuse_plan *plan,
                 sim_time now) {
    struct request *request = instance_request(instance, id);
    uint32_t first = 0;
    request->lowest_tier = 0;
    for (uint32_t t = 1; t < TIERS_MAX; t++) {
        uint32_t end = first + found->tier_blocks[t], from = first > plan->skip ? first : plan->skip,
                 to = end < plan->skip + plan->fetch ? end : plan->skip + plan->fetch;
        request->tail_blocks[t] = to > from ? to - from : 0;
        if (to > from)
            request->lowest_tier = (uint8_t)t;
        first = end;
    }
    request->alarm = 0;
    if (plan->layerwise) {
        struct reuse_world world = {.instance = instance,
                                    .request = request,
                                    .found = found,
                                    .load = batch_load_now(instance),
                                    .hbm_tokens = request->decision.hbm_tokens};
        request->overlap = OVERLAP_LAYERS;
        double join_s = predict_join_s(&world, plan);
        if (join_s > 0)
            set_alarm(instance, id, join_s, now);
    } else if (plan->deadline_s > 0) {
        set_alarm(instance, id, plan->deadline_s, now);
    }
}

void reuse_note_steps(const struct run *run, struct request *request, int64_t steps) {
    if (!request->decision.open)
        return;
    request->decision.steps += steps;
    request->decision.decodes += run->shape.decode_seqs * steps;
    request->decision.decode_context += run->shape.decode_context * steps;
}

void reuse_join(struct instance *instance, struct request *request) {
    uint64_t tokens = (uint64_t)request->kv.tail_count * instance->fleet->block_tokens;
    MUST(request->held_blocks == request->kv.tail_first && request->preemptions == 0);
    request->held_blocks += request->kv.tail_count;
    kv_join(instance->fleet->hierarchy, instance->index, &request->kv);
    request->overlap = OVERLAP_NONE;
    request->landed = false;
    request->computed += (uint32_t)tokens;
    instance->outstanding_tokens -= (int64_t)tokens;
    request->recomputed_pending -= tokens;
    request->recomputed_tokens -= tokens;
    for (int t = 1; t < TIERS_MAX; t++)
        request->hit_tokens[t] += (uint64_t)request->tail_blocks[t] * instance->fleet->block_tokens;
}

/* Of the tail's first `open` blocks, which nobody has begun to load, those that are computed until the load has brought
 * the others, at the pace at which it came so far. */
static uint32_t share_to_compute(struct instance *instance, const struct request *request, uint32_t open,
                                 sim_time now) {
    const struct decision *decision = &request->decision;
    uint32_t came = request->kv.tail_count - open;
    struct batch_load load = batch_load_now(instance);
    int64_t bt = instance->fleet->block_tokens, at = request->computed;
    double compute_s = predict_compute_s(instance, &load, at, at + open * bt),
           load_s = came > 0 ? (double)(now - decision->at) * 1e-9 / came * open : 0;
    if (came == 0)
        return open; /* computed as fast as the first block was loaded */
    uint32_t share = (uint32_t)(open * (load_s / (load_s + compute_s)) + 0.5);
    return share > 0 ? share : 1;
}

bool reuse_meet(struct instance *instance, uint32_t id, sim_time now) {
    struct fleet *fleet = instance->fleet;
    struct request *request = instance_request(instance, id);
    if (!request->landed) {
        uint32_t open = kv_tail_open(fleet->hierarchy, instance->index, &request->kv);
        if (open > 0) {
            uint32_t give = share_to_compute(instance, request, open, now), left = give;
            enum kv_result result = kv_tail_give(fleet->hierarchy, instance->index, &request->kv, give, now);
            request->decision.given_blocks += give;
            for (int t = 1; t < TIERS_MAX; t++) {
                uint32_t of = request->tail_blocks[t] < left ? request->tail_blocks[t] : left;
                request->tail_blocks[t] -= of;
                left -= of;
            }
            request->landed = result == KV_READY;
            if (request->kv.tail_count == 0)
                request->overlap = OVERLAP_NONE;
            return true;
        }
    }
    if (request->landed) {
        reuse_join(instance, request);
        return true;
    }
    list_remove(&fleet->requests, &instance->prefilling, id);
    request_account(request, CAUSE_LOAD, instance_stall_clock(instance, now), now);
    request->phase = PHASE_LOADING;
    request->chunk = 0;
    instance->away++;
    return false;
}

void reuse_give(struct instance *instance, struct request *request, uint32_t blocks) {
    uint64_t tokens = (uint64_t)blocks * instance->fleet->block_tokens, left = tokens;
    MUST(request->preemptions == 0 && tokens <= request->computed);
    request->held_blocks = request->kv.count;
    request->computed -= (uint32_t)tokens;
    instance->outstanding_tokens += (int64_t)tokens;
    for (int t = TIERS_MAX; left > 0 && t-- > 0;) {
        uint64_t of = request->hit_tokens[t] < left ? request->hit_tokens[t] : left;
        request->hit_tokens[t] -= of;
        left -= of;
    }
    MUST(left == 0);
    request->recomputed_pending += tokens;
    request->recomputed_tokens += tokens;
    request->decision.given_blocks += blocks;
}

void reuse_book_load(struct request *request, const int64_t tier_ns[TIERS_MAX], int64_t booked_ns) {
    for (int t = 0; t < TIERS_MAX; t++)
        booked_ns -= request->load_tier_ns[t];
    /* Where it did not wait all the time, it waited for those that came last. */
    for (int t = TIERS_MAX; t-- > 0;) {
        int64_t of = tier_ns[t] < booked_ns ? tier_ns[t] : booked_ns;
        request->load_tier_ns[t] += of;
        booked_ns -= of;
    }
    MUST(booked_ns == 0);
}

/* What the other way would have taken, with the decodes that there were beside the prompt on average. */
static double alternative_s(const struct instance *instance, const struct request *request, bool fetch) {
    const struct fleet *fleet = instance->fleet;
    const struct decision *decision = &request->decision;
    struct batch_load load = {0};
    if (decision->steps > 0)
        load = (struct batch_load){decision->decodes / decision->steps,
                                   (decision->decode_context - decision->decodes) / decision->steps};
    int64_t from = decision->hbm_tokens;
    double ahead_s = predict_compute_s(instance, &load, 0, (int64_t)decision->ahead_tokens), load_s = 0;
    for (uint32_t i = 0; fetch && i < decision->mark_count; i++) {
        double s = kv_price_s(fleet->hierarchy, instance->index, decision->mark_tier[i], decision->mark_blocks[i],
                              &decision->marks[i]);
        load_s = s > load_s ? s : load_s;
    }
    if (fetch)
        from += (int64_t)decision->held_blocks * fleet->block_tokens;
    return (load_s > ahead_s ? load_s : ahead_s) + predict_compute_s(instance, &load, from, request->target);
}

void reuse_settle(struct instance *instance, struct request *request, bool abandoned, sim_time now) {
    struct decision *decision = &request->decision;
    if (abandoned) { /* what it waited for has not come */
        int64_t tier_ns[TIERS_MAX] = {0};
        tier_ns[request->lowest_tier] = INT64_MAX;
        reuse_book_load(request, tier_ns, request->cause_ns[CAUSE_LOAD]);
    }
    if (!decision->open)
        return;
    decision->open = false;
    const struct sink *sink = instance->fleet->setup->sink;
    if (!sink->decision)
        return;
    uint32_t bt = instance->fleet->block_tokens;
    struct decision_record record = {.request = request->spec.id,
                                     .instance = (uint16_t)instance->index,
                                     .at_ns = decision->at,
                                     .hbm_tokens = decision->hbm_tokens,
                                     .held_tokens = decision->held_blocks * bt,
                                     .skipped_tokens = decision->plan.skip * bt,
                                     .fetched_tokens = decision->plan.fetch * bt,
                                     .given_tokens = decision->given_blocks * bt,
                                     .layerwise = decision->plan.layerwise,
                                     .abandoned = abandoned,
                                     .predicted_s = decision->predicted_s,
                                     .predicted_fetch_s = decision->predicted_fetch_s,
                                     .predicted_compute_s = decision->predicted_compute_s};
    if (!abandoned) {
        record.realised_ns = now - decision->at;
        record.alternative_s = alternative_s(instance, request, false);
        /* Computing all is the alternative of a fetch, fetching all that of computing; of what is between, the better.
         */
        if (decision->plan.fetch < decision->held_blocks) {
            double fetch_s = alternative_s(instance, request, true);
            record.against_fetch = decision->plan.fetch == 0 || fetch_s < record.alternative_s;
            if (record.against_fetch)
                record.alternative_s = fetch_s;
        }
        record.regret_s = (double)record.realised_ns * 1e-9 - record.alternative_s;
    }
    sink->decision(sink->self, &record);
}
