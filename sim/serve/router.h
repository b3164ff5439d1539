/* The router: hands each request to an instance by the route policy, from a view of the fleet that may be old. */
#ifndef SIM_SERVE_ROUTER_H
#define SIM_SERVE_ROUTER_H

#include "sim/serve/instance.h"

struct router {
    struct fleet *fleet;
    struct instance *instances;
    uint32_t count;
    struct route_instance *view, *up_view; /* up_view: of those that are up, where some are not */
    uint32_t *up, up_count;                /* which those are; 0: all */
    sim_time snapshot_ns;                  /* when the view was taken */
    sim_time age_ns;                       /* it is taken again when older */
    bool sees_cache;                       /* the policy asks what is cached where */
    struct int_map **cached;               /* snapshot of each instance's HBM (ids), when age_ns > 0 and sees_cache */
    uint64_t number;
    const struct request_spec *spec; /* being routed */
    const uint64_t *ids;             /* of it */
    uint32_t id_count;
};
void router_create(struct router *router, struct fleet *fleet, struct instance *instances, uint32_t count);
void router_destroy(struct router *router);
uint32_t router_choose(struct router *router, const struct request_spec *spec, sim_time now);

#endif
