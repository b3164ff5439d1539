/* Next step: the blocks of an agent that will run again move up as soon as that is known.
 * Source   KVFlow (arXiv 2507.07400): prefetch for agents within so many steps. */
#include "policies/prefetch/lift.h"

struct next_step_options {
    int64_t steps;
    int to;
};
static const struct option next_step_table[] = {{.name = "steps",
                                                 .kind = OPTION_INT,
                                                 .offset = offsetof(struct next_step_options, steps),
                                                 .fallback = "1",
                                                 .min = 1,
                                                 .max = 1000,
                                                 .help = "most steps until the agent runs"},
                                                LIFT_TO_ROW(struct next_step_options, to, "below"),
                                                OPTION_END};

static void lift_the_next(const void *options, const struct prefetch_view *view, struct prefetch_plan *plan,
                          int64_t now) {
    (void)now;
    const struct next_step_options *own = options;
    if (view->cause == PREFETCH_STEPS && view->steps <= own->steps)
        lift_all(view, own->to, plan);
}

static const struct prefetch_policy next_step = {.policy = {.abi = POLICY_ABI,
                                                            .name = "next-step",
                                                            .rule = "blocks of an agent that runs next move up",
                                                            .source = "KVFlow (arXiv 2507.07400)",
                                                            .needs = NEED_AGENT_GRAPH,
                                                            .options = next_step_table,
                                                            .options_size = sizeof(struct next_step_options)},
                                                 .decide = lift_the_next};
POLICY_REGISTER(prefetch, next_step)
