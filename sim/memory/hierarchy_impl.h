/* Inside the hierarchy: its files alone include this. */
#ifndef SIM_MEMORY_HIERARCHY_IMPL_H
#define SIM_MEMORY_HIERARCHY_IMPL_H

#include "policies/admit.h"
#include "sim/memory/hierarchy.h"
#include "sim/memory/loss_costs.h"
#include "sim/memory/presence.h"

enum { UNIT_NAME_MAX = 48, NO_TRANSFER = UINT32_MAX, NO_WAIT = UINT32_MAX, NO_LEVEL = UINT32_MAX };

/* What a tier's own blocks do not keep, since its policy did not ask for it, and that of a tier further down needs. */
struct facts {
    int64_t next_use, duration_ns;
    uint64_t owner;
    uint32_t depth, tenant;
    uint8_t category;
};

/* One tier of a scope: an instance's, a node's or the pod's. */
struct bank {
    struct hierarchy *h;
    struct tier *tier;
    struct facts *facts; /* by slot; NULL: the tier's blocks hold all that is needed */
    struct shelf *shelf; /* NULL: no namespaces */
    uint32_t level, first_instance;
    bool fresh;                     /* a drive that was not written once yet */
    uint32_t lost;                  /* so many faults have it: nothing is here, and nothing comes */
    uint32_t evicting;              /* the transfer that collects what it evicts now, or NO_TRANSFER */
    uint64_t slots, buffered_bytes; /* buffered: evicted further up, their old slots free, and not landed here yet */
    uint64_t written_bytes, read_bytes, skipped_blocks, dropped_blocks;
    uint64_t refused_blocks, promoted_bytes, filled_bytes, completed_bytes, demoted_bytes;
    /* Admission; NULL: whatever is offered is written. */
    const struct admit_policy *admit;
    void *admit_self;
    sim_time admit_wake;
    sim_time *listed;       /* by slot: since when the index has it; NULL: at once */
    uint16_t *hits;         /* by slot: look-ups that found it here; NULL: nobody below asks */
    struct loss_costs loss; /* NEED_COST */
    struct evict_costs costs;
    struct tier_log *log;
    char name[UNIT_NAME_MAX];
};

/* One tier of the scenario: its units. */
struct level {
    const struct tier_options *options;
    struct bank *units;
    uint32_t unit_count, per_unit; /* instances that share a unit */
    uint64_t block_bytes;
    uint32_t write_from;    /* level; NO_LEVEL: nothing is written here */
    uint32_t evicts_to;     /* level that takes what this one evicts, or NO_LEVEL */
    unsigned needs;         /* of its policy */
    bool knows_misses;      /* its policy keeps ghost lists */
    bool stages[TIERS_MAX]; /* levels that reads from here to HBM pass through and stay in */
};

/* The hops of one instance between two levels. */
struct route {
    struct network_hop hops[NETWORK_HOPS_MAX];
    uint32_t count;
    bool down; /* a link of it is */
};

enum transfer_kind {
    TRANSFER_LOAD,
    TRANSFER_STORE,
    TRANSFER_EVICT,
    TRANSFER_SWAP_OUT,
    TRANSFER_SWAP_IN,
    TRANSFER_HAND
};

/* A copy of blocks under way. source[i] -> target[i]: a LOAD's and a STORE's source is pinned; an EVICT's has left its
 * slot, or is leaving it (HBM). Targets are arriving; one of their references is the transfer's. */
struct transfer {
    enum transfer_kind kind;
    bool live;
    uint32_t instance, from, to; /* levels */
    uint32_t count, room;
    uint32_t *source, *target; /* LOAD, STORE, EVICT */
    uint32_t waits;            /* LOAD: chain of links to waits */
    uint64_t flow, tag;        /* tag: SWAP: the request */
    enum admit_cause cause;    /* STORE: what made its blocks be offered */
    bool promotes;             /* STORE: on their way up */
    uint32_t held;             /* SWAP_OUT: HBM slots in `source` that it holds */
    uint64_t bytes;            /* HAND */
    uint32_t receiver;         /* HAND: instance */
    uint64_t anonymous;        /* SWAP_OUT: and blocks without identity */
    sim_time submitted;
    uint32_t next_free;
};

