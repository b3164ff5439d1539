/* Flows that share: the network of links and devices, and the transfers under way on it.
 *
 * A link (a PCIe slot, a copy engine, a DRAM bus, a drive, a NIC) carries bytes in two directions. A transfer is a
 * *flow* over the hops of its path, all of them at once: it moves at the rate of its narrowest. Flows on a shared link
 * divide it by max-min fairness (progressive filling over all links, duplex caps counted as links of their own); a
 * fifo link serves one flow a direction, in the order in which they reach it. Rates change only when a flow begins or
 * ends. A flow goes through:
 *
 *   waiting   the latencies of its hops, and a delay of its own     takes no bandwidth
 *   queued    until it is the first at each of its fifo links
 *   active    N blocks, S bytes; alone it takes max over hops of (S/BW + N*descriptor)
 *   landing   until the host has submitted its last descriptor     takes no bandwidth
 *
 * so that a lone flow takes max(N*submit, sum of latencies + max over hops of (S/BW + N*descriptor)), rounded up to ns:
 * the form measured for DMA copies (docs: calibration). A descriptor's cost occupies the link like the bytes do. A
 * drive is limited to BW and to iops * s together, and each flow on it to queue_depth * s / latency, s = min(io_bytes,
 * a block).
 *
 * Bytes are whole: what a flow carried is its size when it ends. No allocation once the pools have grown. */
#ifndef SIM_MEMORY_NETWORK_H
#define SIM_MEMORY_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/base/option.h"
#include "sim/engine/engine.h"

/* Towards the GPU, and away from it. */
enum network_direction { NETWORK_READ, NETWORK_WRITE };

/* One direction of a link. */
struct link_direction {
    double bandwidth_bytes_per_s;       /* sustained, of large transfers, the other direction idle */
    double latency_s;                   /* a transfer, from the first submission to the first byte */
    double submit_s;                    /* a descriptor: host work, overlaps the copy */
    double descriptor_s;                /* a descriptor: time of the link itself */
    double descriptor_small_s;          /* the same for blocks smaller than descriptor_break_bytes */
    double descriptor_break_bytes;      /* 0: one regime */
    double bandwidth_small_bytes_per_s; /* of blocks below the break; 0: as the others */
    int64_t descriptor_most; /* of one transfer that cost link time: the submission of later ones is hidden; 0: all */
    int64_t queue_depth;     /* of one flow on a drive; 0: not a drive */
    double io_bytes;         /* largest I/O; 0: a block is one I/O */
    double iops;             /* of the whole drive; 0: no limit */
};

