/* What a block is in the prompt that asks for it, access by access, and how often each kind hits.
 *
 * What a trace states: agentic sessions say how many tokens of their prompts are tools and system prompt. The rest is
 * by rule, from the whole trace: a block that several sessions ask for is *shared* text (a system prompt, a document);
 * one that only its own session asks for, and has asked for before, is *history* (its earlier turns); else it is *new*,
 * and misses in any cache. A trace without sessions (none asks twice) gets them by rule as well: a prompt continues the
 * latest earlier one all of whose full blocks it begins with, unless another has continued that one. */
#ifndef SIM_MEMORY_ROLES_H
#define SIM_MEMORY_ROLES_H

#include "sim/memory/replay.h"

enum role { ROLE_TOOLS, ROLE_SYSTEM, ROLE_SHARED, ROLE_HISTORY, ROLE_NEW, ROLES };
extern const char *const role_names[ROLES];

/* malloc'ed, trace->count long: enum role of each access. */
uint8_t *replay_roles(const struct replay_trace *trace);

struct role_counts {
    uint64_t accesses, hits;
};
/* Of accesses from request `skip` on: marks[at] says which hit; of[at] (NULL: the tenant of the request) in which of
 * `counts` they count, which are zeroed first. */
void replay_count_by(const struct replay_trace *trace, const uint8_t *marks, const uint8_t *of, uint32_t skip,
                     struct role_counts *counts, uint32_t count_room);

#endif
