/* Reuse: given where a request's prefix is held, how much of it to fetch and how much to compute.
 *
 * Asked when a request is about to be admitted and a tier below HBM holds some of what follows its HBM hit. The answer
 * is a plan; the simulator itself predicts what a plan comes to, from its models of the step and of the links, with the
 * queues and the batch as they are now. Nothing of it is the future. */
#ifndef POLICIES_REUSE_H
#define POLICIES_REUSE_H

#include <stdbool.h>

#include "policies/registry.h"

enum { REUSE_OPTIONS_MAX = 12, REUSE_LINKS_MAX = 16 };

/* One link of a path. */
struct reuse_link {
    const char *name;
    uint64_t queued_bytes; /* submitted and not carried yet */
    double wait_s;         /* predicted until a transfer that joins has its first byte there; 0 where links share */
    double bytes_per_s;    /* its bandwidth */
    uint32_t moving;       /* transfers that are under way there or queue */
    double transfers_per_s, share; /* so far: transfers that ended, and bytes over what it could have carried */
};
/* One tier's share of what follows the HBM hit, in prompt order of tiers as listed. */
struct reuse_option {
    uint8_t tier;
    uint32_t blocks;
    uint64_t tokens, bytes;
    uint64_t queued_bytes; /* ahead of it on the slowest link of its path */
};
struct reuse_plan {
    uint32_t skip;     /* blocks after the HBM hit that are computed while those after them are loaded, last first */
    uint32_t fetch;    /* blocks fetched, after the skipped ones; what follows them is computed */
    bool layerwise;    /* without skip: the prompt's first step begins when it would end no later than the load, whose
                          layers it takes as they land */
    double deadline_s; /* without skip: what is not on its way so long after the decision is computed; 0: none */
};
struct reuse_view {
    uint32_t prompt_tokens, hbm_tokens; /* tokens the HBM already holds */
    uint32_t option_count;
    const struct reuse_option *options;
    /* Predicted seconds to fetch the first `blocks` blocks after the HBM hit with the queues they would join, and to
     * compute the prompt's remaining tokens when `from_tokens` are there, with the batch they would join. */
    double (*predict_fetch_s)(const void *world, uint32_t blocks);
    double (*predict_prefill_s)(const void *world, uint32_t from_tokens);
    const void *world;
    uint32_t blocks;                     /* the sum of the options' */
    uint32_t block_tokens;               /* of one block */
    uint32_t decoding;                   /* sequences of the batch that decode */
    uint32_t waiting;                    /* requests that wait behind this one */
    uint64_t ahead_tokens;               /* of prompts in the batch, not computed yet: they come first */
    double ahead_s;                      /* predicted seconds until they are */
    double backlog_s;                    /* predicted seconds until all prompts in the batch and waiting are computed */
    double arrivals_per_s, prompt_share; /* of the instance so far: requests, and share of time with prompts in steps */
    uint32_t hbm_blocks, hbm_free;       /* of the instance; free: nobody needs them now */
    bool can_skip, can_overlap; /* false: such a plan is taken without its skip, layerwise and deadline (blocks of it
                                 are already arriving for another request; or it was preempted) */
    /* Predicted seconds from now to the prompt's first token under a plan. */
    double (*predict_s)(const void *world, const struct reuse_plan *plan);
    /* Predicted seconds to compute tokens from_tokens..to_tokens-1 of the prompt, with the batch. */
    double (*predict_compute_s)(const void *world, uint32_t from_tokens, uint32_t to_tokens);
    /* Predicted seconds to load `fetch` blocks that follow `skip` ones. */
    double (*predict_load_s)(const void *world, uint32_t skip, uint32_t fetch);
    /* The queues of the links from an option's tier to HBM; returns their number. */
    uint32_t (*links)(const void *world, uint32_t option, struct reuse_link links[REUSE_LINKS_MAX]);
};
struct reuse_policy {
    struct policy policy;
    /* Required, unless there is a plan. Number of blocks after the HBM hit to fetch, 0..sum of options' blocks; the
     * rest is computed. */
    uint32_t (*decide)(const void *options, const struct reuse_view *view);
    /* Optional, asked instead of decide. `plan` comes zeroed: all is computed. skip + fetch beyond what there is are
     * cut. */
    void (*plan)(const void *options, const struct reuse_view *view, struct reuse_plan *plan);
};

#endif
