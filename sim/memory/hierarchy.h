/* The fleet's memory: every tier, every link, and the KV blocks of live requests in them.
 *
 * Tier 0 is HBM, one an instance. Each further tier has a scope: one an instance, one a node, or one for the
 * pod; instances of one scope share it. A *path* joins two tiers over links of the node (topology.h); a transfer
 * is a flow over it. A request's blocks in its instance's HBM are a `struct kv`; the instance calls the kv_
 * functions at step boundaries, and is told through hooks when loads have landed and when space has come free.
 *
 * look-up:  kv_lookup       longest resident run in HBM, then block by block the fastest tier that holds the next
 * onboard:  kv_begin        holds the hits, takes HBM blocks for the rest, starts one transfer a source tier; a block
 * that is already arriving is joined, not loaded again fill:     kv_extend, kv_publish   blocks for tokens about to be
 * computed; and their identity once they are offload:  by each tier's write rule: at fill, at completion, on eviction
 * from the tier above, or never the end:  kv_end          lets blocks go, tail first preempt:  kv_drop (recompute) or
 * kv_swap_out / kv_swap_in */
#ifndef SIM_MEMORY_HIERARCHY_H
#define SIM_MEMORY_HIERARCHY_H

#include "models/profile.h"
#include "sim/base/arena.h"
#include "sim/base/record.h"
#include "sim/engine/engine.h"
#include "sim/memory/network.h"
#include "sim/memory/space.h"
#include "sim/memory/tier.h"
#include "sim/memory/topology.h"

enum { TIERS_MAX = RECORD_TIERS_MAX };

struct hierarchy;

struct hierarchy_setup {
    struct engine *engine;
    const struct node_options *node; /* topology.h: links and paths of one node, and of the pod */
    const struct list *tiers;        /* struct tier_options; the first is hbm */
    uint32_t instances, instances_per_node;
    int64_t tp;
    uint32_t block_tokens;
    double hbm_block_bytes;   /* on all ranks of the instance together: what a copy to or from HBM moves per block when
                                 replicas are stored once is lower_block_bytes */
    double lower_block_bytes; /* distinct bytes of a block below HBM, before a tier's own format */
    uint64_t hbm_blocks;      /* an instance's capacity */
    const struct connector_profile *connector; /* NULL: no software cost */
    bool prefix;                               /* semantics */
    uint64_t seed;
    struct sink *sink; /* transfer records; NULL: none */
    bool record_transfers;
    /* For policies that weigh what a loss costs (NEED_COST): seconds to compute a token, and more for each token before
     * it. */
    double token_s, pair_s;
    struct access_log *access_log; /* what the tiers' eviction policies see (access_log.h); NULL: not written down */
    const struct space_source *spaces; /* NULL: one namespace, without terms */
    bool presence; /* somebody asks all instances at once what their HBM holds (hierarchy_hbm_match) */
    /* All blocks that request `tag` waited for have landed. tier_ns[t]: of the time since kv_begin, the part that tier
     * t is answerable for (they sum to it): sources finish in some order, each owns the time since the one before. */
    void (*on_loaded)(void *self, uint32_t instance, uint64_t tag, const int64_t tier_ns[TIERS_MAX], sim_time now);
    /* Bytes that hierarchy_hand set on their way have landed (handover.h). */
    void (*on_handed)(void *self, uint64_t tag, sim_time now);
    const char *handover_path; /* the node's path from peer to hbm that they take; NULL: none do */
    /* HBM blocks that were leaving are free now; something that could not be had may be had. */
    void (*on_space)(void *self, uint32_t instance, sim_time now);
    /* The load that request `tag` waits for has failed (faults.h): it lets go of it, in this call. */
    void (*on_failed)(void *self, uint32_t instance, uint64_t tag, sim_time now);
    /* A swap (out or in) of request `tag` is done. */
    void (*on_swapped)(void *self, uint32_t instance, uint64_t tag, sim_time now);
    void *self;
};
int hierarchy_create(const struct hierarchy_setup *setup, struct hierarchy **out, struct error *err);
void hierarchy_destroy(struct hierarchy *hierarchy);
uint32_t hierarchy_tier_count(const struct hierarchy *hierarchy);
const char *hierarchy_tier_name(const struct hierarchy *hierarchy, uint32_t tier);
struct tier *hierarchy_hbm(struct hierarchy *hierarchy, uint32_t instance);
/* How many leading ids each instance has resident in HBM, into leading[0..instances). false: not asked for at creation.
 */
