/* The loop on a GPU: a decoder behind a narrow interface, the clock, the pages, the tables. */
#ifndef VALIDATE_LOOP_SERVE_CUH
#define VALIDATE_LOOP_SERVE_CUH

#include "validate/loop/pages.cuh"

/* What the loop asks of a decoder. Its pool is blocks[LOOP_HBM] pages of all layers' K and V, one after another,
 * allocated before the loop begins; page i of a request's table lies at pool() + table[i] * page_bytes(). */
class loop_decoder {
  public:
    virtual ~loop_decoder() = default;
    virtual char *pool(void) = 0;
    virtual size_t page_bytes(void) const = 0;
    /* The host's part of a step, before anything of it is enqueued: it counts as host time. */
    virtual void prepare(const struct loop_batch &batch) = 0;
    /* Enqueues the prepared step: K and V of the items' new tokens go into their pages, each item's last token gives
     * the next, and these are on the host when the stream has come so far. */
    virtual void enqueue(cudaStream_t stream) = 0;
};

/* Serves the trace once and writes loop_NAME.csv and steps_NAME.csv into the group's output directory. The pages are
 * verified before. Throws failure. */
struct loop_job {
    const char *trace, *name;
    double rate_scale; /* arrivals come so many times as fast as in the trace */
    uint32_t requests; /* the first of the trace; 0: all */
    struct loop_options options;
};
/* What it came to; seconds. */
struct loop_summary {
    std::vector<double> ttft, tpot, host, device;
    double wall_s;
    uint32_t requests, preemptions;
    double input_tokens, hit_tokens[LOOP_TIERS];
};
struct loop_summary loop_serve(struct context *c, loop_decoder &decoder, const struct loop_job &job);

#endif