/* A request that waits for one or more loads. */
struct wait {
    uint32_t instance, pending, generation, next_free;
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
    struct route *routes;             /* [instance][from][to] */
    struct route *hand_out, *hand_in; /* [instance]: half of a hand-over's way each; NULL: there is none */
    char (*link_names)[2][UNIT_NAME_MAX];
    double *link_fresh; /* by link: what writes cost over what they will once the drive has been written */
    struct transfer *transfers;
    uint32_t transfer_room, transfer_free, transfer_live;
    struct wait *waits;
    uint32_t wait_room, wait_free, wait_live;
    struct wait_link *wait_links;
    uint32_t link_room, link_free;
    uint32_t **arriving;        /* [instance][hbm slot]: its load, + 1 */
    bool *hungry;               /* [instance]: blocks were asked for and not to be had, and none since */
    struct presence *presence;  /* of HBM's blocks over all instances; NULL: nobody asks */
    uint32_t *storing;          /* [instance]: stores of HBM's blocks that are under way */
    bool *held;                 /* [instance]: somebody waits until there are none */
    uint32_t acting;            /* the instance on whose account things happen now */
    struct kv nobody;           /* scratch of prefetches */
    struct admit_block *offers; /* scratch */
    bool *admits;
    uint32_t *asked;
    uint32_t offer_room, admit_room;
    struct bank **evicted; /* units whose evictions wait to be started */
    uint32_t evicted_count;
    uint64_t started_bytes, landed_bytes, cut_bytes;
    /* Scratch, as long as the longest prompt. */
    uint64_t *ids;
    uint32_t *slots, *levels_of;
    uint32_t scratch_room;
    uint32_t timer_source;
    bool has_timers;
    unsigned hears; /* needs of news of sessions that any policy has */
};

static inline struct bank *level_bank(const struct hierarchy *h, uint32_t level, uint32_t instance) {
    return &h->levels[level].units[instance / h->levels[level].per_unit];
}
static inline struct tier *level_tier(const struct hierarchy *h, uint32_t level, uint32_t instance) {
    return level_bank(h, level, instance)->tier;
}
static inline struct route *route_of(const struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to) {
    return &h->routes[((size_t)instance * h->level_count + from) * h->level_count + to];
}

/* Whether `instance` can read from `level` into HBM, and copy from one level to another. */
static inline bool can_copy(const struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to) {
    const struct route *route = route_of(h, instance, from, to);
    return route->count > 0 && !route->down && level_bank(h, to, instance)->lost == 0;
}

/* Whether the index has heard of the resident block in the slot. */
static inline bool bank_lists_by(const struct bank *unit, uint32_t slot, sim_time now) {
    return !unit->listed || unit->listed[slot] <= now;
}
/* A block is there from now on. */
static inline void bank_lists(struct bank *unit, const struct tier_options *options, uint32_t slot, sim_time now) {
    if (unit->listed && slot != SLOT_NONE)
        unit->listed[slot] = now + (sim_time)(options->index_delay_s * 1e9 + 0.5);
}

/* hierarchy.c */
void scratch_reserve(struct hierarchy *h, uint32_t blocks);
/* After anything that may have changed when the policies of the acting instance's tiers want to be woken. */
void timers_update(struct hierarchy *h);

/* hierarchy_routes.c */
void routes_create(struct hierarchy *h);

/* hierarchy_notes.c, once the levels, the units and their routes are there. */
void notes_create(struct hierarchy *h);
void costs_create(struct hierarchy *h);

/* transfer.c */
uint32_t transfer_open(struct hierarchy *h, enum transfer_kind kind, uint32_t instance, uint32_t from, uint32_t to,
                       sim_time now);
