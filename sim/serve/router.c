#include "sim/serve/router.h"

#include <gsl/gsl_rng.h>
#include <stdlib.h>

#include "sim/base/int_map.h"
#include "sim/engine/random.h"

void router_create(struct router *router, struct fleet *fleet, struct instance *instances, uint32_t count,
                   const struct route_policy *policy, const void *options) {
    const struct cluster_setup *setup = fleet->setup;
    *router = (struct router){.fleet = fleet,
                              .instances = instances,
                              .count = count,
                              .policy = policy,
                              .options = options,
                              .snapshot_ns = -1,
                              .age_ns = (sim_time)(setup->serve->route_snapshot_age_s * 1e9),
                              .sees_cache = (policy->policy.needs & NEED_TREE) != 0};
    for (uint32_t t = 0; t < hierarchy_tier_count(fleet->hierarchy); t++)
        router->tier_names[t] = hierarchy_tier_name(fleet->hierarchy, t);
    if (policy->policy.needs & NEED_COST) {
        router->ahead = calloc(count, sizeof *router->ahead);
        MUST(router->ahead != NULL);
    }
    router->view = calloc(count, sizeof *router->view);
    router->leading = calloc(setup->instances, sizeof *router->leading);
    MUST(router->view != NULL && router->leading != NULL);
    if (router->age_ns > 0 && router->sees_cache) {
        router->cached = calloc(count, sizeof *router->cached);
        MUST(router->cached != NULL);
    }
}

static void forget_snapshot(struct router *router) {
    for (uint32_t i = 0; router->cached && i < router->count; i++) {
        if (router->cached[i])
            int_map_destroy(router->cached[i]);
        router->cached[i] = NULL;
    }
}

void router_destroy(struct router *router) {
    forget_snapshot(router);
    free(router->cached);
    free(router->view);
    free(router->ahead);
    free(router->leading);
    free(router->up);
    free(router->up_view);
}

static void take_snapshot(struct router *router, sim_time now) {
    router->snapshot_ns = now;
    for (uint32_t i = 0; i < router->count; i++) {
        const struct instance *instance = &router->instances[i];
        router->view[i] = (struct route_instance){
            .waiting = instance->waiting.count + instance->ready.count + instance->away + instance->coming,
            .running = instance->prefilling.count + instance->decoding.count,
            .outstanding_tokens = (uint64_t)(instance->outstanding_tokens + instance->coming_tokens),
            .kv_free_blocks = tier_available(hierarchy_hbm(router->fleet->hierarchy, router->instances[i].index))};
    }
    for (uint32_t i = 0; router->ahead && i < router->count; i++)
        router->ahead[i] = route_ahead(&router->instances[i]);
    if (!router->cached)
        return;
    forget_snapshot(router);
    for (uint32_t i = 0; i < router->count; i++) {
        const struct tier *tier = hierarchy_hbm(router->fleet->hierarchy, router->instances[i].index);
        router->cached[i] = int_map_create();
        for (uint32_t slot = 0; slot < tier_counts(tier).capacity; slot++)
            if (tier_state(tier, slot) == SLOT_RESIDENT)
                int_map_put(router->cached[i], tier_block(tier, slot)->id, slot);
    }
}

/* Blocks of the request that an instance's HBM holds now. */
static uint32_t held_blocks(struct router *router, uint32_t instance) {
    struct hierarchy *hierarchy = router->fleet->hierarchy;
    if (!router->led)
        router->led = hierarchy_hbm_match(hierarchy, router->ids, router->id_count, router->leading);
    if (router->led && !router->fleet->setup->audit)
        return router->leading[instance];
    uint32_t blocks = tier_match(hierarchy_hbm(hierarchy, instance), router->ids, router->id_count, NULL);
    MUST(!router->led || blocks == router->leading[instance]);
    return blocks;
}