struct link_options {
    const char *name;                  /* not read from YAML: whoever makes the links names them */
    struct link_direction read, write; /* write without a bandwidth: like read */
    double duplex_bytes_per_s;         /* both directions together; 0: no cap */
    double peak_bytes_per_s;           /* physical, a direction, for utilisation; 0: the bandwidth */
    bool half_duplex;                  /* reads and writes share the device's time, as on flash: r/R + w/W <= 1 */
    double fresh_bytes_per_s;          /* of writes to an empty drive, before it has been written once; 0: as ever */
    bool fifo;                         /* one flow at a time a direction (copy engines); else shared */
    int basis;                         /* enum basis */
    const char *source;
};
extern const struct option link_direction_table[];
extern const char *const link_basis_choices[];
/* The option rows of a `struct link_options member` inside `struct type`, for the table of whoever embeds one. */
#define LINK_OPTION_ROWS(type, member)                                                                                 \
    {.name = "read",                                                                                                   \
     .kind = OPTION_STRUCT,                                                                                            \
     .offset = offsetof(type, member.read),                                                                            \
     .table = link_direction_table,                                                                                    \
     .help = "towards the GPU"},                                                                                       \
        {.name = "write",                                                                                              \
         .kind = OPTION_STRUCT,                                                                                        \
         .offset = offsetof(type, member.write),                                                                       \
         .fallback = "",                                                                                               \
         .table = link_direction_table,                                                                                \
         .help = "away from the GPU; like read where it has no bandwidth"},                                            \
        {.name = "duplex",                                                                                             \
         .kind = OPTION_REAL,                                                                                          \
         .offset = offsetof(type, member.duplex_bytes_per_s),                                                          \
         .unit = UNIT_BYTES_PER_S,                                                                                     \
         .fallback = "0",                                                                                              \
         .min = 0,                                                                                                     \
         .max = 1e18,                                                                                                  \
         .help = "cap for both directions together; 0: none"},                                                         \
        {.name = "peak",                                                                                               \
         .kind = OPTION_REAL,                                                                                          \
         .offset = offsetof(type, member.peak_bytes_per_s),                                                            \
         .unit = UNIT_BYTES_PER_S,                                                                                     \
         .fallback = "0",                                                                                              \
         .min = 0,                                                                                                     \
         .max = 1e18,                                                                                                  \
         .help = "physical peak of a direction, which utilisation refers to; 0: the bandwidth"},                       \
        {.name = "half_duplex",                                                                                        \
         .kind = OPTION_BOOL,                                                                                          \
         .offset = offsetof(type, member.half_duplex),                                                                 \
         .fallback = "no",                                                                                             \
         .help = "reads and writes share the device's time, r/R + w/W <= 1, as a flash die either reads or programs"}, \
        {.name = "fresh_write",                                                                                        \
         .kind = OPTION_REAL,                                                                                          \
         .offset = offsetof(type, member.fresh_bytes_per_s),                                                           \
         .unit = UNIT_BYTES_PER_S,                                                                                     \
         .fallback = "0",                                                                                              \
         .min = 0,                                                                                                     \
         .max = 1e18,                                                                                                  \
         .help =                                                                                                       \
             "bandwidth of writes to a drive that is `state: fresh`, until it has been written once; 0: the same"},    \
        {.name = "fifo",                                                                                               \
         .kind = OPTION_BOOL,                                                                                          \
         .offset = offsetof(type, member.fifo),                                                                        \
         .fallback = "no",                                                                                             \
         .help = "one transfer at a time in each direction, as a copy engine; otherwise they share"},                  \
        {.name = "basis",                                                                                              \
         .kind = OPTION_CHOICE,                                                                                        \
         .offset = offsetof(type, member.basis),                                                                       \
         .fallback = "spec",                                                                                           \
         .choices = link_basis_choices,                                                                                \
         .help = "how well these figures are known"},                                                                  \
    {                                                                                                                  \
        .name = "source", .kind = OPTION_TEXT, .offset = offsetof(type, member.source),                                \
        .help = "where these figures are from"                                                                         \
    }
/* Fills in `write` and checks that the figures make a link; -1 with `at` and a remedy where they do not. */
int link_check(struct link_options *link, struct place at, struct error *err);

struct network;
/* A flow has ended: all its bytes and blocks have landed. The flow's id is valid until the hook returns. The hook may
 * start, truncate and ask. */
typedef void (*network_done)(void *self, uint64_t tag, sim_time now);

/* One source of `engine`. */
struct network *network_create(struct engine *engine, network_done done, void *self);
void network_destroy(struct network *network);
/* Adds a link (its options are copied, the name is not). Ids count up from 0. A figure that link_check refuses is a
 * defect. */
uint32_t network_add(struct network *network, const struct link_options *options);
uint32_t network_links(const struct network *network);

enum { NETWORK_HOPS_MAX = 16 };
struct network_hop {
    uint32_t link;
    enum network_direction direction;
};

/* Starts a flow of `bytes` in `blocks` (>= 1) equal blocks over 1 to NETWORK_HOPS_MAX hops, now. A link that is crossed
 * twice stands twice. Returns its id. `done(tag)` follows, never within this call. */
uint64_t network_start(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                       uint32_t blocks, uint64_t tag);
/* The same after `delay_ns` of something else (software) that takes no bandwidth. */
uint64_t network_start_after(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                             uint32_t blocks, sim_time delay_ns, uint64_t tag);
/* Blocks that have landed by `now`, in order; for a `now` to come, if rates stay as they are. */
uint32_t network_progress_blocks(const struct network *network, uint64_t flow, sim_time now);
/* Blocks that have moved or are on their way: network_truncate leaves no fewer. 0 of a flow that has not begun. */
uint32_t network_committed_blocks(const struct network *network, uint64_t flow, sim_time now);
/* Ends the flow after its first `blocks` blocks, or after the one on its way where that is further; done follows as
 * usual, at once for a flow that has not begun and keeps none. Returns the blocks that land. */