bool hierarchy_hbm_match(struct hierarchy *hierarchy, const uint64_t *ids, uint32_t count, uint32_t *leading);
/* Tier number `tier` as instance `instance` sees it. */
struct tier *hierarchy_tier(struct hierarchy *hierarchy, uint32_t tier, uint32_t instance);
/* News of a session, told to the policies of all tiers that `instance` sees, each as it has declared to need it
 * (tier_note). hierarchy_hears: the needs that anybody has of it (NEED_SESSION, NEED_QUEUE, NEED_AGENT_GRAPH); what
 * nobody needs need not be told. STEPS are counted over the fleet; a tier is told its instances' share of them. */
unsigned hierarchy_hears(const struct hierarchy *hierarchy);
void hierarchy_note(struct hierarchy *hierarchy, uint32_t instance, const struct session_note *note, sim_time now);
/* Emits link and tier records; checks that everything balances (MUST). */
void hierarchy_finish(struct hierarchy *hierarchy, sim_time now, struct sink *sink);
/* Slow audit of every tier and every byte; for tests. */
void hierarchy_audit(const struct hierarchy *hierarchy);

/* The blocks of one live request in its instance's HBM. `slots` are those with identity, in prompt order: blocks
 * 0..count-1, SLOT_NONE where the request keeps a private copy because the id is there already. Owned by the caller,
 * which gives room for `room` slots; zeroed before first use. */
struct kv {
    uint32_t *slots;
    uint32_t room, count;
    uint64_t anonymous; /* taken blocks without identity, private copies included */
    uint32_t swapped;   /* blocks that are out in swap_tier */
    uint8_t swap_tier;
    uint64_t wait; /* the hierarchy's own: what it waits for */
    /* Blocks that are fetched while those before them are computed: slots[tail_first .. tail_first + tail_count). */
    uint32_t tail_first, tail_count;
};

struct kv_lookup {
    uint32_t hbm_blocks;      /* leading ids resident in HBM */
    uint32_t arriving_blocks; /* ids after those that another request's load is bringing */
    uint32_t lower_blocks;    /* ids after those that can be fetched, without a gap: the fastest tier that holds the
                                 next. Blocks that HBM holds behind the gap are among them: they cost no transfer,
                                 and count for the tier that has them too, or for that of the block before */
    uint32_t tier_blocks[TIERS_MAX]; /* of lower_blocks, by tier; [0]: hbm_blocks + arriving_blocks */
};
/* Looks, changes nothing. */
void kv_lookup(const struct hierarchy *hierarchy, uint32_t instance, const uint64_t *ids, uint32_t count,
               struct kv_lookup *out);

/* Admission policies hear of the ids that a request asks for, whether found or not; before kv_begin. */
void kv_seen(struct hierarchy *hierarchy, uint32_t instance, const uint64_t *ids, uint32_t count, sim_time now);

/* What a kv_begin call knows of its blocks beside their ids. */
struct kv_identity {
    const uint64_t *ids;
    const int64_t *next_use; /* per block or NULL */
    uint32_t count;          /* ids there are; ghost lists are told of those that are not found. 0: they are not told */
    uint64_t owner;          /* session */
    uint32_t shared_blocks;  /* leading blocks that are system prompt, tools, documents: category */
    uint32_t tenant;
    uint8_t priority;
    int64_t duration_ns;
};
enum kv_result { KV_READY, KV_LOADING, KV_FULL };
/* Holds the first `hbm` resident blocks (touching them), joins `arriving` ones, and loads the `fetch` blocks after
 * them. READY: nothing to wait for. LOADING: on_loaded(tag) follows. FULL: HBM has not enough blocks now; nothing is
 * held. The numbers are those of a kv_lookup made at the same time, or less. Lower tiers' copies are touched as the
 * policy of each sees it. */
enum kv_result kv_begin(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv,
                        const struct kv_identity *identity, uint32_t hbm, uint32_t arriving, uint32_t fetch,
                        uint64_t tag, sim_time now);
/* The same from both ends: holds the first `hbm` blocks, leaves the `skip` after them to be computed, and loads the
 * `fetch` after those, the last first. They are the kv's tail until kv_join; READY: the tail is there already. */
