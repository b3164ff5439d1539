/* The router: hands each request to an instance by the route policy, from a view of the fleet that may be old. */
#ifndef SIM_SERVE_ROUTER_H
#define SIM_SERVE_ROUTER_H

#include "sim/serve/instance.h"

/* What a prediction needs of an instance, as of the snapshot. */
struct route_ahead {
    int64_t decodes, decode_context;
    double tokens; /* of prompts in its batch and its queue, as far as they will be computed */
};

struct router {
    struct fleet *fleet;
    struct instance *instances;
    uint32_t count;
    const struct route_policy *policy;
    const void *options;
    struct route_instance *view, *up_view; /* up_view: of those that are up, where some are not */
    uint32_t *up, up_count;                /* which those are; 0: all */
    sim_time snapshot_ns;                  /* when the view was taken */
    sim_time age_ns;                       /* it is taken again when older */
    bool sees_cache;                       /* the policy asks what is cached where */
    struct int_map **cached;               /* snapshot of each instance's HBM (ids), when age_ns > 0 and sees_cache */
    struct route_ahead *ahead;             /* NULL: the policy asks for no prediction */
    const char *tier_names[TIERS_MAX];
    uint64_t number;
    const struct request_spec *spec; /* being routed */
    const uint64_t *ids;             /* of it */
    uint32_t id_count;
    uint32_t *leading; /* [instance of the fleet]: of its ids, those in HBM; asked for all at once, when the first is
                          asked for */
    bool led;          /* it has been, for this request */
};
/* Among `count` of the fleet's instances, from `instances` on. */
void router_create(struct router *router, struct fleet *fleet, struct instance *instances, uint32_t count,
                   const struct route_policy *policy, const void *options);
void router_destroy(struct router *router);
/* One of them: 0 to count - 1. */
uint32_t router_choose(struct router *router, const struct request_spec *spec, sim_time now);

/* router_predict.c: what instance `index` has to compute before anything that comes now. */
struct route_ahead route_ahead(struct instance *instance);
/* Fills in tokens by tier, [0] being the `seen` that its HBM is thought to hold; returns the sum of those below. */
uint32_t route_held_below(const struct router *router, uint32_t index, uint32_t seen, uint32_t tokens[TIERS_MAX]);
/* Seconds until the first token there, where tiers hold `held` tokens of the prompt, by tier in `tokens`. */
double route_predict_s(const struct router *router, uint32_t index, const uint32_t tokens[TIERS_MAX], uint32_t held);

#endif
