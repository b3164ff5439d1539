/* TensorRT-LLM's offload rule: only blocks of some priority are written.
 *
 * Rule     admits from `priority` on.
 * Needs    nothing (priorities are always known).
 * Cost     O(1) a block, no state.
 * Source   TensorRT-LLM batch_manager/evictionPolicy.cpp (secondary offload from priority 30 on; default 35). */
#include <stddef.h>

#include "policies/admit.h"

struct trtllm_priority_options {
    int64_t priority;
};
static const struct option trtllm_priority_table[] = {{.name = "priority",
                                                       .kind = OPTION_INT,
                                                       .offset = offsetof(struct trtllm_priority_options, priority),
                                                       .fallback = "30",
                                                       .min = 0,
                                                       .max = 100,
                                                       .help = "lowest priority that is written"},
                                                      OPTION_END};

static void trtllm_decide(void *self, const struct admit_view *view, bool *admit, int64_t now) {
    (void)now;
    const struct trtllm_priority_options *options = self;
    for (uint32_t i = 0; i < view->count; i++)
        admit[i] = view->blocks[i].priority >= (options ? options->priority : 30);
}

static const struct admit_policy trtllm_priority = {
    .policy = {.abi = POLICY_ABI,
               .name = "trtllm-priority",
               .rule = "written from a priority on",
               .source = "TensorRT-LLM batch_manager/evictionPolicy.cpp",
               .options = trtllm_priority_table,
               .options_size = sizeof(struct trtllm_priority_options)},
    .decide = trtllm_decide};
POLICY_REGISTER(admit, trtllm_priority)