static uint32_t cached_tokens(const void *world, uint32_t index) {
    struct router *router = (struct router *)world; /* what it has asked before is kept */
    struct fleet *fleet = router->fleet;
    uint32_t blocks = 0;
    if (router->up_count > 0)
        index = router->up[index];
    if (fleet->spaces && router->id_count > 0) { /* the instance may run another version than the one before */
        uint64_t salt = space_salt(spaces_of(fleet->spaces, router->instances[index].index, router->spec)) -
                        space_salt(space_of_id(router->ids[0]));
        for (uint32_t i = 0; salt != 0 && i < router->id_count; i++)
            fleet->ids[i] += salt;
    }
    if (router->cached)
        while (blocks < router->id_count && int_map_get(router->cached[index], router->ids[blocks]) != INT_MAP_NONE)
            blocks++;
    else
        blocks = held_blocks(router, router->instances[index].index);
    return blocks * router->fleet->block_tokens;
}

static uint32_t held_tokens(const void *world, uint32_t index, uint32_t tokens[ROUTE_TIERS_MAX]) {
    const struct router *router = world;
    uint32_t at = router->up_count > 0 ? router->up[index] : index, seen = cached_tokens(world, index);
    return seen + route_held_below(router, at, seen, tokens);
}

static double predict_ttft_s(const void *world, uint32_t index) {
    const struct router *router = world;
    uint32_t tokens[ROUTE_TIERS_MAX], held = held_tokens(world, index, tokens);
    return route_predict_s(router, router->up_count > 0 ? router->up[index] : index, tokens, held);
}

static uint64_t draw(const struct router *router, uint64_t number) {
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    random_seek(rng, router->fleet->setup->seed, RANDOM_ROUTE, number);
    uint64_t value = gsl_rng_get(rng);
    value = value << 32 | gsl_rng_get(rng);
    gsl_rng_free(rng);
    return value;
}

/* Those that are up, and what is seen of them, without gaps; the others are not asked. Returns their number, 0: none
 * is, or all are. */
static uint32_t leave_out_down(struct router *router, sim_time now) {
    uint32_t up = 0;
    for (uint32_t i = 0; i < router->count; i++)
        up += router->instances[i].down_until <= now;
    if (up == 0 || up == router->count)
        return 0;
    if (!router->up) {
        router->up = calloc(router->count, sizeof *router->up);
        router->up_view = calloc(router->count, sizeof *router->up_view);
        MUST(router->up != NULL && router->up_view != NULL);
    }
    for (uint32_t i = 0, at = 0; i < router->count; i++)
        if (router->instances[i].down_until <= now) {
            router->up[at] = i;
            router->up_view[at++] = router->view[i];
        }
    return up;
}

uint32_t router_choose(struct router *router, const struct request_spec *spec, sim_time now) {
    if (router->count == 1)
        return 0;
    if (router->snapshot_ns < 0 || now - router->snapshot_ns >= router->age_ns)
        take_snapshot(router, now);
    router->up_count = leave_out_down(router, now);
    struct route_view view = {.instance_count = router->up_count > 0 ? router->up_count : router->count,
                              .instances = router->up_count > 0 ? router->up_view : router->view,
                              .snapshot_age_ns = now - router->snapshot_ns,
                              .request_number = router->number++,
                              .session = spec->session,
                              .prompt_tokens = spec->prompt_tokens,
                              .cached_tokens = cached_tokens,
                              .world = router,
                              .tier_count = hierarchy_tier_count(router->fleet->hierarchy),
                              .tier_names = router->tier_names,
                              .held_tokens = held_tokens,
                              .predict_ttft_s = predict_ttft_s};
    if (router->policy->policy.needs & NEED_RANDOM)
        view.random = draw(router, view.request_number);
    router->id_count = 0;
    router->led = false;
    if (router->sees_cache) {
        struct request probe = {.spec = *spec,
                                .space = spaces_of(router->fleet->spaces, router->instances[0].index, spec)};
        router->spec = spec;
        struct kv_identity identity =
            request_identity(&router->instances[0], &probe, spec->prompt_tokens - 1, 0, &router->id_count);
        router->ids = identity.ids;
    }
    uint32_t chosen = router->policy->choose(router->options, &view);
    MUST(chosen < view.instance_count);
    return router->up_count > 0 ? router->up[chosen] : chosen;
}
