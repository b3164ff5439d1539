/* What a node is made of, and what tiers a scenario adds: option tables. A stranger adds a tier here, in YAML:
 * a device with its links and a path to what is above it. */
#ifndef SIM_MEMORY_TOPOLOGY_H
#define SIM_MEMORY_TOPOLOGY_H

#include "policies/admit.h"
#include "policies/evict.h"
#include "sim/base/option.h"
#include "sim/base/record.h"
#include "sim/memory/network.h"

enum scope { SCOPE_GPU, SCOPE_SOCKET, SCOPE_NODE, SCOPE_POD, SCOPE_INSTANCE, SCOPE_SWITCH };
extern const char *const scope_names[];

/* A link as it stands in a node file: struct link_options (network.h) repeated per `scope`. One of scope gpu serves an
 * instance's tp ranks in lock-step: tp times the bandwidth, descriptors of block_bytes/tp each. */
/* A direction of a copy engine: what a host sees of it, and ways to copy that are not one batched submission. */
struct copy_way {
    double host_s;        /* until a host that waits for one copy sees it done, beside the link's latency */
    double loop_submit_s; /* a call a block: host time of a call */
    double loop_gap_s;    /* and the engine's time between two such copies */
    double kernel_bandwidth_bytes_per_s; /* copy by a kernel: at most; 0: no kernel copies */
    double kernel_launch_s;              /* until the host sees an empty one done */
    double kernel_in_flight_bytes;       /* that a CTA keeps in flight */
    double kernel_round_trip_s;          /* of one of its loads or stores */
    double kernel_cta_bytes_per_s;       /* that a CTA issues at most, beside that wait; 0: no limit */
    double spread,
        spread_small; /* log standard deviation of one copy, of blocks of 64 KiB or more, of less; 0: not known */
};
struct copy_api {
    struct copy_way read, write;
};
struct node_link {
    const char *name;
    struct place at; /* of the name */
    int scope;
    struct link_options link;
    struct copy_api api; /* all 0: copies over it have no other way */
    double spread;       /* log standard deviation of its rates, for draws; 0: not known */
};
/* How bytes get from one tier to another, and back the same way in reverse unless that is a path of its own: `via`
 * names links in order, each "name" (direction by the path: towards HBM reads, away writes) or "name:read" /
 * "name:write". A link that is crossed twice is named twice. Two tiers can be joined by several paths of different
 * names. */
struct node_path {
    const char *name; /* variant; NULL: the usual one */
    const char *from, *to;
    struct place at; /* of `to` */
    struct list via; /* const char * */
    struct list
        stages; /* const char *: tiers that the bytes pass through on their way up; blocks that are read stay there */
};
/* configs/nodes/NAME.yaml */
struct node_options {
    const char *name, *description;
    const char *gpu;                 /* configs/hardware */
    int64_t gpus, sockets, switches; /* GPUs hang on sockets and switches in order, as evenly as can be */
    struct list links;               /* struct node_link */
    struct list paths;               /* struct node_path */
};
extern const struct option node_options_table[];

/* Whether blocks that a load brings up past a tier stay in it. */
enum promotion {
    PROMOTE_AUTO, /* where they pass through it, or it is written as HBM fills */
    PROMOTE_ALWAYS,
    PROMOTE_NEVER
};
/* A drive that was never filled takes writes at its link's fresh_write, until as much as it holds has been written. */
enum drive_state { DRIVE_STEADY, DRIVE_FRESH };
/* What becomes of a block here that a load brings up into HBM. */
enum inclusion {
    INCLUSION_INCLUSIVE, /* it stays */
    INCLUSION_EXCLUSIVE  /* it is dropped here; it comes again when the tier above loses it */
};
enum write_rule { WRITE_NONE, WRITE_FILL, WRITE_COMPLETION, WRITE_EVICTION };

/* One tier of a scenario. */
struct tier_options {
    const char *name; /* hbm, dram, ssd, flash, object, peer or a name of your own */
    struct place at;
    const char *device;       /* what it is bought as, for prices and wear; default: the name */
    int scope;                /* instance, node, pod */
    double capacity_bytes;    /* of one such tier; hbm: 0 = what the GPUs leave */
    const struct node *evict; /* policy name, or {name: ..., its options} */
    struct place evict_at;
    int write;                 /* enum write_rule: when blocks come here */
    const char *write_from;    /* tier they come from; default hbm (fill, completion) or the tier above (eviction) */
    const char *path;          /* variant of the node's paths from and to this tier; NULL: the usual one */
    double format_ratio;       /* bytes here / bytes in HBM (compressed formats); 1 */
    double codec_bytes_per_s;  /* speed of the codec on HBM-side bytes; 0: free */
    double write_buffer_bytes; /* that may be on their way here after their old slot was given up; beyond it evicted
                                  blocks are dropped */
    /* wear, for devices that wear out */
    double endurance_dwpd;                           /* drive writes a day over its life; 0: does not wear */
    double write_amplification, rated_amplification; /* flash writes a byte written: here, and as rated */
    int drive_state;                                 /* enum drive_state */
    bool persistent; /* what is here outlives the process of an instance that has it alone */
    /* Resolved from `evict` by sim/cli (policy_resolve), since rooms below do not read YAML. */
    const struct evict_policy *evict_policy;
    const void *evict_options;
    const struct node *admit; /* admission policy, as `evict`; NULL: whatever is offered is written */
    struct place admit_at;
    const struct admit_policy *admit_policy;
    const void *admit_options;
    int promote;   /* enum promotion */
    int inclusion; /* enum inclusion */
    /* The index that says what is here: its cost, paid by a load, and how old it is. */
    double index_lookup_s, index_per_block_s, index_delay_s;
    int format; /* of its blocks: 0 as format_ratio says, else one more than bf16, fp8, 4bit: see tier_format_ratio */
};
/* Bytes here over bytes in HBM, where a KV element has `kv_element_bytes`. */
double tier_format_ratio(const struct tier_options *tier, double kv_element_bytes);
/* Wear of a byte written over what the rating counts for one. */
static inline double tier_wear_factor(const struct tier_options *tier) {
    return tier->write_amplification / tier->rated_amplification;
}
extern const struct option tier_options_table[];

enum { TOPOLOGY_HOPS_MAX = NETWORK_HOPS_MAX };
/* One hop of a path: which link of the node file, and which way. */
struct topology_hop {
    const struct node_link *link;
    enum network_direction direction;
};
/* The hops from one tier of the scenario to another (indices into tiers); *path: the entry they come from, or NULL.
 * Returns their number, 0: there is no path. */
uint32_t topology_hops(const struct node_options *node, const struct list *tiers, uint32_t from, uint32_t to,
                       struct topology_hop hops[TOPOLOGY_HOPS_MAX], const struct node_path **path);
/* The hops of the node's path of that name (NULL: the usual one), as it is written; 0: it has none. */
uint32_t topology_named(const struct node_options *node, const char *name, const char *from, const char *to,
                        struct topology_hop hops[TOPOLOGY_HOPS_MAX]);
/* The tier that `tier` is written from: write_from, or hbm (fill, completion), or the one above (eviction). UINT32_MAX:
 * unknown name. */
uint32_t topology_write_from(const struct list *tiers, uint32_t tier);
/* Index of the tier of that name; UINT32_MAX: none. */
uint32_t topology_tier(const struct list *tiers, const char *name);

/* Checks names, scopes and that each tier has the paths its rules need: a path with no link, a tier with no path to
 * HBM, an unknown link are errors at their place. */
int topology_check(const struct node_options *node, const struct list *tiers, struct error *err);

#endif
