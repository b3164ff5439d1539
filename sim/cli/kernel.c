/* Between kernel policies (policies/kernel.h) and the step model, which knows no policies. */
#include "policies/kernel.h"

#include "sim/cli/policy.h"
#include "sim/cli/scenario.h"

_Static_assert((int)KERNEL_DECODE == (int)KERNEL_OF_DECODE && (int)KERNEL_PRODUCT == (int)KERNEL_OF_PRODUCT,
               "policies and the step model number the kinds of work alike");

static uint32_t ask(const void *self, const struct kernel_question *q) {
    const struct variant *v = self;
    struct kernel_view view = {.work = (enum kernel_work)q->kind,
                               .rule = q->rule,
                               .kernel_count = q->count,
                               .kernels = q->names,
                               .sequences = q->sequences,
                               .tiles = q->tiles,
                               .context_tokens = q->context,
                               .longest_context = q->longest,
                               .m = q->m,
                               .n = q->n,
                               .k = q->k,
                               .sms = q->sms,
                               .predict_s = q->seconds,
                               .world = q->world};
    return ((const struct kernel_policy *)v->kernel)->choose(v->kernel_options, &view);
}

int kernel_policy_load(struct variant *v, struct arena *arena, struct error *err) {
    if (!v->options.serving.kernel)
        return 0;
    return policy_resolve(POLICY_KERNEL, v->options.serving.kernel, "by-regime", arena, &v->kernel, &v->kernel_options,
                          err);
}

struct kernel_chooser variant_kernels(const struct variant *v) {
    if (!v->kernel)
        return (struct kernel_chooser){0};
    return (struct kernel_chooser){ask, v};
}
