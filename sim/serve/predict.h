/* What the simulator expects of a plan for a request's prefix: the same models and queues that it runs on, as they are
 * now. Used by reuse and prefetch policies, and to price what was not done with the batch that came (reuse.c). */
#ifndef SIM_SERVE_PREDICT_H
#define SIM_SERVE_PREDICT_H

#include "sim/serve/instance.h"

/* The batch beside which a prompt is computed. */
struct batch_load {
    int64_t decodes, decode_context; /* sequences, and the tokens that they attend to */
};
struct batch_load batch_load_now(const struct instance *instance);
/* Seconds to compute tokens from..to-1 of a prompt beside `load`, in chunks as the batch policy gives them. Exact to
 * the model for up to four equal chunks, beyond that by Simpson's rule over them. */
double predict_compute_s(const struct instance *instance, const struct batch_load *load, int64_t from, int64_t to);
/* What a batch policy may ask: the world is of type struct batch_world, and lives as long as the view. */
struct batch_world {
    const struct instance *instance;
    struct batch_load load;
    int64_t computed; /* tokens of the next prompt that are computed */
};
double predict_step_s(const void *batch_world, int64_t tokens);
/* Tokens of prompts in the batch that are not computed yet. */
uint64_t predict_ahead_tokens(struct instance *instance);

struct reuse_world {
    struct instance *instance;
    const struct request *request;
    const struct kv_lookup *found;
    struct batch_load load;
    uint32_t hbm_tokens;
    double ahead_s;
};
/* Seconds to load `fetch` blocks that follow `skip` of those that lower tiers hold. */
double predict_load_s(const struct reuse_world *world, uint32_t skip, uint32_t fetch);
/* Seconds until all prompts that are in the batch or wait behind the request are computed. */
double predict_backlog_s(const struct reuse_world *world);
/* Seconds from now to the first token under `plan`. */
double predict_plan_s(const struct reuse_world *world, const struct reuse_plan *plan);
/* Of a layer-wise plan, seconds from now at which the prompt's first step is to begin. */
double predict_join_s(const struct reuse_world *world, const struct reuse_plan *plan);

#endif