void transfer_add(struct hierarchy *h, uint32_t transfer, uint32_t source, uint32_t target);
/* Starts it with `blocks` blocks (SWAP), or with those that were added. */
void transfer_start(struct hierarchy *h, uint32_t transfer, uint32_t blocks);
void transfer_done(void *self, uint64_t tag, sim_time now);
void transfer_close(struct hierarchy *h, uint32_t transfer);
/* handover.c: one of HAND has landed. */
void handover_done(struct hierarchy *h, uint32_t transfer, sim_time now);
/* The last block first, before it is started. */
void transfer_reverse(struct hierarchy *h, uint32_t transfer);
/* Seconds of software and codec before a copy's first byte. */
double transfer_software_s(const struct hierarchy *h, uint32_t from, uint32_t to, uint64_t blocks);
/* Nobody holds its last blocks any more but itself: those that are not on their way will not come. */
void transfer_cut(struct hierarchy *h, uint32_t transfer, sim_time now);

/* HBM has computed these blocks: tiers that are exclusive drop theirs. */
void drop_below(struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count, sim_time now);

/* wait.c */
uint32_t wait_open(struct hierarchy *h, uint32_t instance, uint64_t tag, sim_time now);
/* A name for it that is never another's. */
uint64_t wait_name(const struct hierarchy *h, uint32_t wait);
/* The wait of that name, or NO_WAIT when it is over. */
uint32_t wait_named(const struct hierarchy *h, uint64_t name);
void wait_for(struct hierarchy *h, uint32_t wait, uint32_t transfer);
/* No longer waits for it. Returns whether it did. */
bool wait_leave(struct hierarchy *h, uint32_t wait, uint32_t transfer);
void wait_close(struct hierarchy *h, uint32_t wait);
/* The load that `links` waited for has landed, from `level`. */
void waits_wake(struct hierarchy *h, uint32_t links, uint32_t level, sim_time now);

/* kv_lookup.c */
enum { FIND_BLOCKS = 64 }; /* asked for together: many finds at once, few beyond the first gap */
/* The fastest level below HBM that holds each of up to FIND_BLOCKS ids, 0: none; and its slot there. */
void find_below(const struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count, uint32_t *levels,
                uint32_t *slots);

/* admission.c */
void admission_create(struct bank *unit);
void admission_destroy(struct bank *unit);
/* A look-up found the block here and uses it; the unit has evicted it. */
void admission_hit(struct bank *unit, uint32_t slot, uint64_t id, sim_time now);
void admission_evicted(struct bank *unit, uint64_t id, sim_time now);
/* Which of the source's blocks `target`, which has a policy, takes. */
void admission_decide(struct bank *source, struct bank *target, enum admit_cause cause, const uint32_t *slots,
                      uint32_t count, bool *admit, sim_time now);
/* The same for one block; true without a policy. */
bool admission_takes(struct bank *source, struct bank *target, enum admit_cause cause, uint32_t slot, sim_time now);

/* offload.c */
/* What `unit` knows of the block in `slot`, for a tier that takes a copy. */
struct block_new block_describe(const struct bank *unit, uint32_t slot, uint32_t parent);
/* Keeps what `unit` is to know of a block beyond what its tier keeps. */
void facts_keep(struct bank *unit, uint32_t slot, const struct block_new *block);
/* Copies those of `count` blocks of level `from` that level `to` lacks. SLOT_NONE entries are skipped. */
void offload(struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to, enum admit_cause cause,
             const uint32_t *slots, uint32_t count, bool promotes, sim_time now);
/* Every level that is written from `from` under `rule`. */
void offload_all(struct hierarchy *h, uint32_t instance, uint32_t from, enum write_rule rule, const uint32_t *slots,
                 uint32_t count, sim_time now);
/* The hook of every tier: where a victim goes. `self`: its unit. */
bool victim_leaves(void *self, struct tier *tier, uint32_t slot, sim_time now);
/* Starts the copies of what was evicted since the last call. */
void evictions_start(struct hierarchy *h);

#endif
