/* Inside the hierarchy: its files alone include this. */
#ifndef SIM_MEMORY_HIERARCHY_IMPL_H
#define SIM_MEMORY_HIERARCHY_IMPL_H

#include "sim/memory/hierarchy.h"

enum { UNIT_NAME_MAX = 48, NO_TRANSFER = UINT32_MAX, NO_WAIT = UINT32_MAX };

/* One tier: its units, one an instance, a node or the pod. */
struct level {
    const struct tier_options *options;
    struct tier **units;
    struct unit_totals *totals;
    uint32_t unit_count, per_unit; /* instances that share a unit */
    double block_bytes;
    uint32_t write_from;           /* level; UINT32_MAX: nothing is written here */
};
struct unit_totals {
    char name[UNIT_NAME_MAX];
    uint64_t written_bytes, read_bytes, skipped_blocks;
    uint32_t first_instance;       /* stands for the unit where a copy has no instance of its own */
};

/* The hops of one instance between two levels. */
struct route {
    struct network_hop hops[NETWORK_HOPS_MAX];
    uint32_t count;
};

enum transfer_kind { TRANSFER_LOAD, TRANSFER_STORE, TRANSFER_EVICT, TRANSFER_SWAP_OUT, TRANSFER_SWAP_IN };

/* A copy of blocks under way. Slots are kept with it: source[i] -> target[i]. */
struct transfer {
    enum transfer_kind kind;
    bool live;
    uint32_t instance, from, to;   /* levels */
    uint32_t count, room;
    uint32_t *source, *target;     /* LOAD, STORE, EVICT; a demotion has no source any more */
    uint32_t waits;                /* LOAD: chain of links to waits */
    uint64_t tag;                  /* SWAP: the request */
    uint32_t held;                 /* SWAP_OUT: HBM slots in `source` that it holds */
    uint64_t anonymous;            /* SWAP_OUT: and blocks without identity */
    uint64_t bytes;
    sim_time submitted;
    uint32_t next_free;
};

/* A request that waits for one or more loads. */
struct wait {
    uint32_t instance, pending, next_free;
    uint64_t tag;
    sim_time last;
    int64_t tier_ns[TIERS_MAX];
};
/* That a load is waited for. */
struct wait_link {
    uint32_t wait, next;
};

struct hierarchy {
    struct hierarchy_setup setup;
    struct network *network;
    uint32_t level_count;
    struct level levels[TIERS_MAX];
    struct route *routes;          /* [instance][from][to] */
    struct list *stages;           /* [from level]: const char * tiers that reads to HBM pass through */
    char (*link_names)[2][UNIT_NAME_MAX];
    struct transfer *transfers;
    uint32_t transfer_room, transfer_free, transfer_live;
    struct wait *waits;
    uint32_t wait_room, wait_free, wait_live;
    struct wait_link *wait_links;
    uint32_t link_room, link_free;
    uint32_t **arriving;           /* [instance][hbm slot]: its load, + 1 */
    bool *hungry;                  /* [instance]: blocks were asked for and not to be had */
    uint32_t *evicting;            /* [level][instance]: the transfer that collects what is evicted now, or NO_TRANSFER */
    bool evictions_open;
    uint32_t timer_source;
    bool has_timers;
};

static inline struct tier *level_tier(const struct hierarchy *h, uint32_t level, uint32_t instance) {
    return h->levels[level].units[instance / h->levels[level].per_unit];
}
static inline struct unit_totals *level_totals(const struct hierarchy *h, uint32_t level, uint32_t instance) {
    return &h->levels[level].totals[instance / h->levels[level].per_unit];
}
static inline struct route *route_of(const struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to) {
    return &h->routes[(instance * h->level_count + from) * h->level_count + to];
}

/* transfer.c */
uint32_t transfer_open(struct hierarchy *h, enum transfer_kind kind, uint32_t instance, uint32_t from, uint32_t to, sim_time now);
void transfer_add(struct hierarchy *h, uint32_t transfer, uint32_t source, uint32_t target);
/* Starts it with what was added, or drops it when nothing was. */
void transfer_start(struct hierarchy *h, uint32_t transfer, sim_time now);
void transfer_start_blocks(struct hierarchy *h, uint32_t transfer, uint32_t blocks, sim_time now);
void transfer_done(void *self, uint64_t tag, sim_time now);
uint32_t wait_open(struct hierarchy *h, uint32_t instance, uint64_t tag, sim_time now);
void wait_for(struct hierarchy *h, uint32_t wait, uint32_t transfer);

/* offload.c */
/* Copies those of `count` blocks of level `from` that level `to` lacks. SLOT_NONE entries are skipped. */
void offload(struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to, const uint32_t *slots, uint32_t count, sim_time now);
/* Every level that is written from `from` under `rule`. */
void offload_all(struct hierarchy *h, uint32_t instance, uint32_t from, enum write_rule rule, const uint32_t *slots, uint32_t count, sim_time now);
bool victim_leaves(void *self, struct tier *tier, uint32_t slot, sim_time now);
/* Starts the copies of what was evicted since the last call. */
void evictions_start(struct hierarchy *h, sim_time now);

/* hierarchy.c */
void timers_update(struct hierarchy *h);

#endif
