/* Who holds a block: for a fleet's router, which asks of every instance how much of a prompt it has. One walk along the
 * prompt answers for all of them, where an index an instance takes a walk each. Tiers enter what becomes resident in
 * them and take out what goes; the simple way (tier_match, tier by tier) must agree. */
#ifndef SIM_MEMORY_PRESENCE_H
#define SIM_MEMORY_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

struct presence;
struct presence *presence_create(uint32_t holders);
void presence_destroy(struct presence *presence);
/* `holder` must not have the id yet; must have it. */
void presence_add(struct presence *presence, uint32_t holder, uint64_t id);
void presence_remove(struct presence *presence, uint32_t holder, uint64_t id);
/* How many leading ids each holder has, into leading[0..holders). */
void presence_match(struct presence *presence, const uint64_t *ids, uint32_t count, uint32_t *leading);

#endif
