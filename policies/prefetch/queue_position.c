/* Queue position: blocks move up once their request is among the first of the queue.
 * Source   the look-ahead window of CachedAttention (ATC'24). */
#include "policies/prefetch/lift.h"

struct queue_position_options {
    int64_t first;
    int to;
};
static const struct option queue_position_table[] = {{.name = "first",
                                                      .kind = OPTION_INT,
                                                      .offset = offsetof(struct queue_position_options, first),
                                                      .fallback = "4",
                                                      .min = 1,
                                                      .max = PREFETCH_QUEUE_MAX,
                                                      .help = "requests of the queue whose blocks are moved up"},
                                                     LIFT_TO_ROW(struct queue_position_options, to, "hbm"),
                                                     OPTION_END};

static void lift_the_first(const void *options, const struct prefetch_view *view, struct prefetch_plan *plan,
                           int64_t now) {
    (void)now;
    const struct queue_position_options *own = options;
    if (view->cause == PREFETCH_QUEUE && view->position < own->first)
        lift_all(view, own->to, plan);
}

static const struct prefetch_policy queue_position = {
    .policy = {.abi = POLICY_ABI,
               .name = "queue-position",
               .rule = "blocks move up when their request is among the first of the queue",
               .source = "CachedAttention (ATC'24)",
               .needs = NEED_QUEUE,
               .options = queue_position_table,
               .options_size = sizeof(struct queue_position_options)},
    .decide = lift_the_first};
POLICY_REGISTER(prefetch, queue_position)
