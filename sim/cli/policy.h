/* Policies as a scenario names them. */
#ifndef SIM_CLI_POLICY_H
#define SIM_CLI_POLICY_H

#include "policies/registry.h"
#include "sim/base/arena.h"
#include "sim/config/node.h"

/* Finds the policy that `node` names, NAME or {name: NAME, its options...}; `fallback` when node is NULL. The options
 * struct (NULL for a policy without options) is read by the policy's own table. Errors carry the place and the nearest
 * names. */
int policy_resolve(enum policy_kind kind, const struct node *node, const char *fallback, struct arena *arena,
                   const struct policy **policy, const void **options, struct error *err);
/* The policy as a user would write it on one line. */
const char *policy_text(const struct node *node, const char *fallback, struct arena *arena);

#endif
