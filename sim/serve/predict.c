#include "sim/serve/predict.h"

struct batch_load batch_load_now(const struct instance *instance) {
    return (struct batch_load){instance->decoding.count, instance->decode_computed};
}

uint64_t predict_ahead_tokens(struct instance *instance) {
    uint64_t tokens = 0;
    for (uint32_t id = instance->prefilling.head; id != REQUEST_NONE; id = instance_request(instance, id)->next) {
        const struct request *request = instance_request(instance, id);
        tokens += request->target - request->computed;
    }
    return tokens;
}

static double step_s(const struct instance *instance, const struct batch_load *load, int64_t at, int64_t chunk) {
    struct step_shape shape = {.decode_seqs = load->decodes,
                               .decode_context = load->decode_context + load->decodes,
                               .prefill_seqs = 1,
                               .prefill_tokens = chunk,
                               .prefill_context = at + chunk,
                               .prefill_pairs = chunk * (at + chunk) - chunk * (chunk - 1) / 2,
                               .prefill_squares = chunk * chunk,
                               .logits = load->decodes + 1};
    shape.decode_longest = load->decodes ? shape.decode_context / load->decodes : 0;
    return step_cost(instance->fleet->setup->model, &shape).seconds;
}

double predict_step_s(const void *batch_world, int64_t tokens) {
    const struct batch_world *world = batch_world;
    return step_s(world->instance, &world->load, world->computed, tokens);
}

/* What the batch policy gives a prompt that is alone beside the decodes. `load` loses them where they stand aside. */
static int64_t chunk_of(const struct instance *instance, struct batch_load *load) {
    const struct cluster_setup *setup = instance->fleet->setup;
    struct batch_world world = {instance, *load, 0};
    struct batch_view view = {.token_budget = setup->serve->token_budget,
                              .max_sequences = setup->serve->max_sequences,
                              .decoding = (uint32_t)load->decodes,
                              .prefilling = 1,
                              .step_s = predict_step_s,
                              .world = &world};
    struct batch_plan plan = {0};
    setup->batch->plan(setup->batch_options, &view, &plan);
    int64_t chunk = plan.prefill_tokens;
    if (plan.chunk_limit > 0 && plan.chunk_limit < chunk)
        chunk = plan.chunk_limit;
    if (!plan.decode)
        *load = (struct batch_load){0};
    return chunk > 0 ? chunk : 1;
}

double predict_compute_s(const struct instance *instance, const struct batch_load *load, int64_t from, int64_t to) {
    struct batch_load beside = *load;
    if (to <= from)
        return 0;
    int64_t chunk = chunk_of(instance, &beside), whole = (to - from) / chunk, rest = (to - from) % chunk;
    double seconds = rest > 0 ? step_s(instance, &beside, from + whole * chunk, rest) : 0;
    if (whole > 4) {
        double first = step_s(instance, &beside, from, chunk),
               middle = step_s(instance, &beside, from + (whole - 1) * chunk / 2, chunk),
               last = step_s(instance, &beside, from + (whole - 1) * chunk, chunk);
        return seconds + (double)whole * (first + 4 * middle + last) / 6;
    }
    for (int64_t i = 0; i < whole; i++)
        seconds += step_s(instance, &beside, from + i * chunk, chunk);
    return seconds;
}

double predict_load_s(const struct reuse_world *w, uint32_t skip, uint32_t fetch) {
    double longest_s = 0;
    uint32_t first = 0;
    for (uint32_t t = 1; t < TIERS_MAX && first < skip + fetch; t++) {
        uint32_t end = first + w->found->tier_blocks[t], from = first > skip ? first : skip,
                 to = end < skip + fetch ? end : skip + fetch;
        first = end;
        if (to <= from)
            continue;
        double s = kv_predict_fetch_s(w->instance->fleet->hierarchy, w->instance->index, t, to - from);
        if (s > longest_s)
            longest_s = s;
    }
    return longest_s;
}