uint32_t network_truncate(struct network *network, uint64_t flow, uint32_t blocks);
/* Bytes per second at the moment; 0 while it waits, queues or lands. */
double network_rate(const struct network *network, uint64_t flow);
/* When its first byte moved; SIM_NEVER: not yet. */
sim_time network_begun(const struct network *network, uint64_t flow);

/* Bytes submitted to a link and direction and not carried yet. */
uint64_t network_queued_bytes(const struct network *network, uint32_t link, enum network_direction direction);
/* When a flow would end if it were started now and none came after it. Exact on idle links, in a single fifo queue and
 * on a single shared link without latency; otherwise an estimate, from those now ahead and beside. Changes nothing. */
sim_time network_predict(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                         uint32_t blocks);

/* A link's direction costs `slow` (> 0) times as much from now on, latency of new flows included; `down`: nothing moves
 * on it until it is up, flows wait where they are. */
void network_change(struct network *network, uint32_t link, enum network_direction direction, double slow, bool down);
/* What writes to a fresh drive cost over what they will; 1 where its link has no fresh_bytes_per_s. */
double network_slow(const struct network *network, uint32_t link, enum network_direction direction);
double network_fresh(const struct network *network, uint32_t link);
bool network_is_down(const struct network *network, uint32_t link, enum network_direction direction);
/* Ends the flow with the blocks that have wholly landed; done follows at once. Returns their number. */
uint32_t network_abort(struct network *network, uint64_t flow);

/* Bytes queued on each hop of a path, and predicted seconds until a flow that joins now has its first byte there. */
struct network_queue {
    const char *name;
    uint64_t bytes;
    double wait_s;
    double bytes_per_s;        /* the direction's bandwidth */
    uint32_t flows;            /* that move or queue there now */
    double flows_per_s, share; /* since time 0: flows that ended; bytes over what it could have carried */
};
struct network_queue network_queue(const struct network *network, struct network_hop hop);
/* What a flow would have taken that was not started. At its beginning network_mark notes each hop's account, and how
 * long fifo links would have kept it; later network_price_s (>= 0 s) has it move at the rate that one more flow would
 * have had since, shares being equal: the mean of 1 / (flows + 1) on each shared link. An estimate; exact where nobody
 * else was on the path, or a constant number of flows that want no less. */
struct network_mark {
    sim_time begun;
    double wait_s, joining_s[NETWORK_HOPS_MAX];
};
void network_mark(const struct network *network, const struct network_hop *path, uint32_t hops,
                  struct network_mark *mark);
double network_price_s(struct network *network, const struct network_hop *path, uint32_t hops, uint64_t bytes,
                       uint32_t blocks, const struct network_mark *mark);

/* The direction moves so many bytes a second from `now` on: the sum of its flows' rates, a flow that crosses it twice
 * counting twice. The hook may ask, and change nothing. */
typedef void (*network_moved)(void *self, uint32_t link, enum network_direction direction, sim_time now,
                              double bytes_per_s);
/* Has `moved` told of every change of a direction's rate from now on; all links are added. Between changes rates
 * stand, so their integral is what was carried, but for less than a ns of each flow and for what was given up of the
 * block on its way (network_abort). */
void network_watch(struct network *network, network_moved moved, void *self);

/* What a direction of a link has carried up to now: the bytes of flows that are under way count as far as they got. */
struct network_totals {
    const char *name;
    double bandwidth_bytes_per_s, peak_bytes_per_s;
    uint64_t bytes, flows; /* flows: ended */
    int64_t busy_ns;       /* at least one flow active */
};
/* Utilisation above 1 is a defect. */
struct network_totals network_totals(const struct network *network, uint32_t link, enum network_direction direction);
/* Flows that were started and have not ended. */
uint32_t network_flows(const struct network *network);
/* Slow: checks lists, byte counts, that no link is overfull and that every rate is max-min fair (MUST). For tests. */
void network_audit(const struct network *network);

#endif
