/* Typed records: what a run tells the world. Rooms emit them into a sink they are given and know nothing of
 * tables, JSON or databases; sim/output turns them into those. All times are int64 ns of simulated time,
 * durations too. Strings belong to the emitter and live as long as the run. */
#ifndef SIM_BASE_RECORD_H
#define SIM_BASE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

enum { RECORD_TIERS_MAX = 12, RECORD_LINKS_MAX = 64 };

/* Where a request's time went; the sum over causes is exactly its E2E. */
enum cause {
    CAUSE_QUEUE,   /* waiting for a place in the batch */
    CAUSE_PREFILL, /* in steps that compute its prompt (the first token's step included) */
    CAUSE_DECODE,  /* in steps that produce its further tokens */
    CAUSE_LOAD,    /* waiting for its blocks from lower tiers; split by tier in load_tier_ns */
    CAUSE_STALL,   /* waiting for HBM blocks that are still leaving */
    CAUSE_SWAP,    /* preempted, being swapped out or in */
    CAUSE_PREEMPT, /* preempted, waiting to be scheduled again */
    CAUSE_COUNT
};
const char *cause_name(enum cause cause);

enum request_end { REQUEST_FINISHED, REQUEST_REJECTED };

/* One request, at its end. */
struct request_record {
    uint64_t id;
    uint64_t session;
    uint32_t tenant, turn;
    uint16_t instance;
    enum request_end end;
    int64_t arrival_ns, first_token_ns, end_ns; /* absolute; first_token_ns is 0 when rejected */
    uint32_t prompt_tokens, output_tokens;
    uint32_t preemptions;
    uint64_t hit_tokens[RECORD_TIERS_MAX]; /* prompt tokens read from tier t instead of computed, HBM included */
    uint64_t recomputed_tokens;            /* computed though a tier held them at look-up, or again after preemption */
    uint64_t computed_tokens;              /* prompt tokens computed, each counted as often as it was computed */
    int64_t cause_ns[CAUSE_COUNT];
    int64_t first_ns[CAUSE_COUNT];          /* of cause_ns, what came before the first token: sums to its TTFT */
    int64_t load_tier_ns[RECORD_TIERS_MAX]; /* sums to cause_ns[CAUSE_LOAD] */
    int8_t slowest_tier;                    /* the lowest tier it loaded from; -1: none */
};

/* One run of equal steps of an instance (only when output.runs is on). */
struct run_record {
    uint16_t instance;
    int64_t start_ns, end_ns;
    uint32_t steps, decode_sequences, prefill_tokens;
    uint32_t decodes_left, decodes_joined; /* sequences that decode on after it; whose prompts ended with it */
    const char *kernel;                    /* of decode attention, in its first step; "": nothing decodes */
};

/* One transfer between tiers (only when output.transfers is on). */
struct transfer_record {
    uint16_t instance;
    uint8_t from_tier, to_tier;
    int64_t submitted_ns, started_ns, end_ns;
    uint64_t bytes;
    uint32_t blocks;
};

/* One decision of a reuse policy: how much of a prompt's prefix to fetch from lower tiers and how much to compute, with
 * what was predicted then, and what came of it. Emitted at the request's first token, or when the request gave way
 * before it. Times run from the decision to the first token. */
struct decision_record {
    uint64_t request;
    uint16_t instance;
    int64_t at_ns;
    uint32_t hbm_tokens;     /* of the prompt, in HBM or arriving there */
    uint32_t held_tokens;    /* that lower tiers held after those */
    uint32_t skipped_tokens; /* of them, computed while later ones were loaded */
    uint32_t fetched_tokens; /* to be fetched */
    uint32_t given_tokens;   /* of those, given up under way and computed: a deadline, or the computing came first */
    bool layerwise, abandoned;
    double predicted_s;                            /* of the plan that was taken */
    double predicted_fetch_s, predicted_compute_s; /* of fetching all, of computing all */
    int64_t realised_ns;                           /* 0: abandoned */
    bool against_fetch;                            /* the alternative: fetching all; otherwise computing all */
    double alternative_s; /* what that would have taken at the rates and beside the batch that came, the others as
                             they were */
    double regret_s;      /* realised - alternative: above 0 the alternative would have been earlier */
};

/* From `at_ns` on a directed link moves so many bytes a second, until its next record; before its first, none. Emitted
 * whenever that has changed, into sinks that have the hook. `link` counts links and directions from 0. */
struct rate_record {
    uint32_t link;
    const char *name;
    int64_t at_ns;
    double bytes_per_s;
};

/* Totals of a directed link or device at the end of a run. */
struct link_record {
    const char *name;
    double peak_bytes_per_s;
    uint64_t bytes;
    int64_t busy_ns; /* at least one flow in progress */
};

/* Totals of a tier at the end of a run. */
struct tier_record {
    const char *name;
    uint32_t tier;
    uint64_t capacity_bytes, peak_used_bytes, written_bytes, read_bytes;
    uint64_t inserted_blocks, evicted_blocks;
    /* Of written_bytes: as HBM filled, as requests ended, from a tier above that evicted, on the way up. The rest:
     * swaps. */
    uint64_t filled_bytes, completed_bytes, demoted_bytes, promoted_bytes;
    uint64_t refused_blocks; /* offered, and not admitted */
    uint64_t dropped_blocks; /* that the tier above evicted and this one had no room or write buffer for */
};

/* Totals of an instance at the end of a run. */
struct instance_record {
    uint16_t instance;
    int64_t busy_ns;
    uint64_t steps, runs;
    double model_bytes, model_flops; /* moved and computed by its steps, all ranks */
};

/* Receives records. A NULL hook takes nothing. `self` is handed back. */
struct sink {
    void *self;
    void (*request)(void *self, const struct request_record *record);
    void (*run)(void *self, const struct run_record *record);
    void (*transfer)(void *self, const struct transfer_record *record);
    void (*link)(void *self, const struct link_record *record);
    void (*tier)(void *self, const struct tier_record *record);
    void (*instance)(void *self, const struct instance_record *record);
    void (*decision)(void *self, const struct decision_record *record);
    void (*rate)(void *self, const struct rate_record *record); /* NULL is cheaper than one that does nothing */
};

#endif
