/* What a router that predicts sees of an instance: what it has to compute first, and what tiers would spare it. */
#include "sim/serve/predict.h"
#include "sim/serve/router.h"

_Static_assert((int)ROUTE_TIERS_MAX >= (int)TIERS_MAX, "every tier has a place");

/* Of prompts that wait it is not looked up what tiers hold: as much is computed of each as the instance has computed of
 * its prompts so far. */
struct route_ahead route_ahead(struct instance *instance) {
    struct batch_load load = batch_load_now(instance);
    double waiting = (double)instance->coming_tokens;
    for (uint32_t id = instance->waiting.head; id != REQUEST_NONE; id = instance_request(instance, id)->next)
        waiting += instance_request(instance, id)->target - instance_request(instance, id)->computed;
    if (instance->prompt_tokens > 0)
        waiting *= (double)instance->computed_tokens / (double)instance->prompt_tokens;
    return (struct route_ahead){load.decodes, load.decode_context, waiting + (double)predict_ahead_tokens(instance)};
}

uint32_t route_held_below(const struct router *router, uint32_t index, uint32_t seen, uint32_t tokens[TIERS_MAX]) {
    const struct fleet *fleet = router->fleet;
    struct kv_lookup found = {0};
    if (router->id_count > 0)
        kv_lookup(fleet->hierarchy, router->instances[index].index, router->ids, router->id_count, &found);
    uint32_t in_hbm = found.tier_blocks[0] * fleet->block_tokens, sum = 0;
    uint32_t known = seen > in_hbm ? seen - in_hbm : 0; /* of what lower tiers hold, thought to be in HBM */
    tokens[0] = seen;
    for (uint32_t t = 1; t < TIERS_MAX; t++) {
        uint32_t here = found.tier_blocks[t] * fleet->block_tokens, less = here < known ? here : known;
        known -= less;
        tokens[t] = here - less;
        sum += tokens[t];
    }
    return sum;
}

double route_predict_s(const struct router *router, uint32_t index, const uint32_t tokens[TIERS_MAX], uint32_t held) {
    const struct instance *instance = &router->instances[index];
    const struct route_ahead *ahead = &router->ahead[index];
    const struct fleet *fleet = router->fleet;
    struct batch_load load = {ahead->decodes, ahead->decode_context};
    int64_t prompt = router->spec->prompt_tokens;
    double load_s = 0;
    for (uint32_t t = 1; t < TIERS_MAX; t++) {
        if (tokens[t] == 0)
            continue;
        double s = kv_predict_fetch_s(fleet->hierarchy, instance->index, t, tokens[t] / fleet->block_tokens);
        load_s = s > load_s ? s : load_s;
    }
    double ahead_s = 0;
    if (ahead->tokens > 0 && prompt > 0)
        ahead_s = predict_compute_s(instance, &load, 0, prompt) / (double)prompt * ahead->tokens;
    return (load_s > ahead_s ? load_s : ahead_s) + predict_compute_s(instance, &load, held, prompt);
}