static double compute_s(const struct reuse_world *w, uint64_t from, uint64_t to) {
    return predict_compute_s(w->instance, &w->load, (int64_t)from, (int64_t)to);
}

/* The first step of the prompt from token `from` on. */
static double first_step_s(const struct reuse_world *w, uint64_t from) {
    struct batch_load load = w->load;
    uint64_t to = from + (uint64_t)chunk_of(w->instance, &load);
    return compute_s(w, from, to < w->request->target ? to : w->request->target);
}

/* A step that takes layers as they land is over when the last has landed and been computed. */
static double under_load_s(const struct reuse_world *w) {
    double layers = (double)w->instance->fleet->setup->arch->layers;
    return layers > 1 ? (layers - 1) / layers : 0;
}

double predict_join_s(const struct reuse_world *w, const struct reuse_plan *plan) {
    uint64_t from = w->hbm_tokens + (uint64_t)plan->fetch * w->instance->fleet->block_tokens;
    double s = predict_load_s(w, 0, plan->fetch) - under_load_s(w) * first_step_s(w, from);
    return s > 0 ? s : 0;
}

/* When those who are in the batch and those who wait behind the request are computed, one after the other, but no
 * later than the first of them to end after `until_s`. What tiers hold for them is not looked up: as much is computed
 * of each as the instance has computed of its prompts so far. */
static double served_s(const struct reuse_world *w, double until_s) {
    struct instance *instance = w->instance;
    double at_s = w->ahead_s;
    if (at_s >= until_s || instance->waiting.count < 2)
        return at_s;
    double per_token_s = compute_s(w, 0, w->request->target) / w->request->target;
    if (instance->prompt_tokens > 0)
        per_token_s *= (double)instance->computed_tokens / (double)instance->prompt_tokens;
    for (uint32_t id = instance->waiting.head; id != REQUEST_NONE && at_s < until_s;
         id = instance_request(instance, id)->next) {
        const struct request *request = instance_request(instance, id);
        if (request != w->request)
            at_s += per_token_s * (request->target - request->computed);
    }
    return at_s;
}

double predict_backlog_s(const struct reuse_world *w) {
    return served_s(w, 1e18);
}

/* When a request that comes back after `load_s` gets its place: who is being computed then is finished first. */
static double turn_s(const struct reuse_world *w, double load_s) {
    double at_s = served_s(w, load_s);
    return at_s > load_s ? at_s : load_s;
}

double predict_plan_s(const struct reuse_world *w, const struct reuse_plan *plan) {
    uint64_t bt = w->instance->fleet->block_tokens, target = w->request->target, from = w->hbm_tokens;
    double load_s = predict_load_s(w, plan->skip, plan->fetch), ahead_s = w->ahead_s;
    if (plan->fetch == 0)
        return ahead_s + compute_s(w, from, target);
    uint64_t tail = from + (plan->skip + plan->fetch) * bt;
    if (plan->skip > 0) {
        double front_s = ahead_s + compute_s(w, from, from + plan->skip * bt);
        return (front_s > load_s ? front_s : load_s) + compute_s(w, tail, target);
    }
    if (plan->layerwise) {
        double step = first_step_s(w, tail), join_s = predict_join_s(w, plan);
        double begin_s = join_s > ahead_s ? join_s : ahead_s;
        double end_s = begin_s + step, landed_s = load_s + (1 - under_load_s(w)) * step;
        return (end_s > landed_s ? end_s : landed_s) + compute_s(w, tail, target) - step;
    }
    if (plan->deadline_s > 0 && load_s > plan->deadline_s) {
        /* As if blocks came evenly. */
        tail = from + (uint64_t)((double)plan->fetch * plan->deadline_s / load_s) * bt;
        load_s = plan->deadline_s;
    }
    return turn_s(w, load_s) + compute_s(w, tail, target);
}
