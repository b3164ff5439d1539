/* Inside the network: its files alone include this. */
#ifndef SIM_MEMORY_NETWORK_IMPL_H
#define SIM_MEMORY_NETWORK_IMPL_H

#include "sim/memory/network.h"

enum flow_state { FLOW_FREE, FLOW_WAITING, FLOW_QUEUED, FLOW_ACTIVE, FLOW_LANDING };

/* Two pipes a hop: a direction and the duplex cap. */
enum { USES_MAX = 2 * NETWORK_HOPS_MAX, NOT_TIMED = UINT32_MAX };

/* That a flow goes through a pipe. */
struct use {
    struct flow *flow;
    struct pipe *pipe;
    double cost_s;      /* of the pipe's time, a byte of the flow */
    uint32_t crossings; /* hops of the path that are this pipe */
    struct use *before, *after;
    const struct link *link;
    double nominal_s[2]; /* cost_s of the crossings in each direction, while the link is as it should be */
    double depth_s[2];   /* seconds a byte that the queue's depth allows, the same */
};

/* A direction of a link, or the duplex cap of both. Its capacity is one second a second, its costs are times: so bytes
 * and descriptors compete for the same thing. */
struct pipe {
    bool fifo;
    bool bound;               /* its active flows could fill it: it couples their rates */
    bool dirty;               /* a flow came or went since rates were set */
    struct use *first, *last; /* shared: active flows. fifo: those that have reached it; the first may be active */
    uint32_t active;
    uint64_t mark;
    double free_share; /* scratch of the filling */
    /* submitted and not active */
    uint64_t waiting_bytes; /* of flows without a fifo link (those queue elsewhere) */
    uint32_t waiting;
    int64_t waiting_ns; /* fifo: their lone service times */
    /* accounts */
    uint64_t queued_bytes; /* of flows submitted and not past; active ones count whole */
    uint64_t bytes, flows;
    int64_t busy_ns, busy_since;
    double joining_s;       /* integral of 1 / (active + 1): the pipe's time that one more flow would have had, ... */
    sim_time joining_since; /* ... up to here */
};

struct link {
    uint32_t id;
    struct link_options options;
    struct pipe direction[2], both;
    /* By direction: costs are so many times what they should be; the least that was so far; nothing moves. */
    double slow[2], slow_least[2];
    bool down[2];
};

struct flow {
    enum flow_state state;
    bool has_fifo;
    uint32_t generation, index;
    uint64_t tag, order;  /* order: of submission, for ties */
    uint64_t bytes;       /* its size now */
    uint64_t whole_bytes; /* as submitted */
    uint32_t blocks, whole_blocks;
    uint32_t uses, fifo_ahead; /* fifo pipes at which another is first */
    double lone_bytes_per_s;   /* all to itself */
    double rate;               /* bytes/s, since `since`, when `carried` bytes were through */
    double carried;
    sim_time since, begun;
    sim_time submitted, latency_ns;
    double submit_ns; /* a block */
    sim_time at;      /* what the timer waits for: end of waiting, of service or of landing */
    uint32_t timer;   /* place in the heap */
    uint64_t mark;
    bool frozen;   /* scratch of the filling */
    bool stopped;  /* a link of its path is down */
    bool aborted;  /* what it has carried is all that it will */
    bool is_fresh; /* in fresh[] */
    double filled;
    struct flow *next_free;
    struct use use[USES_MAX];
};

enum { CHUNK = 64 };

struct network {
    struct engine *engine;
    uint32_t source;
    network_done done;
    void *self;
    bool firing;
    struct link **links;
    uint32_t link_count;
    struct flow **chunks;
    uint32_t chunk_count, live;
    struct flow *free;
    struct flow *probe; /* for predictions */
    uint64_t order, mark;
    struct flow **timers; /* binary heap by (at, order) */
    uint32_t timer_count;
    /* room for every flow and pipe, so that settling allocates nothing */
    struct flow **component, **fresh;
    struct pipe **component_pipes, **dirty;
    uint32_t fresh_count, dirty_count;
    struct watch *watch; /* NULL: nobody asks for rates */
};

/* network_path.c: what a flow over `path` would be like; fills all that does not depend on other flows. */
void flow_measure(const struct network *network, struct flow *flow, const struct network_hop *path, uint32_t hops,
                  uint64_t bytes, uint32_t blocks);
/* Its costs and lone rate by what its links are like now. */
void flow_price(struct flow *flow);
/* Duration in whole ns, upwards: nothing ends before its last byte. */
sim_time ns_up(double seconds);
/* Bytes through by `now` (not below what `carried` says). */
double flow_carried(const struct flow *flow, sim_time now);

/* Brings joining_s up to now, before `active` changes. */
static inline void pipe_count_joining(struct pipe *pipe, sim_time now) {
    pipe->joining_s += (double)(now - pipe->joining_since) * 1e-9 / (double)(pipe->active + 1);
    pipe->joining_since = now;
}

/* network_share.c: sets the rates of all flows that are affected by who came and went. */
void network_settle(struct network *network, sim_time now);
void pipe_touch(struct network *network, struct pipe *pipe);

/* network_watch.c: the flow's rate is another now; tells the watcher of the directions whose rate has changed; frees.
 */
void watch_note(struct watch *watch, const struct flow *flow);
void watch_tell(struct watch *watch, const struct network *network, sim_time now);
void watch_destroy(struct watch *watch);

/* network_timer.c */
void timer_set(struct network *network, struct flow *flow, sim_time at);
void timer_clear(struct network *network, struct flow *flow);

#endif
