/* Namespaces of a run: which one a request is in, and what happens to them at given times.
 *
 * A namespace is (model version, dtype, layout, adapter, tenant): what must be equal for a block to be of use to
 * another request. dtype and layout are the variant's; a change of either is a roll-out of a new version. A request
 * takes its namespace when its prefix is looked up, by the version that its instance runs then, and keeps it while it
 * holds blocks. */
#ifndef SIM_SERVE_SPACES_H
#define SIM_SERVE_SPACES_H

#include "sim/base/option.h"
#include "sim/memory/hierarchy.h"
#include "sim/workload/workload.h"

enum spaces_share { SPACES_BY_TENANT, SPACES_SHARED };

/* What holds for blocks of a tier; the first rule that fits is the one. */
struct space_rule {
    const char *tier;
    struct place at;
    int64_t tenant, adapter; /* -1: any */
    double ttl_s, quota_bytes, quota_share, pin_bytes;
    int64_t pin_tokens;
};
struct space_rollout {
    const char *version;
    struct place at;
    double at_s, over_s, restart_s;
    bool purge;
};
struct space_delete {
    double at_s;
    int64_t tenant, adapter;
};
/* `namespaces:` of a scenario. */
struct spaces_options {
    const char *version, *layout;
    int share;                 /* enum spaces_share */
    int64_t tenants, adapters; /* 0: as the workload says; none */
    struct list rules;         /* struct space_rule */
    struct list rollouts;      /* struct space_rollout */
    struct list deletes;       /* struct space_delete */
    double window_s, regained; /* how recovery is told: see sim/output/recovery.h */
};
extern const struct option spaces_options_table[];

/* Whether there is anything to do: more than one namespace can come up, or rules or events are given. `tenants`: of the
 * workload. */
bool spaces_active(const struct spaces_options *options, int64_t tenants);
/* Names, numbers and sizes against tiers and tenants; errors at their place, or at `at`. */
int spaces_check(const struct spaces_options *options, const struct list *tiers, int64_t tenants, struct place at,
                 struct error *err);

struct spaces_setup {
    const struct spaces_options *options;
    const struct list *tiers; /* struct tier_options */
    uint32_t instances, block_tokens;
    int64_t tenants; /* of the workload */
    struct engine *engine;
    /* An instance goes down for so long, to come up with another version. */
    void (*restart)(void *self, uint32_t instance, sim_time down_ns, sim_time now);
    void *self;
};
struct spaces;
/* One source of the engine: to be made before any other. */
struct spaces *spaces_create(const struct spaces_setup *setup);
void spaces_destroy(struct spaces *spaces);
/* Its face to the hierarchy; and the hierarchy, once it is there. */
const struct space_source *spaces_source(struct spaces *spaces);
void spaces_begin(struct spaces *spaces, struct hierarchy *hierarchy);
/* The namespace of a request that is looked up at `instance` now; 0 without namespaces (NULL). */
uint32_t spaces_of(struct spaces *spaces, uint32_t instance, const struct request_spec *spec);
/* HBM blocks of an instance that pins may hold. */
uint64_t spaces_pinned_blocks(const struct spaces *spaces, double block_bytes);
/* For tests: the tenant and adapter and how many roll-outs a namespace has seen. */
struct space_name {
    uint32_t version, epoch, adapter, tenant;
    bool retired;
};
struct space_name spaces_name(const struct spaces *spaces, uint32_t space);
uint32_t spaces_count(const struct spaces *spaces);

#endif
