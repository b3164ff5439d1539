/* What one copy takes when nobody else is on the links, or the same copy of several GPUs of a node at once: through the
 * same network as a run's transfers, but submitted in one of the ways that a copy engine knows, and timed as the host
 * sees it. */
#ifndef SIM_MEMORY_LONE_COPY_H
#define SIM_MEMORY_LONE_COPY_H

#include "sim/memory/topology.h"

enum copy_kind { COPY_LOOP, COPY_BATCH, COPY_KERNEL }; /* a call a block; one call; a copying kernel */
extern const char *const copy_kind_names[];

struct lone_copy {
    const struct node_options *node; /* checked (topology_check) or not: what it lacks is an error here */
    const char *from, *to;           /* tiers, as the node's paths call them */
    const char *variant;             /* of the path; NULL: the usual one */
    uint64_t bytes;
    uint32_t blocks; /* 1..bytes */
    enum copy_kind kind;
    uint32_t ctas; /* COPY_KERNEL */
};
struct lone_hop {
    const struct node_link *link;
    enum network_direction direction;
    uint32_t crossings;
    uint64_t bytes; /* over it, crossings counted */
    double latency_s;
    double descriptors_s;         /* of service_s, what is not bytes over bandwidth */
    double service_s;             /* were it the only one */
    double bandwidth_bytes_per_s; /* as this way of copying reaches it */
    double peak_bytes_per_s;
};
/* Below, a descriptor's cost is most of a block's, and depends on more than its size. */
enum { LONE_SMALL_BYTES = 65536 };
struct lone_result {
    double seconds;            /* from the first submission to completion as the host sees it */
    double spread;             /* log standard deviation of that, of the copy engine's; 0: not known */
    double host_s;             /* of them, the host's own: until it sees what is done */
    double peak_bytes_per_s;   /* physical, of the narrowest link, a link crossed twice counting half */
    enum basis basis;          /* weakest of the links that decide the time */
    uint32_t hop_count, bound; /* the hop that takes longest */
    bool latency_bound;        /* latencies and the host take more than any link */
    struct lone_hop hops[TOPOLOGY_HOPS_MAX];
};
/* Bad input: no such path, a way of copying that no link of the path knows, more blocks than bytes. */
int lone_copy_time(const struct lone_copy *copy, struct lone_result *out, struct error *err);

/* A GPU's copy beside those of others. */
struct shared_gpu {
    double seconds;
    uint32_t bound; /* the hop whose unit takes longest for all that cross it */
    bool latency_bound;
};
/* A hop's units: how many there are of the link, and how many GPUs are on the fullest. */
struct shared_stage {
    uint32_t units, sharers;
};
struct shared_result {
    struct lone_result last; /* of the GPU that ends last: hops as if alone, bound and basis beside the others */
    double peak_bytes_per_s; /* physical, of all together */
    double bytes_per_s;      /* all bytes over the last one's time */
    struct shared_gpu *gpus; /* in the node's order; the caller's */
    uint32_t count, last_gpu;
    struct shared_stage stages[TOPOLOGY_HOPS_MAX]; /* of last.hops */
};
/* The first `count` GPUs of the node, each with this copy, submitted at once by a thread each. Links of scope gpu and
 * instance are one a GPU; of switches and sockets each has the next GPUs, as many as the node's number of them gives;
 * of node and pod one for all. Bad input besides lone_copy_time's: fewer than one GPU, more than the node has. */
int shared_copy_time(const struct lone_copy *copy, uint32_t count, struct shared_gpu *gpus, struct shared_result *out,
                     struct error *err);

#endif
