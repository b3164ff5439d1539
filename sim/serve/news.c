#include "sim/serve/news.h"

#include "sim/serve/predict.h"

static struct session_note note_of(const struct request *request, enum session_event event) {
    return (struct session_note){.event = event,
                                 .session = request->spec.session,
                                 .context_tokens = (uint64_t)request->spec.prompt_tokens + request->generated,
                                 .returns = -1};
}

void news_queued(struct instance *instance, const struct request *request, sim_time now) {
    struct hierarchy *hierarchy = instance->fleet->hierarchy;
    if (!(hierarchy_hears(hierarchy) & NEED_QUEUE))
        return;
    struct session_note note = note_of(request, SESSION_QUEUED);
    struct kv_identity identity = request_identity(instance, request, request->target, 0, &note.count);
    note.position = instance->waiting.count;
    note.ids = identity.ids;
    hierarchy_note(hierarchy, instance->index, &note, now);
}

void news_started(struct instance *instance, struct request *request, sim_time now) {
    struct hierarchy *hierarchy = instance->fleet->hierarchy;
    if (!hierarchy_hears(hierarchy) || request->started)
        return;
    request->started = true;
    struct session_note note = note_of(request, SESSION_STARTED);
    hierarchy_note(hierarchy, instance->index, &note, now);
}

static void tell_end(struct hierarchy *hierarchy, uint32_t instance, struct session_note note, uint32_t steps,
                     sim_time now) {
    hierarchy_note(hierarchy, instance, &note, now);
    if (!(hierarchy_hears(hierarchy) & NEED_AGENT_GRAPH) || note.returns <= 0)
        return;
    note.event = SESSION_STEPS;
    note.position = steps;
    hierarchy_note(hierarchy, instance, &note, now);
}

void news_ended(struct instance *instance, const struct request *request, sim_time now) {
    const struct fleet *fleet = instance->fleet;
    unsigned hears = hierarchy_hears(fleet->hierarchy);
    if (!(hears & (NEED_SESSION | NEED_AGENT_GRAPH)))
        return;
    uint32_t steps = 0;
    int returns = workload_returns(fleet->setup->workload, &request->spec, &steps);
    struct session_note note = note_of(request, request->spec.calls_tool ? SESSION_TOOL : SESSION_TURN);
    note.returns = returns;
    tell_end(fleet->hierarchy, instance->index, note, steps, now);
    if (request->hand_from > 0 && request->hand_from - 1 != instance->index)
        tell_end(fleet->hierarchy, request->hand_from - 1, note, steps, now);
}

void news_prices(struct fleet *fleet, double *token_s, double *pair_s) {
    const struct cluster_setup *setup = fleet->setup;
    struct instance idle = {.fleet = fleet};
    struct batch_load alone = {0};
    int64_t chunk = setup->serve->token_budget, longest = setup->arch->max_context;
    chunk = chunk < longest / 2 ? chunk : longest / 2;
    int64_t far = longest - chunk;
    double first_s = predict_compute_s(&idle, &alone, 0, chunk) / (double)chunk,
           last_s = predict_compute_s(&idle, &alone, far, longest) / (double)chunk;
    *pair_s = last_s > first_s ? (last_s - first_s) / (double)far : 0;
    *token_s = first_s - *pair_s * (double)chunk / 2;
}

int news_suffices(const struct evict_policy *policy, struct workload *workload, uint32_t block_tokens,
                  struct error *err) {
    unsigned needs = policy->policy.needs;
    if (needs & (NEED_FUTURE | NEED_AGENT_GRAPH) && workload_foresee(workload, block_tokens, err) != 0)
        return -1;
    return tier_can_run(policy, NEED_FUTURE | NEED_AGENT_GRAPH | NEED_SESSION | NEED_QUEUE | NEED_COST | NEED_GROUP,
                        true, err);
}
