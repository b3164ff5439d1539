/* What the prefetch policies here share: where to, and how much. */
#ifndef POLICIES_PREFETCH_LIFT_H
#define POLICIES_PREFETCH_LIFT_H

#include <stddef.h>

#include "policies/prefetch.h"

enum { LIFT_TO_HBM, LIFT_TO_DRAM };
static const char *const lift_names[] = {"hbm", "below", NULL};
#define LIFT_TO_ROW(type, member, where)                                                                               \
    {                                                                                                                  \
        .name = "to", .kind = OPTION_CHOICE, .offset = offsetof(type, member), .fallback = where,                      \
        .choices = lift_names,                                                                                         \
        .help = "where blocks are brought: hbm, as far as there is room without harm; or the tier below it"            \
    }

/* All that lower tiers hold of the prompt, as far as HBM has room without harm; below HBM, whatever lies deeper. */
static inline void lift_all(const struct prefetch_view *view, int to, struct prefetch_plan *plan) {
    uint32_t blocks = 0;
    for (uint32_t t = 1; t < view->tier_count; t++)
        blocks += view->blocks[t];
    plan->tier = to == LIFT_TO_HBM ? 0 : 1;
    if (to == LIFT_TO_HBM && blocks > view->free_blocks[0])
        blocks = (uint32_t)view->free_blocks[0];
    plan->blocks = blocks;
}

#endif