enum kv_result kv_begin_tail(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv,
                             const struct kv_identity *identity, uint32_t hbm, uint32_t skip, uint32_t fetch,
                             uint64_t tag, sim_time now);
/* Brings the `blocks` blocks after the hits up for nobody: into HBM (to 0; only what can be had now), or copies what
 * lies below tier `to` into it, as promotion, where there is a path and admission allows it. Returns the blocks that
 * move. */
uint32_t kv_prefetch(struct hierarchy *hierarchy, uint32_t instance, const struct kv_identity *identity, uint32_t hbm,
                     uint32_t arriving, uint32_t blocks, uint32_t to, sim_time now);
/* All before the tail is published and all of the tail has landed: its blocks follow the others. */
void kv_join(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv);
/* Leading blocks of the tail that could still be left out of its loads: no byte of them has moved. */
uint32_t kv_tail_open(struct hierarchy *hierarchy, uint32_t instance, const struct kv *kv);
/* Lets the first `blocks` of the tail go: they will be computed. What nobody else waits for is not loaded. READY: the
 * rest has landed (on_loaded does not follow), or there is no tail any more. */
enum kv_result kv_tail_give(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, uint32_t blocks,
                            sim_time now);
/* The request waits no longer than for what is on its way now: it keeps the blocks before the first that is not, the
 * others are let go and, where nobody else waits for them, not loaded. READY: all that it keeps is there (on_loaded
 * does not follow). */
enum kv_result kv_cut(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, sim_time now);
/* Takes `blocks` more blocks for tokens about to be computed. false: not to be had now. */
bool kv_extend(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, uint64_t blocks, sim_time now);
/* Gives back `blocks` of the taken ones. */
void kv_shrink(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, uint64_t blocks, sim_time now);
/* Blocks kv->count .. kv->count+blocks-1 have been computed: each taken block gets its identity (or stays a private
 * copy when the id is there already). Tiers that write at fill begin their copies. */
void kv_publish(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, const struct kv_identity *identity,
                uint32_t blocks, sim_time now);
/* The request has ended: tiers that write at completion begin their copies, all blocks are let go. */
void kv_end(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, sim_time now);
/* Preempted for recompute, or given up: all blocks are let go, nothing is written. While they load: what is not on its
 * way yet and nobody else waits for is not loaded, and on_loaded does not follow. Blocks that are swapped out are let
 * go too, but not before on_swapped. */
void kv_drop(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, sim_time now);
/* Preempted by swap: copies every block to the next tier with room (on_swapped when done, and the HBM blocks are free).
 * false: no room below; drop instead. swap_in takes HBM blocks again (false: none) and copies back. */
/* Nothing is swapped out (false) that still waits for blocks. */
bool kv_swap_out(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, uint64_t tag, sim_time now);
bool kv_swap_in(struct hierarchy *hierarchy, uint32_t instance, struct kv *kv, uint64_t tag, sim_time now);

/* The instance waits for HBM blocks: on_space follows when a copy out of its HBM ends. */
void kv_want(struct hierarchy *hierarchy, uint32_t instance);
/* Whether blocks of the instance's HBM are on their way to a tier below, to stay in both; if so, on_space follows when
 * the last has landed. */
bool kv_stores(struct hierarchy *hierarchy, uint32_t instance);

/* For policies: bytes queued ahead on the path from tier to HBM; predicted seconds to fetch so many blocks from it. */
uint64_t kv_queued_bytes(const struct hierarchy *hierarchy, uint32_t instance, uint32_t tier);
double kv_predict_fetch_s(const struct hierarchy *hierarchy, uint32_t instance, uint32_t tier, uint32_t blocks);

/* The queues of the links of the path from `tier` to HBM; returns the number of links. */
uint32_t kv_path_queues(const struct hierarchy *hierarchy, uint32_t instance, uint32_t tier,
                        struct network_queue queues[NETWORK_HOPS_MAX]);
/* What a fetch of `blocks` blocks from `tier` would really have taken that was not begun at the mark: see
 * network_price_s. */
void kv_mark(const struct hierarchy *hierarchy, uint32_t instance, uint32_t tier, struct network_mark *mark);
double kv_price_s(const struct hierarchy *hierarchy, uint32_t instance, uint32_t tier, uint32_t blocks,
                  const struct network_mark *mark);

#endif
